/**
 * Bootstrap intervals for the mean distances of a grid of prompts.
 *
 * Prompts of one run, one word or one task are not independent, so single prompts or pairs must not be resampled.
 * What a repetition of the study would draw anew are initial words and tasks: both are drawn with replacement, and a
 * run counts as often as its word times as often as its task was drawn (Owen 2007, "The pigeonhole bootstrap",
 * doi:10.1214/07-AOAS122). Positions and seeds stay: positions are fixed, seeds are too few and averaged over.
 * Copies of a word or task are not paired with each other, since a distance to oneself tells nothing.
 *
 * The method is conservative where runs differ by chance alone, and too narrow where there are very few words or tasks:
 * read the intervals of 6 tasks as a rough guide. Two words or tasks cannot be resampled: they are as if fixed.
 */
import { groupRows, type DistanceMatrix } from './distances';
import type { PromptLabel } from './points';
import type { Random } from './random';

// simple-statistics has a CommonJS build, but types for its ES module build only.
const { quantile } = require('simple-statistics') as {
  readonly quantile: (values: readonly number[], probability: number) => number;
};

/** The unordered pairs of different prompts that share exactly these labels. */
export interface PairClass {
  readonly sameWord: boolean;
  readonly sameTask: boolean;
  readonly sameSeed: boolean;
  readonly samePosition: boolean;
  readonly count: number;
  /** mean distance of the pairs */
  readonly mean: number;
}

/** A number and the interval that it lies in with the chosen confidence. */
export interface Interval {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  readonly random: Random;
  /** default 1999 */
  readonly resamples?: number;
  /** 0–1, default 0.95; the interval cuts off the same share on both sides (percentile method) */
  readonly confidence?: number;
}

/** The mean distance, in the corrected convention, of the prompts that share a word or a task. */
export type GroupInterval<Key extends 'word' | 'task'> = Pick<PromptLabel, Key> & Interval;

/**
 * Pairs, summed where class, words and tasks are the same: one number a cell in each array. Plain arrays, because every
 * resample goes through all cells.
 */
interface Cells {
  /** what the pairs share: 1 word + 2 task + 4 seed + 8 position */
  readonly kind: Int32Array;
  readonly word: Int32Array;
  readonly otherWord: Int32Array;
  readonly task: Int32Array;
  readonly otherTask: Int32Array;
  readonly count: Float64Array;
  readonly sum: Float64Array;
  readonly words: number;
  readonly tasks: number;
}

/** All pairs of a full grid by what they share. Throws where the grid has holes or a prompt twice. */
export function pairClasses(distances: DistanceMatrix, labels: readonly PromptLabel[]): PairClass[] {
  return classesOnce(cellsOf(distances, labels));
}

/** Mean distance over all pairs of the chosen classes (default: all). NaN where there is none. */
export function meanOfClasses(
  classes: readonly PairClass[], chosen: (pairs: PairClass) => boolean = () => true,
): number {
  const own = classes.filter(chosen);
  const pairs = own.reduce((sum, { count }) => sum + count, 0);
  return own.reduce((sum, { count, mean }) => sum + count * mean, 0) / pairs;
}

/**
 * Numbers that depend on the mean distances of the classes, with bootstrap intervals (see above).
 * Each resample has the classes and counts of the grid, with means of the words and tasks drawn.
 * Throws as pairClasses.
 */
export function bootstrapClasses(
  distances: DistanceMatrix,
  labels: readonly PromptLabel[],
  statistics: (classes: readonly PairClass[]) => readonly number[],
  { random, resamples = 1999, confidence = 0.95 }: BootstrapOptions,
): Interval[] {
  const cells = cellsOf(distances, labels);
  const estimates = statistics(classesOnce(cells));
  const drawn = Array.from({ length: resamples }, () => (
    statistics(classesOf(cells, drawTimes(cells.words, random), drawTimes(cells.tasks, random)))));
  return estimates.map((estimate, i) => {
    const values = drawn.map((resample) => resample[i]);
    const [low, high] = [(1 - confidence) / 2, (1 + confidence) / 2].map((part) => quantile(values, part));
    return { estimate, low, high };
  });
}

/**
 * Tables 1 (`key` word) and 2 (task) in the corrected convention, each group's mean with its interval. Within a word
 * only the tasks can be resampled, within a task the words. Throws as pairClasses.
 */
export function groupIntervals<Key extends 'word' | 'task'>(
  distances: DistanceMatrix, labels: readonly PromptLabel[], key: Key, options: BootstrapOptions,
): GroupInterval<Key>[] {
  return groupRows(labels, [key]).map(({ group, rows }) => {
    const own = rows.map((row) => labels[row]);
    const within = selectDistances(distances, rows);
    const [interval] = bootstrapClasses(within, own, (classes) => [meanOfClasses(classes)], options);
    return { ...group, ...interval };
  });
}

