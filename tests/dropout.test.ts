import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { before } from 'node:test';

import { startBackend, tf } from '../lib/backend';
import { dropoutMasks } from '../lib/dropout';
import { readJson } from '../lib/files';
import { disposeGpt2, loadGpt2 } from '../lib/gpt2';
import type { DropoutMasks } from '../lib/ops';
import { runGradients } from '../lib/run-gradients';
import type { Example } from '../lib/tasks';
import { readFixture } from './gpt2-fixtures';

before(async () => {
  await startBackend({ threads: 1 });
});

function valuesOf(masks: DropoutMasks, shape: readonly number[]): Float32Array {
  const mask = masks(shape);
  assert.deepEqual(mask.shape, shape);
  const values = mask.dataSync() as Float32Array;
  mask.dispose();
  return values;
}

test('A mask is 0 or 1 / (1 − rate), with mean 1 and variance rate / (1 − rate).', () => {
  for (const rate of [0.1, 0.5]) {
    const count = 40 * 5000;
    const values = valuesOf(dropoutMasks(rate, [1, 2]), [40, 5000]);
    const kept = values.filter((value) => value !== 0);
    assert.ok(kept.every((value) => Math.abs(value - 1 / (1 - rate)) < 1e-6));
    const mean = values.reduce((sum, value) => sum + value, 0) / count;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
    // Bernoulli: standard error of the mean √(rate / (1 − rate) / count) ≤ 0.0023; five of them
    assert.ok(Math.abs(mean - 1) < 0.012, `mean ${mean}`);
    assert.ok(Math.abs(variance - rate / (1 - rate)) < 0.012, `variance ${variance}`);
  }
});

test('Neighbouring numbers, rows and masks drop independently of each other.', () => {
  const masks = dropoutMasks(0.5, [7]);
  const [rows, columns] = [200, 500];
  const first = valuesOf(masks, [rows, columns]);
  const second = valuesOf(masks, [rows, columns]);
  const correlation = (other: (i: number) => number, count: number) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += (first[i] - 1) * (other(i) - 1);
    return sum / count;
  };
  // 100 000 products of ±1: standard error 0.0032; five of them
  assert.ok(Math.abs(correlation((i) => first[i + 1], rows * columns - 1)) < 0.016);
  assert.ok(Math.abs(correlation((i) => first[i + columns], (rows - 1) * columns)) < 0.016);
  assert.ok(Math.abs(correlation((i) => second[i], rows * columns)) < 0.016);
});

test('The same seed gives the same masks in the same order; another run seed or step gives others.', () => {
  const draw = (seed: readonly number[]) => {
    const masks = dropoutMasks(0.1, seed);
    return [[3, 50], [2, 3, 4], [3, 50]].map((shape) => [...valuesOf(masks, shape)]);
  };
  assert.deepEqual(draw([1, 2]), draw([1, 2]));
  const [first, , third] = draw([1, 2]);
  assert.notDeepEqual(first, third);
  for (const other of [[1, 3], [2, 2]]) assert.notDeepEqual(draw(other)[0], first);
});

test('A mask is the only tensor that is left.', () => {
  const before = tf.memory().numTensors;
  const mask = dropoutMasks(0.1, [1])([4, 4]);
  assert.equal(tf.memory().numTensors, before + 1);
  mask.dispose();
});

/** Over many masks, of loss and gradient with PEFT in training mode (tests/reference/dropout.py). */
interface DropoutFixture {
  readonly rate: number;
  readonly masks: number;
  readonly loss: { readonly mean: number; readonly deviation: number };
  readonly gradient: { readonly mean: number[]; readonly deviation: number[] };
}

test('Loss and prompt gradient have, over 600 seeds, the mean and variance that GPT-2 has in training mode with PEFT.', () => {
  const expected = readJson(join(__dirname, 'reference', 'fixtures', 'dropout.json')) as DropoutFixture;
  const fixture = readFixture('odd-heads');
  const { batch, examples } = fixture.expected;
  const sequences = batch.indices.map((index) => examples[index] as Example);
  const { data, shape } = fixture.tensors.prompts;
  const model = loadGpt2(fixture.folder);
  const masks = 600;
  const draws = Array.from({ length: masks }, (_, seed) => {
    const step = { run: 0, examples: sequences, seed, step: 0, stepsAnEpoch: 1 };
    const { losses, gradient } = runGradients(model, data, [shape[0], shape[1]], [step], 0, expected.rate);
    return [losses[0], ...gradient];
  });
  disposeGpt2(model);

  const means = [expected.loss.mean, ...expected.gradient.mean];
  const deviations = [expected.loss.deviation, ...expected.gradient.deviation];
  const found = means.map((_, i) => moments(draws.map((draw) => draw[i])));
  const standardError = Math.sqrt(1 / masks + 1 / expected.masks);
  const off = found.map(({ mean }, i) => Math.abs(mean - means[i]) / (deviations[i] * standardError));
  // Of 193 normal differences one beyond 4.5 standard errors comes up once in 800 tests. Without dropout at the embeddings, in
  // attention or after the matrices the loss would be 9, 8 and 17 off: the script prints it.
  assert.ok(Math.max(...off) < 4.5, `${Math.max(...off)} standard errors`);
  const [ofLoss, ...ofGradient] = found.map(({ deviation }, i) => deviation / deviations[i]);
  assert.ok(Math.abs(ofLoss - 1) < 0.15, `deviation of the loss ${ofLoss} times PEFT's`);
  const mean = moments(ofGradient).mean;
  assert.ok(Math.abs(mean - 1) < 0.05, `deviations of the gradient ${mean} times PEFT's`);
});

function moments(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}
