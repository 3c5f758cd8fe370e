/**
 * Which points of a pool lie within cosine distance ε of query points (section 3.2 of the paper).
 *
 * The matrix product finds candidates in single precision, block by block, with a margin for its rounding;
 * each candidate is then measured in double precision, which decides. So at the threshold nothing is left to
 * the rounding of float32: the result does not depend on the backend (TF32 of NVIDIA GPUs included) or on the
 * block size.
 */
import { currentDevice, tf } from './backend';
import { cosineDistanceOf, dotProduct, squaredLengths } from './distances';
import { pointAt, type Points } from './points';

export interface NeighbourOptions {
  /** cosine distance, 0–2; neighbours are strictly closer. The paper uses 0.7. */
  readonly epsilon: number;
  /**
   * For each query the pool row that is this very point, −1 where there is none. A point is never its own
   * neighbour nor its own nearest row. Default: none. Other rows with equal numbers do count.
   */
  readonly ownRows?: readonly number[];
  /** pool rows in one matrix product; bounds the memory, does not change the result */
  readonly blockRows?: number;
}

/** The neighbours of every query. */
export interface Neighbours {
  readonly epsilon: number;
  readonly poolCount: number;
  /** for each query the pool rows within ε, nearest first (equal distances: lower row first) */
  readonly rows: readonly Int32Array[];
  /** the cosine distances that belong to `rows` */
  readonly distances: readonly Float64Array[];
  /** for each query the nearest pool row, also where none is within ε; −1 in a pool without other rows */
  readonly nearestRow: Int32Array;
  /** cosine distance to `nearestRow`; NaN where that is −1 */
  readonly nearestDistance: Float64Array;
}

/** Numbers of neighbours at several ε. */
export interface EpsilonCounts {
  readonly epsilons: readonly number[];
  /** [query, epsilon]: how many pool rows are closer than this ε to this query */
  readonly counts: readonly (readonly number[])[];
}

/** What has been found for one query, in the order of the pool. */
interface Found {
  readonly rows: number[];
  readonly distances: number[];
}

/** Numbers in one block of the product, so that many queries do not make it large: 16 MiB. */
const BLOCK_NUMBERS = 4 * 1024 * 1024;
const LARGEST_BLOCK_ROWS = 4096;

/**
 * All pool rows within ε of each query, and the nearest one. `await startBackend()` before.
 * Throws where the points differ in dModel, are not finite or are zero vectors, naming the row.
 * Leaves no tensors behind.
 * Cost: one product queries × pool, and about a microsecond for each neighbour found.
 */
export function findNeighbours(queries: Points, pool: Points, options: NeighbourOptions): Neighbours {
  const { epsilon } = options;
  checkEpsilon(epsilon);
  const found = Array.from({ length: queries.count }, (): Found => ({ rows: [], distances: [] }));
  const nearestRow = new Int32Array(queries.count).fill(-1);
  const nearestDistance = new Float64Array(queries.count).fill(Infinity);

  scanPool(queries, pool, options, (query, poolRow, exactDistance) => {
    const distance = exactDistance(query, poolRow);
    if (distance < nearestDistance[query]) {
      nearestDistance[query] = distance;
      nearestRow[query] = poolRow;
    }
    if (distance < epsilon) {
      found[query].rows.push(poolRow);
      found[query].distances.push(distance);
    }
    // Rows beyond both ε and the nearest so far can be skipped from here on.
    return Math.max(epsilon, nearestDistance[query]);
  });
  const sorted = found.map(sortByDistance);
  return {
    epsilon,
    poolCount: pool.count,
    rows: sorted.map((list) => list.rows),
    distances: sorted.map((list) => list.distances),
    nearestRow,
    nearestDistance: nearestDistance.map((distance) => (distance === Infinity ? NaN : distance)),
  };
}