function selectDistances({ metric, count, data }: DistanceMatrix, rows: readonly number[]): DistanceMatrix {
  const selected = rows.flatMap((i) => rows.map((j) => data[i * count + j]));
  return { metric, count: rows.length, data: Float64Array.from(selected) };
}

/** How often each of `count` levels comes up in `count` draws; not one level alone, which would leave no pair. */
function drawTimes(count: number, random: Random): number[] {
  for (;;) {
    const times = new Array<number>(count).fill(0);
    for (let draw = 0; draw < count; draw++) times[random.integers(count)]++;
    if (count === 1 || !times.includes(count)) return times;
  }
}

function classesOnce(cells: Cells): PairClass[] {
  return classesOf(cells, new Array<number>(cells.words).fill(1), new Array<number>(cells.tasks).fill(1));
}

/** The classes of the cells with every word and task taken so many times; counts are those of the grid. */
function classesOf(cells: Cells, wordTimes: readonly number[], taskTimes: readonly number[]): PairClass[] {
  const { kind, word, otherWord, task, otherTask, count, sum } = cells;
  const counts = new Float64Array(16);
  const weights = new Float64Array(16);
  const sums = new Float64Array(16);
  for (let cell = 0; cell < kind.length; cell++) {
    const shared = kind[cell];
    const times = wordTimes[word[cell]] * (shared & 1 ? 1 : wordTimes[otherWord[cell]]) *
      taskTimes[task[cell]] * (shared & 2 ? 1 : taskTimes[otherTask[cell]]);
    counts[shared] += count[cell];
    weights[shared] += times * count[cell];
    sums[shared] += times * sum[cell];
  }
  return [...counts.keys()].filter((shared) => counts[shared] > 0).map((shared) => ({
    sameWord: (shared & 1) > 0, sameTask: (shared & 2) > 0, sameSeed: (shared & 4) > 0, samePosition: (shared & 8) > 0,
    count: counts[shared], mean: sums[shared] / weights[shared],
  }));
}

function cellsOf(distances: DistanceMatrix, labels: readonly PromptLabel[]): Cells {
  checkFullGrid(labels, distances.count);
  const words = levelsOf(labels, 'word');
  const tasks = levelsOf(labels, 'task');
  const wordOf = labels.map(({ word }) => words.indexOf(word));
  const taskOf = labels.map(({ task }) => tasks.indexOf(task));
  const runOf = labels.map((_, row) => wordOf[row] * tasks.length + taskOf[row]);
  const cells = new Map<number, { kind: number; i: number; j: number; count: number; sum: number }>();
  for (let i = 0; i < labels.length; i++) {
    for (let j = i + 1; j < labels.length; j++) {
      const kind = (wordOf[i] === wordOf[j] ? 1 : 0) + (taskOf[i] === taskOf[j] ? 2 : 0) +
        (labels[i].seed === labels[j].seed ? 4 : 0) + (labels[i].position === labels[j].position ? 8 : 0);
      const key = (runOf[i] * words.length * tasks.length + runOf[j]) * 16 + kind;
      const cell = cells.get(key) ?? { kind, i, j, count: 0, sum: 0 };
      cell.count++;
      cell.sum += distances.data[i * distances.count + j];
      cells.set(key, cell);
    }
  }
  const all = [...cells.values()];
  return {
    kind: Int32Array.from(all, ({ kind }) => kind),
    word: Int32Array.from(all, ({ i }) => wordOf[i]),
    otherWord: Int32Array.from(all, ({ j }) => wordOf[j]),
    task: Int32Array.from(all, ({ i }) => taskOf[i]),
    otherTask: Int32Array.from(all, ({ j }) => taskOf[j]),
    count: Float64Array.from(all, ({ count }) => count),
    sum: Float64Array.from(all, ({ sum }) => sum),
    words: words.length,
    tasks: tasks.length,
  };
}

/** The values of a label, in order of first appearance. */
function levelsOf<Key extends keyof PromptLabel>(
  labels: readonly PromptLabel[], key: Key,
): PromptLabel[Key][] {
  return [...new Set(labels.map((label) => label[key]))];
}

/** Throws unless the labels are every combination of their words, tasks, seeds and positions, each once. */
export function checkFullGrid(labels: readonly PromptLabel[], count: number): void {
  if (labels.length !== count) throw new Error(`labels: ${labels.length} for a matrix of ${count} points`);
  const keys = ['word', 'task', 'seed', 'position'] as const;
  const expected = keys.reduce((product, key) => product * levelsOf(labels, key).length, 1);
  const found = groupRows(labels, keys).length;
  if (found !== expected || labels.length !== expected) {
    throw new Error(`labels: expected a full grid, ${expected} combinations of word, task, seed and position ` +
      `once each, found ${found} in ${labels.length} prompts`);
  }
}
