/**
 * One measurement in a process of its own, started by bench.ts: gets ready, says so, waits for `go`, measures, tells.
 * Several of them at once measure what worker processes do together.
 */
import { tf, startBackend } from '../lib/backend';
import { evaluate } from '../lib/evaluation';
import { loadGpt2 } from '../lib/gpt2';
import { disposeLayout, layOut, sharedTextLength } from '../lib/layout';
import { promptGradient } from '../lib/forward';
import { initialPrompts } from '../lib/tuning';
import { analyse, analyseFurther, QUERIES, randomSpace } from './analysis';
import { batchOf, PROMPT_TOKENS, tasks } from './batches';
import { measuredModel, type ModelName } from './models';
import { secondsOfProducts, stepOperations } from './products';

/** What bench.ts asks for. */
export interface Measurement {
  readonly kind: 'train' | 'evaluate' | 'neighbourhoods' | 'load';
  readonly model: ModelName;
  readonly runsPerStep: number;
  readonly seconds: number;
  readonly threads: number;
  /** of `load`: the checkpoint */
  readonly folder?: string;
}

/** What a process measured. */
export interface Measured {
  /** examples, queries or (load) gigabytes */
  readonly examples: number;
  readonly seconds: number;
  /** multiplications and additions in large matrix products; 0: not counted */
  readonly operations: number;
  /** of a 2048³ product, the mean of before and after */
  readonly peakGflops: number;
  /** of the step's products with the weights, at their shapes and with nothing between them; 0: not measured */
  readonly productGflops: number;
  readonly peakMemoryBytes: number;
}

interface Work {
  /** does a bit of work and returns how many examples and operations it was */
  readonly run: () => { examples: number; operations: number };
  /** Gflop/s of the large products alone */
  readonly productGflops?: () => number;
}

const MATRIX = 2048;

/** Gflop/s of a product of large matrices, the best of five: what the machine gives at most right now. */
function peak(): number {
  return tf.tidy(() => {
    const [a, b] = [tf.randomUniform([MATRIX, MATRIX]), tf.randomUniform([MATRIX, MATRIX])];
    let best = 0;
    for (let i = 0; i < 5; i++) {
      const since = process.hrtime.bigint();
      tf.matMul(a, b).dispose();
      best = Math.max(best, (2 * MATRIX ** 3) / Number(process.hrtime.bigint() - since));
    }
    return best;
  });
}

function trainingWork({ model: name, runsPerStep }: Measurement): Work {
  const model = measuredModel(name);
  const shared = sharedTextLength(tasks.flatMap(({ train, test }) => [...train, ...test]));
  const words = Array.from({ length: runsPerStep }, (_, run) => 1000 + 7 * run);
  const values = initialPrompts(model, words, PROMPT_TOKENS);
  const prompts = tf.tensor3d(values, [runsPerStep, PROMPT_TOKENS, model.config.dModel]);
  let step = 0;
  const nextLayout = () => {
    const batches = words.map((_, run) => batchOf(run, step));
    step += 1;
    return { layout: layOut(batches, PROMPT_TOKENS, shared), examples: batches.flat().length };
  };
  const run = () => {
    const { layout, examples } = nextLayout();
    promptGradient(model, prompts, layout);
    const operations = stepOperations(model, layout);
    disposeLayout(layout);
    return { examples, operations };
  };
  const productGflops = () => {
    let [operations, seconds] = [0, 0];
    for (let i = 0; i < tasks.length; i++) {
      const { layout } = nextLayout();
      operations += stepOperations(model, layout);
      seconds += secondsOfProducts(model, layout);
      disposeLayout(layout);
    }
    return operations / seconds / 1e9;
  };
  return { run, productGflops };
}

function evaluationWork({ model: name, runsPerStep }: Measurement): Work {
  const model = measuredModel(name);
  const words = Array.from({ length: runsPerStep }, (_, run) => 1000 + 7 * run);
  const values = initialPrompts(model, words, PROMPT_TOKENS);
  const prompts = tf.tensor3d(values, [runsPerStep, PROMPT_TOKENS, model.config.dModel]);
  let turn = 0;
  const run = () => {
    const examples = tasks[turn++ % tasks.length].test.slice(0, 32);
    evaluate(model, prompts, examples, { batchSize: 8, newTokens: 5 });
    return { examples: examples.length * runsPerStep, operations: 0 };
  };
  return { run };
}

/** What notebooks 04 and 05 compute, at the paper's size and GPT-2 XL's width. */
function neighbourhoodWork(): Work {
  const space = randomSpace();
  const run = () => {
    analyse(space);
    analyseFurther(space);
    return { examples: QUERIES, operations: 0 };
  };
  return { run };
}

function loadWork({ folder }: Measurement): Work {
  const run = () => {
    const { config, tokenEmbedding } = loadGpt2(folder!);
    tf.sum(tokenEmbedding).dataSync();
    return { examples: (4 * (12 * config.layers * config.dModel ** 2 + tokenEmbedding.size)) / 1e9, operations: 0 };
  };
  return { run };
}

async function measure(request: Measurement): Promise<Measured> {
  await startBackend({ threads: request.threads });
  const work = {
    train: trainingWork, evaluate: evaluationWork, neighbourhoods: neighbourhoodWork, load: loadWork,
  }[request.kind](request);
  const once = request.kind === 'load';
  if (!once) work.run();
  const before = once ? 0 : peak();
  await new Promise<void>((resolve) => {
    process.once('message', () => resolve());
    process.send!('ready');
  });
  const since = process.hrtime.bigint();
  const elapsed = () => Number(process.hrtime.bigint() - since) / 1e9;
  let examples = 0;
  let operations = 0;
  do {
    const done = work.run();
    examples += done.examples;
    operations += done.operations;
  } while (!once && elapsed() < request.seconds);
  const seconds = elapsed();
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
  const productGflops = work.productGflops?.() ?? 0;
  return { examples, seconds, operations, peakGflops: once ? 0 : (before + peak()) / 2, productGflops, peakMemoryBytes };
}

process.once('message', (request: Measurement) => {
  void measure(request).then((measured) => {
    process.send!(measured);
    process.disconnect();
  });
});
