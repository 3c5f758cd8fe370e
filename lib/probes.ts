/**
 * What becomes of a task's accuracy when its prompt is moved: prompts on tasks they were not trained for,
 * prompts with one vector of another run, prompts whose vectors are put back to tokens.
 */
import { tf } from './backend';
import { findData } from './data';
import type { JobProgress } from './display';
import { evaluate, LABEL_TOKENS_A_PASS } from './evaluation';
import { loadGpt2, type Gpt2 } from './gpt2';
import { findModel } from './hub';
import { findNeighbours } from './neighbourhoods';
import { concatPoints, pointsFrom, selectPoints, type Points } from './points';
import { createRandom } from './random';
import type { RunName } from './run-names';
import type { Grid } from './runs';
import { loadTask, type Example } from './tasks';
import { singleToken } from './tokenizer';

/** A run's prompt. */
export interface Prompt extends RunName {
  /** [promptTokens, dModel], row-major */
  readonly vectors: Float32Array;
}

/** A prompt and the task that it is tested on. */
export interface Trial {
  readonly task: string;
  /** [promptTokens, dModel], row-major */
  readonly vectors: Float32Array;
}

/** Test examples by task. */
export type Tests = ReadonlyMap<string, readonly Example[]>;

export interface ProbeOptions {
  /** greedy tokens within which the label must appear, as in the experiment */
  readonly newTokens: number;
  /** counts examples times prompts */
  readonly onProgress?: (progress: JobProgress) => void;
}

/** The model that a grid was trained on; disposeGpt2 disposes. Throws where it is not on this machine. */
export function loadModelOf({ experiment, commit }: Grid): Gpt2 {
  return loadGpt2(findModel(experiment.model, { revision: commit ?? experiment.revision }));
}

/**
 * The test examples of a grid's tasks, of each at most the first `limit`: the split is shuffled, so these are a
 * random sample, and always the same.
 */
export function testsOf({ experiment }: Pick<Grid, 'experiment'>, limit = Infinity): Tests {
  const { data, tasks, template, examples } = experiment;
  const options = { folder: findData(data), template, limit: examples ?? undefined };
  return new Map(tasks.map((task) => [task, loadTask(task, options).test.slice(0, limit)]));
}

/** The prompts that a grid ended with, in the order of its runs. */
export function trainedPrompts({ runs }: Pick<Grid, 'runs'>): Prompt[] {
  return runs.map(({ task, word, seed, prompts: { data, shape } }) => (
    { task, word, seed, vectors: data.subarray(data.length - shape[1] * shape[2]) }));
}

/** The same runs before training: every vector is the embedding of the run's initial word. */
export function untrainedPrompts(prompts: readonly Prompt[], vocabulary: Points): Prompt[] {
  return prompts.map((prompt) => {
    const positions = prompt.vectors.length / vocabulary.dModel;
    const rows = new Array<number>(positions).fill(singleToken(prompt.word));
    return { ...prompt, vectors: selectPoints(vocabulary, rows).data };
  });
}

/** Changes no accuracy. */
const BATCH_SIZE = 8;

/**
 * Test accuracy (0–1) of every trial, in their order; NaN where the model's logits are no numbers. Many prompts
 * are evaluated at once, in groups that bound the memory. `await startBackend()` before. Leaves no tensor behind.
 */
