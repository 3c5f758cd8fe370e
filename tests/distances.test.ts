import assert from 'node:assert/strict';
import * as path from 'node:path';
import test from 'node:test';

import {
  comparisonGroups, distanceBetween, distanceMatrix, groupMeans, groupRows, meanDistance, meanSampleDistance,
  type Convention,
} from '../lib/distances';
import { readJson } from '../lib/files';
import { pointsFrom, selectPoints, type PromptLabel } from '../lib/points';

// Made by tests/reference/geometry.py with scipy.spatial.distance.cdist on the same float32 numbers in double
// precision; both sides sum in double precision, so 1e-12 is ample.
type Means = Record<Convention, number>;
type Bar = Means & Partial<PromptLabel> & { readonly points?: number };
interface Fixture {
  readonly space: { readonly dModel: number; readonly vocabulary: number[]; readonly prompts: number[];
    readonly labels: PromptLabel[] };
  readonly firstRows: Record<'cosine' | 'euclidean', number[]>;
  readonly sampleRows: number[];
  readonly means: Record<'cosine' | 'euclidean', {
    readonly all: Means; readonly sample: Means; readonly word: Bar[]; readonly task: Bar[];
    readonly betweenPositions: Bar[]; readonly betweenTasks: Bar[]; readonly betweenWords: Bar[];
  }>;
}
const fixture = readJson(path.join(__dirname, 'reference/fixtures/geometry.json')) as Fixture;
const { labels, dModel } = fixture.space;
const prompts = pointsFrom(Float32Array.from(fixture.space.prompts), dModel);
const vocabulary = pointsFrom(Float32Array.from(fixture.space.vocabulary), dModel);
const metrics = ['cosine', 'euclidean'] as const;
const conventions = ['published', 'corrected'] as const;

