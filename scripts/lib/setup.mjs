// Set-up as one function, so that start, lab and test make sure of it before they begin.
import fs from 'node:fs';
import path from 'node:path';
import {
  cache,
  hashFiles,
  inRoot,
  libDist,
  libSources,
  native,
  nodeProblem,
  readJson,
  writeFileAtomic,
} from './project.mjs';
import { htmlExportIsDone, makeHtmlExport } from './html-export.mjs';
import { environmentIsDone, kernelIsDone, makeEnvironment, makeKernel } from './python.mjs';
import {
  bindingIsDone,
  chooseKind,
  chosenKind,
  earlierFailure,
  forgetFailure,
  libraryIsDone,
  makeBinding,
  makeLibrary,
  platformProblem,
  rememberFailure,
} from './native.mjs';
import { Problem, runLogged, step, withLock } from './steps.mjs';

/**
 * Does what is not done yet. `kind` ('cpu', 'gpu') chooses TensorFlow's build and is remembered; `quiet`
 * prints only the steps that do something; `retry` tries the native build again even if it failed before;
 * without `build`, lib is left as it is. Throws a Problem where the project cannot be used at all.
 */
export async function setUp({ kind, quiet = false, retry = false, build = true } = {}) {
  const problem = nodeProblem();
  if (problem) throw new Problem(problem);
  const amiss = modulesProblem();
  if (amiss) throw new Problem(`${amiss}; mend: npm ci`);
  await withLock(async () => {
    removeLeftovers();
    await step('Python environment (.venv)', {
      isDone: environmentIsDone,
      make: makeEnvironment,
      hint: 'about a minute, 65 MB',
      quiet,
    });
    await step('TypeScript kernel of Jupyter', { isDone: kernelIsDone, make: makeKernel, quiet });
    await step('HTML export of notebooks', { isDone: htmlExportIsDone, make: makeHtmlExport, quiet });
    if (kind && kind !== chosenKind()) chooseKind(kind);
    await setUpNative(chosenKind(), { quiet, retry });
    if (build) await step('lib built', { isDone: libIsBuilt, make: buildLib, quiet });
  });
}

/** A set-up that was killed (not merely interrupted) may have left half-made folders. We hold the lock. */
function removeLeftovers() {
  for (const folder of [native, cache].filter((name) => fs.existsSync(name))) {
    for (const name of fs.readdirSync(folder).filter((entry) => entry.startsWith('making-'))) {
      fs.rmSync(path.join(folder, name), { recursive: true, force: true });
    }
  }
}

async function setUpNative(kind, { quiet, retry }) {
  const before = earlierFailure(kind);
  if (before && !retry) {
    if (!quiet) console.log(`native TensorFlow: not built (${before}); \`npm run setup\` tries again`);
    return;
  }
  try {
    const problem = platformProblem(kind);
    if (problem) throw new Problem(problem);
    const isDone = () => libraryIsDone(kind);
    const hint =
      kind === 'gpu' ? 'some minutes, 6 GB; never yet run on a GPU by its authors' : 'about a minute, 270 MB';
    await step(`TensorFlow's C library (${kind})`, { isDone, make: () => makeLibrary(kind), hint, quiet });
    await step('native binding of TensorFlow.js', {
      isDone: () => bindingIsDone(kind),
      make: () => makeBinding(kind),
      hint: 'about 20 s',
      quiet,
    });
    forgetFailure();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const [why] = error.message.split('\n');
    rememberFailure(kind, why);
    console.log(`native TensorFlow could not be built: ${why}`);
    console.log('going on with the wasm backend, which computes the same, several times slower');
  }
}

/** One line saying how node_modules differs from package-lock.json, or undefined. */
export function modulesProblem() {
  const wanted = readJson(inRoot('package-lock.json'))?.packages ?? {};
  const installed = readJson(inRoot('node_modules', '.package-lock.json'))?.packages;
  if (!installed) return 'node_modules is missing';
  for (const [name, { version, optional }] of Object.entries(wanted)) {
    if (name === '' || optional) continue;
    if (installed[name]?.version !== version) {
      return `${name} is ${installed[name]?.version ?? 'missing'}, package-lock.json wants ${version}`;
    }
  }
  return undefined;
}

// --- lib/dist ---

const typescript = inRoot('node_modules', 'typescript');
const libStamp = path.join(libDist, 'made-from.json');
const libSource = () => ({
  sources: hashFiles(libSources()),
  typescript: readJson(path.join(typescript, 'package.json'))?.version,
});

export const libIsBuilt = () => JSON.stringify(readJson(libStamp)) === JSON.stringify(libSource());

/** Compiles into a new folder and puts that in the place of lib/dist. */
export async function buildLib() {
  fs.mkdirSync(cache, { recursive: true });
  const temporary = fs.mkdtempSync(path.join(cache, 'making-'));
  const source = libSource();
  try {
    const tsc = path.join(typescript, 'bin', 'tsc');
    const output = path.join(temporary, 'dist');
    await runLogged(process.execPath, [tsc, '-p', inRoot('tsconfig.json'), '--outDir', output], {
      log: 'build',
    });
    writeFileAtomic(path.join(output, 'made-from.json'), `${JSON.stringify(source)}\n`);
    if (fs.existsSync(libDist)) fs.renameSync(libDist, path.join(temporary, 'before'));
    fs.renameSync(output, libDist);
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}
