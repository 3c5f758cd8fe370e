import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../lib/random';
import { vocabularySize } from '../lib/tokenizer';
import { trainTrigram } from '../scripts/model-card/kneser-ney';

/** NumPy: `r = default_rng(5); [int(3000 * r.random() ** 4) for _ in range(20000)]` */
const random = createRandom(5);
const tokens = Uint16Array.from({ length: 20_000 }, () => Math.floor(3000 * random.uniform() ** 4));
const logProbability = trainTrigram(tokens);

test('The probabilities of all tokens after a context sum to one, known context or not.', () => {
  for (const [u, v] of [[0, 0], [59, 58], [50_000, 0], [0, 50_000]]) {
    let sum = 0;
    for (let w = 0; w < vocabularySize; w++) sum += Math.exp(logProbability(u, v, w));
    assert.ok(Math.abs(sum - 1) < 1e-9, `after ${u}, ${v}: ${sum}`);
  }
});

test('Probabilities are those of a NumPy version written apart from this one.', () => {
  const expected: readonly (readonly [number, number, number, number])[] = [
    [0, 0, 0, -1.368847], [0, 0, 1, -3.156711], [3, 7, 2, -4.082725], [59, 58, 0, -2.002554], [1, 0, 59, -5.935085],
    [50_000, 0, 0, -1.952998], [0, 50_000, 0, -2.635449], [0, 0, 50_000, -13.147587],
  ];
  for (const [u, v, w, logarithm] of expected) {
    assert.ok(Math.abs(logProbability(u, v, w) - logarithm) < 1e-6, `${w} after ${u}, ${v}`);
  }
});
