/**
 * Start a TensorFlow.js backend and say which device really computes.
 *
 * `native` is TensorFlow's C library through @tensorflow/tfjs-node-gpu (CPU or NVIDIA GPU), `wasm` the
 * WebAssembly build for machines where the native binding cannot be built, `cpu` plain JavaScript (very slow).
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';

export { tf };

export const BACKEND_NAMES = ['native', 'wasm', 'cpu'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

/** What computes: recorded in every result. */
export interface Device {
  readonly backend: BackendName;
  /** 'CPU' or 'GPU' */
  readonly kind: string;
  /** threads inside one operation */
  readonly threads: number;
  /** of TensorFlow for `native`, of TensorFlow.js otherwise */
  readonly version: string;
}

export interface BackendOptions {
  /** 'auto' (default) takes the first of native and wasm that starts */
  readonly backend?: BackendName | 'auto';
  /** Threads inside one operation; can only be set before the first start. Default: all cores. */
  readonly threads?: number;
}

interface NativeBinding {
  readonly TF_Version: string;
}
interface NativeBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: NativeBinding;
  executeSingleOutput(name: string, attributes: object[], inputs: tf.Tensor[]): tf.Tensor;
  executeMultipleOutputs(name: string, attributes: object[], inputs: tf.Tensor[], outputs: number): tf.Tensor[];
  createReductionOpAttrs(x: tf.Tensor, keepDims: boolean): object[];
  getDTypeInteger(dtype: tf.DataType): number;
}

let started: Device | undefined;
let whyNotNative: string | undefined;

/**
 * Start the backend once for this process; later calls return the same device.
 * The environment variable SOFT_PROMPTS_BACKEND (native, wasm, cpu) overrides 'auto'.
 * Throws where a backend asked for by name does not start, or another one is already running.
 */
export async function startBackend(options: BackendOptions = {}): Promise<Device> {
  const wanted = chosenBackend(options);
  if (started) {
    if (wanted !== 'auto' && wanted !== started.backend) {
      throw new Error(`backend: ${started.backend} is already running in this process, expected ${wanted}`);
    }
    return started;
  }
  const threads = options.threads ?? availableParallelism();
  if (wanted === 'native' || wanted === 'auto') started = await startNative(threads, wanted === 'native');
  if (!started && wanted !== 'cpu') started = await startWasm(threads);
  started ??= await startPlain();
  return started;
}

/** One line on why the native backend did not start, if it was tried and did not. */
export function nativeProblem(): string | undefined {
  return whyNotNative;
}

/** The device that computes. Throws before startBackend. */
export function currentDevice(): Device {
  if (!started) throw new Error('backend: not started; await startBackend() first');
  return started;
}

/** TensorFlow's own kernels by name, where the native backend runs; undefined elsewhere. */
export function nativeKernels(): NativeBackend | undefined {
  return started?.backend === 'native' ? (tf.backend() as unknown as NativeBackend) : undefined;
}

function chosenBackend(options: BackendOptions): BackendName | 'auto' {
  if (options.backend && options.backend !== 'auto') return options.backend;
  const named = process.env.SOFT_PROMPTS_BACKEND;
  if (!named || named === 'auto') return 'auto';
  if ((BACKEND_NAMES as readonly string[]).includes(named)) return named as BackendName;
  throw new Error(`SOFT_PROMPTS_BACKEND: ${named}, expected auto or one of ${BACKEND_NAMES.join(', ')}`);
}

async function startNative(threads: number, required: boolean): Promise<Device | undefined> {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  process.env.TF_NUM_INTRAOP_THREADS ??= String(threads);
  process.env.TF_NUM_INTEROP_THREADS ??= '1';
  try {
    // Required at run time only: without the binding the package throws while it loads.
    require('@tensorflow/tfjs-node-gpu');
    if (!(await tf.setBackend('tensorflow'))) throw new Error('the binding loaded but registered no backend');
  } catch (error) {
    whyNotNative = (error as Error).message.split('\n')[0];
    if (required) throw new Error(`backend native: ${whyNotNative}; mend: npm run setup`, { cause: error });
    return undefined;
  }
  const backend = tf.backend() as unknown as NativeBackend;
  return {
    backend: 'native',
    kind: backend.isUsingGpuDevice ? 'GPU' : 'CPU',
    threads: Number(process.env.TF_NUM_INTRAOP_THREADS),
    version: backend.binding.TF_Version,
  };
}

async function startWasm(threads: number): Promise<Device> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  const folder = join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'wasm-out');
  if (!existsSync(folder)) throw new Error(`backend wasm: ${folder} is missing; mend: npm ci`);
  wasm.setWasmPaths(`${folder}/`);
  wasm.setThreadsCount(threads);
  if (!(await tf.setBackend('wasm'))) throw new Error('backend wasm: did not start');
  return { backend: 'wasm', kind: 'CPU', threads: wasm.getThreadsCount(), version: tf.version_core };
}

async function startPlain(): Promise<Device> {
  await tf.setBackend('cpu');
  return { backend: 'cpu', kind: 'CPU', threads: 1, version: tf.version_core };
}
