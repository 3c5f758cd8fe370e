// Runs notebooks by scripts/run_notebooks.py in the Python of .venv.
import { spawn } from 'node:child_process';
import { cache, inRoot, venvPython } from './project.mjs';
import { jupyterEnvironment } from './python.mjs';

/**
 * Runs the notebooks in order and resolves to the exit code: 0, 1 (one failed) or 130 (stopped). `output`:
 * folder for the executed notebooks, in place where it is undefined; `results`: file for a JSON report.
 */
export function runNotebooks(files, { output, environment = {}, keepGoing = false, results } = {}) {
  const args = [inRoot('scripts', 'run_notebooks.py'), '--cache', cache, ...files];
  if (output) args.push('--output', output);
  if (keepGoing) args.push('--keep-going');
  if (results) args.push('--results', results);
  const ignored = Object.keys(process.env).filter(isSetting);
  if (ignored.length > 0)
    console.log(`not used: ${ignored.join(', ')} of the environment; mend: use options (npm start -- --help)`);
  return passThrough(venvPython, args, {
    ...withoutSettings(process.env),
    ...jupyterEnvironment,
    ...environment,
  });
}

/** What belongs to the machine and not to a run. */
const OF_THE_MACHINE = ['SOFT_PROMPTS_BACKEND', 'SOFT_PROMPTS_DATA_URL'];

/** A setting left in the shell would silently change a run: settings come from the command line only. */
export const isSetting = (name) =>
  name.startsWith('SOFT_PROMPTS_') && !name.startsWith('SOFT_PROMPTS_TEST_') && !OF_THE_MACHINE.includes(name);

const withoutSettings = (environment) =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !isSetting(name)));

/** Runs a program on this terminal; hands signals on to it and waits until it has ended. */
export function passThrough(command, args, env, cwd = inRoot()) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env, cwd });
    const onInterrupt = () => child.kill('SIGINT');
    const onTerminate = () => child.kill('SIGTERM');
    process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
    const forget = () => process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
    child.on('error', (error) => {
      forget();
      reject(error);
    });
    child.on('close', (code) => {
      forget();
      resolve(code ?? 1);
    });
  });
}
