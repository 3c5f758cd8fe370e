import assert from 'node:assert/strict';
import * as path from 'node:path';
import test from 'node:test';

import { distanceMatrix, type Convention } from '../lib/distances';
import { readJson } from '../lib/files';
import { pointsFrom, selectPoints, type PromptLabel } from '../lib/points';
import { createRandom } from '../lib/random';
import {
  mantelTest, pearson, summarizeCorrelations, wordCorrelations, wordSequences, type WordCorrelation,
} from '../lib/statistics';

// Made by tests/reference/geometry.py with scipy.stats.pearsonr. r agrees to rounding; two good ways to p
// differ by about 1e-12 of p at p = 1e-300, where the exponent multiplies the rounding of r by 300.
interface Fixture {
  readonly space: { readonly dModel: number; readonly prompts: number[]; readonly labels: PromptLabel[] };
  readonly pearson: readonly Readonly<{ x: number[]; y: number[]; r: number; p: number }>[];
  readonly correlations: Record<Convention, WordCorrelation[]>;
}
const fixture = readJson(path.join(__dirname, 'reference/fixtures/geometry.json')) as Fixture;
const { labels, dModel } = fixture.space;
const prompts = pointsFrom(Float32Array.from(fixture.space.prompts), dModel);
const distances = distanceMatrix(prompts, 'cosine');
const words = ['cat', 'dog', 'book', 'pen'];

function assertRelative(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual / expected - 1) <= tolerance, `${what}: ${actual}, expected ${expected}`);
}

test('Pearson’s r and p are those of SciPy, down to p below 1e-300.', () => {
  assert.ok(fixture.pearson.some(({ p }) => p > 0 && p < 1e-300));
  for (const { x, y, r, p } of fixture.pearson) {
    const found = pearson(x, y);
    assertRelative(found.r, r, 1e-12, 'r');
    assertRelative(found.p, p, 1e-9, `p of ${x.length} pairs`);
    assert.equal(found.count, x.length);
  }
});

test('The p-value of the paper’s smallest correlation is the one its authors printed.', () => {
  // Published: r 0.742789 and p 4.376e-102 for 576 distances. Two sequences with exactly this correlation:
  // y = r·x + √(1 − r²)·z with x and z of mean 0, equal length and at right angles.
  const r = 0.742789;
  const x = Array.from({ length: 576 }, (_, k) => (k % 2 === 0 ? 1 : -1));
  const z = Array.from({ length: 576 }, (_, k) => (k % 4 < 2 ? 1 : -1));
  const found = pearson(x, x.map((value, k) => r * value + Math.sqrt(1 - r * r) * z[k]));
  assertRelative(found.r, r, 1e-12, 'r');
  // r is printed with 6 digits, which leaves 3 of p.
  assertRelative(found.p, 4.376e-102, 1e-3, 'p');
});

test('Perfect correlation has r exactly ±1 at most and p 0; none has p 1.', () => {
  const x = [0.1, 0.2, 0.7, 1.9];
  assert.deepEqual(pearson(x, x), { r: 1, p: 0, count: 4 });
  assert.deepEqual(pearson(x, x.map((value) => -value)), { r: -1, p: 0, count: 4 });
  assert.deepEqual(pearson([1, -1, 1, -1], [1, 1, -1, -1]), { r: 0, p: 1, count: 4 });
});

test('For three pairs p is the arc that Student’s t with one degree of freedom gives.', () => {
  // t with one degree of freedom is Cauchy: p = 1 − 2·arcsin(|r|) / π.
  const found = pearson([1, 2, 3], [1, 3, 2]);
  assertRelative(found.r, 0.5, 1e-15, 'r');
  assertRelative(found.p, 1 - (2 * Math.asin(0.5)) / Math.PI, 1e-13, 'p');
});

test('Sequences that have no correlation are refused.', () => {
  assert.throws(() => pearson([1, 2, 3], [1, 2]), /3 and 2 numbers/);
  assert.throws(() => pearson([1, 2], [1, 2]), /at least 3/);
  assert.throws(() => pearson([1, 1, 1], [1, 2, 3]), /constant/);
  assert.throws(() => pearson([1, NaN, 1], [1, 2, 3]), /not finite/);
});

test('The correlations between init words are those of SciPy on the same blocks in both conventions.', () => {
  for (const convention of ['published', 'corrected'] as const) {
    const all = wordCorrelations(distances, labels, convention);
    const found = all.filter((pair) => pair.first !== pair.second);
    const expected = fixture.correlations[convention];
    const names = (pairs: WordCorrelation[]): string[] => pairs.map((pair) => `${pair.first} ${pair.second}`);
    assert.deepEqual(names(found), names(expected));
    found.forEach((pair, i) => {
      assert.equal(pair.count, expected[i].count);
      assertRelative(pair.r, expected[i].r, 1e-12, `${pair.first} ${pair.second} r`);
      assertRelative(pair.p, expected[i].p, 1e-9, `${pair.first} ${pair.second} p`);
    });
  }
});

