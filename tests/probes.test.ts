import assert from 'node:assert/strict';
import test, { before } from 'node:test';

import { startBackend, tf } from '../lib/backend';
import { configure } from '../lib/experiment';
import { disposeGpt2, loadGpt2, type Gpt2 } from '../lib/gpt2';
import { pointAt, pointsFrom, type Points } from '../lib/points';
import {
  nearestTokenPrompts, planSwaps, swapVector, testAccuracies, testsOf, trainedPrompts, transferAccuracies,
  untrainedPrompts, type Prompt,
} from '../lib/probes';
import type { Run } from '../lib/runs';
import type { Example } from '../lib/tasks';
import { decode, singleToken } from '../lib/tokenizer';
import { initialState, tune } from '../lib/tuning';
import { readFixture } from './gpt2-fixtures';

before(async () => {
  await startBackend({ threads: 1 });
});

const fixture = readFixture('one-head');
const { data: fixturePrompt, shape: [, dModel] } = fixture.tensors.prompts;
const newTokens = 5;

async function withModel(work: (model: Gpt2) => Promise<void>): Promise<void> {
  const model = loadGpt2(fixture.folder);
  const before = tf.memory().numTensors;
  try {
    await work(model);
    assert.equal(tf.memory().numTensors, before, 'tensors are left behind');
  } finally {
    disposeGpt2(model);
  }
}

/**
 * PEFT's greedy continuations of the fixture's prompt (tokens 0 … 93 are single printable characters): every
 * `wrong`-th example asks for something else.
 */
function examplesOf(wrong: number): Example[] {
  return fixture.expected.greedy.filter(({ continuation }) => continuation.every((id) => id < 94))
    .map(({ textTokens, continuation }, i) => ({
      input: '', output: i % wrong === 0 ? 'é' : decode(continuation).slice(0, 3), textTokens,
      labelTokens: continuation.slice(0, 3),
    }));
}

const tests = new Map([['half', examplesOf(2)], ['third', examplesOf(3)]]);
const share = (wrong: number) => {
  const examples = examplesOf(wrong);
  return examples.filter((_, i) => i % wrong !== 0).length / examples.length;
};

const promptOf = (task: string, word: string, vectors: Float32Array, seed = 0): Prompt => (
  { task, word, seed, vectors });

test('Each prompt has its accuracy on each task, as counted by hand from PEFT\'s continuations.', async () => {
  await withModel(async (model) => {
    const other = fixturePrompt.map((x) => -3 * x);
    // 120 prompts are more than the 53 of one pass.
    const prompts = Array.from({ length: 120 }, (_, i) => (
      promptOf('half', 'cat', i % 2 === 0 ? fixturePrompt : other)));
    const told: number[] = [];
    const transfer = await transferAccuracies(model, prompts, tests, {
      newTokens, onProgress: ({ done, total }) => told.push(done / total),
    });
    const [right, changed] = transfer;
    assert.deepEqual(right, [share(2), share(3)]);
    assert.ok(changed[0] < right[0] && changed[1] < right[1]);
    transfer.forEach((row, i) => assert.deepEqual(row, i % 2 === 0 ? right : changed));
    assert.equal(told.at(-1), 1);
    assert.ok(told.length > 2 && told.every((done, i) => i === 0 || done > told[i - 1]));
  });
});

test('A trained prompt has on its own task the test accuracy that its training ended with.', async () => {
  await withModel(async (model) => {
    const names = ['half', 'third', 'half'];
    const factors = [1, 0.8, -1];
    const start = Float32Array.from(factors.flatMap((factor) => [...fixturePrompt].map((x) => factor * x)));
    const runs = names.map((name, seed) => (
      { task: { name, title: name, train: tests.get(name)!, test: tests.get(name)! }, seed }));
    const settings = { epochs: 2, batchSize: 8, learningRate: 0.01, weightDecay: 0.01, dropout: 0, newTokens };
    const shape = [settings.epochs, 4, dModel];
    const history: Float32Array[] = [];
    let ended: number[] = [];
    for await (const { state, metrics } of tune(model, runs, settings, initialState(start))) {
      history.push(state.prompts);
      ended = metrics.test.map(({ accuracy }) => accuracy);
    }
    const grid = names.map((task, seed): Run => {
      const data = Float32Array.from(history.flatMap((prompts) => (
        [...prompts.subarray(seed * fixturePrompt.length, (seed + 1) * fixturePrompt.length)])));
      return { task, word: 'cat', seed, metrics: [], prompts: { shape, data } };
    });
    const prompts = trainedPrompts({ runs: grid });
    const transfer = await transferAccuracies(model, prompts, tests, { newTokens });
    const own = prompts.map(({ task }, i) => transfer[i][[...tests.keys()].indexOf(task)]);
    assert.deepEqual(own, ended);
    assert.ok(ended.some((accuracy) => accuracy > 0) && new Set(ended).size > 1, 'the test must be able to fail');
    assert.notDeepEqual(prompts[0].vectors, fixturePrompt);
  });
});

test('A task without test examples is refused by name.', async () => {
  await withModel(async (model) => {
    const trials = [{ task: 'unknown', vectors: fixturePrompt }];
    await assert.rejects(testAccuracies(model, trials, tests, { newTokens }), /^Error: task unknown: /);
  });
});

