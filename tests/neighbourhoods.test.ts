import assert from 'node:assert/strict';
import * as path from 'node:path';
import test, { before } from 'node:test';

import { startBackend, tf } from '../lib/backend';
import { distanceMatrix } from '../lib/distances';
import { readJson } from '../lib/files';
import {
  findNeighbours, nearestRows, neighbourhoodCounts, selectNeighbours, surveyNeighbours, type Neighbours,
} from '../lib/neighbourhoods';
import { concatPoints, pointsFrom, selectPoints } from '../lib/points';
import { createRandom } from '../lib/random';

// Made by tests/reference/geometry.py with scipy.spatial.distance.cdist.
interface Fixture {
  readonly space: { readonly dModel: number; readonly vocabulary: number[]; readonly prompts: number[] };
  readonly curve: { readonly epsilons: number[]; readonly counts: number[][] };
}
const fixture = readJson(path.join(__dirname, 'reference/fixtures/geometry.json')) as Fixture;
const prompts = pointsFrom(Float32Array.from(fixture.space.prompts), fixture.space.dModel);
const vocabulary = pointsFrom(Float32Array.from(fixture.space.vocabulary), fixture.space.dModel);

before(() => startBackend());

function lists(found: Neighbours): unknown {
  return {
    rows: found.rows.map((rows) => [...rows]),
    distances: found.distances.map((distances) => [...distances]),
    nearest: [...found.nearestRow],
    nearestDistance: [...found.nearestDistance],
  };
}

test('The neighbours are exactly the rows of the full distance matrix below the threshold, in order.', () => {
  const { data, count } = distanceMatrix(concatPoints(prompts, vocabulary), 'cosine');
  const epsilon = 0.45;
  const found = findNeighbours(prompts, vocabulary, { epsilon });
  let neighbours = 0;
  for (let query = 0; query < prompts.count; query++) {
    const distance = (row: number): number => data[query * count + prompts.count + row];
    const sorted = [...Array(vocabulary.count).keys()].sort((a, b) => distance(a) - distance(b));
    const within = sorted.filter((row) => distance(row) < epsilon);
    assert.deepEqual([...found.rows[query]], within);
    assert.deepEqual([...found.distances[query]], within.map(distance));
    assert.equal(found.nearestRow[query], sorted[0]);
    assert.equal(found.nearestDistance[query], distance(sorted[0]));
    neighbours += within.length;
  }
  assert.ok(neighbours > prompts.count, 'a fixture without neighbours would prove nothing');
});

test('The nearest rows are the first of all rows sorted by distance, whatever the block size.', () => {
  const { data, count } = distanceMatrix(concatPoints(prompts, vocabulary), 'cosine');
  for (const blockRows of [undefined, 7]) {
    const found = nearestRows(prompts, vocabulary, 5, { blockRows });
    for (let query = 0; query < prompts.count; query++) {
      const distance = (row: number): number => data[query * count + prompts.count + row];
      const sorted = [...Array(vocabulary.count).keys()].sort((a, b) => distance(a) - distance(b));
      assert.deepEqual(found[query], sorted.slice(0, 5));
    }
  }
});

test('Of equally near rows the lower comes first, a small pool gives what it has, and no row is its own.', () => {
  const pool = pointsFrom(Float32Array.from([0, 1, 1, 1, 2, 0, 1, 0, 2, 2]), 2);
  const query = pointsFrom(Float32Array.from([1, 0]), 2);
  assert.deepEqual(nearestRows(query, pool, 3), [[2, 3, 1]]);
  assert.deepEqual(nearestRows(query, pool, 9), [[2, 3, 1, 4, 0]]);
  assert.deepEqual(nearestRows(query, pool, 2, { ownRows: [2] }), [[3, 1]]);
  assert.throws(() => nearestRows(query, pool, 0), /count: 0, expected a whole number above 0/);
});

test('Counts at several ε are those of SciPy, in whatever order the ε are given.', () => {
  const { epsilons, counts } = fixture.curve;
  assert.deepEqual(neighbourhoodCounts(prompts, vocabulary, epsilons).counts, counts);
  const shuffled = [1, 0.3, 0.3, 0.7];
  const expected = counts.map((row) => shuffled.map((epsilon) => row[epsilons.indexOf(epsilon)]));
  assert.deepEqual(neighbourhoodCounts(prompts, vocabulary, shuffled).counts, expected);
  assert.deepEqual(neighbourhoodCounts(prompts, vocabulary, []).counts[0], []);
});

test('The block size changes nothing, down to the last bit.', () => {
  const whole = lists(findNeighbours(prompts, vocabulary, { epsilon: 0.6 }));
  const counts = neighbourhoodCounts(prompts, vocabulary, [0.2, 0.6]).counts;
  for (const blockRows of [1, 7, 79, 80, 81]) {
    assert.deepEqual(lists(findNeighbours(prompts, vocabulary, { epsilon: 0.6, blockRows })), whole);
    assert.deepEqual(neighbourhoodCounts(prompts, vocabulary, [0.2, 0.6], { blockRows }).counts, counts);
  }
});