test('Published pairs hold each word with itself, corrected ones do not.', () => {
  const published = wordCorrelations(distances, labels, 'published');
  assert.equal(published.length, 10);
  const itself = published.filter((pair) => pair.first === pair.second);
  assert.deepEqual(itself.map((pair) => pair.first), words);
  for (const { r, p } of itself) assert.ok(r > 1 - 1e-12 && r <= 1 && p === 0, `r ${r}, p ${p}`);
  assert.equal(wordCorrelations(distances, labels, 'corrected').length, 6);
});

test('For 24 prompts a published sequence holds all 576 ordered pairs, a corrected one 276.', () => {
  const grid = Array.from({ length: 48 }, (_, i): PromptLabel => ({
    task: `task ${Math.floor(i / 8)}`, word: i % 8 < 4 ? 'cat' : 'dog', seed: 0, position: i % 4,
  }));
  assert.deepEqual(wordSequences(distances, grid, 'published').map((s) => s.distances.length), [576, 576]);
  assert.deepEqual(wordSequences(distances, grid, 'corrected').map((s) => s.distances.length), [276, 276]);
  const zeros = wordSequences(distances, grid, 'published')[0].distances.filter((distance) => distance === 0);
  assert.equal(zeros.length, 24);
});

test('The order in which the prompts are listed does not change the correlations.', () => {
  const order = createRandom(3).permutation(prompts.count);
  const shuffled = distanceMatrix(selectPoints(prompts, order), 'cosine');
  const found = wordCorrelations(shuffled, order.map((row) => labels[row]), 'corrected');
  for (const pair of wordCorrelations(distances, labels, 'corrected')) {
    const names = [pair.first, pair.second].sort().join();
    const same = found.find((other) => [other.first, other.second].sort().join() === names);
    assertRelative(same?.r ?? NaN, pair.r, 1e-12, names);
  }
});

test('A grid with a hole or a prompt too many is refused with its place.', () => {
  const kept = [...labels.keys()].filter((row) => row !== 6);
  const part = distanceMatrix(selectPoints(prompts, kept), 'cosine');
  const holed = kept.map((row) => labels[row]);
  assert.throws(() => wordCorrelations(part, holed, 'corrected'), /dog .* task capital, seed 1, position 0/);
  const twice = labels.map((label, i) => (i === 1 ? labels[0] : label));
  const message = /word cat twice for task capital, seed 0, position 0/;
  assert.throws(() => wordSequences(distances, twice, 'published'), message);
  assert.throws(() => wordSequences(distances, labels.slice(1), 'published'), /labels: 47/);
});

test('The summary names smallest, middle and largest r and the largest p.', () => {
  const of = (r: number, p: number): WordCorrelation => ({ r, p, count: 9, first: 'a', second: 'b' });
  const summary = summarizeCorrelations([of(0.9, 1e-9), of(0.2, 0.4), of(0.5, 0.01)]);
  assert.deepEqual(summary, { pairs: 3, min: 0.2, median: 0.5, max: 0.9, smallestP: 1e-9, medianP: 0.01, largestP: 0.4 });
  assert.throws(() => summarizeCorrelations([]), /at least one pair/);
});

/** Eight prompts each of cat and dog. */
const eightEach = Array.from({ length: 16 }, (_, i): PromptLabel => ({
  task: `${i % 8}`, word: i < 8 ? 'cat' : 'dog', seed: 0, position: 0,
}));

test('Mantel’s test finds words whose prompts lie alike and is the same for the same seed.', () => {
  const random = createRandom(2);
  const cats = Array.from({ length: 80 }, () => random.normal());
  const dogs = cats.map((x) => x + 0.3 * random.normal());
  const matrix = distanceMatrix(pointsFrom(Float32Array.from([...cats, ...dogs]), 10), 'cosine');
  const result = mantelTest(matrix, eightEach, ['cat', 'dog'], 199, createRandom(1));
  assertRelative(result.r, wordCorrelations(matrix, eightEach, 'corrected')[0].r, 1e-12, 'r');
  // Of 8! orders of the dogs only the true one puts like against like.
  assert.equal(result.p, 1 / 200);
  assert.deepEqual(mantelTest(matrix, eightEach, ['cat', 'dog'], 199, createRandom(1)), result);
});

test('Mantel’s p is uniform where nothing is shared: its mean over random points is near one half.', () => {
  const random = createRandom(8);
  const p = Array.from({ length: 60 }, () => {
    const points = pointsFrom(Float32Array.from({ length: 160 }, () => random.normal()), 10);
    return mantelTest(distanceMatrix(points, 'cosine'), eightEach, ['cat', 'dog'], 49, random).p;
  });
  const mean = p.reduce((sum, value) => sum + value, 0) / p.length;
  // The mean of 60 uniform numbers has standard deviation 0.037.
  assert.ok(Math.abs(mean - 0.5) < 0.13, `mean p ${mean}`);
  assert.ok(Math.min(...p) >= 1 / 50 && Math.max(...p) <= 1);
});

test('Mantel’s test refuses words it has no prompts of.', () => {
  const random = createRandom(0);
  assert.throws(() => mantelTest(distances, labels, ['cat', 'cow'], 9, random), /no prompts .* "cow"/);
  const two = distanceMatrix(selectPoints(prompts, [0, 1]), 'cosine');
  assert.throws(() => mantelTest(two, labels.slice(0, 2), ['cat', 'cat'], 9, random), /2 prompts of cat/);
});
