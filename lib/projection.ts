/**
 * Points of the embedding space in two dimensions: t-SNE (figure 4 of the paper) and principal components.
 *
 * The paper used scikit-learn's TSNE(metric="cosine", perplexity=30), which squares the cosine distances.
 * Here the joint probabilities come from tsne-js; the descent is written after scikit-learn, because that of
 * tsne-js 1.0.3 turns the gains round, knows no cosine distances, has no seed and takes a minute for
 * 340 points.
 * What t-SNE shows are neighbourhoods: distances between far groups, their sizes and densities mean nothing.
 */
import jointProbabilities = require('tsne-js/dist/joint-probabilities');
import { dotProduct, type DistanceMatrix } from './distances';
import { largestEigenvectors } from './eigenvectors';
import { pointAt, type Points } from './points';
import { createRandom } from './random';

/** A picture of points in the plane. */
export interface Projection {
  /** [count, 2], row-major */
  readonly coordinates: Float64Array;
}

export interface TsneProjection extends Projection {
  /** final Kullback–Leibler divergence in nats, 0 or more: smaller is more faithful */
  readonly divergence: number;
}

export interface TsneOptions {
  /** about how many neighbours a point cares for, below the number of points. Default 30, as the paper. */
  readonly perplexity?: number;
  /** Start from random positions of this seed. Default: from the principal components. */
  readonly seed?: number;
  /** steps of the descent, default 1000; the first 250 with exaggerated attraction */
  readonly iterations?: number;
}

// The settings of scikit-learn's TSNE (sklearn/manifold/_t_sne.py).
const EXAGGERATION = 12;
const EXAGGERATED_STEPS = 250;
const START_DEVIATION = 1e-4;
const SMALLEST_GRADIENT = 1e-7;

/**
 * t-SNE of points by given distances, which are squared here. The same input always gives the same picture.
 * @param points where the default start takes its principal components from
 * @param distances of the same points, cosine in the paper
 * Throws where the numbers of points differ or the perplexity does not fit.
 */
export function projectTsne(
  points: Points,
  distances: DistanceMatrix,
  options: TsneOptions = {},
): TsneProjection {
  const { perplexity = 30, seed, iterations = 1000 } = options;
  const { count } = points;
  if (distances.count !== count) {
    throw new Error(`t-SNE: ${count} points, but distances of ${distances.count}`);
  }
  if (!(perplexity >= 1 && perplexity < count)) {
    throw new Error(`t-SNE: perplexity ${perplexity}, expected 1 or more and below the ${count} points`);
  }
  const { data } = distances;
  const squared = { shape: [count, count] as const, get: (i: number, j: number) => data[i * count + j] ** 2 };
  const affinities = jointProbabilities(squared, perplexity).data;
  const coordinates = seed === undefined ? startFromComponents(points) : startFromSeed(count, seed);
  descend(coordinates, affinities, iterations);
  return { coordinates, divergence: divergenceOf(coordinates, affinities) };
}

/**
 * The first two principal components of the points (centred, not scaled). The sign of each is chosen so that
 * its largest coordinate is positive.
 */
export function projectPca(points: Points): Projection {
  const { count } = points;
  const { values, vectors } = largestEigenvectors(centredProducts(points), count, Math.min(2, count));
  const coordinates = new Float64Array(count * 2);
  vectors.forEach((vector, axis) => {
    if (values[axis] <= 0) return; // no component is left
    const farthest = vector.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
    const scale = Math.sqrt(values[axis]) * (farthest < 0 ? -1 : 1);
    vector.forEach((x, i) => (coordinates[i * 2 + axis] = x * scale));
  });
  return { coordinates };
}

/**
 * How far the neighbours in the picture are neighbours in the space: 1 is perfect, about 0.5 is chance.
 * Venna and Kaski 2001, as sklearn.manifold.trustworthiness.
 * @param distances of the points in the space
 * @param neighbours how many neighbours are looked at; must be below half the number of points
 */
export function trustworthiness(distances: DistanceMatrix, projection: Projection, neighbours = 10): number {
  const { count } = distances;
  const { coordinates } = projection;
  if (coordinates.length !== count * 2) {
    throw new Error(`trustworthiness: ${coordinates.length / 2} projected points, distances of ${count}`);
  }
  if (!(neighbours >= 1 && neighbours < count / 2)) {
    throw new Error(`trustworthiness: ${neighbours} neighbours, expected 1 or more, below half of ${count}`);
  }
  let penalty = 0;
  for (let i = 0; i < count; i++) {
    const inSpace = rankOthers(count, i, (j) => distances.data[i * count + j]);
    const inPlane = rankOthers(count, i, (j) => squaredPlaneDistance(coordinates, i, j));
    const rank = new Map(inSpace.map((j, k) => [j, k + 1]));
    for (const j of inPlane.slice(0, neighbours)) {
      penalty += Math.max(0, (rank.get(j) as number) - neighbours);
    }
  }
  return 1 - (penalty * 2) / (count * neighbours * (2 * count - 3 * neighbours - 1));
}

