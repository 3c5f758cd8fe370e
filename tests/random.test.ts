import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as path from 'node:path';
import test from 'node:test';

import { readJson } from '../lib/files';
import { createRandom } from '../lib/random';
import { splitIndices } from '../lib/tasks';

// Made by tests/reference/random_numbers.py with numpy.random.default_rng; exact, so without tolerance.
interface Fixture {
  readonly streams: readonly {
    readonly seed: number | number[];
    readonly uniform: number[];
    readonly integers: readonly [high: number, drawn: number][];
    readonly permutation: number[];
    readonly mixed: number[];
    readonly short: number[][];
    readonly last: number;
  }[];
  readonly rejected: readonly { readonly high: number; readonly draws: number; readonly sha256: string }[];
  readonly splits: readonly {
    readonly count: number; readonly seed: number; readonly testCount: number;
    readonly firstTest: number; readonly firstTrain: number;
    readonly testSha256: string; readonly trainSha256: string;
  }[];
}
const fixture = readJson(path.join(__dirname, 'reference/fixtures/random.json')) as Fixture;
const digest = (numbers: readonly number[]): string =>
  createHash('sha256').update(numbers.join(',')).digest('hex');

test('A stream gives the numbers that NumPy gives for the same seed, whatever was drawn before.', () => {
  assert.ok(fixture.streams.length >= 12);
  for (const { seed, uniform, integers, permutation, mixed, short, last } of fixture.streams) {
    const random = createRandom(seed);
    const about = JSON.stringify(seed);
    assert.deepEqual(uniform.map(() => random.uniform()), uniform, about);
    assert.deepEqual(integers.map(([high]) => [high, random.integers(high)]), integers, about);
    assert.deepEqual(random.permutation(23), permutation, about);
    const drawn = [7, 2 ** 35, 9].flatMap((high) => [random.integers(high), random.uniform()]);
    assert.deepEqual(drawn, mixed, about);
    assert.deepEqual(short.map((_, count) => random.permutation(count)), short, about);
    assert.equal(random.integers(2 ** 53 - 1), last, about);
  }
});

test('Draws that have to be repeated to be fair are repeated as NumPy repeats them.', () => {
  const random = createRandom(2026);
  for (const { high, draws, sha256 } of fixture.rejected) {
    assert.equal(digest(Array.from({ length: draws }, () => random.integers(high))), sha256, String(high));
  }
});

test('The split of every task size of the paper, and of others, is NumPy\'s.', () => {
  const counts = fixture.splits.map(({ count }) => count);
  for (const count of [197, 836, 293, 205, 813, 814]) assert.ok(counts.includes(count));
  for (const expected of fixture.splits) {
    const { train, test: tests } = splitIndices(expected.count, expected.seed);
    assert.equal(tests.length, expected.testCount);
    assert.equal(tests[0], expected.firstTest);
    assert.equal(train[0], expected.firstTrain);
    assert.equal(digest(tests), expected.testSha256);
    assert.equal(digest(train), expected.trainSha256);
  }
});

test('Normal numbers have the mean, the spread and the tails of the normal distribution.', () => {
  const random = createRandom(11);
  const count = 40000;
  const numbers = Array.from({ length: count }, () => random.normal());
  const mean = numbers.reduce((sum, number) => sum + number, 0) / count;
  const variance = numbers.reduce((sum, number) => sum + (number - mean) ** 2, 0) / count;
  // Four standard errors: 1/√n of the mean, √(2/n) of the variance, √(p(1−p)/n) of the share p beyond 2.
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(count), `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 4 * Math.sqrt(2 / count), `variance ${variance}`);
  const beyond = numbers.filter((number) => Math.abs(number) > 2).length / count;
  assert.ok(Math.abs(beyond - 0.0455) < 4 * Math.sqrt(0.0455 * 0.9545 / count), `beyond 2: ${beyond}`);
  assert.deepEqual(Array.from({ length: 3 }, createRandom(11).normal), numbers.slice(0, 3));
});

test('A choice is the beginning of a permutation: different numbers of the range.', () => {
  assert.deepEqual(createRandom(5).choice(50, 10), createRandom(5).permutation(50).slice(0, 10));
  assert.equal(new Set(createRandom(6).choice(10, 10)).size, 10);
  assert.deepEqual(createRandom(6).choice(10, 0), []);
});

test('What is no seed or count is refused.', () => {
  for (const seed of [-1, 0.5, NaN, 2 ** 53, [1, -1]]) {
    assert.throws(() => createRandom(seed), /random seed: seed: expected a whole number from 0 to 90071/);
  }
  const random = createRandom(1);
  assert.throws(() => random.integers(0), /integers: high: expected a whole number from 1 .* found 0/);
  assert.throws(() => random.permutation(-1), /permutation: count: .* found -1/);
  assert.throws(() => random.choice(3, 4), /choice: size: expected a whole number from 0 to 3, found 4/);
});
