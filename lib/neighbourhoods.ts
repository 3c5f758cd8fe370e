/**
 * Which points of a pool lie within cosine distance ε of query points (section 3.2 of the paper).
 *
 * The pool scan finds candidates in single precision; where that leaves a doubt, the distance in double precision
 * decides. So at the threshold nothing is left to the rounding of float32: the result does not depend on the backend
 * (TF32 of NVIDIA GPUs included) or on the block size.
 */
import type { Points } from './points';
import { measureBetween, scanPool, type Collector, type Measure, type ScanOptions } from './pool-scan';

export interface NeighbourOptions extends ScanOptions {
  /** cosine distance, 0–2; neighbours are strictly closer. The paper uses 0.7. */
  readonly epsilon: number;
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

/** Neighbours within one ε and numbers of neighbours within several, of the same queries. */
export interface NeighbourSurvey {
  readonly neighbours: Neighbours;
  readonly counts: EpsilonCounts;
}

/** What has been found for one query, in the order of the pool. */
interface Found {
  readonly rows: number[];
  readonly distances: number[];
}

/** Steps of cosine distance 1 in the table that finds between which ε a distance lies. */
const STEPS = 1 << 14;

/**
 * All pool rows within ε of each query, and the nearest one. `await startBackend()` before.
 * Throws where the points differ in dModel, are not finite or are zero vectors, naming the row.
 * Leaves no tensors behind.
 * Cost: one product queries × pool, and about a microsecond for each neighbour found.
 */
export function findNeighbours(queries: Points, pool: Points, options: NeighbourOptions): Neighbours {
  checkEpsilon(options.epsilon);
  const measure = measureBetween(queries, pool, options);
  const neighbours = neighbourCollector(queries, pool, measure, options.epsilon);
  scanPool(queries, pool, measure, options, [neighbours]);
  return neighbours.result();
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
  options: ScanOptions = {},
): EpsilonCounts {
  epsilons.forEach(checkEpsilon);
  const measure = measureBetween(queries, pool, options);
  const counts = countCollector(queries, measure, epsilons);
  scanPool(queries, pool, measure, options, [counts]);
  return counts.result();
}

/** What findNeighbours and neighbourhoodCounts find, in one pass over the pool instead of two. */
export function surveyNeighbours(
  queries: Points,
  pool: Points,
  epsilons: readonly number[],
  options: NeighbourOptions,
): NeighbourSurvey {
  [...epsilons, options.epsilon].forEach(checkEpsilon);
  const measure = measureBetween(queries, pool, options);
  const neighbours = neighbourCollector(queries, pool, measure, options.epsilon);
  const counts = countCollector(queries, measure, epsilons);
  scanPool(queries, pool, measure, options, [neighbours, counts]);
  return { neighbours: neighbours.result(), counts: counts.result() };
}

/**
 * The `count` pool rows nearest to each query, nearest first (equal distances: lower row first), whatever their
 * distance: [query, count], fewer where the pool has fewer. Conditions as for findNeighbours.
 */
export function nearestRows(
  queries: Points,
  pool: Points,
  count: number,
  options: ScanOptions = {},
): number[][] {
  if (!Number.isInteger(count) || count < 1) throw new Error(`count: ${count}, expected a whole number above 0`);
  const measure = measureBetween(queries, pool, options);
  const nearest = nearestCollector(queries, measure, count);
  scanPool(queries, pool, measure, options, [nearest]);
  return nearest.result();
}

/**
 * The neighbours of chosen queries, within the same or a smaller ε, without another search.
 * Throws where a query does not exist or ε is larger than the one searched with.
 */
export function selectNeighbours(
  found: Neighbours,
  queries: readonly number[],
  epsilon: number = found.epsilon,
): Neighbours {
  if (!(epsilon >= 0 && epsilon <= found.epsilon)) {
    throw new Error(`neighbours: epsilon ${epsilon}, expected 0 to the ${found.epsilon} searched with`);
  }
  const missing = queries.find((query) => found.rows[query] === undefined);
  if (missing !== undefined) throw new Error(`neighbours: query ${missing} of ${found.rows.length}`);
  const within = queries.map((query) => firstAtLeast(found.distances[query], epsilon));
  return {
    epsilon,
    poolCount: found.poolCount,
    rows: queries.map((query, i) => found.rows[query].slice(0, within[i])),
    distances: queries.map((query, i) => found.distances[query].slice(0, within[i])),
    nearestRow: Int32Array.from(queries, (query) => found.nearestRow[query]),
    nearestDistance: Float64Array.from(queries, (query) => found.nearestDistance[query]),
  };
}

function neighbourCollector(
  queries: Points,
  pool: Points,
  { exact, margin }: Measure,
  epsilon: number,
): Collector<Neighbours> {
  const found = Array.from({ length: queries.count }, (): Found => ({ rows: [], distances: [] }));
  const nearestRow = new Int32Array(queries.count).fill(-1);
  const nearestDistance = new Float64Array(queries.count).fill(Infinity);
  // A row matters where its cosine is above this: it is within ε, or nearer than the nearest so far.
  const lowestCosine = new Float64Array(queries.count).fill(-1 - margin);
  return {
    take(query, cosines, start) {
      let lowest = lowestCosine[query];
      for (let k = 0; k < cosines.length; k++) {
        if (!(cosines[k] > lowest)) continue;
        const distance = exact(query, start + k);
        if (distance < nearestDistance[query]) {
          nearestDistance[query] = distance;
          nearestRow[query] = start + k;
        }
        if (distance < epsilon) {
          found[query].rows.push(start + k);
          found[query].distances.push(distance);
        }
        lowest = 1 - Math.max(epsilon, nearestDistance[query]) - margin;
      }
      lowestCosine[query] = lowest;
    },
    result() {
      const sorted = found.map(sortByDistance);
      return {
        epsilon,
        poolCount: pool.count,
        rows: sorted.map((list) => list.rows),
        distances: sorted.map((list) => list.distances),
        nearestRow,
        nearestDistance: nearestDistance.map((distance) => (distance === Infinity ? NaN : distance)),
      };
    },
  };
}

function nearestCollector(
  queries: Points,
  { exact, margin }: Measure,
  count: number,
): Collector<number[][]> {
  const found = Array.from({ length: queries.count }, (): Found => ({ rows: [], distances: [] }));
  return {
    take(query, cosines, start) {
      const { rows, distances } = found[query];
      for (let k = 0; k < cosines.length; k++) {
        // A row matters where it may be nearer than the last of those so far.
        const lowest = (rows.length < count ? -1 : 1 - distances[count - 1]) - margin;
        if (!(cosines[k] > lowest)) continue;
        const distance = exact(query, start + k);
        let place = distances.length;
        while (place > 0 && distance < distances[place - 1]) place--;
        rows.splice(place, 0, start + k);
        distances.splice(place, 0, distance);
        rows.length = distances.length = Math.min(count, rows.length);
      }
    },
    result: () => found.map(({ rows }) => rows),
  };
}

function countCollector(
  queries: Points,
  { exact, margin }: Measure,
  epsilons: readonly number[],
): Collector<EpsilonCounts> {
  const ascending = [...new Set(epsilons)].sort((a, b) => a - b);
  const lowest = 1 - (ascending.at(-1) ?? 0) - margin;
  const binOf = certainBins(ascending, margin);
  // histogram[query][k]: distances that are within ascending[k] but not within ascending[k − 1]
  const histogram = Array.from({ length: queries.count }, () => new Int32Array(ascending.length + 1));
  return {
    take(query, cosines, start) {
      const bins = histogram[query];
      for (let k = 0; k < cosines.length; k++) {
        if (!(cosines[k] > lowest)) continue;
        const bin = binOf[((1 + margin - cosines[k]) * STEPS) | 0];
        bins[bin >= 0 ? bin : firstAbove(ascending, exact(query, start + k))]++;
      }
    },
    result() {
      const counts = histogram.map((bins) => {
        let sum = 0;
        const cumulative = Array.from(bins, (bin) => (sum += bin));
        return epsilons.map((epsilon) => cumulative[ascending.indexOf(epsilon)]);
      });
      return { epsilons: [...epsilons], counts };
    },
  };
}

/**
 * For an estimated distance e, element ⌊(e + margin) · STEPS⌋: how many of the ascending ε are not above the exact
 * distance, which is at most `margin` off; −1 where that is not certain.
 */
function certainBins(ascending: readonly number[], margin: number): Int32Array {
  const length = Math.ceil(((ascending.at(-1) ?? 0) + 2 * margin) * STEPS) + 1;
  return Int32Array.from({ length }, (_, step) => {
    const bin = firstAbove(ascending, step / STEPS - 2 * margin);
    return bin === firstAbove(ascending, (step + 1) / STEPS) ? bin : -1;
  });
}

/** Index of the first of ascending numbers that is above `value`; their number where none is. */
function firstAbove(ascending: readonly number[], value: number): number {
  let k = 0;
  while (k < ascending.length && value >= ascending[k]) k++;
  return k;
}

/** Index of the first of ascending numbers that is `value` or more; their number where none is. */
function firstAtLeast(ascending: Float64Array, value: number): number {
  const k = ascending.findIndex((number) => number >= value);
  return k < 0 ? ascending.length : k;
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