/** Gradient descent with momentum and gains, in place. */
function descend(coordinates: Float64Array, affinities: Float64Array, iterations: number): void {
  const count = coordinates.length / 2;
  const learningRate = Math.max(count / EXAGGERATION / 4, 50);
  const gains = new Float64Array(coordinates.length).fill(1);
  const update = new Float64Array(coordinates.length);
  const kernel = new Float64Array(count * count);
  for (let step = 0; step < iterations; step++) {
    const exaggerated = step < EXAGGERATED_STEPS;
    if (step === EXAGGERATED_STEPS) {
      gains.fill(1);
      update.fill(0);
    }
    const gradient = divergenceGradient(coordinates, affinities, exaggerated ? EXAGGERATION : 1, kernel);
    if (!exaggerated && Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0)) <= SMALLEST_GRADIENT) return;
    for (let k = 0; k < coordinates.length; k++) {
      // Speed up where the descent keeps its direction, slow down where it turns.
      gains[k] = Math.max(0.01, update[k] * gradient[k] < 0 ? gains[k] + 0.2 : gains[k] * 0.8);
      update[k] = (exaggerated ? 0.5 : 0.8) * update[k] - learningRate * gains[k] * gradient[k];
      coordinates[k] += update[k];
    }
  }
}

/** Divergence of the picture from the joint probabilities, in nats. */
function divergenceOf(coordinates: Float64Array, affinities: Float64Array): number {
  const count = coordinates.length / 2;
  const kernel = new Float64Array(count * count);
  const sum = fillKernel(coordinates, kernel);
  let divergence = 0;
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      const k = i * count + j;
      divergence += 2 * affinities[k] * Math.log(affinities[k] / Math.max(kernel[k] / sum, Number.EPSILON));
    }
  }
  return divergence;
}

/**
 * The gradient [count, 2] of the divergence with exaggerated joint probabilities.
 * @param kernel room for count² numbers, overwritten
 */
function divergenceGradient(
  coordinates: Float64Array,
  affinities: Float64Array,
  exaggeration: number,
  kernel: Float64Array,
): Float64Array {
  const count = coordinates.length / 2;
  const sum = fillKernel(coordinates, kernel);
  const gradient = new Float64Array(count * 2);
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      const k = i * count + j;
      const q = Math.max(kernel[k] / sum, Number.EPSILON);
      const pull = 4 * (affinities[k] * exaggeration - q) * kernel[k];
      const x = pull * (coordinates[i * 2] - coordinates[j * 2]);
      const y = pull * (coordinates[i * 2 + 1] - coordinates[j * 2 + 1]);
      gradient[i * 2] += x;
      gradient[i * 2 + 1] += y;
      gradient[j * 2] -= x;
      gradient[j * 2 + 1] -= y;
    }
  }
  return gradient;
}

/** Student's t of every pair i < j, not normalised, and the sum over all ordered pairs. */
function fillKernel(coordinates: Float64Array, kernel: Float64Array): number {
  const count = coordinates.length / 2;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      const value = 1 / (1 + squaredPlaneDistance(coordinates, i, j));
      kernel[i * count + j] = value;
      sum += 2 * value;
    }
  }
  return sum;
}

function startFromSeed(count: number, seed: number): Float64Array {
  const random = createRandom(seed);
  return Float64Array.from({ length: count * 2 }, () => random.normal() * START_DEVIATION);
}

/** Principal components, scaled so that the first has the standard deviation of a random start. */
function startFromComponents(points: Points): Float64Array {
  const { coordinates } = projectPca(points);
  const squares = coordinates.reduce((sum, x, k) => sum + (k % 2 === 0 ? x * x : 0), 0);
  const deviation = Math.sqrt(squares / points.count);
  return coordinates.map((x) => (deviation > 0 ? (x / deviation) * START_DEVIATION : 0));
}

/** Dot products of the centred points: [count, count], row-major. */
function centredProducts(points: Points): Float64Array {
  const { count, dModel } = points;
  const mean = new Float64Array(dModel);
  for (let i = 0; i < count; i++) pointAt(points, i).forEach((x, k) => (mean[k] += x / count));
  const centred = Array.from({ length: count }, (_, i) =>
    Float64Array.from(pointAt(points, i), (x, k) => x - mean[k]),
  );
  const products = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let j = i; j < count; j++) {
      products[i * count + j] = products[j * count + i] = dotProduct(centred[i], centred[j]);
    }
  }
  return products;
}

function rankOthers(count: number, i: number, distanceTo: (j: number) => number): number[] {
  const others = [...Array(count).keys()].filter((j) => j !== i);
  return others.sort((a, b) => distanceTo(a) - distanceTo(b));
}

function squaredPlaneDistance(coordinates: Float64Array, i: number, j: number): number {
  const x = coordinates[i * 2] - coordinates[j * 2];
  const y = coordinates[i * 2 + 1] - coordinates[j * 2 + 1];
  return x * x + y * y;
}
