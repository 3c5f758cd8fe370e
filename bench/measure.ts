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
import { analyse, analyseFurther, randomSpace } from './analysis';
import { batchOf, PROMPT_TOKENS, tasks } from './batches';
import { measuredModel, stepOperations, type ModelName } from './models';

/** What bench.ts asks for. */
export interface Measurement {
  readonly kind: 'train' | 'evaluate' | 'analysis' | 'load';
  readonly model: ModelName;
  readonly runsPerStep: number;
  readonly seconds: number;
  readonly threads: number;
  /** of `load`: the checkpoint */
  readonly folder?: string;
}

/** What a process measured. */
export interface Measured {
  /** examples, analyses or (load) gigabytes */
  readonly examples: number;
  readonly seconds: number;
  /** multiplications and additions in large matrix products; 0: not counted */
  readonly operations: number;
  /** of a 2048³ product, the mean of before and after */
  readonly peakGflops: number;
  readonly peakMemoryBytes: number;
}

/** Does a bit of work and returns how many examples and operations it was. */
type Work = () => { examples: number; operations: number };

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
  return () => {
    const batches = words.map((_, run) => batchOf(run, step));
    step += 1;
    const layout = layOut(batches, PROMPT_TOKENS, shared);
    promptGradient(model, prompts, layout);
    const operations = stepOperations(model.config, layout);
    disposeLayout(layout);
    return { examples: batches.flat().length, operations };
  };
}

function evaluationWork({ model: name, runsPerStep }: Measurement): Work {
  const model = measuredModel(name);
  const words = Array.from({ length: runsPerStep }, (_, run) => 1000 + 7 * run);
  const values = initialPrompts(model, words, PROMPT_TOKENS);
  const prompts = tf.tensor3d(values, [runsPerStep, PROMPT_TOKENS, model.config.dModel]);
  let turn = 0;
  return () => {
    const examples = tasks[turn++ % tasks.length].test.slice(0, 32);
    evaluate(model, prompts, examples, { batchSize: 8, newTokens: 5 });
    return { examples: examples.length * runsPerStep, operations: 0 };
  };
}

/** What notebooks 04 and 05 compute, at the paper's size and GPT-2 XL's width. */
function analysisWork(): Work {
  const space = randomSpace();
  return () => {
    analyse(space);
    analyseFurther(space);
    return { examples: 1, operations: 0 };
  };
}

function loadWork({ folder }: Measurement): Work {
  return () => {
    const { config, tokenEmbedding } = loadGpt2(folder!);
    tf.sum(tokenEmbedding).dataSync();
    return { examples: (4 * (12 * config.layers * config.dModel ** 2 + tokenEmbedding.size)) / 1e9, operations: 0 };
  };
}

async function measure(request: Measurement): Promise<Measured> {
  await startBackend({ threads: request.threads });
  const work = {
    train: trainingWork, evaluate: evaluationWork, analysis: analysisWork, load: loadWork,
  }[request.kind](request);
  const once = request.kind === 'load';
  if (!once) work();
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
    const done = work();
    examples += done.examples;
    operations += done.operations;
  } while (!once && elapsed() < request.seconds);
  const seconds = elapsed();
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
  return { examples, seconds, operations, peakGflops: once ? 0 : (before + peak()) / 2, peakMemoryBytes };
}

process.once('message', (request: Measurement) => {
  void measure(request).then((measured) => {
    process.send!(measured);
    process.disconnect();
  });
});