test('The backend changes nothing, down to the last bit.', async () => {
  const first = lists(findNeighbours(prompts, vocabulary, { epsilon: 0.6 }));
  const backend = tf.getBackend();
  try {
    await tf.setBackend('cpu');
    assert.deepEqual(lists(findNeighbours(prompts, vocabulary, { epsilon: 0.6 })), first);
  } finally {
    await tf.setBackend(backend);
  }
});

test('The order of the pool changes only the row numbers.', () => {
  const order = createRandom(5).permutation(vocabulary.count);
  const options = { epsilon: 0.6 };
  const straight = findNeighbours(prompts, vocabulary, options);
  const shuffled = findNeighbours(prompts, selectPoints(vocabulary, order), options);
  const translated = shuffled.rows.map((rows) => [...rows].map((row) => order[row]));
  assert.deepEqual(translated, straight.rows.map((rows) => [...rows]));
  assert.deepEqual([...shuffled.nearestRow].map((row) => order[row]), [...straight.nearestRow]);
});

test('The threshold is strict, and equal rows are at distance 0 exactly.', () => {
  const query = pointsFrom(Float32Array.from([0.1, 0]), 2);
  const pool = pointsFrom(Float32Array.from([0, 7, 0.1, 0, 0.3, 0.3]), 2);
  // Distances by hand: 1 (right angle), 0 (the same row), 1 − √½.
  assert.deepEqual([...findNeighbours(query, pool, { epsilon: 1 }).rows[0]], [1, 2]);
  assert.deepEqual([...findNeighbours(query, pool, { epsilon: 1 + 1e-12 }).rows[0]], [1, 2, 0]);
  assert.equal(findNeighbours(query, pool, { epsilon: 1 }).distances[0][0], 0);
  const diagonal = 1 - 0.5 ** 0.5;
  for (const [epsilon, rows] of [[diagonal - 1e-9, [1]], [diagonal + 1e-9, [1, 2]], [0, []]] as const) {
    assert.deepEqual([...findNeighbours(query, pool, { epsilon }).rows[0]], [...rows]);
  }
  const epsilons = [0, 1e-9, diagonal - 1e-9, diagonal + 1e-9, 1, 2];
  assert.deepEqual(neighbourhoodCounts(query, pool, epsilons).counts, [[0, 1, 1, 2, 2, 3]]);
});

test('Near-duplicates, which single precision cannot tell from equal, are ordered and never below 0.', () => {
  const query = pointsFrom(Float32Array.from({ length: 64 }, (_, k) => Math.sin(k + 1)), 64);
  const nearly = [3e-5, 1e-5, 2e-5].map((shift) => query.data.map((x, k) => (k === 5 ? x + shift : x)));
  const pool = concatPoints(...nearly.map((data) => pointsFrom(data, 64)), query);
  const found = findNeighbours(query, pool, { epsilon: 0.7 });
  assert.deepEqual([...found.rows[0]], [3, 1, 2, 0]);
  assert.equal(found.nearestRow[0], 3);
  assert.ok(found.distances[0].every((distance) => distance >= 0 && distance < 1e-9));
});

test('The nearest row is found where no row is within ε, and so is the first of equally near ones.', () => {
  const query = pointsFrom(Float32Array.from([1, 0]), 2);
  const pool = pointsFrom(Float32Array.from([-1, 0, 0, 1, 0, -2]), 2);
  const found = findNeighbours(query, pool, { epsilon: 0.7 });
  assert.deepEqual([found.rows[0].length, found.nearestRow[0], found.nearestDistance[0]], [0, 1, 1]);
});

test('A point is not its own neighbour, but its twin is.', () => {
  const twins = selectPoints(vocabulary, [0, 1, 2, 1]);
  const ownRows = [0, 1, 2, 3];
  const found = findNeighbours(twins, twins, { epsilon: 1e-9, ownRows });
  assert.deepEqual(found.rows.map((rows) => [...rows]), [[], [3], [], [1]]);
  assert.deepEqual([found.nearestRow[1], found.nearestRow[3], found.nearestDistance[1]], [3, 1, 0]);
  assert.ok(found.nearestRow[0] > 0 && found.nearestDistance[0] > 0);
  assert.deepEqual(neighbourhoodCounts(twins, twins, [1e-9], { ownRows }).counts, [[0], [1], [0], [1]]);
});

test('A pool without other rows gives no neighbour and row −1.', () => {
  const one = selectPoints(vocabulary, [4]);
  const found = findNeighbours(one, one, { epsilon: 2, ownRows: [0] });
  assert.deepEqual([found.rows[0].length, found.nearestRow[0]], [0, -1]);
  assert.ok(Number.isNaN(found.nearestDistance[0]));
  assert.deepEqual(findNeighbours(selectPoints(one, []), one, { epsilon: 1 }).rows, []);
});

