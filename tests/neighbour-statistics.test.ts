import assert from 'node:assert/strict';
import * as path from 'node:path';
import test, { before } from 'node:test';

import { startBackend, tf } from '../lib/backend';
import { readJson } from '../lib/files';
import {
  countPromptNeighbours, countTokenNeighbours, meanCounts, nearestDistances, neighbourList,
  neighboursOfPrompts, neighboursOfTokens, ofTokens, surveySpace, taskCounts, tokensToStudy, withinEpsilon,
  type EmbeddingSpace, type PromptCounts, type TokenCounts,
} from '../lib/neighbour-statistics';
import { neighbourhoodCounts } from '../lib/neighbourhoods';
import { pointsFrom, selectPoints, type PromptLabel } from '../lib/points';
import { promptNeighbourCurve } from '../lib/space';

// Made by tests/reference/geometry.py, where the published convention is taken literally: a pool that holds
// the init words' rows twice and every point itself, counted with NumPy.
interface Nearest { readonly mean: number; readonly with: number; readonly without: number }
type Both<T> = Readonly<Record<'published' | 'corrected', T>>;
type PerQuery<C> = { readonly [K in keyof C]: number[] };
interface Nearests { readonly nearest_vocabulary: Both<Nearest>; readonly nearest_any: Both<Nearest> }
interface Fixture {
  readonly space: { readonly dModel: number; readonly vocabulary: number[]; readonly prompts: number[];
    readonly labels: PromptLabel[]; readonly initRows: number[]; readonly tokens: number[];
    readonly tasks: string[] };
  readonly neighbourhoods: readonly {
    readonly epsilon: number;
    readonly prompts: Both<PerQuery<PromptCounts>> & Nearests;
    readonly tokens: Both<PerQuery<TokenCounts>> & Nearests;
    readonly taskCounts: Both<number[][]>;
  }[];
}
const fixture = readJson(path.join(__dirname, 'reference/fixtures/geometry.json')) as Fixture;
const { labels, tasks, tokens, initRows, dModel } = fixture.space;
const points = pointsFrom(Float32Array.from(fixture.space.prompts), dModel);
const vocabulary = pointsFrom(Float32Array.from(fixture.space.vocabulary), dModel);
const space: EmbeddingSpace = { vocabulary, prompts: { points, labels }, initRows };
const conventions = ['published', 'corrected'] as const;

before(() => startBackend());

test('The neighbours of every prompt are counted by kind as in the reference.', () => {
  assert.equal(fixture.neighbourhoods.length, 2);
  for (const expected of fixture.neighbourhoods) {
    const found = neighboursOfPrompts(space, expected.epsilon);
    for (const convention of conventions) {
      const counts = countPromptNeighbours(space, found, convention);
      assert.equal(counts.length, points.count);
      for (const kind of Object.keys(counts[0]) as (keyof PromptCounts)[]) {
        const what = `${kind}, ${convention}, ε ${expected.epsilon}`;
        assert.deepEqual(counts.map((count) => count[kind]), expected.prompts[convention][kind], what);
      }
    }
  }
});

test('The neighbours of every token are counted by kind as in the reference.', () => {
  for (const expected of fixture.neighbourhoods) {
    const found = neighboursOfTokens(space, tokens, expected.epsilon);
    for (const convention of conventions) {
      const counts = countTokenNeighbours(space, found, convention);
      for (const kind of ['all', 'vocabulary', 'prompts'] as const) {
        const what = `${kind}, ${convention}, ε ${expected.epsilon}`;
        assert.deepEqual(counts.map((count) => count[kind]), expected.tokens[convention][kind], what);
      }
    }
  }
});

test('A survey finds with one pass what the searches for prompts, tokens and the curve find.', () => {
  const epsilons = [0.1, 0.5, 0.9];
  const survey = surveySpace(space, tokens, 0.5, epsilons);
  assert.deepEqual(survey.prompts, neighboursOfPrompts(space, 0.5));
  assert.deepEqual(survey.tokens, neighboursOfTokens(space, tokens, 0.5));
  assert.deepEqual(survey.curve, neighbourhoodCounts(points, vocabulary, epsilons));
  assert.deepEqual(promptNeighbourCurve(space, survey.curve), promptNeighbourCurve(space, epsilons));
  assert.deepEqual(withinEpsilon(survey.prompts, 0.25), neighboursOfPrompts(space, 0.25));
  const few = [tokens[2], tokens[0]];
  assert.deepEqual(ofTokens(withinEpsilon(survey.tokens, 0.25), few), neighboursOfTokens(space, few, 0.25));
  assert.throws(() => withinEpsilon(survey.prompts, 0.6), /epsilon 0.6, expected 0 to the 0.5/);
  assert.throws(() => ofTokens(survey.tokens, [1]), /tokens: 1, expected one whose neighbours were searched/);
});

test('Mean counts add up: all is vocabulary and prompts.', () => {
  const found = neighboursOfPrompts(space, 0.5);
  for (const convention of conventions) {
    const counts = countPromptNeighbours(space, found, convention);
    const mean = meanCounts(counts);
    assert.deepEqual(Object.keys(mean), Object.keys(counts[0]));
    assert.ok(Math.abs(mean.all - mean.vocabulary - mean.prompts) < 1e-12);
    assert.equal(mean.sameWord, counts.reduce((sum, count) => sum + count.sameWord, 0) / counts.length);
    assert.ok(mean.initWords > 0 && mean.sameWord > mean.sameTask);
  }
  assert.throws(() => meanCounts([]), /no counts/);
});