/**
 * How many pool rows lie within each of several ε of each query, in one pass and without keeping them: for a
 * curve over ε up to 1, where nearly the whole vocabulary is within reach.
 * Conditions as for findNeighbours; own rows are not counted.
 */
export function neighbourhoodCounts(
  queries: Points,
  pool: Points,
  epsilons: readonly number[],
  options: Omit<NeighbourOptions, 'epsilon'> = {},
): EpsilonCounts {
  epsilons.forEach(checkEpsilon);
  const ascending = [...new Set(epsilons)].sort((a, b) => a - b);
  const largest = ascending.at(-1) ?? 0;
  const margin = cosineMargin(pool.dModel);
  // histogram[query][k]: distances that are within ascending[k] but not within ascending[k − 1]
  const histogram = Array.from({ length: queries.count }, () => new Array<number>(ascending.length).fill(0));

  scanPool(queries, pool, options, (query, poolRow, exactDistance, estimate) => {
    const bin = firstAbove(ascending, estimate - margin);
    const certain = bin === firstAbove(ascending, estimate + margin);
    const exactBin = certain ? bin : firstAbove(ascending, exactDistance(query, poolRow));
    if (exactBin < ascending.length) histogram[query][exactBin]++;
    return largest;
  }, largest);
  const counts = histogram.map((bins) => {
    let sum = 0;
    const cumulative = bins.map((bin) => (sum += bin));
    return epsilons.map((epsilon) => cumulative[ascending.indexOf(epsilon)]);
  });
  return { epsilons: [...epsilons], counts };
}

/**
 * The `count` pool rows nearest to each query, nearest first (equal distances: lower row first), whatever their
 * distance: [query, count], fewer where the pool has fewer. Conditions as for findNeighbours.
 */
export function nearestRows(
  queries: Points,
  pool: Points,
  count: number,
  options: Omit<NeighbourOptions, 'epsilon'> = {},
): number[][] {
  if (!Number.isInteger(count) || count < 1) throw new Error(`count: ${count}, expected a whole number above 0`);
  const found = Array.from({ length: queries.count }, (): Found => ({ rows: [], distances: [] }));
  scanPool(queries, pool, options, (query, poolRow, exactDistance) => {
    const { rows, distances } = found[query];
    const distance = exactDistance(query, poolRow);
    let place = distances.length;
    while (place > 0 && distance < distances[place - 1]) place--;
    if (place < count) {
      rows.splice(place, 0, poolRow);
      distances.splice(place, 0, distance);
      rows.length = distances.length = Math.min(count, rows.length);
    }
    return rows.length < count ? 2 : distances[count - 1];
  });
  return found.map(({ rows }) => rows);
}

/**
 * Called for a pool row that may matter; returns the cosine distance beyond which rows no longer matter for
 * this query.
 * @param estimate cosine distance in single precision, at most cosineMargin off
 */
type Visit = (query: number, poolRow: number, exactDistance: ExactDistance, estimate: number) => number;
type ExactDistance = (query: number, poolRow: number) => number;

/** Visit the pool rows whose estimated distance to a query is within that query's limit (plus the margin). */
function scanPool(
  queries: Points,
  pool: Points,
  options: Omit<NeighbourOptions, 'epsilon'>,
  visit: Visit,
  firstLimit = 2,
): void {
  const { ownRows } = options;
  checkFit(queries, pool, ownRows);
  const querySquares = squaredLengths(queries, 'queries', true);
  const poolSquares = squaredLengths(pool, 'pool', true);
  const inverseLengths = Float64Array.from(poolSquares, (square) => 1 / Math.sqrt(square));
  const exactDistance = (query: number, poolRow: number): number => {
    const dot = dotProduct(pointAt(queries, query), pointAt(pool, poolRow));
    return cosineDistanceOf(dot, querySquares[query], poolSquares[poolRow]);
  };
  const margin = cosineMargin(pool.dModel);
  // A row matters where its cosine is above this.
  const lowestCosine = new Float64Array(queries.count).fill(1 - firstLimit - margin);

  forEachBlock(queries, querySquares, pool, blockRowsOf(queries, options), (product, start, rows) => {
    for (let query = 0; query < queries.count; query++) {
      let lowest = lowestCosine[query];
      const own = ownRows?.[query] ?? -1;
      const offset = query * rows;
      for (let k = 0; k < rows; k++) {
        const cosine = product[offset + k] * inverseLengths[start + k];
        if (cosine <= lowest || start + k === own) continue;
        lowest = 1 - visit(query, start + k, exactDistance, 1 - cosine) - margin;
      }
      lowestCosine[query] = lowest;
    }
  });
}

