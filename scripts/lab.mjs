// npm run lab [-- options of jupyter lab]: makes sure of set-up, then opens JupyterLab (on loopback, with a
// token).
import { labArguments } from './lib/lab.mjs';
import { passThrough } from './lib/notebooks.mjs';
import { venvPython } from './lib/project.mjs';
import { jupyterEnvironment } from './lib/python.mjs';
import { setUp } from './lib/setup.mjs';
import { Problem, runMain } from './lib/steps.mjs';

await runMain(async () => {
  await setUp({ quiet: true, build: false });
  try {
    await setUp({ quiet: true });
  } catch (error) {
    // one may want JupyterLab to mend just that
    if (!(error instanceof Problem)) throw error;
    console.log(`${error.message}\nlib was not built; JupyterLab opens with the one of before`);
  }
  const options = labArguments(process.argv.slice(2));
  if (process.getuid?.() === 0 && !options.includes('--allow-root')) {
    console.log('you are root, as in a container: JupyterLab gets --allow-root');
    options.push('--allow-root');
  }
  return passThrough(venvPython, options, { ...process.env, ...jupyterEnvironment });
});