function assertClose(actual: number, expected: number, what: string): void {
  const tolerance = 1e-12 * Math.max(1, Math.abs(expected));
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected}`);
}

test('Cosine and Euclidean distances are those of SciPy.', () => {
  for (const metric of metrics) {
    const expected = fixture.firstRows[metric];
    assert.equal(expected.length, 2 * prompts.count);
    const { data } = distanceMatrix(prompts, metric);
    expected.forEach((distance, k) => assertClose(data[k], distance, `${metric} ${k}`));
  }
});

test('A distance matrix is symmetric and exactly 0 on the diagonal and between equal rows.', () => {
  const twice = selectPoints(prompts, [0, 1, 2, 1]);
  for (const metric of metrics) {
    const distances = distanceMatrix(twice, metric);
    for (let i = 0; i < 4; i++) {
      assert.equal(distanceBetween(distances, i, i), 0);
      for (let j = 0; j < 4; j++) {
        assert.equal(distanceBetween(distances, i, j), distanceBetween(distances, j, i));
      }
    }
    assert.equal(distanceBetween(distances, 1, 3), 0);
    assert.ok(distanceBetween(distances, 0, 1) > 0);
  }
});

test('Hand-made points have the distances one reads off a drawing.', () => {
  const drawing = pointsFrom(Float32Array.from([3, 0, 0, 4, -5, 0, 30, 0]), 2);
  const cosine = distanceMatrix(drawing, 'cosine');
  assert.deepEqual([...cosine.data.subarray(0, 4)], [0, 1, 2, 0]); // right angle, opposite, same direction
  const euclidean = distanceMatrix(drawing, 'euclidean');
  assert.deepEqual([...euclidean.data.subarray(0, 4)], [0, 5, 8, 27]);
});

test('Cosine distance does not depend on the length of the vectors and never leaves 0 to 2.', () => {
  const a = [0.1, 0.2, 0.3];
  const points = pointsFrom(Float32Array.from([a, a.map((x) => x * 8), a.map((x) => -x / 4)].flat()), 3);
  const { data } = distanceMatrix(points, 'cosine');
  // Powers of two change no digit of a float32.
  assert.equal(data[1], 0);
  assert.equal(data[2], 2);
});

test('The mean distances of all prompts are those of NumPy in both conventions.', () => {
  for (const metric of metrics) {
    const distances = distanceMatrix(prompts, metric);
    for (const c of conventions) {
      assertClose(meanDistance(distances, c), fixture.means[metric].all[c], `${metric} ${c}`);
    }
  }
});

test('Tables 1 and 2 are the means by word and by task.', () => {
  for (const metric of metrics) {
    const distances = distanceMatrix(prompts, metric);
    for (const c of conventions) {
      for (const key of ['word', 'task'] as const) {
        const means = groupMeans(distances, labels, [key], c);
        const expected = fixture.means[metric][key];
        assert.deepEqual(means.map((m) => [m[key], m.points]), expected.map((e) => [e[key], e.points]));
        means.forEach((m, i) => assertClose(m.mean, expected[i][c], `${metric} ${c} ${m[key]}`));
      }
    }
  }
});

test('The bars of figures 3 and 5 let one label vary and average over seeds.', () => {
  for (const metric of metrics) {
    for (const c of conventions) {
      const panels = comparisonGroups(distanceMatrix(prompts, metric), labels, c);
      for (const panel of ['betweenPositions', 'betweenTasks', 'betweenWords'] as const) {
        const expected = fixture.means[metric][panel];
        assert.equal(panels[panel].length, expected.length);
        panels[panel].forEach((bar, i) => {
          for (const [key, value] of Object.entries(bar)) {
            if (key === 'mean') assertClose(value as number, expected[i][c], `${metric} ${c} ${panel} ${i}`);
            else if (key !== 'points' && key !== 'deviation') assert.equal(value, expected[i][key as keyof PromptLabel]);
          }
        });
      }
    }
  }
});

test('The deviation of a bar is that of its seeds, and NaN where there is one seed.', () => {
  const distances = distanceMatrix(prompts, 'cosine');
  const perSeed = groupMeans(distances, labels, ['task', 'word', 'seed'], 'corrected');
  const { betweenPositions } = comparisonGroups(distances, labels, 'corrected');
  for (const bar of betweenPositions) {
    const own = perSeed.filter(({ task, word }) => task === bar.task && word === bar.word);
    assert.equal(own.length, 2);
    // Two values that are d apart have the sample standard deviation d / √2.
    assertClose(bar.deviation, Math.abs(own[0].mean - own[1].mean) / Math.SQRT2, `${bar.task} ${bar.word}`);
  }
  const rows = labels.flatMap(({ seed }, i) => (seed === labels[0].seed ? [i] : []));
  const one = distanceMatrix(selectPoints(prompts, rows), 'cosine');
  const bars = comparisonGroups(one, rows.map((row) => labels[row]), 'corrected').betweenPositions;
  assert.ok(bars.every(({ deviation }) => Number.isNaN(deviation)));
});

test('The dashed line is the mean distance of the chosen vocabulary rows.', () => {
  for (const metric of metrics) {
    for (const c of conventions) {
      const mean = meanSampleDistance(vocabulary, fixture.sampleRows, metric, c);
      assertClose(mean, fixture.means[metric].sample[c], `${metric} ${c}`);
    }
  }
});

test('For n points the published mean is the corrected one times (n − 1) / n, in every group.', () => {
  const distances = distanceMatrix(prompts, 'cosine');
  const published = groupMeans(distances, labels, ['task', 'word', 'seed'], 'published');
  const corrected = groupMeans(distances, labels, ['task', 'word', 'seed'], 'corrected');
  assert.equal(published.length, 24);
  published.forEach((group, i) => {
    assertClose(group.mean, (corrected[i].mean * (group.points - 1)) / group.points, `group ${i}`);
  });
});

test('The order of the prompts changes no mean beyond rounding.', () => {
  const rows = [...Array(prompts.count).keys()].reverse();
  const distances = distanceMatrix(prompts, 'cosine');
  const backward = distanceMatrix(selectPoints(prompts, rows), 'cosine');
  assertClose(meanDistance(backward, 'corrected'), meanDistance(distances, 'corrected'), 'all');
  const words = groupMeans(distances, labels, ['word'], 'corrected');
  const wordsBackward = groupMeans(backward, rows.map((row) => labels[row]), ['word'], 'corrected');
  assert.deepEqual(wordsBackward.map((m) => m.word), words.map((m) => m.word).reverse());
  words.forEach((m, i) => assertClose(wordsBackward[words.length - 1 - i].mean, m.mean, m.word));
});

test('A group of one point has mean 0 as published and NaN corrected, and an empty choice NaN.', () => {
  const distances = distanceMatrix(selectPoints(prompts, [0, 1, 2]), 'cosine');
  assert.equal(meanDistance(distances, 'published', [1]), 0);
  assert.ok(Number.isNaN(meanDistance(distances, 'corrected', [1])));
  assert.ok(Number.isNaN(meanDistance(distances, 'published', [])));
});

test('Groups are found by the values of the labels, also where joined text would be the same.', () => {
  const groups = groupRows([{ a: 'x,', b: 'y' }, { a: 'x', b: ',y' }, { a: 'x,', b: 'y' }], ['a', 'b']);
  assert.deepEqual(groups.map((group) => group.rows), [[0, 2], [1]]);
});

test('What has no distance is refused with its row.', () => {
  const zero = pointsFrom(Float32Array.from([1, 2, 0, 0, 3, 4]), 2);
  assert.throws(() => distanceMatrix(zero, 'cosine'), /row 1 is the zero vector/);
  assert.equal(distanceMatrix(zero, 'euclidean').data[1], Math.sqrt(5));
  const broken = pointsFrom(Float32Array.from([1, 2, 3, NaN]), 2);
  assert.throws(() => distanceMatrix(broken, 'euclidean'), /row 1 .*finite/);
  const distances = distanceMatrix(prompts, 'cosine');
  assert.throws(() => groupMeans(distances, labels.slice(1), ['word'], 'published'), /labels: 47 .* 48/);
  assert.throws(() => distanceBetween(distances, 0, 48), /rows 0 and 48 of 48/);
  assert.throws(() => distanceBetween(distances, -1, 2), /rows -1 and 2/);
});
