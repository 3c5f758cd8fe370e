/**
 * Where the time of a training step goes, operation by operation, in as many processes at once as training uses: what the
 * products leave to be gained, and how many operations share it.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { nativeKernels, startBackend, tf } from '../lib/backend';
import { workerEnvironment } from '../lib/crew';
import { promptGradient } from '../lib/forward';
import { disposeLayout, layOut, sharedTextLength } from '../lib/layout';
import { vocabularySize } from '../lib/tokenizer';
import { initialPrompts } from '../lib/tuning';
import { batchOf, PROMPT_TOKENS, tasks } from './batches';
import { measuredModel, type ModelName } from './models';

interface Request {
  readonly model: ModelName;
  readonly runsPerStep: number;
  readonly seconds: number;
}

const PARTS = [
  'products with the output matrix', 'softmax over the vocabulary', "products with the blocks' weights",
  "attention's products", 'element-wise', 'moving (gather, transpose, concat, …)', 'between the operations',
] as const;
type PartName = (typeof PARTS)[number];

/** Of one step, on average. */
interface Part {
  operations: number;
  milliseconds: number;
  /** read and written */
  bytes: number;
}
type Profile = Record<PartName, Part>;

const MOVING = new Set([
  'Transpose', 'GatherV2', 'GatherNd', 'ConcatV2', 'Pack', 'Unpack', 'SplitV', 'Slice', 'StridedSlice', 'Reshape', 'Tile',
]);

function partOf(operation: string, inputs: readonly tf.Tensor[], output: tf.Tensor): PartName {
  const wide = [...inputs, output].some(({ shape }) => shape.length === 2 && shape.includes(vocabularySize));
  if (operation === 'BatchMatMulV2') {
    if (output.shape.length > 2) return "attention's products";
    return wide ? 'products with the output matrix' : "products with the blocks' weights";
  }
  if (operation === 'Softmax' && wide) return 'softmax over the vocabulary';
  return MOVING.has(operation) ? 'moving (gather, transpose, concat, …)' : 'element-wise';
}

const emptyProfile = () => Object.fromEntries(
  PARTS.map((name) => [name, { operations: 0, milliseconds: 0, bytes: 0 }])) as Profile;

/** A line for each part of a step, the mean of the processes. */
export async function printProfile(model: ModelName, runsPerStep: number, seconds: number): Promise<void> {
  const processes = availableParallelism();
  console.log(`\na training step of ${runsPerStep} runs, model ${model}, in each of ${processes} processes at once\n`);
  console.log('| part | operations | ms | share | Gbyte/s |\n|---|---|---|---|---|');
  const profiles = await Promise.all(Array.from({ length: processes }, () => profileOf({ model, runsPerStep, seconds })));
  const meanOf = (name: PartName, key: keyof Part) => (
    profiles.reduce((sum, profile) => sum + profile[name][key], 0) / processes);
  const whole = PARTS.reduce((sum, name) => sum + meanOf(name, 'milliseconds'), 0);
  for (const name of PARTS) {
    const [operations, milliseconds, bytes] = (['operations', 'milliseconds', 'bytes'] as const).map((key) => meanOf(name, key));
    const rate = bytes > 0 ? (bytes / milliseconds / 1e6).toFixed(1) : '';
    console.log(`| ${[name, operations.toFixed(0), milliseconds.toFixed(1), `${((100 * milliseconds) / whole).toFixed(0)} %`, rate].join(' | ')} |`);
  }
  console.log(`| the step | | ${whole.toFixed(1)} | | |`);
}

function profileOf(request: Request): Promise<Profile> {
  const child = fork(__filename, { env: { ...process.env, ...workerEnvironment(1) }, execArgv: ['--import', 'tsx'] });
  child.send(request);
  return new Promise((resolve, reject) => {
    child.on('message', (profile) => resolve(profile as Profile));
    child.on('exit', (code, signal) => reject(new Error(`profile: a process ended with ${signal ?? `exit code ${code}`}`)));
  });
}

async function compute({ model: name, runsPerStep, seconds }: Request): Promise<Profile> {
  await startBackend({ backend: 'native', threads: 1 });
  const model = measuredModel(name);
  const shared = sharedTextLength(tasks.flatMap(({ train, test }) => [...train, ...test]));
  const words = Array.from({ length: runsPerStep }, (_, run) => 1000 + 7 * run);
  const prompts = tf.tensor3d(
    initialPrompts(model, words, PROMPT_TOKENS), [runsPerStep, PROMPT_TOKENS, model.config.dModel]);
  const step = (i: number) => {
    const layout = layOut(words.map((_, run) => batchOf(run, i)), PROMPT_TOKENS, shared);
    promptGradient(model, prompts, layout);
    disposeLayout(layout);
  };
  for (let i = 0; i < 3; i++) step(i);
  const profile = emptyProfile();
  watchOperations(profile);
  const since = performance.now();
  let steps = 0;
  do step(steps++); while (performance.now() - since < 1000 * seconds);
  const inside = PARTS.reduce((sum, part) => sum + profile[part].milliseconds, 0);
  profile['between the operations'].milliseconds = performance.now() - since - inside;
  for (const part of Object.values(profile)) {
    part.operations /= steps;
    part.milliseconds /= steps;
    part.bytes /= steps;
  }
  return profile;
}

/** Adds every operation of TensorFlow from now on to the profile. */
function watchOperations(profile: Profile): void {
  const backend = nativeKernels()!;
  const bytesOf = (tensors: readonly tf.Tensor[]) => tensors.reduce((sum, { size }) => sum + 4 * size, 0);
  const watch = <T extends tf.Tensor | tf.Tensor[]>(name: string, inputs: tf.Tensor[], run: () => T): T => {
    const since = performance.now();
    const result = run();
    const milliseconds = performance.now() - since;
    const outputs: tf.Tensor[] = Array.isArray(result) ? result : [result];
    const part = profile[partOf(name, inputs, outputs[0])];
    part.operations += 1;
    part.milliseconds += milliseconds;
    // Products wait for the processor, the others for memory; Reshape moves nothing.
    if (!name.endsWith('MatMulV2') && name !== 'Reshape') part.bytes += bytesOf([...inputs, ...outputs]);
    return result;
  };
  const single = backend.executeSingleOutput.bind(backend);
  const multiple = backend.executeMultipleOutputs.bind(backend);
  backend.executeSingleOutput = (name, attributes, inputs) => watch(name, inputs, () => single(name, attributes, inputs));
  backend.executeMultipleOutputs = (name, attributes, inputs, outputs) => (
    watch(name, inputs, () => multiple(name, attributes, inputs, outputs)));
}

if (require.main === module) {
  process.once('message', (request: Request) => {
    void compute(request).then((profile) => process.send!(profile, undefined, undefined, () => process.disconnect()));
  });
}
