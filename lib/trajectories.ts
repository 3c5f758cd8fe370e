/**
 * How prompts drift from their initial word while they are trained, and how far a random walk with steps of the same
 * lengths would come: a prompt that keeps its direction comes further, one that turns back and forth less far.
 */
import { cosineDistanceOf, dotProduct } from './distances';
import type { BandCurve } from './figures-further';
import { findNeighbours } from './neighbourhoods';
import { pointAt, pointsFrom, selectPoints, type Points, type PromptLabel } from './points';
import type { Random } from './random';
import { promptsOf, type Grid } from './runs';
import { singleToken } from './tokenizer';

// simple-statistics has a CommonJS build, but types for its ES module build only.
const { quantile } = require('simple-statistics') as {
  readonly quantile: (values: readonly number[], probability: number) => number;
};

/** Prompts at some epochs of their training. */
export interface Trajectories {
  readonly labels: readonly PromptLabel[];
  /** ascending from 0, before training, to the last */
  readonly epochs: readonly number[];
  /** the prompts at each of these epochs, in the order of the labels */
  readonly points: readonly Points[];
  /** [prompt][epoch − 1]: Euclidean length of the step that every single epoch made */
  readonly steps: readonly (readonly number[])[];
}

/** How straight one prompt's way was. Euclidean lengths. */
export interface Way {
  /** sum of the lengths of all steps */
  readonly path: number;
  /** from the initial word to the end */
  readonly net: number;
  /** net / path: 1 for a straight line, 0 for a way back to the start */
  readonly straightness: number;
}

/** One number for every prompt at every epoch: [epoch][prompt]. */
export interface Drift {
  /** Euclidean distance from the initial word */
  readonly displacement: readonly Float64Array[];
  /** cosine distance from the initial word, 0–2 */
  readonly fromStart: readonly Float64Array[];
  /** cosine distance to the nearest vocabulary token, 0–2 */
  readonly toVocabulary: readonly Float64Array[];
  /** [epoch]: share of the prompts whose nearest token is still their initial word */
  readonly initNearest: readonly number[];
}

/** About `count` of the epochs 0 … last, dense in the beginning, where prompts move fastest. */
export function spreadEpochs(last: number, count = 12): number[] {
  const spread = Array.from({ length: count }, (_, i) => Math.round(last ** (i / (count - 1))));
  return [...new Set([0, ...spread])];
}

/**
 * The trajectories of a grid's prompts. A run starts at its initial word's row of the vocabulary, in all positions.
 * @param epochs ascending, from 0 to the last epoch; default: spreadEpochs
 */
export function readTrajectories(
  grid: Grid, vocabulary: Points, epochs: readonly number[] = spreadEpochs(grid.experiment.epochs),
): Trajectories {
  const last = grid.experiment.epochs;
  if (epochs[0] !== 0 || epochs.at(-1) !== last || epochs.some((epoch, i) => i > 0 && !(epoch > epochs[i - 1]))) {
    throw new Error(`epochs: expected ascending numbers from 0 to ${last}, found ${epochs.join(', ')}`);
  }
  const { labels } = promptsOf(grid);
  const start = selectPoints(vocabulary, labels.map(({ word }) => singleToken(word)));
  const points = [start];
  const steps: number[][] = labels.map(() => []);
  let before = start;
  for (let epoch = 1; epoch <= last; epoch++) {
    const now = promptsOf(grid, epoch).points;
    labels.forEach((_, row) => steps[row].push(lengthBetween(before, now, row)));
    if (epochs.includes(epoch)) points.push(now);
    before = now;
  }
  return { labels, epochs, points, steps };
}

/**
 * The same trajectories with steps of the same lengths in random directions, one walk for each prompt.
 * Between two of the epochs only the length of the sum of steps is followed: its direction is uniform and independent
 * of its length, so that one random direction for each of these epochs is enough.
 */
