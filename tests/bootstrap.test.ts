import assert from 'node:assert/strict';
import test from 'node:test';
import { bootstrapClasses, groupIntervals, meanOfClasses, pairClasses, type PairClass } from '../lib/bootstrap';
import { distanceMatrix, groupMeans, meanDistance } from '../lib/distances';
import { pointsFrom, selectPoints, type PromptLabel } from '../lib/points';
import { createRandom, type Random } from '../lib/random';
import { cosine, further, labels, prompts } from './further-fixture';

const near = (actual: number, expected: number, tolerance: number, what = ''): void => {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected}`);
};
const threeMeans = (classes: readonly PairClass[]): number[] => [
  meanOfClasses(classes, (pairs) => pairs.sameWord), meanOfClasses(classes, (pairs) => pairs.sameTask),
  meanOfClasses(classes),
];

/** A stream that draws these whole numbers. */
function drawing(numbers: readonly number[]): Random {
  let next = 0;
  return { ...createRandom(0), integers: () => numbers[next++] };
}

test('The classes hold every pair once, and their means are those of tables 1 and 2.', () => {
  const classes = pairClasses(cosine, labels);
  // 48 prompts; word and task and seed the same: the two positions of a run, never the same position.
  assert.equal(classes.reduce((sum, { count }) => sum + count, 0), (48 * 47) / 2);
  assert.equal(classes.length, 15);
  const [word, task, all] = threeMeans(classes);
  const average = (means: readonly { mean: number }[]): number => (
    means.reduce((sum, { mean }) => sum + mean, 0) / means.length);
  near(word, average(groupMeans(cosine, labels, ['word'], 'corrected')), 1e-12, 'word');
  near(task, average(groupMeans(cosine, labels, ['task'], 'corrected')), 1e-12, 'task');
  near(all, meanDistance(cosine, 'corrected'), 1e-12, 'all');
});

test('A resample has the means of its literal copies, of which none is paired with its twin.', () => {
  for (const { words, tasks, sameWord, sameTask, all } of further.resamples) {
    const found = bootstrapClasses(cosine, labels, threeMeans, { random: drawing([...words, ...tasks]), resamples: 1 });
    // One resample is both ends of its interval. The prompts are float32.
    [sameWord, sameTask, all].forEach((expected, i) => {
      near(found[i].low, expected, 1e-7, `${words.join()} ${tasks.join()} statistic ${i}`);
      assert.equal(found[i].high, found[i].low);
    });
    near(found[0].estimate, further.resamples[0].sameWord, 1e-7, 'estimate');
  }
});

test('A draw of one word only is drawn again, since it has no pair of different words.', () => {
  const { words, tasks, all } = further.resamples[1];
  const random = drawing([2, 2, 2, 2, ...words, 0, 0, 0, ...tasks]);
  near(bootstrapClasses(cosine, labels, threeMeans, { random, resamples: 1 })[2].low, all, 1e-7);
});

test('The intervals of table 1 vary over tasks and those of table 2 over words, and repeat for one seed.', () => {
  for (const key of ['word', 'task'] as const) {
    const groups = groupIntervals(cosine, labels, key, { random: createRandom(5), resamples: 300 });
    const means = groupMeans(cosine, labels, [key], 'corrected');
    assert.deepEqual(groups.map((group) => group[key]), means.map((mean) => mean[key]));
    groups.forEach(({ estimate, low, high }, i) => {
      near(estimate, means[i].mean, 1e-12, means[i][key]);
      assert.ok(low < estimate && estimate < high && low > 0, `${low} ${estimate} ${high}`);
    });
    const again = groupIntervals(cosine, labels, key, { random: createRandom(5), resamples: 300 });
    assert.deepEqual(again, groups);
  }
});

test('More confidence makes the interval wider.', () => {
  const width = (confidence: number): number => {
    const [{ low, high }] = bootstrapClasses(cosine, labels, threeMeans,
      { random: createRandom(1), resamples: 300, confidence });
    return high - low;
  };
  assert.ok(width(0.5) < width(0.95) && width(0.95) < width(0.99));
});

test('The intervals cover the true mean about as often as they say.', () => {
  // A prompt is the sum of its word's and its task's standard normals in 4 dimensions, so two that share neither differ
  // by 2 · a standard normal, of mean length 2 · √2 · Γ(5/2) / Γ(2).
  const random = createRandom(11);
  const normals = (): number[] => Array.from({ length: 4 }, () => random.normal());
  const truth = 2 * Math.SQRT2 * 1.329340388179137;
  let covered = 0;
  const trials = 40;
  for (let trial = 0; trial < trials; trial++) {
    const words = Array.from({ length: 12 }, normals);
    const tasks = Array.from({ length: 8 }, normals);
    const grid: PromptLabel[] = [];
    const data: number[] = [];
    words.forEach((word, w) => tasks.forEach((task, t) => {
      grid.push({ word: `w${w}`, task: `t${t}`, seed: 0, position: 0 });
      data.push(...word.map((x, k) => x + task[k]));
    }));
    const distances = distanceMatrix(pointsFrom(Float32Array.from(data), 4), 'euclidean');
    const [{ low, high }] = bootstrapClasses(distances, grid,
      (classes) => [meanOfClasses(classes, ({ sameWord, sameTask }) => !sameWord && !sameTask)],
      { random, resamples: 120 });
    if (low < truth && truth < high) covered++;
  }
  // 95 % asked for; 12 words and 8 tasks give somewhat less. Chance leaves about ±3 standard errors of 0.035.
  assert.ok(covered / trials >= 0.8, `${covered} of ${trials}`);
});

test('A grid with holes, a prompt twice or too few labels is refused.', () => {
  const kept = [...labels.keys()].slice(1);
  const holed = distanceMatrix(selectPoints(prompts, kept), 'cosine');
  assert.throws(() => pairClasses(holed, kept.map((row) => labels[row])), /full grid, 48 .* found 47 in 47/);
  const twice = labels.map((label, row) => (row === 1 ? labels[0] : label));
  assert.throws(() => pairClasses(cosine, twice), /full grid, 48 .* found 47 in 48/);
  assert.throws(() => pairClasses(cosine, labels.slice(2)), /labels: 46 for a matrix of 48/);
});
