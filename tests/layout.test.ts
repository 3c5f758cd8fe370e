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
      [layout.runs, layout.promptTokens, layout.prefixTokens, layout.examples, layout.suffixTokens, layout.rowCount],
      [2, 2, 3, 2, 3, 13]);
    assert.deepEqual(layout.sharedTokens, [10]);
    assert.deepEqual(numbers(layout.suffixIds), [11, 12, 20, 13, 14, 23, 24]);
    assert.deepEqual(numbers(layout.suffixPositions), [3, 4, 5, 3, 3, 4, 5]);
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

test('The places of the blocks and the packed rows lead to each other.', () => {
  withLayout(batches, 2, 1, (layout) => {
    // A block a run, of 7 places: the prefix, then its suffixes; run 0 has 3 + 1 places of them, run 1 has 3.
    assert.deepEqual([layout.blocks, layout.blockTokens], [1, 7]);
    assert.deepEqual(numbers(layout.rowOfPlace), [0, 1, 2, 6, 7, 8, 9, 3, 4, 5, 10, 11, 12, 0]);
    assert.deepEqual(numbers(layout.rows.places), [0, 1, 2, 7, 8, 9, 3, 4, 5, 6, 10, 11, 12]);
    assert.deepEqual(numbers(layout.rows.indexOfPlace), [0, 1, 2, 6, 7, 8, 9, 3, 4, 5, 10, 11, 12, 13]);
    assert.deepEqual(numbers(layout.labels.places), [4, 5, 6, 10, 11, 12]);
    assert.deepEqual(numbers(layout.labels.indexOfPlace), [6, 6, 6, 6, 0, 1, 2, 6, 6, 6, 3, 4, 5, 6]);
  });
});

test('A query looks at itself and at what stands before it in its own sequence, prompt and all.', () => {
  withLayout(batches, 2, 1, (layout) => {
    assert.deepEqual(layout.mask.shape, [2, 1, 7, 7]);
    const open = numbers(layout.mask).map((value) => (value === 0 ? '1' : value === -1e9 ? '0' : '?'));
    const rows = Array.from({ length: 14 }, (_, i) => open.slice(7 * i, 7 * i + 7).join(''));
    const prefix = ['1000000', '1100000', '1110000'];
    const first = [...prefix, '1111000', '1111100', '1111110'];
    assert.deepEqual(rows.slice(0, 7), [...first, '1110001']);
    assert.deepEqual(rows.slice(7, 13), first);
  });
});

test('Suffixes that are too many for a block fill several, each with the prefix of its run.', () => {
  const long = sequence(new Array<number>(14).fill(11), [20]);
  // 4 prefix tokens and two of 14 places fill a block of 32; three sequences take two blocks
  withLayout([[long, long, long]], 4, 0, (layout) => {
    assert.deepEqual([layout.blocks, layout.blockTokens], [2, 32]);
    const rowOfPlace = numbers(layout.rowOfPlace);
    assert.deepEqual([0, 32].map((start) => rowOfPlace.slice(start, start + 5)), [[0, 1, 2, 3, 4], [0, 1, 2, 3, 32]]);
    assert.deepEqual(numbers(layout.rows.places).slice(0, 5), [0, 1, 2, 3, 4]);
    // the prefix counts in the first block only
    assert.deepEqual(numbers(layout.rows.indexOfPlace).slice(32, 38), [46, 46, 46, 46, 32, 33]);
  });
  // a sequence that is longer than a block has one of its own
  const longest = sequence(new Array<number>(90).fill(11), [20]);
  withLayout([[longest, longest]], 4, 0, (layout) => {
    assert.deepEqual([layout.blocks, layout.blockTokens], [2, 94]);
  });
});
