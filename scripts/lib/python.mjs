// The Python side: .venv with JupyterLab, nbclient and the Plotly renderer, and the tslab kernel in it.
import fs from 'node:fs';
import path from 'node:path';
import {
  TENSORFLOW_ENVIRONMENT,
  hashFiles,
  inRoot,
  readJson,
  venv,
  venvPython,
  writeFileAtomic,
} from './project.mjs';
import { Problem, outputOf, runLogged } from './steps.mjs';

const stampFile = path.join(venv, 'made-from.json');
const PROBE = 'import sys, venv, ensurepip; print(".".join(map(str, sys.version_info[:3])))';

/** Finds a Python from 3.10 on that can make environments: $PYTHON first, then the usual names. */
export async function findPython() {
  const names = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];
  const seen = [];
  for (const command of process.env.PYTHON ? [process.env.PYTHON, ...names] : names) {
    const { ok, out, errors } = await outputOf(command, ['-c', PROBE]);
    const [major, minor] = out.split('.').map(Number);
    if (ok && major === 3 && minor >= 10) return { command, version: out };
    if (ok) seen.push(`${command} is ${out}`);
    else if (/ensurepip|venv/.test(errors))
      seen.push(`${command} lacks venv (Debian, Ubuntu: apt install python3-venv)`);
  }
  throw new Problem(
    `No Python from 3.10 on with venv was found${seen.length ? `: ${seen.join('; ')}` : ''}. ` +
      'Install one, or set PYTHON to its path.',
  );
}

const wanted = () => ({ folder: venv, requirements: hashFiles([inRoot('requirements.txt')]) });

export function environmentIsDone() {
  const stamp = readJson(stampFile);
  const { folder, requirements } = wanted();
  return stamp?.folder === folder && stamp.requirements === requirements && fs.existsSync(venvPython);
}

/** The stamp is written last, so an environment that was interrupted is made again from nothing. */
export async function makeEnvironment() {
  // `venv --clear` would empty the folder that a link leads to.
  if (fs.lstatSync(venv, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Problem(`${venv} is a link to another environment; mend: remove the link`);
  }
  const python = await findPython();
  fs.rmSync(stampFile, { force: true });
  await runLogged(python.command, ['-m', 'venv', '--clear', venv], { log: 'python' });
  await pip(
    ['install', '--require-hashes', '--only-binary', ':all:', '-r', inRoot('requirements.txt')],
    'python',
  );
  writeFileAtomic(stampFile, `${JSON.stringify({ ...wanted(), python: python.version }, null, 2)}\n`);
}

export function pip(args, log) {
  const [verb, ...rest] = args;
  const quiet = ['--disable-pip-version-check', '--no-input', '--progress-bar', 'off'];
  return runLogged(venvPython, ['-m', 'pip', verb, ...quiet, ...rest], { log });
}

/** What Jupyter needs to prefer the kernels and settings of .venv over those of the user. */
export const jupyterEnvironment = {
  ...TENSORFLOW_ENVIRONMENT,
  JUPYTER_PREFER_ENV_PATH: '1',
  PYTHONDONTWRITEBYTECODE: '1',
};

export const kernelFile = path.join(venv, 'share', 'jupyter', 'kernels', 'tslab', 'kernel.json');

/** The kernel runs this project's tslab with the Node that ran set-up. */
function kernelSpecification() {
  return `${JSON.stringify(
    {
      argv: [
        process.execPath,
        inRoot('node_modules', 'tslab', 'bin', 'tslab'),
        'kernel',
        '--config-path',
        '{connection_file}',
      ],
      display_name: 'TypeScript',
      language: 'typescript',
      env: TENSORFLOW_ENVIRONMENT,
    },
    null,
    2,
  )}\n`;
}

export const kernelIsDone = () =>
  fs.existsSync(kernelFile) && fs.readFileSync(kernelFile, 'utf8') === kernelSpecification();

export const makeKernel = () => writeFileAtomic(kernelFile, kernelSpecification());
