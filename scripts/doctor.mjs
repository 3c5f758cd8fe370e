// npm run doctor: what is installed, which device really computes, and for each thing amiss the command that
// mends it. Exit code 1 when something essential is amiss.
import fs from 'node:fs';
import {
  TENSORFLOW_VERSION,
  inRoot,
  listNotebooks,
  nodeProblem,
  readJson,
  venv,
  venvPython,
} from './lib/project.mjs';
import { environmentIsDone, findPython, kernelIsDone } from './lib/python.mjs';
import { chosenKind, earlierFailure, findCompiler, platformProblem } from './lib/native.mjs';
import { tryNative, tryWasm } from './lib/try-backend.mjs';
import { libIsBuilt, modulesProblem } from './lib/setup.mjs';
import { outputOf, runMain } from './lib/steps.mjs';

const MINIMUM_FREE_GB = 3;

// Each check returns { ok: text } or { amiss: text, mend: command }; `essential` ones decide the exit code.

async function checkNode() {
  const problem = nodeProblem();
  return problem
    ? { amiss: problem, mend: 'install Node 22 (https://nodejs.org), then npm ci' }
    : { ok: `${process.versions.node} on ${process.platform} ${process.arch}` };
}

async function checkModules() {
  const problem = modulesProblem();
  return problem ? { amiss: problem, mend: 'npm ci' } : { ok: 'as package-lock.json says' };
}

async function checkPython() {
  try {
    const { command, version } = await findPython();
    return { ok: `${version} (${command})` };
  } catch (error) {
    return {
      amiss: error.message,
      mend: 'apt install python3 python3-venv (macOS: brew install python@3.12)',
    };
  }
}

async function checkCompiler() {
  const name = await findCompiler();
  if (!name)
    return {
      amiss: 'none found',
      mend: 'apt install g++ (macOS: xcode-select --install), then npm run setup',
    };
  return { ok: (await outputOf(name, ['--version'])).out.split('\n')[0] };
}

async function checkEnvironment() {
  if (!environmentIsDone())
    return { amiss: 'not made, or from another requirements.txt', mend: 'npm run setup' };
  const program =
    'import jupyterlab, nbclient, plotly; ' +
    'print("JupyterLab", jupyterlab.__version__, "nbclient", nbclient.__version__, ' +
    '"plotly", plotly.__version__)';
  const { ok, out, errors } = await outputOf(venvPython, ['-c', program]);
  if (!ok) return { amiss: errors.split('\n').at(-1), mend: `rm -rf ${venv} && npm run setup` };
  return { ok: out };
}

async function checkKernel() {
  if (!kernelIsDone())
    return { amiss: 'not registered in .venv, or for another Node', mend: 'npm run setup' };
  const zeromq = await outputOf(process.execPath, ['-e', 'console.log(require("zeromq").version)'], {
    cwd: inRoot(),
  });
  if (!zeromq.ok)
    return {
      amiss: `zeromq does not load: ${zeromq.errors.split('\n')[0]}`,
      mend: 'rm -rf node_modules && npm ci',
    };
  const version = readJson(inRoot('node_modules', 'tslab', 'package.json'))?.version;
  return { ok: `tslab ${version}, zeromq ${zeromq.out}` };
}

async function checkLib() {
  return libIsBuilt()
    ? { ok: 'current' }
    : { amiss: 'lib/dist is missing or older than lib', mend: 'npm run setup' };
}

async function checkNotebooks() {
  const count = listNotebooks().length;
  return count
    ? { ok: `${count} in notebooks/` }
    : { amiss: 'none in notebooks/', mend: 'git checkout notebooks' };
}

async function checkNative() {
  const kind = chosenKind();
  const result = await tryNative();
  if (result.ok) {
    const device = result.gpu ? `GPU ${await gpuName()}` : 'CPU';
    const text = `TensorFlow ${result.tensorflow} on ${device}, ${result.gflops} GFLOP/s`;
    if (kind === 'gpu' && !result.gpu) {
      return {
        amiss: `${text}, though the GPU was asked for`,
        mend: 'nvidia-smi (is there a driver?); npm run setup -- --gpu',
      };
    }
    return { ok: text, device: `native TensorFlow on ${device}` };
  }
  const why = platformProblem(kind) ?? earlierFailure(kind) ?? result.why;
  return { amiss: `TensorFlow ${TENSORFLOW_VERSION} does not compute: ${why}`, mend: 'npm run setup' };
}

