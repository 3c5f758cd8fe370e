import assert from 'node:assert/strict';
import test from 'node:test';

import { configure } from '../lib/experiment';
import { embeddedRatePictures, ratePicture } from '../lib/learning-rates';
import type { Grid } from '../lib/runs';

const device = { backend: 'native', kind: 'CPU', threads: 1, version: '0' } as const;

/** A grid of one vector a run, after two epochs: first all alike, then in the plane at `degrees`[word][task]. */
function planarGrid(degrees: readonly (readonly number[])[]): Grid {
  const at = (angle: number) => [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  const words = degrees.map((_, w) => `word${w}`);
  const tasks = degrees[0].map((_, t) => `task${t}`);
  const runs = tasks.flatMap((task, t) => words.map((word, w) => (
    { task, word, seed: 0, metrics: [], prompts: { shape: [2, 1, 2], data: Float32Array.from([1, 0, ...at(degrees[w][t])]) } })));
  const experiment = { ...configure('demo', {}, {}), epochs: 2, promptTokens: 1, words, tasks, learningRate: 0.02 };
  return { name: 'planar', folder: '', experiment, device, runs };
}

test('The distances of a learning rate are 1 − cosine of the angles between the last prompts.', () => {
  // word0 at 0° and 60°, word1 at 90° and 180°: same word 60° and 90°, same task 90° and 120°, the others 180° and 30°
  const { learningRate, word, task, all } = ratePicture(planarGrid([[0, 60], [90, 180]]));
  const [d30, d60, d90, d120, d180] = [1 - Math.sqrt(3) / 2, 0.5, 1, 1.5, 2];
  assert.equal(learningRate, 0.02);
  const near = (found: number, expected: number) => assert.ok(Math.abs(found - expected) < 1e-6, `${found} ${expected}`);
  near(word, (d60 + d90) / 2);
  near(task, (d90 + d120) / 2);
  near(all, (d60 + d90 + d90 + d120 + d180 + d30) / 6);
});

test('The embedded model\'s card has the paper\'s learning rate, and rates in rising order.', () => {
  const rates = embeddedRatePictures().map(({ learningRate }) => learningRate);
  assert.ok(rates.includes(0.001));
  assert.deepEqual(rates, [...rates].sort((a, b) => a - b));
  assert.equal(new Set(rates).size, rates.length);
});
