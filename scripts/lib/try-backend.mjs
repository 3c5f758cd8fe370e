// Tries the backends, each in a process of its own: a binding that crashes must not take set-up along.
import { TENSORFLOW_ENVIRONMENT, inRoot } from './project.mjs';
import { outputOf } from './steps.mjs';

const REPORT = `
  const size = 512;
  const a = tf.randomNormal([size, size]);
  const ones = tf.ones([size, 1]);
  const left = tf.matMul(tf.matMul(a, a), ones);
  const right = tf.matMul(a, tf.matMul(a, ones));
  const error = tf.max(tf.abs(tf.sub(left, right))).dataSync()[0];
  if (!(error < 0.5)) throw new Error('a matrix product came out wrong by ' + error);
  tf.matMul(a, a).dataSync();
  const since = process.hrtime.bigint();
  for (let i = 0; i < 10; i++) tf.matMul(a, a).dataSync();
  const gflops = 10 * 2 * size ** 3 / Number(process.hrtime.bigint() - since);
  const backend = tf.backend();
  console.log('REPORT' + JSON.stringify({
    backend: tf.getBackend(), gflops: Math.round(gflops), gpu: Boolean(backend.isUsingGpuDevice),
    tensorflow: backend.binding ? backend.binding.TF_Version : undefined,
  }));
`;

async function tryBackend(program) {
  const { out, errors } = await outputOf(process.execPath, ['-e', program], {
    timeoutSeconds: 120,
    env: TENSORFLOW_ENVIRONMENT,
    cwd: inRoot(),
  });
  const report = out.split('\n').find((line) => line.startsWith('REPORT'));
  if (report) return { ok: true, ...JSON.parse(report.slice('REPORT'.length)) };
  const lines = errors.split('\n');
  const why = lines.find((line) => /Error:/.test(line)) ?? lines[0] ?? '';
  return { ok: false, why: why.trim() || 'it printed nothing' };
}

/**
 * Loads the binding in a child process and multiplies matrices: { ok, tensorflow, gpu, gflops } or { ok, why
 * }.
 */
export const tryNative = () =>
  tryBackend(`(async () => {
  const tf = require('@tensorflow/tfjs-node-gpu');
  await tf.ready();
  ${REPORT}
})();`);

/** The same with the wasm backend. */
export const tryWasm = () =>
  tryBackend(`(async () => {
  const path = require('path');
  const tf = require('@tensorflow/tfjs');
  const wasm = require('@tensorflow/tfjs-backend-wasm');
  const folder = path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
  wasm.setWasmPaths(path.join(folder, 'wasm-out') + path.sep);
  if (!await tf.setBackend('wasm')) throw new Error('the wasm backend does not start');
  ${REPORT}
  process.exit(0);
})();`);