async function gpuName() {
  const { ok, out } = await outputOf('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader']);
  return ok ? out.split('\n')[0] : '(no name: nvidia-smi is missing)';
}

async function checkWasm() {
  const result = await tryWasm();
  if (result.ok) return { ok: `computes, ${result.gflops} GFLOP/s`, device: 'WebAssembly on CPU' };
  return { amiss: result.why, mend: 'rm -rf node_modules && npm ci' };
}

/** The library's own word on what it computes with: notebooks use exactly this. */
async function checkDevice(native, wasm) {
  const program =
    'require("./lib/dist/backend.js").startBackend().then((device) => {' +
    ' console.log("DEVICE" + JSON.stringify(device)); process.exit(0); })';
  const { out, errors } = await outputOf(process.execPath, ['-e', program], { cwd: inRoot() });
  const line = out.split('\n').find((text) => text.startsWith('DEVICE'));
  if (line) {
    const { backend, kind, threads, version } = JSON.parse(line.slice('DEVICE'.length));
    return { ok: `${backend} (${version}) on ${kind}, ${threads} thread${threads === 1 ? '' : 's'}` };
  }
  if (!libIsBuilt()) return { ok: native.device ?? wasm.device ?? 'plain JavaScript on CPU (very slow)' };
  return {
    amiss: `lib cannot start a backend: ${errors.split('\n').find((text) => /Error/.test(text)) ?? errors}`,
    mend: 'npm run setup',
  };
}

/** The library's own choice of a browser: the packaged Chromium, or one of the machine. */
async function checkBrowser() {
  const program = `const { withBrowser, closeBrowser } = require('./lib/dist/browser.js');
    withBrowser((browser) => browser.version())
      .then((version) => { console.log('VERSION' + version); return closeBrowser(); })
      .then(() => process.exit(0), (error) => { console.error(error.message); process.exit(1); })`;
  if (!libIsBuilt()) return { amiss: 'not tried: lib is not built', mend: 'npm run setup' };
  const { out, errors } = await outputOf(process.execPath, ['-e', program], { cwd: inRoot() });
  const line = out.split('\n').find((text) => text.startsWith('VERSION'));
  if (line) return { ok: line.slice('VERSION'.length) };
  return {
    amiss: errors.split('\n')[0],
    mend: 'npm ci, or install Chrome or Chromium and set CHROME_PATH to it',
  };
}

async function checkDisk() {
  const { bavail, bsize } = fs.statfsSync(inRoot());
  const free = (bavail * bsize) / 1e9;
  const text = `${free.toFixed(1)} GB free`;
  return free >= MINIMUM_FREE_GB
    ? { ok: text }
    : {
        amiss: `${text}, set-up needs ${MINIMUM_FREE_GB}`,
        mend: 'free some space (pip cache purge, npm cache clean --force)',
      };
}

await runMain(async () => {
  let essentialsAmiss = 0;
  async function report(name, check, { essential = false } = {}) {
    const result = await check();
    const label = name.padEnd(22);
    if (result.ok) {
      console.log(`ok     ${label} ${result.ok}`);
    } else {
      if (essential) essentialsAmiss += 1;
      console.log(`AMISS  ${label} ${result.amiss}\n       ${' '.repeat(22)} mend: ${result.mend}`);
    }
    return result;
  }
  const essential = { essential: true };
  await report('Node', checkNode, essential);
  await report('node_modules', checkModules, essential);
  await report('Python', checkPython, essential);
  await report('C++ compiler', checkCompiler);
  await report('free disk', checkDisk);
  await report('.venv', checkEnvironment, essential);
  await report('tslab kernel', checkKernel, essential);
  await report('lib', checkLib, essential);
  await report('notebooks', checkNotebooks, essential);
  await report('export browser', checkBrowser);
  const native = await report('native TensorFlow', checkNative);
  const wasm = await report('wasm backend', checkWasm);
  await report('notebooks compute with', () => checkDevice(native, wasm), essential);
  console.log(
    essentialsAmiss ? `${essentialsAmiss} essential things are amiss` : 'everything essential is there',
  );
  return essentialsAmiss ? 1 : 0;
});
