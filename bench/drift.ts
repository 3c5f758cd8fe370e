/**
 * How far float32 drifts apart between the backends and thread counts of this machine: the same sums, each time in a
 * process of its own, compared with those of TensorFlow on one thread.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { startBackend, tf, type BackendName } from '../lib/backend';
import { nextTokenLogits, promptGradient } from '../lib/forward';
import { disposeLayout, layOut, sharedTextLength } from '../lib/layout';
import { initialPrompts, initialState, tune } from '../lib/tuning';
import { BATCH_SIZE, PROMPT_TOKENS, tasks } from './batches';
import { measuredModel, type ModelName } from './models';

interface Request {
  readonly backend: BackendName;
  readonly threads: number;
  readonly model: ModelName;
  /** plain JavaScript would take an hour to train */
  readonly epochs: number;
}

/** What is compared; of one batch but for the prompts, which are those of a run after each epoch. */
interface Sums {
  readonly logits: Float32Array;
  readonly loss: Float32Array;
  readonly gradient: Float32Array;
  readonly prompts: readonly Float32Array[];
}

const TOKEN = 9246; // 'cat'
const STEPS_AN_EPOCH = 2;
const EPOCHS = 10;
const SETTINGS = { epochs: EPOCHS, batchSize: BATCH_SIZE, learningRate: 1e-3, weightDecay: 0.01, dropout: 0, newTokens: 1 };

/** A line for each backend and number of threads: largest differences, relative to the largest value of its kind. */
export async function printDrift(model: ModelName): Promise<void> {
  const many = availableParallelism();
  const places = [
    ['native', 1, EPOCHS], ['native', many, EPOCHS], ['wasm', 1, EPOCHS], ['wasm', many, EPOCHS], ['cpu', 1, 0],
  ] as const;
  console.log(`\nfloat32 drift from native, 1 thread; model ${model}\n`);
  console.log(`| backend | threads | logits | loss | gradient | prompt, step ${STEPS_AN_EPOCH} | prompt, step ${EPOCHS * STEPS_AN_EPOCH} |`);
  console.log('|---|---|---|---|---|---|---|');
  const reference = await sumsOf({ backend: 'native', threads: 1, model, epochs: EPOCHS });
  for (const [backend, threads, epochs] of places) {
    const sums = await sumsOf({ backend, threads, model, epochs });
    const differences = [
      ...(['logits', 'loss', 'gradient'] as const).map((name) => difference(sums[name], reference[name])),
      ...[1, EPOCHS].map((epoch) => (epoch > epochs ? undefined : difference(sums.prompts[epoch - 1], reference.prompts[epoch - 1]))),
    ];
    const shown = differences.map((value) => (value === undefined ? '–' : value === 0 ? 'none' : value.toExponential(0)));
    console.log(`| ${[backend, threads, ...shown].join(' | ')} |`);
  }
}

/** The largest difference, relative to the largest value. */
function difference(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) throw new Error(`drift: ${found.length} numbers, expected ${expected.length}`);
  let [most, scale] = [0, 0];
  expected.forEach((value, i) => {
    most = Math.max(most, Math.abs(found[i] - value)); // keeps a NaN
    scale = Math.max(scale, Math.abs(value));
  });
  return most / scale;
}

function sumsOf(request: Request): Promise<Sums> {
  const child = fork(__filename, { execArgv: ['--import', 'tsx'], serialization: 'advanced' });
  child.send(request);
  return new Promise((resolve, reject) => {
    child.on('message', (sums) => resolve(sums as Sums));
    child.on('exit', (code, signal) => reject(new Error(
      `drift: ${request.backend}, ${request.threads} threads ended with ${signal ?? `exit code ${code}`}`)));
  });
}

async function compute({ backend, threads, model: name, epochs }: Request): Promise<Sums> {
  await startBackend({ backend, threads });
  const model = measuredModel(name);
  const task = { ...tasks[0], train: tasks[0].train.slice(0, STEPS_AN_EPOCH * BATCH_SIZE), test: tasks[0].test.slice(0, 1) };
  const initial = initialPrompts(model, [TOKEN], PROMPT_TOKENS);
  const tensor = tf.tensor3d(initial, [1, PROMPT_TOKENS, model.config.dModel]);
  const layout = layOut([task.train.slice(0, BATCH_SIZE)], PROMPT_TOKENS, sharedTextLength(task.train));
  const logits = nextTokenLogits(model, tensor, layout).dataSync() as Float32Array;
  const { losses: loss, gradient } = promptGradient(model, tensor, layout);
  disposeLayout(layout);
  const prompts: Float32Array[] = [];
  for await (const { state } of epochs === 0 ? [] : tune(model, [{ task, seed: 0 }], SETTINGS, initialState(initial))) {
    prompts.push(state.prompts);
  }
  return { logits, loss, gradient, prompts };
}

if (require.main === module) {
  process.once('message', (request: Request) => {
    void compute(request).then((sums) => process.send!(sums, undefined, undefined, () => process.disconnect()));
  });
}
