import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { startBackend } from '../lib/backend';
import { pointsFrom } from '../lib/points';
import { createRandom } from '../lib/random';
import { promptsOf, type Grid } from '../lib/runs';
import { singleToken } from '../lib/tokenizer';
import {
  bandOf, driftOf, randomWalks, readTrajectories, spreadEpochs, waysOf, type Trajectories,
} from '../lib/trajectories';

before(() => startBackend());

const near = (actual: number, expected: number, tolerance: number, what = ''): void => {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected}`);
};

const cat = singleToken('cat');
const vocabulary = pointsFrom(new Float32Array(2 * (cat + 1)).fill(1), 2);
vocabulary.data.set([3, 4], 2 * cat);

/** One run of the word cat, two positions in two dimensions, three epochs. */
const grid = {
  experiment: { epochs: 3 },
  runs: [{
    task: 'past', word: 'cat', seed: 0, metrics: [],
    prompts: { shape: [3, 2, 2], data: Float32Array.from([3, 5, 6, 4, 4, 5, 9, 4, 4, 4, 12, 4]) },
  }],
} as unknown as Grid;

test('A trajectory begins at the initial word and has a step for every epoch.', () => {
  const found = readTrajectories(grid, vocabulary, [0, 2, 3]);
  assert.deepEqual(found.points.map(({ data }) => [...data]), [[3, 4, 3, 4], [4, 5, 9, 4], [4, 4, 12, 4]]);
  assert.deepEqual(found.steps, [[1, 1, 1], [3, 3, 3]]);
  assert.deepEqual(found.labels, promptsOf(grid).labels);
  const [turning, straight] = waysOf(found);
  assert.deepEqual(turning, { path: 3, net: 1, straightness: 1 / 3 });
  assert.deepEqual(straight, { path: 9, net: 9, straightness: 1 });
});

test('Epochs must ascend from 0 to the last; the default ones do.', () => {
  for (const epochs of [[1, 3], [0, 2], [0, 2, 1, 3]]) {
    assert.throws(() => readTrajectories(grid, vocabulary, epochs), /ascending numbers from 0 to 3/);
  }
  assert.deepEqual(spreadEpochs(50), [0, 1, 2, 3, 4, 6, 8, 12, 17, 25, 35, 50]);
  assert.deepEqual(spreadEpochs(3), [0, 1, 2, 3]);
  assert.deepEqual(spreadEpochs(1), [0, 1]);
  assert.deepEqual(readTrajectories(grid, vocabulary).epochs, [0, 1, 2, 3]);
});

test('Drift is the distance from the initial word and from the nearest token.', async () => {
  const trajectories = readTrajectories(grid, vocabulary);
  const drift = await driftOf(trajectories, vocabulary, [cat, cat]);
  assert.deepEqual(drift.displacement.map((row) => [...row]),
    [[0, 0], [1, 3], [Math.SQRT2, 6], [1, 9]]);
  // At the end (4, 4) and (12, 4) beside (3, 4) and all other tokens, (1, 1).
  near(drift.fromStart[3][0], 1 - 28 / 5 / Math.sqrt(32), 1e-12);
  near(drift.fromStart[3][1], 1 - 52 / 5 / Math.sqrt(160), 1e-12);
  near(drift.toVocabulary[3][0], 0, 1e-12);
  near(drift.toVocabulary[3][1], 1 - 16 / Math.SQRT2 / Math.sqrt(160), 1e-12);
  assert.equal(drift.initNearest[0], 1);
  assert.equal(drift.initNearest[3], 0);
});

/** Many prompts at the origin of `dModel` dimensions with these steps, looked at after the given epochs. */
function standing(count: number, dModel: number, lengths: readonly number[], epochs: readonly number[]): Trajectories {
  return {
    labels: Array.from({ length: count }, (_, i) => ({ task: 't', word: 'cat', seed: i, position: 0 })),
    epochs, points: epochs.map(() => pointsFrom(new Float32Array(count * dModel), dModel)),
    steps: Array.from({ length: count }, () => lengths),
  };
}

test('A random walk of independent steps ends at the root of the sum of their squares, in any dimension.', () => {
  const lengths = [3, 1, 1, 2, 0.5, 1];
  const sum = lengths.reduce((total, length) => total + length ** 2, 0);
  const count = 4000;
  for (const [dModel, epochs] of [[2, [0, 6]], [3, [0, 1, 2, 3, 4, 5, 6]], [40, [0, 3, 6]]] as const) {
    const walks = randomWalks(standing(count, dModel, lengths, epochs), createRandom(dModel));
    const squares = waysOf(walks).map(({ net }) => net ** 2);
    const mean = squares.reduce((total, square) => total + square, 0) / count;
    const variance = squares.reduce((total, square) => total + (square - mean) ** 2, 0) / count;
    near(mean, sum, 4 * Math.sqrt(variance / count), `mean square in ${dModel}`);
    // net² = Σ s² + 2·Σ s_i·s_j·cosine, of uncorrelated cosines of mean square 1/d: variance (4/d)·Σ_{i<j} s_i² s_j².
    const pairs = lengths.flatMap((a, i) => lengths.slice(i + 1).map((b) => (a * b) ** 2));
    const expected = (4 / dModel) * pairs.reduce((total, pair) => total + pair, 0);
    near(variance, expected, 0.15 * variance, `variance in ${dModel}`);
  }
});

test('A walk’s first step has the prompt’s length, points anywhere, and is the same for the same seed.', () => {
  const start = standing(2000, 5, [2], [0, 1]);
  const { points: [, end] } = randomWalks(start, createRandom(7));
  const mean = new Float64Array(5);
  end.data.forEach((value, k) => (mean[k % 5] += value / 2000));
  for (const value of mean) near(value, 0, 4 * (2 / Math.sqrt(5 * 2000)), 'mean direction');
  for (const { net, straightness } of waysOf(randomWalks(start, createRandom(7)))) {
    near(net, 2, 1e-6);
    near(straightness, 1, 1e-6);
  }
  assert.deepEqual(randomWalks(start, createRandom(7)).points[1].data, end.data);
});

test('The band of a number holds the middle 80 % of the prompts.', () => {
  const values = Float64Array.from({ length: 101 }, (_, i) => 100 - i);
  assert.deepEqual(bandOf('prompts', [values, values.map((value) => 2 * value)]),
    { name: 'prompts', low: [10, 20], middle: [50, 100], high: [90, 180] });
});