test('The tests of a grid are the test examples of its tasks, the first of them where there is a limit.', () => {
  const experiment = configure('demo', { tasks: ['singular_plural', 'country_capital'] }, {});
  const [all, some] = [testsOf({ experiment }), testsOf({ experiment }, 7)];
  assert.deepEqual([...all.keys()], ['singular_plural', 'country_capital']);
  for (const task of all.keys()) assert.deepEqual(some.get(task), all.get(task)!.slice(0, 7));
  assert.ok(all.get('singular_plural')!.length > 7);
});

/** 3 tasks × 3 words × 2 seeds of 2 vectors of 3 numbers, all numbers different. */
const grid = ['a', 'b', 'c'].flatMap((task, t) => ['cat', 'dog', 'pen'].flatMap((word, w) => [0, 1].map((seed) => (
  promptOf(task, word, Float32Array.from({ length: 6 }, (_, k) => 1000 * t + 100 * w + 10 * seed + k), seed)))));
const before0 = grid.map((prompt) => ({ ...prompt, vectors: prompt.vectors.map((x) => -x - 1) }));

test('A swap puts one vector of its donor into its place and leaves the others.', () => {
  const swaps = planSwaps(grid, before0, 3, 1);
  assert.equal(swaps.length, grid.length * 2 * 3);
  for (const { run, position, kind, donor, vectors, task } of swaps) {
    assert.equal(task, grid[run].task);
    const from = kind === 'initial word' ? before0[donor] : grid[donor];
    for (let k = 0; k < 6; k++) {
      assert.equal(vectors[k], Math.floor(k / 3) === position ? from.vectors[k] : grid[run].vectors[k]);
    }
  }
});

test('The donor of a swap is another run of the same seed, with the same task or the same word.', () => {
  const swaps = planSwaps(grid, before0, 3, 1);
  for (const { run, kind, donor } of swaps) {
    const [own, other] = [grid[run], grid[donor]];
    assert.equal(other.seed, own.seed);
    assert.equal(other.task === own.task, kind !== 'other task, same word');
    assert.equal(other.word === own.word, kind !== 'other word, same task');
  }
  const donors = (seed: number) => planSwaps(grid, before0, 3, seed).map(({ donor }) => donor);
  assert.deepEqual(donors(1), swaps.map(({ donor }) => donor));
  assert.notDeepEqual(donors(1), donors(2));
  // Every possible donor is drawn by some seed.
  const drawn = new Set([...Array(40).keys()].map((seed) => donors(seed)[0]));
  assert.deepEqual([...drawn].sort(), [2, 4]);
});

test('In a grid of one word, or of one task, the swaps that need another are left out.', () => {
  const oneWord = grid.filter(({ word, seed }) => word === 'cat' && seed === 0);
  const kinds = new Set(planSwaps(oneWord, oneWord, 3, 1).map(({ kind }) => kind));
  assert.deepEqual([...kinds], ['other task, same word', 'initial word']);
  const alone = grid.slice(0, 1);
  assert.deepEqual(planSwaps(alone, alone, 3, 1).map(({ kind }) => kind), ['initial word', 'initial word']);
});

test('Swapping a vector with itself changes nothing, and the prompt itself is never changed.', () => {
  const { vectors } = grid[5];
  const copy = vectors.slice();
  for (const position of [0, 1]) assert.deepEqual(swapVector(vectors, vectors, position, 3), vectors);
  swapVector(vectors, grid[0].vectors, 1, 3);
  assert.deepEqual(vectors, copy);
});

/** A vocabulary with a row for every token of the words below, of different directions and lengths. */
const vocabulary: Points = pointsFrom(
  Float32Array.from({ length: 50257 * 4 }, (_, i) => Math.sin(i * i + 1) * (1 + (Math.floor(i / 4) % 5))), 4);
const rowsOf = (ids: readonly number[], factor = 1) => (
  Float32Array.from(ids.flatMap((id) => [...pointAt(vocabulary, id)].map((x) => factor * x))));

test('An untrained prompt is the embedding of the initial word at every position.', () => {
  const [prompt] = untrainedPrompts([promptOf('a', 'water', new Float32Array(12).fill(7))], vocabulary);
  const id = singleToken('water');
  assert.deepEqual(prompt, promptOf('a', 'water', rowsOf([id, id, id])));
});

test('A prompt of token embeddings stays as it is; one near them becomes them.', () => {
  const ids = [17, 40000, 262];
  const [same, longer] = nearestTokenPrompts(
    [promptOf('a', 'cat', rowsOf(ids)), promptOf('b', 'dog', rowsOf(ids, 2.5))], vocabulary);
  assert.deepEqual(same, { ...promptOf('a', 'cat', rowsOf(ids)), tokens: ids });
  // The cosine distance does not see the length: the token's own is taken.
  assert.deepEqual(longer, { ...promptOf('b', 'dog', rowsOf(ids)), tokens: ids });
  const near = rowsOf(ids);
  near[5] += 1e-3;
  const [put] = nearestTokenPrompts([promptOf('a', 'cat', near)], vocabulary);
  assert.deepEqual(put.tokens, ids);
  assert.deepEqual(put.vectors, rowsOf(ids));
});
