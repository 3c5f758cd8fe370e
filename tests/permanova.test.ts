import assert from 'node:assert/strict';
import test from 'node:test';
import { bootstrapClasses, pairClasses } from '../lib/bootstrap';
import { distanceMatrix, groupMeans, meanDistance } from '../lib/distances';
import { chordDistances, explainedShare, permanova, shareIntervals, type Permanova } from '../lib/permanova';
import { selectPoints } from '../lib/points';
import { createRandom } from '../lib/random';
import { cosine, further, labels, prompts } from './further-fixture';

const near = (actual: number, expected: number, relative: number, what = ''): void => {
  assert.ok(Math.abs(actual / expected - 1) <= relative, `${what}: ${actual}, expected ${expected}`);
};
const analyse = (distances = cosine, permutations = 19): Promise<Permanova> => (
  permanova(distances, labels, { random: createRandom(0), permutations }));

// The prompts are float32 in both; what is left is rounding of sums.
const TOLERANCE = 1e-9;

test('The one-way pseudo-F of word, task and position are those of scikit-bio.', async () => {
  for (const [name, distances] of [['cosine', cosine], ['chord', chordDistances(cosine)]] as const) {
    const { effects, total } = await analyse(distances);
    for (const { factor, freedom, sumOfSquares } of effects) {
      const rest = (total.sumOfSquares - sumOfSquares) / (total.freedom - freedom);
      near(sumOfSquares / freedom / rest, further.oneWay[name][factor], TOLERANCE, `${name} ${factor}`);
    }
  }
});

test('With chord distances the terms are a classical analysis of variance of the unit vectors.', async () => {
  await assertSplitPlot(await analyse(chordDistances(cosine)), further.chord);
});

test('With cosine distances they are the traces of McArdle and Anderson.', async () => {
  await assertSplitPlot(await analyse(), further.cosine);
});

async function assertSplitPlot(found: Permanova, expected: typeof further.chord): Promise<void> {
  const terms = [...found.effects, found.betweenRuns, found.withinRuns];
  assert.deepEqual(terms.map(({ freedom }) => freedom), expected.freedom);
  [...terms, found.total].forEach(({ sumOfSquares }, i) => near(sumOfSquares, expected.sums[i], TOLERANCE, `sum ${i}`));
  found.effects.forEach(({ pseudoF }, i) => near(pseudoF, expected.pseudoF[i], TOLERANCE, `F ${i}`));
  near(terms.reduce((sum, { share }) => sum + share, 0), 1, 1e-12, 'shares');
  assert.equal(terms.reduce((sum, { freedom }) => sum + freedom, 0), found.total.freedom);
}

test('p and the share by chance are those of all permutations that keep runs, tasks or words together.', async () => {
  const { rows, ...exact } = further.exact;
  const distances = chordDistances(distanceMatrix(selectPoints(prompts, rows), 'cosine'));
  const { effects } = await permanova(distances, rows.map((row) => labels[row]),
    { random: createRandom(3), permutations: 4000 });
  for (const { factor, p, chance, share } of effects) {
    near(share, exact[factor].share, 1e-6, `${factor} share`);
    // 4000 draws: standard error of p at most 0.008, of the mean share (itself 0 … 1) a hundredth of its spread.
    assert.ok(Math.abs(p - exact[factor].p) < 0.032, `${factor} p: ${p}, exact ${exact[factor].p}`);
    assert.ok(Math.abs(chance - exact[factor].chance) < 0.01, `${factor} chance: ${chance}, ${exact[factor].chance}`);
  }
});

test('The share of the word is 1 − (mean of table 1) / (mean over all), both published.', async () => {
  const { effects: [word, task] } = await analyse(chordDistances(cosine));
  const all = meanDistance(cosine, 'published');
  for (const [effect, key] of [[word, 'word'], [task, 'task']] as const) {
    const means = groupMeans(cosine, labels, [key], 'published');
    near(effect.share, 1 - means.reduce((sum, { mean }) => sum + mean, 0) / means.length / all, TOLERANCE, key);
  }
});

test('The bootstrapped shares begin from those of the analysis, by pair classes alone.', async () => {
  const chord = chordDistances(cosine);
  const { effects } = await analyse(chord);
  const intervals = shareIntervals(chord, labels, { random: createRandom(2), resamples: 99 });
  for (const { factor, share } of effects) {
    const { estimate, low, high } = intervals[factor];
    near(estimate, share, TOLERANCE, factor);
    assert.ok(low <= estimate && estimate <= high, `${factor}: ${low} ${estimate} ${high}`);
  }
  // Half the squared chord distances are the cosine distances.
  near(explainedShare(pairClasses(cosine, labels), ({ sameWord }) => sameWord), intervals.word.estimate, TOLERANCE);
  const [same] = bootstrapClasses(cosine, labels, (all) => [explainedShare(all, ({ sameWord }) => sameWord)],
    { random: createRandom(2), resamples: 99 });
  near(same.low, intervals.word.low, TOLERANCE, 'low');
});

test('The same seed gives the same p, and progress reaches the end.', async () => {
  const done: number[][] = [];
  const options = { permutations: 1000, progress: (...state: number[]) => done.push(state) };
  const first = await permanova(cosine, labels, { ...options, random: createRandom(8) });
  assert.deepEqual(await permanova(cosine, labels, { ...options, random: createRandom(8) }), first);
  assert.deepEqual(done.slice(0, 6), [500, 1000, 1500, 2000, 2500, 3000].map((count) => [count, 3000]));
});

test('A factor of one level explains nothing, and has no F.', async () => {
  const rows = [...labels.keys()].filter((row) => labels[row].word === 'cat');
  const own = distanceMatrix(selectPoints(prompts, rows), 'cosine');
  const { effects: [word] } = await permanova(own, rows.map((row) => labels[row]),
    { random: createRandom(0), permutations: 19 });
  assert.ok(Math.abs(word.share) < 1e-12 && Number.isNaN(word.pseudoF) && word.p === 1, JSON.stringify(word));
});

test('What is no full grid or no cosine distance is refused.', async () => {
  const kept = [...labels.keys()].slice(1);
  const holed = distanceMatrix(selectPoints(prompts, kept), 'cosine');
  await assert.rejects(permanova(holed, kept.map((row) => labels[row]), { random: createRandom(0) }), /full grid/);
  assert.throws(() => chordDistances(distanceMatrix(prompts, 'euclidean')), /found euclidean/);
});
