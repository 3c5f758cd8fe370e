/**
 * How much do initial word, task and position explain of where prompts lie? PERMANOVA: analysis of variance on
 * dissimilarities (Anderson 2001, doi:10.1111/j.1442-9993.2001.01070.pp.x; McArdle and Anderson 2001).
 *
 * Sums of squares are sums of *squared* dissimilarities, so what goes in matters. `chordDistances` of cosine
 * distances are the Euclidean distances between directions, √(2·(1 − cosine)). Their squares are twice the paper's,
 * hence the shares are those of an ordinary analysis of variance of the unit vectors, never negative, and the share
 * of the word is 1 − (mean of table 1) / (mean over all prompts), both in the `published` convention. The cosine
 * distances themselves, as scikit-bio and vegan would take them, weigh far pairs more; both can be compared.
 *
 * A run's positions are trained together, so runs are the units and positions lie within them (a split plot):
 *   word, task: whole runs change places, measured against what differs between runs beyond word and task;
 *   position: positions change places within each run, measured against the rest within runs.
 * Exchangeable, if word has no effect, are runs of one task and one seed (their data come in one order); if task has no
 * effect, runs of one word and seed. These permutations leave the other terms as they are, so the pseudo-F orders them
 * as the factor's own sum does (Anderson and ter Braak 2003, doi:10.1080/00949650215733).
 */
import { bootstrapClasses, checkFullGrid, type BootstrapOptions, type Interval, type PairClass } from './bootstrap';
import { groupRows, type DistanceMatrix } from './distances';
import type { PromptLabel } from './points';
import type { Random } from './random';

export type Factor = 'word' | 'task' | 'position';

/** A term of the analysis. */
export interface VarianceTerm {
  readonly freedom: number;
  readonly sumOfSquares: number;
  /** of the total, 0–1: R² */
  readonly share: number;
}

export interface FactorEffect extends VarianceTerm {
  readonly factor: Factor;
  /** NaN where the factor has one level or nothing is left to measure it against */
  readonly pseudoF: number;
  /** share of permutations, the identity among them, that explain at least as much; at least 1/(permutations + 1) */
  readonly p: number;
  /** mean R² of the permutations: what as many levels explain by chance */
  readonly chance: number;
}

export interface Permanova {
  /** word, task and position; they and the two residuals add up to the total */
  readonly effects: readonly FactorEffect[];
  /** between runs: word × task, and chance */
  readonly betweenRuns: VarianceTerm;
  /** within runs, beyond what a position has in common everywhere */
  readonly withinRuns: VarianceTerm;
  readonly total: VarianceTerm;
  readonly permutations: number;
}

export interface PermanovaOptions {
  readonly random: Random;
  /** default 9999 */
  readonly permutations?: number;
  /** told now and then how many of how many permutations are done */
  readonly progress?: (done: number, total: number) => void;
}

const FACTORS: readonly Factor[] = ['word', 'task', 'position'];

/** Distances between directions, 0 … 2: √(2·cosine distance). */
export function chordDistances(cosine: DistanceMatrix): DistanceMatrix {
  if (cosine.metric !== 'cosine') throw new Error(`chordDistances: expected cosine distances, found ${cosine.metric}`);
  return { ...cosine, metric: 'euclidean', data: cosine.data.map((distance) => Math.sqrt(2 * distance)) };
}

/**
 * The analysis of a full grid of prompts. Throws where the grid has holes or a prompt twice.
 * Cost: with 240 prompts about 0.1 ms a permutation.
 */
export async function permanova(
  distances: DistanceMatrix, labels: readonly PromptLabel[], options: PermanovaOptions,
): Promise<Permanova> {
  checkFullGrid(labels, distances.count);
  const { permutations = 9999, random, progress } = options;
  const squares = { ...distances, data: distances.data.map((distance) => distance ** 2) };
  const { runs, labelsOfRuns, sums } = sumByRun(squares, labels);
  const total = withinSum(squares, 1, [[...labels.keys()]]);
  const designs: Readonly<Record<Factor, Design>> = {
    word: designOf(sums, labels.length / runs.length, labelsOfRuns, 'word', ['task', 'seed']),
    task: designOf(sums, labels.length / runs.length, labelsOfRuns, 'task', ['word', 'seed']),
    position: designOf(squares, 1, labels, 'position', ['task', 'word', 'seed']),
  };
  const own = FACTORS.map((factor) => ({
    freedom: designs[factor].groups.length - 1,
    sumOfSquares: total - withinSum(designs[factor].units, designs[factor].promptsPerUnit, designs[factor].groups),
  }));
  const [word, task, position] = own;
  const insideRuns = withinSum(squares, 1, runs);
  const term = (freedom: number, sumOfSquares: number): VarianceTerm => (
    { freedom, sumOfSquares, share: sumOfSquares / total });
  const betweenRuns = term(runs.length - 1 - word.freedom - task.freedom,
    total - insideRuns - word.sumOfSquares - task.sumOfSquares);
  const withinRuns = term(labels.length - runs.length - position.freedom, insideRuns - position.sumOfSquares);

  const effects: FactorEffect[] = [];
  for (const [i, factor] of FACTORS.entries()) {
    const { freedom, sumOfSquares } = own[i];
    const residual = factor === 'position' ? withinRuns : betweenRuns;
    const sampled = await permute(designs[factor], permutations, random, (done) => (
      progress?.(i * permutations + done, FACTORS.length * permutations)));
    const explained = sampled.map((within) => total - within);
    const atLeast = explained.filter((sum) => sum >= sumOfSquares - 1e-12 * total).length;
    effects.push({
      factor, ...term(freedom, sumOfSquares),
      pseudoF: freedom > 0 && residual.freedom > 0
        ? (sumOfSquares / freedom) / (residual.sumOfSquares / residual.freedom) : NaN,
      p: (atLeast + 1) / (permutations + 1),
      chance: explained.reduce((sum, value) => sum + value, 0) / permutations / total,
    });
  }
  return { effects, betweenRuns, withinRuns, total: term(labels.length - 1, total), permutations };
}

