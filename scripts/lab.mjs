// npm run lab [-- options of jupyter lab]: makes sure of set-up, then opens JupyterLab (on loopback, with a
// token).
import { inRoot, venvPython } from './lib/project.mjs';
import { passThrough } from './lib/notebooks.mjs';
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
  const options = [
    `--notebook-dir=${inRoot()}`,
    '--LabApp.default_url=/lab/tree/notebooks',
    '--MultiKernelManager.default_kernel_name=tslab',
    ...process.argv.slice(2),
  ];
  if (process.getuid?.() === 0 && !options.includes('--allow-root')) {
    console.log('you are root, as in a container: JupyterLab gets --allow-root');
    options.push('--allow-root');
  }
  return passThrough(venvPython, ['-m', 'jupyterlab', ...options], { ...process.env, ...jupyterEnvironment });
});