test('Nearest distances are those of the reference, published only within ε.', () => {
  for (const expected of fixture.neighbourhoods) {
    const searches = {
      prompts: neighboursOfPrompts(space, expected.epsilon),
      tokens: neighboursOfTokens(space, tokens, expected.epsilon),
    };
    for (const of of ['prompts', 'tokens'] as const) {
      for (const among of ['vocabulary', 'any'] as const) {
        for (const convention of conventions) {
          const nearest = nearestDistances(searches[of], among, convention);
          const reference = expected[of][`nearest_${among}`][convention];
          // Both in double precision.
          assert.ok(Math.abs(nearest.mean - reference.mean) < 1e-12, `${of} ${among} ${convention}`);
          assert.equal(nearest.withNeighbour, reference.with);
          assert.equal(nearest.withoutNeighbour, reference.without);
          assert.equal(nearest.distances.filter(Number.isNaN).length, reference.without);
        }
      }
    }
  }
  const without = fixture.neighbourhoods[0].prompts.nearest_vocabulary.published.without;
  assert.ok(without > 0, 'the fixture must hold prompts without a vocabulary neighbour');
});

test('Without any neighbour within ε the published mean is NaN and the corrected one a distance.', () => {
  const found = neighboursOfPrompts(space, 0);
  const published = nearestDistances(found, 'any', 'published');
  assert.deepEqual([published.withNeighbour, published.withoutNeighbour], [0, 48]);
  assert.ok(Number.isNaN(published.mean));
  assert.ok(nearestDistances(found, 'any', 'corrected').mean > 0);
});

test('Table 3 is symmetric and that of the reference; published adds the prompts themselves.', () => {
  for (const expected of fixture.neighbourhoods) {
    const found = neighboursOfPrompts(space, expected.epsilon);
    const [published, corrected] = conventions.map((c) => taskCounts(space.prompts, found, tasks, c));
    assert.deepEqual(published, expected.taskCounts.published);
    assert.deepEqual(corrected, expected.taskCounts.corrected);
    published.forEach((row, i) => row.forEach((count, j) => {
      assert.equal(count, published[j][i]);
      assert.equal(count - corrected[i][j], i === j ? 16 : 0);
    }));
  }
});

test('Table 3 keeps the order of the tasks and leaves other tasks out.', () => {
  const found = neighboursOfPrompts(space, 0.5);
  const whole = taskCounts(space.prompts, found, tasks, 'corrected');
  const part = taskCounts(space.prompts, found, [tasks[2], tasks[0]], 'corrected');
  assert.deepEqual(part, [[whole[2][2], whole[2][0]], [whole[0][2], whole[0][0]]]);
});

test('The published tokens are the random ones and the init words, the corrected ones random only.', () => {
  assert.deepEqual(tokensToStudy([5, 6], [9], 'published'), [5, 6, 9]);
  assert.deepEqual(tokensToStudy([5, 6], [9], 'corrected'), [5, 6]);
});

test('The neighbour list of one token is sorted, without the token itself.', () => {
  const { vocabulary: neighbours } = neighboursOfTokens(space, [17], 0.5);
  const list = neighbourList(neighbours, 0);
  assert.deepEqual(list.map((item) => item.row), [...neighbours.rows[0]]);
  assert.ok(list.length > 1 && list.every((item) => item.row !== 17 && item.distance < 0.5));
  assert.ok(list.every((item, i) => i === 0 || item.distance >= list[i - 1].distance));
  assert.throws(() => neighbourList(neighbours, 1), /query 1 of 1/);
});

test('A grid with holes is counted as it is, and no tensors are left.', () => {
  const tensors = tf.memory().numTensors;
  const kept = labels.map((_, i) => i).filter((i) => i % 5 !== 0);
  const prompts = { points: selectPoints(points, kept), labels: kept.map((i) => labels[i]) };
  const part = { ...space, prompts };
  const all = countPromptNeighbours(space, neighboursOfPrompts(space, 0.5), 'corrected');
  const counts = countPromptNeighbours(part, neighboursOfPrompts(part, 0.5), 'corrected');
  counts.forEach((count, i) => {
    assert.equal(count.vocabulary, all[kept[i]].vocabulary);
    assert.ok(count.prompts <= all[kept[i]].prompts);
  });
  assert.equal(tf.memory().numTensors, tensors);
});

test('Labels, init rows and tokens that do not fit are refused.', () => {
  const unlabelled = { ...space, prompts: { points, labels: labels.slice(1) } };
  assert.throws(() => neighboursOfPrompts(unlabelled, 0.5), /labels: 47 for 48 prompts/);
  assert.throws(() => neighboursOfPrompts({ ...space, initRows: [3, 80] }, 0.5), /initRows: 80, .* below 80/);
  assert.throws(() => neighboursOfTokens(space, [80], 0.5), /row 80 of 80/);
});
