/**
 * One pass over a large pool of points, which shows its cosines with many queries to whoever gathers something.
 *
 * The matrix product is in single precision and block by block, so that memory is bounded whatever the pool's size; how
 * far it can be off is known, and the exact distance in double precision is at hand where that matters.
 */
import { currentDevice, tf } from './backend';
import { cosineDistanceOf, dotProduct, squaredLengths } from './distances';
import { pointAt, type Points } from './points';

export interface ScanOptions {
  /**
   * For each query the pool row that is this very point, −1 where there is none. A point is never its own
   * neighbour nor its own nearest row. Default: none. Other rows with equal numbers do count.
   */
  readonly ownRows?: readonly number[];
  /** pool rows in one matrix product; bounds the memory, does not change the result */
  readonly blockRows?: number;
}

/** Gathers something about every query while the pool goes by. */
export interface Collector<R> {
  /** Take the next rows of the pool, from `start` on, by their estimated cosines with a query. */
  readonly take: (query: number, cosines: Float64Array, start: number) => void;
  readonly result: () => R;
}

/** Distances between queries and pool rows. */
export interface Measure {
  /** cosine distance in double precision */
  readonly exact: (query: number, poolRow: number) => number;
  /** how far a cosine from the matrix product can be from the exact one */
  readonly margin: number;
  readonly querySquares: Float64Array;
  readonly poolSquares: Float64Array;
}

/** Numbers in one block of the product, so that many queries do not make it large: 16 MiB. */
const BLOCK_NUMBERS = 4 * 1024 * 1024;
/** So that a block of GPT-2 XL's width stays in the processor's cache: a quarter faster than 4096. */
const LARGEST_BLOCK_ROWS = 1024;

/** Throws where queries, pool and own rows do not fit, a point is not finite or is the zero vector, naming the row. */
export function measureBetween(queries: Points, pool: Points, { ownRows }: ScanOptions): Measure {
  checkFit(queries, pool, ownRows);
  const querySquares = squaredLengths(queries, 'queries', true);
  const poolSquares = squaredLengths(pool, 'pool', true);
  return {
    querySquares,
    poolSquares,
    margin: cosineMargin(pool.dModel),
    exact: (query, poolRow) => {
      const dot = dotProduct(pointAt(queries, query), pointAt(pool, poolRow));
      return cosineDistanceOf(dot, querySquares[query], poolSquares[poolRow]);
    },
  };
}

/**
 * Show every collector the estimated cosines of all pool rows with all queries, block by block.
 * Leaves no tensors behind. `await startBackend()` before.
 */
export function scanPool(
  queries: Points,
  pool: Points,
  { querySquares, poolSquares }: Measure,
  options: ScanOptions,
  collectors: readonly Collector<unknown>[],
): void {
  const blockRows = blockRowsOf(queries, options);
  const inverseLengths = Float64Array.from(poolSquares, (square) => 1 / Math.sqrt(square));
  const room = new Float64Array(Math.min(blockRows, pool.count));
  forEachBlock(queries, querySquares, pool, blockRows, (product, start, rows) => {
    const cosines = room.subarray(0, rows);
    for (let query = 0; query < queries.count; query++) {
      const offset = query * rows;
      for (let k = 0; k < rows; k++) cosines[k] = product[offset + k] * inverseLengths[start + k];
      const own = (options.ownRows?.[query] ?? -1) - start;
      // Not near anything, so that no collector counts it.
      if (own >= 0 && own < rows) cosines[own] = -Infinity;
      for (const { take } of collectors) take(query, cosines, start);
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

function blockRowsOf(queries: Points, options: ScanOptions): number {
  const fitting = Math.floor(BLOCK_NUMBERS / Math.max(1, queries.count));
  const blockRows = options.blockRows ?? Math.max(1, Math.min(LARGEST_BLOCK_ROWS, fitting));
  if (!Number.isInteger(blockRows) || blockRows < 1) {
    throw new Error(`blockRows: ${blockRows}, expected a whole number above 0`);
  }
  return blockRows;
}

function checkFit(queries: Points, pool: Points, ownRows: readonly number[] | undefined): void {
  if (queries.dModel !== pool.dModel) {
    throw new Error(`neighbours: queries of dModel ${queries.dModel}, pool of dModel ${pool.dModel}`);
  }
  if (ownRows && ownRows.length !== queries.count) {
    throw new Error(`ownRows: ${ownRows.length} for ${queries.count} queries`);
  }
}
