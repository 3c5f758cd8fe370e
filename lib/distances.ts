/**
 * Distances between points of the embedding space and their means over groups of prompts
 * (section 3.1 of the paper: tables 1 and 2, figures 3 and 5).
 *
 * Everything is summed in double precision; meant for up to a few thousand points.
 */
import { pointAt, selectPoints, type Points } from './points';
import { spreadOf, type Spread } from './spread';

/**
 * How a statistic is computed: `published` as the paper's authors did, `corrected` as it should be.
 * For mean distances, `published` averages over all ordered pairs, each point with itself (distance 0)
 * included; `corrected` over the unordered pairs of different points. For n points
 * published = corrected · (n − 1) / n.
 */
export type Convention = 'published' | 'corrected';

/** `cosine`: 1 − similarity, 0 (same direction) to 2 (opposite). `euclidean`: length of the difference. */
export type Metric = 'cosine' | 'euclidean';

/** Distances between all pairs of points: symmetric, zero on the diagonal. */
export interface DistanceMatrix {
  readonly metric: Metric;
  readonly count: number;
  /** [count, count], row-major */
  readonly data: Float64Array;
}

/** The mean distance within one group of points. */
export interface GroupMean {
  /** how many points are in the group */
  readonly points: number;
  /** NaN in the corrected convention where the group has a single point, hence no pair */
  readonly mean: number;
}

/** A point's group: the values of the labels it is grouped by, and the mean of the group. */
export type LabelledMean<L, K extends keyof L> = Pick<L, K> & GroupMean;

/** A bar of figures 3 and 5: mean over the seeds of the group's mean distance, and how far the seeds differ. */
export type SeedMean<K extends keyof GridLabel> = LabelledMean<GridLabel, K> & Spread;

/** What figures 3 and 5 need to know of a prompt vector: a PromptLabel has it all. */
interface GridLabel {
  readonly task: string;
  readonly word: string;
  readonly seed: number;
  readonly position: number;
}

/** The three panels of figures 3 and 5. */
export interface ComparisonGroups {
  /** one mean for each (task, word): how far the positions of a prompt lie from each other */
  readonly betweenPositions: readonly SeedMean<'task' | 'word'>[];
  /** one mean for each (word, position): how far the tasks lie from each other */
  readonly betweenTasks: readonly SeedMean<'word' | 'position'>[];
  /** one mean for each (task, position): how far the init words lie from each other */
  readonly betweenWords: readonly SeedMean<'task' | 'position'>[];
}

/**
 * Distances between all pairs of points.
 * Throws where a point is not finite, and for `cosine` where a point is the zero vector, naming its row.
 */
export function distanceMatrix(points: Points, metric: Metric): DistanceMatrix {
  const { count } = points;
  const squares = squaredLengths(points, 'points', metric === 'cosine');
  const data = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    const a = pointAt(points, i);
    for (let j = i + 1; j < count; j++) {
      const b = pointAt(points, j);
      const distance = metric === 'cosine'
        ? cosineDistanceOf(dotProduct(a, b), squares[i], squares[j])
        : euclideanDistance(a, b);
      data[i * count + j] = distance;
      data[j * count + i] = distance;
    }
  }
  return { metric, count, data };
}

/** The distance between two points of a matrix. Throws where a row does not exist. */
export function distanceBetween(distances: DistanceMatrix, i: number, j: number): number {
  const distance = distances.data[i * distances.count + j];
  if (!(i >= 0 && j >= 0 && i < distances.count && j < distances.count) || distance === undefined) {
    throw new Error(`distances: rows ${i} and ${j} of ${distances.count}`);
  }
  return distance;
}

/** Mean distance over the pairs of the chosen rows (default: all), see Convention. NaN without any pair. */
export function meanDistance(
  distances: DistanceMatrix,
  convention: Convention,
  rows: readonly number[] = [...Array(distances.count).keys()],
): number {
  let sum = 0;
  rows.forEach((i, first) => {
    for (const j of rows.slice(first + 1)) sum += distanceBetween(distances, i, j);
  });
  const n = rows.length;
  return convention === 'published' ? (2 * sum) / (n * n) : (2 * sum) / (n * (n - 1));
}

/**
 * Mean distance within each group of points that agree in the labels `keys`, in order of first appearance.
 * Table 1 is `groupMeans(distances, labels, ['word'], 'published')`, table 2 the same with `['task']`.
 * A grid with holes is no error: the mean is over the points there are, and `points` says how many.
 * @param labels one for each row of the matrix
 */
