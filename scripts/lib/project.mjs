// Where things lie, and the versions set-up pins outside package.json and requirements.txt.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
export const inRoot = (...parts) => path.join(root, ...parts);

export const venv = inRoot('.venv');
export const venvPython = path.join(venv, 'bin', 'python');
export const native = inRoot('.native');
export const cache = inRoot('.cache');
export const notebooks = inRoot('notebooks');
export const libDist = inRoot('lib', 'dist');
export const bindingPackage = inRoot('node_modules', '@tensorflow', 'tfjs-node-gpu');

/** The release of TensorFlow whose C library drives the native backend. */
export const TENSORFLOW_VERSION = '2.21.0';

/** What TensorFlow reads from its environment; without these it is noisy and takes all GPU memory at once. */
export const TENSORFLOW_ENVIRONMENT = { TF_CPP_MIN_LOG_LEVEL: '2', TF_FORCE_GPU_ALLOW_GROWTH: 'true' };

/** Absolute path, or the path relative to the project when it lies inside: for messages. */
export function shown(file) {
  const relative = path.relative(root, file);
  return relative.startsWith('..') ? file : relative;
}

export function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whole or not at all: a reader never sees half a file. */
export function writeFileAtomic(file, text) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(temporary, text);
  fs.renameSync(temporary, file);
}

export function hashFiles(files) {
  const hash = createHash('sha256');
  for (const file of files)
    hash.update(path.basename(file)).update('\0').update(fs.readFileSync(file)).update('\0');
  return hash.digest('hex');
}

/** The sources lib/dist is built from, in a fixed order. */
export function libSources() {
  const names = fs
    .readdirSync(inRoot('lib'))
    .filter((name) => name.endsWith('.ts'))
    .sort();
  return [...names.map((name) => inRoot('lib', name)), inRoot('tsconfig.json')];
}

/** Notebooks 01-….ipynb to 99-….ipynb, in order. */
export function listNotebooks() {
  if (!fs.existsSync(notebooks)) return [];
  const names = fs
    .readdirSync(notebooks)
    .filter((name) => /^\d\d-.*\.ipynb$/.test(name))
    .sort();
  return names.map((name) => path.join(notebooks, name));
}

/** One line saying why this Node cannot be used, or undefined. */
export function nodeProblem(version = process.versions.node) {
  const major = Number(version.split('.')[0]);
  if (major >= 20 && major < 23) return undefined;
  return `Node ${version} is not supported: use Node 20 or 22 (from Node 23 on, tfjs-node no longer loads).`;
}
