import assert from 'node:assert/strict';
import test from 'node:test';

import { spreadOf } from '../lib/spread';

test('The deviation is the sample one: 1, 2, 3, 4 have √(5/3).', () => {
  // By hand: mean 2.5, squares 2.25 + 0.25 + 0.25 + 2.25 = 5, over n − 1 = 3.
  const { mean, deviation } = spreadOf([1, 2, 3, 4]);
  assert.equal(mean, 2.5);
  assert.equal(deviation, Math.sqrt(5 / 3));
});

test('One value has a mean and no deviation, no value neither.', () => {
  assert.deepEqual(spreadOf([7]), { mean: 7, deviation: NaN });
  assert.deepEqual(spreadOf([]), { mean: NaN, deviation: NaN });
  assert.ok(Number.isNaN(spreadOf([1, NaN]).mean));
});
