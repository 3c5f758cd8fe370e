import assert from 'node:assert/strict';
import test, { before } from 'node:test';

import { startBackend, type tf } from '../lib/backend';
import { disposeLayout, layOut, sharedTextLength, type Layout, type Sequence } from '../lib/layout';
import { withoutLeak } from './gpt2-fixtures';

before(async () => {
  await startBackend({ threads: 1 });
});

const sequence = (textTokens: number[], labelTokens: number[]): Sequence => ({ textTokens, labelTokens });

function withLayout(
  batches: readonly (readonly Sequence[])[], promptTokens: number, sharedText: number, use: (layout: Layout) => void,
): void {
  withoutLeak(() => {
    const layout = layOut(batches, promptTokens, sharedText);
    use(layout);
    disposeLayout(layout);
  });
}

const numbers = (tensor: tf.Tensor) => [...tensor.dataSync()];

test('The shared text is what all texts begin with, and leaves each its last token.', () => {
  assert.equal(sharedTextLength([sequence([1, 2, 3, 4], [9]), sequence([1, 2, 5, 4], [9])]), 2);
  assert.equal(sharedTextLength([sequence([1, 2, 3], [9]), sequence([1, 2, 3], [9])]), 2);
  assert.equal(sharedTextLength([sequence([1, 2, 3], [9]), sequence([1], [9])]), 0);
  assert.equal(sharedTextLength([sequence([1, 2, 3], [9]), sequence([4, 2, 3], [9]), sequence([1, 2, 3], [9])]), 0);
  assert.equal(sharedTextLength([sequence([1, 2, 3], [9])]), 2);
});

// By hand: 2 runs, 2 prompt tokens, 1 shared text token (10), so 3 prefix rows a run: rows 0–2 and 3–5.
const batches = [
  [sequence([10, 11, 12], [20, 21]), sequence([10, 13], [22])],
  [sequence([10, 14], [23, 24, 25])],
];

test('Suffixes are packed behind all prefixes, without padding and without the last label token.', () => {
  withLayout(batches, 2, 1, (layout) => {
    assert.deepEqual(
      [layout.runs, layout.promptTokens, layout.prefixTokens, layout.examples, layout.suffixTokens], [2, 2, 3, 2, 3]);
    assert.deepEqual(layout.sharedTokens, [10]);
    assert.deepEqual(numbers(layout.suffixIds), [11, 12, 20, 13, 14, 23, 24]);
    assert.deepEqual(numbers(layout.suffixPositions), [3, 4, 5, 3, 3, 4, 5]);
    assert.equal(layout.suffixes.count, 7);
  });
});

test('Each label token is predicted by the row before it.', () => {
  withLayout(batches, 2, 1, (layout) => {
    assert.deepEqual(numbers(layout.labelIds), [20, 21, 22, 23, 24, 25]);
    // packed rows 6 … 12 hold ids 11 12 20 13 14 23 24: 12 predicts 20, 20 predicts 21, 13 predicts 22, …
    assert.deepEqual(numbers(layout.labelRows), [7, 8, 9, 10, 11, 12]);
    assert.deepEqual(
      layout.labelOwners.map(({ run, example }) => [run, example]),
      [[0, 0], [0, 0], [0, 1], [1, 0], [1, 0], [1, 0]]);
    assert.deepEqual(numbers(layout.labelOfRow), [6, 6, 6, 6, 6, 6, 6, 0, 1, 2, 3, 4, 5]);
  });
});

test('The rectangle [run, example, position] and the packed rows lead to each other.', () => {
  withLayout(batches, 2, 1, (layout) => {
    // run 0: example 0 fills 3 places, example 1 one of 3; run 1: example 0 fills 3, example 1 is all padding
    assert.deepEqual(numbers(layout.rowOfPlace), [6, 7, 8, 9, 0, 0, 10, 11, 12, 0, 0, 0]);
    assert.deepEqual(numbers(layout.suffixes.places), [0, 1, 2, 3, 6, 7, 8]);
    assert.deepEqual(numbers(layout.suffixes.indexOfPlace), [0, 1, 2, 3, 7, 7, 4, 5, 6, 7, 7, 7]);
    assert.deepEqual(numbers(layout.labels.places), [1, 2, 3, 6, 7, 8]);
    assert.deepEqual(numbers(layout.labels.indexOfPlace), [6, 0, 1, 2, 6, 6, 3, 4, 5, 6, 6, 6]);
  });
});

test('A query looks at what stands before it and at itself, a suffix also at the whole prefix.', () => {
  withLayout(batches, 2, 1, (layout) => {
    const open = (mask: tf.Tensor) => numbers(mask).map((value) => (value === 0 ? 1 : value === -1e9 ? 0 : NaN));
    assert.deepEqual(open(layout.prefixMask), [1, 0, 0, 1, 1, 0, 1, 1, 1]);
    assert.deepEqual(open(layout.suffixMask), [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]);
  });
});
