// The native backend: TensorFlow's C library out of its PyPI wheel, and the Node binding of
// @tensorflow/tfjs-node-gpu compiled against it. The package's own installer would fetch a library of 2022
// from a host that is not always reachable; the binding's sources compile unchanged against the current one.
import fs from 'node:fs';
import path from 'node:path';
import {
  TENSORFLOW_VERSION,
  bindingPackage,
  hashFiles,
  inRoot,
  native,
  readJson,
  venvPython,
  writeFileAtomic,
} from './project.mjs';
import { pip } from './python.mjs';
import { tryNative } from './try-backend.mjs';
import { Problem, outputOf, runLogged } from './steps.mjs';

const isMac = process.platform === 'darwin';
const LIBRARIES = isMac
  ? ['libtensorflow_cc.2.dylib', 'libtensorflow_framework.2.dylib']
  : ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
/** The headers the binding includes, directly or through others. */
const HEADER_FOLDERS = ['tensorflow/c', 'tensorflow/core/platform', 'tsl/platform', 'xla/tsl/c'];
const NODE_API = 8; // the newest version of Node's stable C interface that the package knows

const isGpu = (kind) => kind === 'gpu';
const wheelList = (kind) => inRoot('scripts', 'lib', `tensorflow-${kind}.txt`);
const libraryFolder = (kind) => path.join(native, `tensorflow-${kind}-${TENSORFLOW_VERSION}`);
const stampOf = (folder) => path.join(folder, 'made-from.json');

/** Which build of TensorFlow set-up was last asked for: 'cpu' unless `--gpu` was given. */
export const chosenKind = () => readJson(path.join(native, 'choice.json'))?.kind ?? 'cpu';
export const chooseKind = (kind) =>
  writeFileAtomic(path.join(native, 'choice.json'), `${JSON.stringify({ kind })}\n`);

/** One line saying why there is no wheel to build on for this machine, or undefined. */
export function platformProblem(kind) {
  const machine = `${process.platform} ${process.arch}`;
  const supported = isGpu(kind) ? ['linux x64'] : ['linux x64', 'linux arm64', 'darwin arm64'];
  if (!supported.includes(machine)) {
    return `there is no TensorFlow ${TENSORFLOW_VERSION} ${isGpu(kind) ? 'CUDA ' : ''}wheel for ${machine}`;
  }
  const glibc = process.report.getReport().header.glibcVersionRuntime;
  if (!isMac && !glibc) return 'TensorFlow needs the GNU C library, and this Linux uses another one';
  return undefined;
}

// --- the library ---

const librarySource = (kind) => ({
  wheels: hashFiles([wheelList(kind)]),
  platform: process.platform,
  arch: process.arch,
});

const sameStamp = (folder, source) => JSON.stringify(readJson(stampOf(folder))) === JSON.stringify(source);

export const libraryIsDone = (kind) => sameStamp(libraryFolder(kind), librarySource(kind));