test('No tensors are left, also when a number in the pool is refused.', () => {
  const tensors = tf.memory().numTensors;
  findNeighbours(prompts, vocabulary, { epsilon: 0.7, blockRows: 9 });
  neighbourhoodCounts(prompts, vocabulary, [0.7]);
  const broken = pointsFrom(vocabulary.data.map((x, i) => (i < 24 && i >= 12 ? 0 : x)), 12);
  assert.throws(() => findNeighbours(prompts, broken, { epsilon: 0.7 }), /pool: row 1 is the zero vector/);
  assert.throws(() => findNeighbours(broken, prompts, { epsilon: 0.7 }), /queries: row 1 is the zero vector/);
  assert.equal(tf.memory().numTensors, tensors);
});

test('Neighbours and counts found in one pass are those of two, own rows left out.', () => {
  const ownRows = [4, -1, 30];
  const queries = concatPoints(selectPoints(vocabulary, [4]), selectPoints(prompts, [0]), selectPoints(vocabulary, [30]));
  const { epsilons } = fixture.curve;
  for (const epsilon of [0.05, 0.45, 1.5]) {
    for (const blockRows of [undefined, 7]) {
      const { neighbours, counts } = surveyNeighbours(queries, vocabulary, epsilons, { epsilon, ownRows, blockRows });
      assert.deepEqual(lists(neighbours), lists(findNeighbours(queries, vocabulary, { epsilon, ownRows })));
      assert.deepEqual(counts, neighbourhoodCounts(queries, vocabulary, epsilons, { ownRows }));
    }
  }
});

test('Counts agree with the neighbours’ at thresholds that are distances themselves, one bit up and down.', () => {
  const found = findNeighbours(prompts, vocabulary, { epsilon: 2 });
  // At a distance itself its row is not counted, one bit above it is.
  const epsilons = [0, 1, 2, 3].flatMap((query) => {
    const exact = [5, 20, 40].map((k) => found.distances[query][k]);
    return exact.flatMap((distance) => [distance, distance * (1 + 2 ** -52), distance * (1 - 2 ** -53)]);
  });
  const { counts } = neighbourhoodCounts(prompts, vocabulary, epsilons);
  const expected = found.distances.map((distances) => (
    epsilons.map((epsilon) => distances.filter((distance) => distance < epsilon).length)));
  assert.deepEqual(counts, expected);
  assert.equal(expected[0][1], expected[0][0] + 1);
});

test('Fewer queries and a smaller ε need no new search.', () => {
  const found = findNeighbours(prompts, vocabulary, { epsilon: 0.7 });
  const queries = [3, 0, 17];
  for (const epsilon of [0, 0.3, 0.7]) {
    const anew = findNeighbours(selectPoints(prompts, queries), vocabulary, { epsilon });
    assert.deepEqual(selectNeighbours(found, queries, epsilon), anew);
  }
  // Strictly closer, also where a distance is the new ε.
  const [nearest] = found.distances[3];
  assert.equal(selectNeighbours(found, [3], nearest).rows[0].length, 0);
  assert.throws(() => selectNeighbours(found, [0], 0.8), /epsilon 0.8, expected 0 to the 0.7/);
  assert.throws(() => selectNeighbours(found, [48]), /query 48 of 48/);
});

test('The memory of a search does not grow with the pool.', async () => {
  const peak = async (rows: number): Promise<number> => {
    const pool = selectPoints(vocabulary, Array.from({ length: rows }, (_, i) => i % vocabulary.count));
    const profile = await tf.profile(() => {
      surveyNeighbours(prompts, pool, [0.3], { epsilon: 0.3 });
      return tf.scalar(0);
    });
    tf.dispose(profile.result);
    return profile.peakBytes;
  };
  const [first, larger] = [await peak(2000), await peak(20_000)];
  assert.equal(larger, first);
  // One block of 1024 rows, their products with 48 queries, and the queries: float32.
  assert.ok(larger <= 4 * (1024 * 12 + 1024 * 48 + 48 * 12) + 1024, `${larger} bytes`);
});

test('Options that make no sense are refused.', () => {
  const wide = pointsFrom(new Float32Array(26).fill(1), 13);
  assert.throws(() => findNeighbours(prompts, wide, { epsilon: 0.7 }), /dModel 12, pool of dModel 13/);
  for (const epsilon of [-0.1, 2.1, NaN]) {
    assert.throws(() => findNeighbours(prompts, vocabulary, { epsilon }), /epsilon/);
    assert.throws(() => neighbourhoodCounts(prompts, vocabulary, [0.5, epsilon]), /epsilon/);
  }
  assert.throws(() => findNeighbours(prompts, vocabulary, { epsilon: 1, ownRows: [1] }), /ownRows: 1 for 48/);
  assert.throws(() => findNeighbours(prompts, vocabulary, { epsilon: 1, blockRows: 0 }), /blockRows: 0/);
});
