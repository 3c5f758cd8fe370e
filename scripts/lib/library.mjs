// What the scripts use of lib, built first where it is not.
import { createRequire } from 'node:module';
import { libDist, nodeProblem } from './project.mjs';
import { buildLib, libIsBuilt, modulesProblem } from './setup.mjs';
import { Problem, step, withLock } from './steps.mjs';

/** Builds lib where it is not; enough for everything that computes nothing. */
export async function makeLibrary() {
  const problem = nodeProblem();
  if (problem) throw new Problem(problem);
  const amiss = modulesProblem();
  if (amiss) throw new Problem(`${amiss}; mend: npm ci`);
  if (libIsBuilt()) return;
  await withLock(() => step('lib built', { isDone: libIsBuilt, make: buildLib, quiet: true }));
}

const require = createRequire(import.meta.url);

/** A file of lib, e.g. 'experiment'. */
export const library = (name) => require(`${libDist}/${name}.js`);

/** Calls a function of lib; what it throws is meant for the user as it stands. */
export async function asProblem(work) {
  try {
    return await work();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(error.message, { cause: error });
  }
}
