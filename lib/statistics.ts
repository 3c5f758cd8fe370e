/**
 * Correlation between the distances of different init words (end of section 3.1 of the paper).
 */
import betainc = require('@stdlib/math-base-special-betainc');
import { distanceBetween, type Convention, type DistanceMatrix } from './distances';
import type { PromptLabel } from './points';
import type { Random } from './random';

// simple-statistics has a CommonJS build, but types for its ES module build only.
const { max, median, min, sampleCorrelation } = require('simple-statistics') as {
  readonly max: (values: readonly number[]) => number;
  readonly median: (values: readonly number[]) => number;
  readonly min: (values: readonly number[]) => number;
  readonly sampleCorrelation: (x: readonly number[], y: readonly number[]) => number;
};

/** Pearson's correlation of two sequences. */
export interface Correlation {
  /** −1 … 1 */
  readonly r: number;
  /** two-sided p-value of r = 0 for independent normal pairs; 0 below about 1e-308 */
  readonly p: number;
  /** length of the sequences */
  readonly count: number;
}

/** The correlation between the distance sequences of two init words. */
export interface WordCorrelation extends Correlation {
  readonly first: string;
  readonly second: string;
}

/** The distances among the prompts of one init word, in an order that is the same for every word. */
export interface WordSequence {
  readonly word: string;
  readonly distances: readonly number[];
}

export interface CorrelationSummary {
  readonly pairs: number;
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly smallestP: number;
  readonly medianP: number;
  readonly largestP: number;
}

/** A Mantel test: the correlation of two distance matrices and how often chance does as well. */
export interface MantelResult {
  readonly r: number;
  /** share of permutations, the identity among them, with a correlation at least as large (one-sided) */
  readonly p: number;
  readonly permutations: number;
}

/**
 * Pearson's correlation with its two-sided p-value, `I_{1 − r²}((n − 2)/2, 1/2)`: the t test of r as a
 * regularised incomplete beta function, which stays accurate where 1 − CDF would be 0.
 * Throws where the lengths differ, are below 3, or a sequence is constant or not finite.
 */
export function pearson(x: readonly number[], y: readonly number[]): Correlation {
  if (x.length !== y.length) throw new Error(`pearson: sequences of ${x.length} and ${y.length} numbers`);
  if (x.length < 3) throw new Error(`pearson: ${x.length} pairs of numbers, expected at least 3`);
  const r = correlation(x, y);
  const p = betainc((1 - r) * (1 + r), (x.length - 2) / 2, 0.5, true, false);
  return { r, p, count: x.length };
}

/**
 * For every init word the distances among its prompts. `published`: all ordered pairs, each prompt with
 * itself too (24² = 576 in the paper); `corrected`: the unordered pairs of different prompts (276).
 * Throws where a word lacks a (task, seed, position) that another word has, or has one twice.
 */
export function wordSequences(
  distances: DistanceMatrix,
  labels: readonly PromptLabel[],
  convention: Convention,
): WordSequence[] {
  return [...rowsByWord(distances, labels)].map(([word, rows]) => ({
    word,
    distances: rows.flatMap((i, k) =>
      (convention === 'published' ? rows : rows.slice(k + 1)).map((j) => distanceBetween(distances, i, j)),
    ),
  }));
}

/**
 * The correlation of every pair of init words, each once; `published` also each word with itself (r = 1).
 *
 * The p-values are as in the paper and too small: the distances of one matrix are not independent of each
 * other (each prompt is in many of them). `mantelTest` asks the same question fairly.
 */
export function wordCorrelations(
  distances: DistanceMatrix,
  labels: readonly PromptLabel[],
  convention: Convention,
): WordCorrelation[] {
  const sequences = wordSequences(distances, labels, convention);
  return sequences.flatMap((a, i) =>
    sequences.slice(convention === 'published' ? i : i + 1).map((b) => ({
      first: a.word,
      second: b.word,
      ...pearson(a.distances, b.distances),
    })),
  );
}

/** Smallest, middle and largest r, and the same of p. Throws where there is no pair. */
export function summarizeCorrelations(correlations: readonly Correlation[]): CorrelationSummary {
  if (correlations.length === 0) throw new Error('correlations: none, expected at least one pair of words');
  const r = correlations.map((pair) => pair.r);
  const p = correlations.map((pair) => pair.p);
  return {
    pairs: r.length,
    min: min(r),
    median: median(r),
    max: max(r),
    smallestP: min(p),
    medianP: median(p),
    largestP: max(p),
  };
}

/**
 * Mantel's test (1967) between two init words: the prompts of the second word are shuffled as whole points,
 * so that the dependence among distances is kept. The smallest possible p is 1 / (permutations + 1).
 * Throws as wordSequences, and where a word is not in the labels or has fewer than 3 prompts.
 */
export function mantelTest(
  distances: DistanceMatrix,
  labels: readonly PromptLabel[],
  words: readonly [string, string],
  permutations: number,
  random: Random,
): MantelResult {
  const byWord = rowsByWord(distances, labels);
  const [first, second] = words.map((word) => {
    const rows = byWord.get(word);
    if (!rows) throw new Error(`mantelTest: no prompts of the word ${JSON.stringify(word)}`);
    if (rows.length < 3) {
      throw new Error(`mantelTest: ${rows.length} prompts of ${word}, expected at least 3`);
    }
    return rows;
  });
  const sequence = (rows: readonly number[]): number[] =>
    rows.flatMap((i, k) => rows.slice(k + 1).map((j) => distanceBetween(distances, i, j)));
  const fixed = sequence(first);
  const r = correlation(fixed, sequence(second));
  let atLeast = 1;
  for (let k = 0; k < permutations; k++) {
    const shuffled = random.permutation(second.length).map((i) => second[i]);
    if (correlation(fixed, sequence(shuffled)) >= r - 1e-12) atLeast++;
  }
  return { r, p: atLeast / (permutations + 1), permutations };
}

/** r, kept within −1 … 1 against rounding. */
function correlation(x: readonly number[], y: readonly number[]): number {
  const r = sampleCorrelation([...x], [...y]);
  if (!Number.isFinite(r)) throw new Error('pearson: a sequence is constant or not finite');
  return Math.min(1, Math.max(-1, r));
}

/** The rows of every word's prompts, sorted alike: by task (in order of appearance), seed and position. */
function rowsByWord(distances: DistanceMatrix, labels: readonly PromptLabel[]): Map<string, number[]> {
  if (labels.length !== distances.count) {
    throw new Error(`labels: ${labels.length} for a matrix of ${distances.count} points`);
  }
  const places = [...new Set(labels.map(placeOf))];
  const byWord = new Map(labels.map((label) => [label.word, new Array<number>(places.length)]));
  labels.forEach((label, row) => {
    const rows = byWord.get(label.word) as number[];
    const place = places.indexOf(placeOf(label));
    if (rows[place] !== undefined) throw new Error(`labels: word ${label.word} twice for ${places[place]}`);
    rows[place] = row;
  });
  for (const [word, rows] of byWord) {
    const missing = places.find((_, place) => rows[place] === undefined);
    if (missing) throw new Error(`labels: word ${word} has no prompt for ${missing}, expected a full grid`);
  }
  return byWord;
}

function placeOf(label: PromptLabel): string {
  return `task ${label.task}, seed ${label.seed}, position ${label.position}`;
}