export async function testAccuracies(
  model: Gpt2, trials: readonly Trial[], tests: Tests, { newTokens, onProgress }: ProbeOptions,
): Promise<number[]> {
  const { dModel } = model.config;
  const accuracies = new Array<number>(trials.length);
  const groups = groupTrials(trials, tests);
  const total = groups.reduce((sum, { examples, rows }) => sum + examples.length * rows.length, 0);
  let done = 0;
  for (const { examples, rows } of groups) {
    const vectors = rows.map((row) => trials[row].vectors);
    const prompts = stackPrompts(vectors, dModel);
    const results = evaluate(model, prompts, examples, { batchSize: BATCH_SIZE, newTokens });
    results.forEach(({ loss, accuracy }, i) => {
      accuracies[rows[i]] = Number.isFinite(loss) ? accuracy : NaN;
    });
    prompts.dispose();
    done += examples.length * rows.length;
    onProgress?.({ done, resumed: 0, total, note: '' });
    // Lets the progress be shown.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return accuracies;
}

/** Prompts of one shape as [run, promptTokens, dModel]; the caller disposes. */
export function stackPrompts(vectors: readonly Float32Array[], dModel: number): tf.Tensor3D {
  const size = vectors[0].length;
  const data = new Float32Array(vectors.length * size);
  vectors.forEach((values, i) => data.set(values, i * size));
  return tf.tensor3d(data, [vectors.length, size / dModel, dModel]);
}

/** Trials of one task that are evaluated at once, by their index: as many as fill a pass. */
function groupTrials(
  trials: readonly Trial[], tests: Tests,
): { readonly examples: readonly Example[]; readonly rows: readonly number[] }[] {
  return [...new Set(trials.map(({ task }) => task))].flatMap((task) => {
    const examples = tests.get(task);
    if (!examples?.length) throw new Error(`task ${task}: there are no test examples for it`);
    const longest = Math.max(...examples.map(({ labelTokens }) => labelTokens.length));
    const size = Math.max(1, Math.floor(LABEL_TOKENS_A_PASS / (longest * BATCH_SIZE)));
    const own = trials.flatMap((trial, row) => (trial.task === task ? [row] : []));
    return Array.from({ length: Math.ceil(own.length / size) }, (_, i) => (
      { examples, rows: own.slice(i * size, (i + 1) * size) }));
  });
}

/** Accuracy of every prompt on every task of the tests: [prompt][task]. */
export async function transferAccuracies(
  model: Gpt2, prompts: readonly Prompt[], tests: Tests, options: ProbeOptions,
): Promise<number[][]> {
  const tasks = [...tests.keys()];
  const trials = prompts.flatMap(({ vectors }) => tasks.map((task) => ({ task, vectors })));
  const accuracies = await testAccuracies(model, trials, tests, options);
  return prompts.map((_, i) => accuracies.slice(i * tasks.length, (i + 1) * tasks.length));
}

/** Where the vector comes from that takes a place in a prompt. */
export type SwapKind = 'other word, same task' | 'other task, same word' | 'initial word';

/** A run's prompt with the vector at one position taken from somewhere else; `task` is the run's own. */
export interface Swap extends Trial {
  /** index of the run */
  readonly run: number;
  /** 0 … promptTokens − 1 */
  readonly position: number;
  readonly kind: SwapKind;
  /** index of the run that gives its vector at this position; the run itself where it is the untrained one */
  readonly donor: number;
}

/**
 * One swap of each kind for every run and position, in this order. The donor is drawn among the runs of the same
 * seed of training; a kind of which there is none is left out.
 *
 * @param untrained of the same runs
 * @param seed of the draws
 */
export function planSwaps(
  prompts: readonly Prompt[], untrained: readonly Prompt[], dModel: number, seed: number,
): Swap[] {
  const random = createRandom(seed);
  return prompts.flatMap((prompt, run) => {
    const others = (related: (other: Prompt) => boolean) => prompts.flatMap((other, i) => (
      i !== run && other.seed === prompt.seed && related(other) ? [i] : []));
    const donors: [SwapKind, number[]][] = [
      ['other word, same task', others((other) => other.task === prompt.task)],
      ['other task, same word', others((other) => other.word === prompt.word)],
      ['initial word', [run]],
    ];
    const positions = [...Array(prompt.vectors.length / dModel).keys()];
    return positions.flatMap((position) => donors.flatMap(([kind, candidates]): Swap[] => {
      if (candidates.length === 0) return [];
      const donor = candidates[random.integers(candidates.length)];
      const from = kind === 'initial word' ? untrained : prompts;
      const vectors = swapVector(prompt.vectors, from[donor].vectors, position, dModel);
      return [{ task: prompt.task, vectors, run, position, kind, donor }];
    }));
  });
}

/** A copy of a prompt with the vector at a position taken from that position of another prompt. */
export function swapVector(
  vectors: Float32Array, donor: Float32Array, position: number, dModel: number,
): Float32Array {
  const swapped = vectors.slice();
  swapped.set(donor.subarray(position * dModel, (position + 1) * dModel), position * dModel);
  return swapped;
}

/** A run's prompt with every vector replaced by the embedding of a token. */
export interface DiscretePrompt extends Prompt {
  /** [promptTokens] token ids */
  readonly tokens: readonly number[];
}

/** Every vector replaced by the vocabulary row nearest in cosine distance. `await startBackend()` before. */
export function nearestTokenPrompts(prompts: readonly Prompt[], vocabulary: Points): DiscretePrompt[] {
  const points = concatPoints(...prompts.map(({ vectors }) => pointsFrom(vectors, vocabulary.dModel)));
  const { nearestRow } = findNeighbours(points, vocabulary, { epsilon: 0 });
  const positions = points.count / prompts.length;
  return prompts.map((prompt, i) => {
    const tokens = [...nearestRow.subarray(i * positions, (i + 1) * positions)];
    return { ...prompt, tokens, vectors: selectPoints(vocabulary, tokens).data };
  });
}