/** Products of the unit queries with `blockRows` pool rows at a time: [query, rows], row-major. */
function forEachBlock(
  queries: Points,
  querySquares: Float64Array,
  pool: Points,
  blockRows: number,
  use: (product: Float32Array, start: number, rows: number) => void,
): void {
  if (queries.count === 0) return;
  const { dModel } = queries;
  const unit = queries.data.map((value, i) => value / Math.sqrt(querySquares[Math.floor(i / dModel)]));
  const unitQueries = tf.tensor2d(unit, [queries.count, dModel]);
  try {
    for (let start = 0; start < pool.count; start += blockRows) {
      const rows = Math.min(blockRows, pool.count - start);
      const block = tf.tensor2d(pool.data.subarray(start * dModel, (start + rows) * dModel), [rows, dModel]);
      const product = tf.matMul(unitQueries, block, false, true);
      const numbers = product.dataSync<'float32'>();
      tf.dispose([block, product]);
      use(numbers, start, rows);
    }
  } finally {
    unitQueries.dispose();
  }
}

/**
 * How far a cosine from the matrix product can be from the exact one: dModel roundings of 2^-24 where the
 * products are added. A GPU may cut both factors to TF32, 2^-10 each, and cut off where it adds, too.
 */
function cosineMargin(dModel: number): number {
  const additions = (dModel + 8) * 2 ** -24;
  return currentDevice().kind === 'GPU' ? 2 ** -9 + 4 * additions : additions;
}

function blockRowsOf(queries: Points, options: Omit<NeighbourOptions, 'epsilon'>): number {
  const fitting = Math.floor(BLOCK_NUMBERS / Math.max(1, queries.count));
  const blockRows = options.blockRows ?? Math.max(1, Math.min(LARGEST_BLOCK_ROWS, fitting));
  if (!Number.isInteger(blockRows) || blockRows < 1) {
    throw new Error(`blockRows: ${blockRows}, expected a whole number above 0`);
  }
  return blockRows;
}

/** Index of the first of ascending numbers that is above `value`; their number where none is. */
function firstAbove(ascending: readonly number[], value: number): number {
  let k = 0;
  while (k < ascending.length && value >= ascending[k]) k++;
  return k;
}

function checkFit(queries: Points, pool: Points, ownRows: readonly number[] | undefined): void {
  if (queries.dModel !== pool.dModel) {
    throw new Error(`neighbours: queries of dModel ${queries.dModel}, pool of dModel ${pool.dModel}`);
  }
  if (ownRows && ownRows.length !== queries.count) {
    throw new Error(`ownRows: ${ownRows.length} for ${queries.count} queries`);
  }
}

function checkEpsilon(epsilon: number): void {
  if (!(epsilon >= 0 && epsilon <= 2)) {
    throw new Error(`epsilon: ${epsilon}, expected a cosine distance, 0 to 2`);
  }
}

function sortByDistance(list: Found): { readonly rows: Int32Array; readonly distances: Float64Array } {
  const order = [...list.rows.keys()].sort(
    (a, b) => list.distances[a] - list.distances[b] || list.rows[a] - list.rows[b],
  );
  return {
    rows: Int32Array.from(order, (i) => list.rows[i]),
    distances: Float64Array.from(order, (i) => list.distances[i]),
  };
}