export function groupMeans<L extends object, K extends keyof L>(
  distances: DistanceMatrix,
  labels: readonly L[],
  keys: readonly K[],
  convention: Convention,
): LabelledMean<L, K>[] {
  if (labels.length !== distances.count) {
    throw new Error(`labels: ${labels.length} for a matrix of ${distances.count} points`);
  }
  return groupRows(labels, keys).map(({ group, rows }) => ({
    ...group,
    points: rows.length,
    mean: meanDistance(distances, convention, rows),
  }));
}

/** The rows that agree in the labels `keys`, group by group, in order of first appearance. */
export function groupRows<L extends object, K extends keyof L>(
  labels: readonly L[],
  keys: readonly K[],
): { readonly group: Pick<L, K>; readonly rows: number[] }[] {
  const groups = new Map<string, { group: Pick<L, K>; rows: number[] }>();
  labels.forEach((label, row) => {
    const name = JSON.stringify(keys.map((key) => label[key]));
    const known = groups.get(name);
    if (known) known.rows.push(row);
    else groups.set(name, { group: pick(label, keys), rows: [row] });
  });
  return [...groups.values()];
}

/**
 * The groups of figures 3 (cosine) and 5 (Euclidean). Exactly one label varies within a group: where there
 * are several seeds, each seed makes its own group, and the bar is the mean over the seeds, with their standard
 * deviation: NaN in the corrected convention where a seed's group is a single point.
 */
export function comparisonGroups(
  distances: DistanceMatrix,
  labels: readonly GridLabel[],
  convention: Convention,
): ComparisonGroups {
  const bars = <K extends 'task' | 'word' | 'position'>(keys: readonly K[]): SeedMean<K>[] => {
    const perSeed = groupMeans(distances, labels, [...keys, 'seed' as const], convention);
    return groupRows(perSeed as readonly (Pick<GridLabel, K> & GroupMean)[], keys).map(({ group, rows }) => ({
      ...group,
      points: rows.reduce((sum, row) => sum + perSeed[row].points, 0),
      ...spreadOf(rows.map((row) => perSeed[row].mean)),
    })) as SeedMean<K>[];
  };
  return {
    betweenPositions: bars(['task', 'word']),
    betweenTasks: bars(['word', 'position']),
    betweenWords: bars(['task', 'position']),
  };
}

/**
 * Mean distance between chosen rows of a vocabulary: the dashed line of figures 3 and 5.
 * The paper takes 100 random rows; draw them with a seeded stream, so that the line is always the same.
 */
export function meanSampleDistance(
  vocabulary: Points,
  rows: readonly number[],
  metric: Metric,
  convention: Convention,
): number {
  return meanDistance(distanceMatrix(selectPoints(vocabulary, rows), metric), convention);
}

/**
 * Squared length of every point, in double precision.
 * Throws where a point is not finite, or is the zero vector and `refuseZero` is set: it has no direction.
 */
export function squaredLengths(points: Points, name: string, refuseZero: boolean): Float64Array {
  return Float64Array.from({ length: points.count }, (_, row) => {
    const point = pointAt(points, row);
    const square = dotProduct(point, point);
    if (!Number.isFinite(square)) throw new Error(`${name}: row ${row} has a number that is not finite`);
    if (refuseZero && square === 0) {
      throw new Error(`${name}: row ${row} is the zero vector, which has no cosine distance`);
    }
    return square;
  });
}

/** Sum of products in double precision. */
export function dotProduct(a: Float32Array | Float64Array, b: Float32Array | Float64Array): number {
  // Four sums at once, as each addition would have to wait for the one before.
  const whole = a.length & ~3;
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  for (let k = 0; k < whole; k += 4) {
    s0 += a[k] * b[k];
    s1 += a[k + 1] * b[k + 1];
    s2 += a[k + 2] * b[k + 2];
    s3 += a[k + 3] * b[k + 3];
  }
  for (let k = whole; k < a.length; k++) s0 += a[k] * b[k];
  return s0 + s1 + (s2 + s3);
}

/**
 * 1 − cosine from a dot product and the two squared lengths, kept within 0 … 2 against rounding.
 * √(s·s) is exactly s, so equal rows are at distance exactly 0.
 */
export function cosineDistanceOf(dot: number, squareA: number, squareB: number): number {
  return Math.min(2, Math.max(0, 1 - dot / Math.sqrt(squareA * squareB)));
}

function euclideanDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k] - b[k]) ** 2;
  return Math.sqrt(sum);
}

function pick<L extends object, K extends keyof L>(label: L, keys: readonly K[]): Pick<L, K> {
  return Object.fromEntries(keys.map((key) => [key, label[key]])) as Pick<L, K>;
}