/**
 * R² of word, task and position and how much more the word explains than the task, with bootstrap intervals (words and
 * tasks resampled, see bootstrap.ts). Throws as permanova.
 */
export function shareIntervals(
  distances: DistanceMatrix, labels: readonly PromptLabel[], options: BootstrapOptions,
): Readonly<Record<Factor | 'wordMinusTask', Interval>> {
  const squares = { ...distances, data: distances.data.map((distance) => distance ** 2) };
  const [word, task, position, wordMinusTask] = bootstrapClasses(squares, labels, (classes) => {
    const ofWord = explainedShare(classes, ({ sameWord }) => sameWord);
    const ofTask = explainedShare(classes, ({ sameTask }) => sameTask);
    return [ofWord, ofTask, explainedShare(classes, ({ samePosition }) => samePosition), ofWord - ofTask];
  }, options);
  return { word, task, position, wordMinusTask };
}

/**
 * R² of the factor that the chosen classes of pairs share, from the classes' mean squared dissimilarities (or cosine
 * distances: half the squared chord distances). Every level has equally many prompts n, hence N·(n − 1)/2 such pairs.
 */
export function explainedShare(classes: readonly PairClass[], same: (pairs: PairClass) => boolean): number {
  const pairs = classes.reduce((sum, { count }) => sum + count, 0);
  const prompts = (1 + Math.sqrt(1 + 8 * pairs)) / 2;
  const shared = classes.filter(same);
  const perLevel = 1 + (2 * shared.reduce((sum, { count }) => sum + count, 0)) / prompts;
  const sumOf = (some: readonly PairClass[]) => some.reduce((sum, { count, mean }) => sum + count * mean, 0);
  return 1 - (sumOf(shared) / perLevel) / (sumOf(classes) / prompts);
}

/** Sums of squared dissimilarities between units: all pairs of their prompts, both orders. */
interface UnitSums {
  readonly count: number;
  /** [count, count], row-major */
  readonly data: Float64Array;
}

interface Design {
  readonly units: UnitSums;
  readonly promptsPerUnit: number;
  /** the units of each level */
  readonly groups: readonly (readonly number[])[];
  /** units that may change places */
  readonly blocks: readonly (readonly number[])[];
}

function designOf(
  units: UnitSums, promptsPerUnit: number, labels: readonly PromptLabel[],
  factor: Factor, exchangeableWithin: readonly (keyof PromptLabel)[],
): Design {
  const rowsBy = (keys: readonly (keyof PromptLabel)[]) => groupRows(labels, keys).map(({ rows }) => rows);
  return { units, promptsPerUnit, groups: rowsBy([factor]), blocks: rowsBy(exchangeableWithin) };
}

function sumByRun(squares: DistanceMatrix, labels: readonly PromptLabel[]): {
  readonly runs: readonly (readonly number[])[];
  readonly labelsOfRuns: readonly PromptLabel[];
  readonly sums: UnitSums;
} {
  const runs = groupRows(labels, ['task', 'word', 'seed']).map(({ rows }) => rows);
  const data = new Float64Array(runs.length ** 2);
  runs.forEach((rows, a) => runs.forEach((others, b) => {
    for (const i of rows) for (const j of others) data[a * runs.length + b] += squares.data[i * squares.count + j];
  }));
  return { runs, labelsOfRuns: runs.map(([first]) => labels[first]), sums: { count: runs.length, data } };
}

/** Sum of squares within groups: over each group its squared dissimilarities, each pair once, by its prompts. */
function withinSum(
  { count, data }: UnitSums, promptsPerUnit: number, groups: readonly (readonly number[])[],
): number {
  let within = 0;
  for (const units of groups) {
    let sum = 0;
    for (let a = 0; a < units.length; a++) {
      const row = units[a] * count;
      sum += data[row + units[a]] / 2;
      for (let b = 0; b < a; b++) sum += data[row + units[b]];
    }
    within += sum / (units.length * promptsPerUnit);
  }
  return within;
}

/** The sums within groups when units change places within their blocks. */
async function permute(
  { units, promptsPerUnit, groups, blocks }: Design, permutations: number, random: Random,
  progress: (done: number) => void,
): Promise<number[]> {
  const place = Array.from({ length: units.count }, (_, unit) => unit);
  const sums: number[] = [];
  for (let done = 0; done < permutations; done++) {
    for (const block of blocks) {
      random.permutation(block.length).forEach((from, to) => (place[block[to]] = block[from]));
    }
    sums.push(withinSum(units, promptsPerUnit, groups.map((group) => group.map((unit) => place[unit]))));
    if (done % 500 === 499 || done === permutations - 1) {
      progress(done + 1);
      await new Promise(setImmediate); // lets a progress bar be drawn
    }
  }
  return sums;
}
