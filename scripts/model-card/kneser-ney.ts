/**
 * A 3-gram model to hold the embedded model's perplexity against: interpolated modified Kneser-Ney smoothing
 * (Chen and Goodman 1998, An empirical study of smoothing techniques for language modeling, section 3).
 */
import { vocabularySize } from '../../lib/tokenizer';

/** Counts of n-grams, as numbers in base `vocabularySize`, and per context what was discounted. */
interface Order {
  readonly codes: Float64Array;
  readonly counts: Float64Array;
  /** by count: 0, 1, 2, 3 or more */
  readonly discounts: readonly number[];
  readonly contexts: Float64Array;
  readonly totals: Float64Array;
  readonly left: Float64Array;
}

/** Natural logarithm of the probability of `w` after `u v`. */
export type Trigram = (u: number, v: number, w: number) => number;

export function trainTrigram(tokens: Uint16Array): Trigram {
  const trigrams = countOf(Float64Array.from(
    { length: tokens.length - 2 }, (_, i) => (tokens[i] * vocabularySize + tokens[i + 1]) * vocabularySize + tokens[i + 2]));
  const bigrams = countOf(trigrams.codes.map((code) => code % vocabularySize ** 2));
  const unigrams = countOf(bigrams.codes.map((code) => code % vocabularySize));
  const [three, two, one] = [trigrams, bigrams, unigrams].map(orderOf);
  return (u, v, w) => {
    const p1 = probability(one, w, 1 / vocabularySize);
    const p2 = probability(two, v * vocabularySize + w, p1);
    return Math.log(probability(three, (u * vocabularySize + v) * vocabularySize + w, p2));
  };
}

/** Different codes in order, and how often each occurs. Below the highest order these are continuations. */
function countOf(codes: Float64Array): { codes: Float64Array; counts: Float64Array } {
  const sorted = codes.slice().sort();
  let distinct = 0;
  const counts = new Float64Array(sorted.length);
  for (let i = 0; i < sorted.length; i++) {
    if (i === 0 || sorted[i] !== sorted[distinct - 1]) sorted[distinct++] = sorted[i];
    counts[distinct - 1]++;
  }
  return { codes: sorted.slice(0, distinct), counts: counts.slice(0, distinct) };
}

function orderOf({ codes, counts }: { codes: Float64Array; counts: Float64Array }): Order {
  const n = [0, 0, 0, 0, 0];
  for (const count of counts) if (count <= 4) n[count]++;
  const y = n[1] / (n[1] + 2 * n[2]);
  const discounts = [0, 1 - (2 * y * n[2]) / n[1], 2 - (3 * y * n[3]) / n[2], 3 - (4 * y * n[4]) / n[3]];
  const contexts = countOf(codes.map((code) => Math.floor(code / vocabularySize))).codes;
  const [totals, left] = [new Float64Array(contexts.length), new Float64Array(contexts.length)];
  let place = 0;
  codes.forEach((code, i) => {
    while (contexts[place] !== Math.floor(code / vocabularySize)) place++;
    totals[place] += counts[i];
    left[place] += discounts[Math.min(counts[i], 3)];
  });
  return { codes, counts, discounts, contexts, totals, left };
}

function probability(order: Order, code: number, lower: number): number {
  const context = find(order.contexts, Math.floor(code / vocabularySize));
  if (context < 0) return lower;
  const place = find(order.codes, code);
  const count = place < 0 ? 0 : order.counts[place];
  const own = count - order.discounts[Math.min(count, 3)];
  return (own + order.left[context] * lower) / order.totals[context];
}

/** The place of a number in an ascending list, −1 where it is not there. */
function find(ascending: Float64Array, wanted: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return ascending[low] === wanted ? low : -1;
}
