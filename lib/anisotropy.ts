/**
 * Does the finding survive the anisotropy of the embedding space? Token embeddings of GPT-2 share a mean and a few
 * dominating directions, which by themselves make cosine distances small. "All-but-the-top" (Mu and Viswanath 2018,
 * arXiv:1702.01417) takes both away: subtract the vocabulary's mean, then its first k principal components. They
 * recommend about k = dModel / 100.
 */
import { tf } from './backend';
import { bootstrapClasses, meanOfClasses, type BootstrapOptions, type Interval } from './bootstrap';
import { distanceMatrix, meanDistance } from './distances';
import { largestEigenvectors } from './eigenvectors';
import type { EmbeddingSpace } from './neighbour-statistics';
import { explainedShare } from './permanova';
import { pointAt, pointsFrom, selectPoints, type Points } from './points';
import { createRandom } from './random';

/** Mean and principal components of a vocabulary. */
export interface VocabularyAxes {
  /** [dModel] */
  readonly mean: Float64Array;
  /** unit vectors [dModel], that of the largest variance first */
  readonly components: readonly Float64Array[];
  /** the component's part of the variance, 0–1 */
  readonly shares: readonly number[];
}

/** The paper's comparison in one variant of the space. Mean cosine distances, corrected; R² of directions. */
export interface CleanedDistances {
  /** 'nothing': the space as it is; 0: the mean only; k: the mean and k components */
  readonly removed: 'nothing' | number;
  readonly sameWord: Interval;
  readonly sameTask: Interval;
  readonly allPrompts: Interval;
  /** between random vocabulary tokens */
  readonly tokens: number;
  readonly wordShare: Interval;
  readonly taskShare: Interval;
}

export interface CleaningOptions extends Omit<BootstrapOptions, 'random'> {
  /** numbers of components to remove, ascending from 0 */
  readonly components: readonly number[];
  /** rows of the random vocabulary tokens to compare with */
  readonly tokenRows: readonly number[];
  /** of the bootstrap, the same for every variant */
  readonly seed: number;
  readonly progress?: (done: number, total: number) => void;
}

/** Vocabulary rows in one matrix product. */
const BLOCK_ROWS = 4096;

/**
 * Mean and first principal components of a vocabulary (centred, not scaled). `await startBackend()` before.
 * Memory: a block of rows and the covariance, dModel² numbers in double precision. Leaves no tensors behind.
 * Throws where a row is not finite or all rows are equal.
 */
export async function vocabularyAxes(
  vocabulary: Points, count: number, progress?: (done: number, total: number) => void,
): Promise<VocabularyAxes> {
  const { dModel, count: rows } = vocabulary;
  const mean = columnMean(vocabulary);
  if (!mean.every(Number.isFinite)) throw new Error('vocabulary: a row has a number that is not finite');
  const covariance = new Float64Array(dModel * dModel);
  for (let start = 0; start < rows; start += BLOCK_ROWS) {
    const end = Math.min(rows, start + BLOCK_ROWS);
    const products = tf.tidy(() => {
      const block = tf.tensor2d(vocabulary.data.subarray(start * dModel, end * dModel), [end - start, dModel]);
      const centred = tf.sub<tf.Tensor2D>(block, tf.tensor1d(Float32Array.from(mean)));
      return tf.matMul(centred, centred, true, false);
    });
    (await products.data<'float32'>()).forEach((value, k) => (covariance[k] += value / rows));
    products.dispose();
    progress?.(end, rows);
  }
  const variance = mean.reduce((sum, _, k) => sum + covariance[k * dModel + k], 0);
  if (variance === 0) throw new Error('vocabulary: all rows are equal, which has no principal components');
  const { values, vectors } = largestEigenvectors(covariance, dModel, count);
  return { mean, components: vectors, shares: values.map((value) => value / variance) };
}

/** The points without the vocabulary's mean and its first `count` components. */
export function removeComponents(points: Points, { mean, components }: VocabularyAxes, count: number): Points {
  if (!(count >= 0 && count <= components.length)) {
    throw new Error(`removeComponents: ${count} components, expected 0 … ${components.length}`);
  }
  const { dModel } = points;
  const data = new Float32Array(points.data.length);
  for (let row = 0; row < points.count; row++) {
    const point = Float64Array.from(pointAt(points, row), (value, k) => value - mean[k]);
    for (const component of components.slice(0, count)) {
      const part = component.reduce((sum, value, k) => sum + value * point[k], 0);
      component.forEach((value, k) => (point[k] -= part * value));
    }
    data.set(point, row * dModel);
  }
  return pointsFrom(data, dModel);
}

/**
 * Same word, same task, all prompts and random tokens: in the space as it is, without its mean, and without each of the
 * chosen numbers of components. Throws where the grid has holes, or a prompt has nothing left.
 */
export async function cleanedDistances(
  { vocabulary, prompts }: EmbeddingSpace, axes: VocabularyAxes, options: CleaningOptions,
): Promise<CleanedDistances[]> {
  const { components, tokenRows, seed, progress, ...bootstrap } = options;
  const tokens = selectPoints(vocabulary, tokenRows);
  const variants: CleanedDistances[] = [];
  for (const removed of ['nothing', ...components] as const) {
    const clean = (points: Points) => (removed === 'nothing' ? points : removeComponents(points, axes, removed));
    const distances = distanceMatrix(clean(prompts.points), 'cosine');
    const intervals = bootstrapClasses(distances, prompts.labels, (classes) => [
      meanOfClasses(classes, (pairs) => pairs.sameWord),
      meanOfClasses(classes, (pairs) => pairs.sameTask),
      meanOfClasses(classes),
      explainedShare(classes, (pairs) => pairs.sameWord),
      explainedShare(classes, (pairs) => pairs.sameTask),
    ], { ...bootstrap, random: createRandom(seed) });
    const [sameWord, sameTask, allPrompts, wordShare, taskShare] = intervals;
    const between = meanDistance(distanceMatrix(clean(tokens), 'cosine'), 'corrected');
    variants.push({ removed, sameWord, sameTask, allPrompts, tokens: between, wordShare, taskShare });
    progress?.(variants.length, components.length + 1);
    await new Promise(setImmediate); // lets a progress bar be drawn
  }
  return variants;
}

function columnMean({ data, count, dModel }: Points): Float64Array {
  const mean = new Float64Array(dModel);
  for (let row = 0; row < count; row++) {
    for (let k = 0; k < dModel; k++) mean[k] += data[row * dModel + k] / count;
  }
  return mean;
}