/** Downloads the wheel for this machine, checks its hash, and keeps the library and the headers. */
export async function makeLibrary(kind) {
  fs.mkdirSync(native, { recursive: true });
  const temporary = fs.mkdtempSync(path.join(native, 'making-'));
  try {
    await (isGpu(kind) ? installCudaBuild(temporary) : unpackCpuWheel(temporary));
    writeFileAtomic(stampOf(temporary), `${JSON.stringify(librarySource(kind))}\n`);
    replaceFolder(temporary, libraryFolder(kind));
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

function replaceFolder(made, place) {
  fs.chmodSync(made, 0o755); // mkdtemp makes folders that only their owner can read
  fs.rmSync(place, { recursive: true, force: true });
  fs.renameSync(made, place);
}

async function unpackCpuWheel(folder) {
  const options = ['--no-deps', '--require-hashes', '--only-binary', ':all:', '--dest', folder];
  await pip(['download', ...options, '-r', wheelList('cpu')], 'tensorflow');
  const wheel = fs.readdirSync(folder).find((name) => name.endsWith('.whl'));
  const wanted = [...LIBRARIES, ...HEADER_FOLDERS.map((name) => `include/${name}/`)].map(
    (name) => `tensorflow/${name}`,
  );
  const program =
    'import sys, zipfile\n' +
    'wheel, folder, *wanted = sys.argv[1:]\n' +
    'with zipfile.ZipFile(wheel) as archive:\n' +
    '    archive.extractall(folder, [n for n in archive.namelist() if n.startswith(tuple(wanted))])\n';
  await runLogged(venvPython, ['-c', program, path.join(folder, wheel), folder, ...wanted], {
    log: 'tensorflow',
  });
  fs.rmSync(path.join(folder, wheel));
}

/**
 * The CUDA build looks for NVIDIA's libraries in the nvidia-* wheels beside it, so all are installed in one
 * folder.
 */
async function installCudaBuild(folder) {
  const options = ['--no-deps', '--require-hashes', '--only-binary', ':all:', '--target', folder];
  await pip(['install', ...options, '-r', wheelList('gpu')], 'tensorflow');
}

// --- the binding ---

const bindingSources = () => {
  const folder = path.join(bindingPackage, 'binding');
  return fs
    .readdirSync(folder)
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort()
    .map((name) => path.join(folder, name));
};

function bindingSource(kind) {
  return {
    kind,
    tensorflow: TENSORFLOW_VERSION,
    nodeApi: NODE_API,
    platform: process.platform,
    arch: process.arch,
    sources: hashFiles(bindingSources()),
  };
}

const builtFolder = (kind) => path.join(native, `binding-${kind}`);
const MODULE = 'tfjs_binding.node';
const installedModule = path.join(bindingPackage, 'lib', `napi-v${NODE_API}`, MODULE);
const installedStamp = path.join(bindingPackage, 'lib', 'made-from.json');

export function bindingIsDone(kind) {
  return (
    fs.existsSync(installedModule) &&
    LIBRARIES.every((name) => fs.existsSync(path.join(bindingPackage, 'deps', 'lib', name))) &&
    JSON.stringify(readJson(installedStamp)) === JSON.stringify(bindingSource(kind))
  );
}

/**
 * Compiles the binding unless that was done before (`npm ci` empties node_modules), puts it in its place,
 * tries it.
 */
export async function makeBinding(kind) {
  const built = builtFolder(kind);
  if (!sameStamp(built, bindingSource(kind))) await compileBinding(kind, built);
  fs.rmSync(installedStamp, { force: true });
  const libraries = path.join(bindingPackage, 'deps', 'lib');
  fs.rmSync(libraries, { recursive: true, force: true });
  fs.mkdirSync(libraries, { recursive: true });
  const target = path.join(libraryFolder(kind), 'tensorflow');
  for (const name of LIBRARIES) {
    fs.symlinkSync(path.relative(libraries, path.join(target, name)), path.join(libraries, name));
  }
  fs.mkdirSync(path.dirname(installedModule), { recursive: true });
  fs.copyFileSync(path.join(built, MODULE), `${installedModule}.tmp`);
  fs.renameSync(`${installedModule}.tmp`, installedModule);
  const tried = await tryNative();
  if (!tried.ok) {
    fs.rmSync(installedModule);
    throw new Problem(`the binding was built but does not compute: ${tried.why}`);
  }
  writeFileAtomic(installedStamp, `${JSON.stringify(bindingSource(kind))}\n`);
}

async function compileBinding(kind, built) {
  const compiler = await findCompiler();
  if (!compiler) {
    throw new Problem(
      'there is no C++ compiler (Debian, Ubuntu: apt install g++; macOS: xcode-select --install)',
    );
  }
  const headers = nodeHeaders();
  if (!headers) {
    throw new Problem(
      `the headers of Node are neither in node_modules/node-api-headers nor beside ${process.execPath}`,
    );
  }
  const temporary = fs.mkdtempSync(path.join(native, 'making-'));
  const library = path.join(libraryFolder(kind), 'tensorflow');
  const shape = isMac ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-fPIC'];
  const origin = isMac ? '@loader_path' : '$ORIGIN';
  try {
    await runLogged(
      compiler,
      [
        '-std=c++17',
        '-O2',
        ...shape,
        `-DNAPI_VERSION=${NODE_API}`,
        '-I',
        path.join(library, 'include'),
        '-I',
        headers,
        ...bindingSources().filter((file) => file.endsWith('.cc')),
        ...LIBRARIES.map((name) => path.join(library, name)),
        `-Wl,-rpath,${origin}/../../deps/lib`,
        '-o',
        path.join(temporary, MODULE),
      ],
      { log: 'binding' },
    );
    writeFileAtomic(stampOf(temporary), `${JSON.stringify(bindingSource(kind))}\n`);
    replaceFolder(temporary, built);
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

/** The first C++ compiler that starts: $CXX, then the usual names. */
export async function findCompiler() {
  for (const name of [process.env.CXX, 'c++', 'g++', 'clang++'].filter(Boolean)) {
    if ((await outputOf(name, ['--version'])).ok) return name;
  }
  return undefined;
}

function nodeHeaders() {
  const places = [
    path.resolve(path.dirname(fs.realpathSync(process.execPath)), '..', 'include', 'node'),
    inRoot('node_modules', 'node-api-headers', 'include'),
  ];
  return places.find((folder) => fs.existsSync(path.join(folder, 'node_api.h')));
}

// --- what went wrong last time ---

const failureFile = path.join(native, 'failed.json');

/** Remembers why the native backend could not be made, so that not every start tries again. */
export const rememberFailure = (kind, why) =>
  writeFileAtomic(failureFile, `${JSON.stringify({ kind, why })}\n`);
export const forgetFailure = () => fs.rmSync(failureFile, { force: true });
export const earlierFailure = (kind) => {
  const failure = readJson(failureFile);
  return failure?.kind === kind ? failure.why : undefined;
};