export function randomWalks({ labels, epochs, points, steps }: Trajectories, random: Random): Trajectories {
  const { dModel } = points[0];
  const walks = epochs.slice(1).reduce<Points[]>((done, epoch, i) => {
    const data = Float32Array.from(done[i].data);
    labels.forEach((_, row) => {
      const length = walkLength(steps[row].slice(epochs[i], epoch), dModel, random);
      const direction = Float64Array.from({ length: dModel }, () => random.normal());
      const scale = length / Math.sqrt(dotProduct(direction, direction));
      direction.forEach((value, k) => (data[row * dModel + k] += scale * value));
    });
    return [...done, pointsFrom(data, dModel)];
  }, [points[0]]);
  return { labels, epochs, points: walks, steps };
}

/** How straight each prompt's way was. A prompt that never moved has straightness NaN. */
export function waysOf({ points, steps }: Trajectories): Way[] {
  const end = points[points.length - 1];
  return steps.map((lengths, row) => {
    const path = lengths.reduce((sum, length) => sum + length, 0);
    const net = lengthBetween(points[0], end, row);
    return { path, net, straightness: net / path };
  });
}

/**
 * How far the prompts are from where they began and from the vocabulary. `await startBackend()` before.
 * @param initRows for each prompt the vocabulary row of its initial word
 * @param progress told how many of how many epochs are done
 */
export async function driftOf(
  { epochs, points }: Trajectories, vocabulary: Points, initRows: readonly number[],
  progress?: (done: number, total: number) => void,
): Promise<Drift> {
  const [start] = points;
  const rows = initRows.map((_, row) => row);
  const toVocabulary: Float64Array[] = [];
  const initNearest: number[] = [];
  for (const [i, now] of points.entries()) {
    const found = findNeighbours(now, vocabulary, { epsilon: 0 });
    toVocabulary.push(found.nearestDistance);
    initNearest.push(initRows.filter((token, row) => found.nearestRow[row] === token).length / rows.length);
    progress?.(i + 1, epochs.length);
    await new Promise(setImmediate); // lets a progress bar be drawn
  }
  return {
    displacement: points.map((now) => Float64Array.from(rows, (row) => lengthBetween(start, now, row))),
    fromStart: points.map((now) => Float64Array.from(rows, (row) => cosineBetween(start, now, row))),
    toVocabulary,
    initNearest,
  };
}

/** Median and middle 80 % of one number of all prompts, at every epoch. */
export function bandOf(name: string, values: readonly Float64Array[]): BandCurve {
  const at = (probability: number) => values.map((row) => quantile([...row], probability));
  return { name, low: at(0.1), middle: at(0.5), high: at(0.9) };
}

/** The length of the sum of steps of these lengths in random directions. */
function walkLength(steps: readonly number[], dModel: number, random: Random): number {
  return steps.reduce((length, step) => (
    Math.sqrt(Math.max(0, length ** 2 + step ** 2 + 2 * length * step * randomCosine(dModel, random)))
  ), 0);
}

/**
 * Cosine between a fixed and a random direction: t/√(t² + ν) with Student's t of ν = dModel − 1 degrees of freedom,
 * which is drawn from two uniforms (Bailey 1994, doi:10.1090/S0025-5718-1994-1219702-8).
 */
function randomCosine(dModel: number, random: Random): number {
  const freedom = dModel - 1;
  const radius = Math.sqrt(freedom * ((1 - random.uniform()) ** (-2 / freedom) - 1));
  const t = radius * Math.cos(2 * Math.PI * random.uniform());
  return t / Math.sqrt(t ** 2 + freedom);
}

function lengthBetween(from: Points, to: Points, row: number): number {
  const a = pointAt(from, row);
  const difference = Float64Array.from(pointAt(to, row), (value, k) => value - a[k]);
  return Math.sqrt(dotProduct(difference, difference));
}

function cosineBetween(from: Points, to: Points, row: number): number {
  const [a, b] = [pointAt(from, row), pointAt(to, row)];
  return cosineDistanceOf(dotProduct(a, b), dotProduct(a, a), dotProduct(b, b));
}
