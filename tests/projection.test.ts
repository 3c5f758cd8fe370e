import assert from 'node:assert/strict';
import * as path from 'node:path';
import test from 'node:test';

import { distanceMatrix, type DistanceMatrix } from '../lib/distances';
import { readJson } from '../lib/files';
import { pointsFrom, selectPoints } from '../lib/points';
import { projectPca, projectTsne, trustworthiness } from '../lib/projection';

// 240 points in 10 clusters and what scikit-learn makes of them (TSNE, metric cosine, perplexity 30, exact;
// PCA; trustworthiness with 10 neighbours), by tests/reference/geometry.py.
interface Fixture {
  readonly projection: {
    readonly points: number[];
    readonly dModel: number;
    readonly tsne: Record<'pca' | 'random', Readonly<{ divergence: number; trustworthiness: number }>>;
    readonly pca: number[];
    readonly pcaTrustworthiness: number;
  };
}
const { projection: fixture } = readJson(path.join(__dirname, 'reference/fixtures/geometry.json')) as Fixture;
const points = pointsFrom(Float32Array.from(fixture.points), fixture.dModel);
const distances = distanceMatrix(points, 'cosine');
const few = selectPoints(points, [...Array(60).keys()]);
const fewDistances = distanceMatrix(few, 'cosine');

test('t-SNE is as faithful as scikit-learn’s, from its default start and from a random one.', () => {
  assert.equal(points.count, 240);
  const { pca, random } = fixture.tsne;
  const best = Math.min(pca.divergence, random.divergence);
  const worst = Math.max(pca.divergence, random.divergence);
  for (const seed of [undefined, 0]) {
    const picture = projectTsne(points, distances, { seed });
    assert.equal(picture.coordinates.length, 480);
    // Different starts end in different minima; scikit-learn's own two differ by 6 %.
    const { divergence } = picture;
    assert.ok(divergence > 0.97 * best && divergence < 1.03 * worst, `divergence ${divergence}`);
    const faithful = trustworthiness(distances, picture, 10);
    const theirs = Math.min(pca.trustworthiness, random.trustworthiness);
    assert.ok(faithful > theirs - 0.02, `trustworthiness ${faithful}`);
  }
});

// Three more sets of points and what scikit-learn makes of them, by tests/reference/tsne.py.
interface Run {
  readonly method: 'exact' | 'barnes_hut';
  readonly divergence: number;
  readonly trustworthiness: number;
  readonly embedding?: number[];
}
interface PointSet {
  readonly dModel: number;
  readonly points: number[];
  readonly 'scikit-learn': Run[];
}
const { perplexity, sets } = readJson(path.join(__dirname, 'reference/fixtures/tsne.json')) as {
  readonly perplexity: number;
  readonly sets: Record<string, PointSet>;
};

/** Kullback–Leibler divergence of a picture as van der Maaten and Hinton (2008) write it, sum by sum. */
function divergenceOf({ data, count }: DistanceMatrix, coordinates: ArrayLike<number>): number {
  const rows = [...Array(count).keys()];
  const conditional = rows.map((i) => {
    const squares = rows.map((j) => data[i * count + j] ** 2);
    // The precision whose distribution has the entropy of `perplexity` equal choices, by bisection of its logarithm.
    let [low, high] = [-5, 20];
    let shares: number[] = [];
    for (let step = 0; step < 45; step++) {
      const middle = (low + high) / 2;
      const weights = rows.map((j) => (j === i ? 0 : Math.exp(-squares[j] * Math.exp(middle))));
      const total = weights.reduce((sum, w) => sum + w, 0);
      shares = weights.map((w) => w / total);
      const entropy = shares.reduce((sum, share) => (share > 0 ? sum - share * Math.log(share) : sum), 0);
      if (entropy > Math.log(perplexity)) low = middle;
      else high = middle;
    }
    return shares;
  });
  const kernel = (i: number, j: number): number =>
    i === j ? 0 : 1 / (1 + (coordinates[2 * i] - coordinates[2 * j]) ** 2 + (coordinates[2 * i + 1] - coordinates[2 * j + 1]) ** 2);
  const kernels = rows.reduce((sum, i) => sum + rows.reduce((part, j) => part + kernel(i, j), 0), 0);
  return rows.reduce((sum, i) => sum + rows.reduce((part, j) => {
    const p = (conditional[i][j] + conditional[j][i]) / (2 * count);
    return p > 0 ? part + p * Math.log(p / (kernel(i, j) / kernels)) : part;
  }, 0), 0);
}

const mean = (values: number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

for (const [name, set] of Object.entries(sets)) {
  const given = pointsFrom(Float32Array.from(set.points), set.dModel);
  const between = distanceMatrix(given, 'cosine');
  const runs = set['scikit-learn'];

  test(`t-SNE of ${name} is as trustworthy as scikit-learn’s, within 0.02, and its divergence as low.`, () => {
    const exact = runs.filter(({ method }) => method === 'exact');
    const highest = Math.max(...exact.map(({ divergence }) => divergence));
    for (const seed of name === 'wine' ? [undefined, 3] : [undefined]) {
      const picture = projectTsne(given, between, { seed });
      const faithful = trustworthiness(between, picture, 10);
      for (const method of ['exact', 'barnes_hut'] as const) {
        const theirs = mean(runs.filter((run) => run.method === method).map((run) => run.trustworthiness));
        assert.ok(Math.abs(faithful - theirs) < 0.02, `${method}, seed ${seed}: ${faithful}, theirs ${theirs}`);
      }
      // From the same start scikit-learn's own seeds end up to 5 % apart.
      assert.ok(picture.divergence < 1.05 * highest, `seed ${seed}: divergence ${picture.divergence}`);
      // The search for the perplexity stops at an entropy within 1e-5.
      const independent = divergenceOf(between, picture.coordinates);
      assert.ok(Math.abs(picture.divergence - independent) < 1e-4, `${picture.divergence} and ${independent}`);
    }
  });

  test(`Trustworthiness and divergence of scikit-learn’s picture of ${name} are what scikit-learn says.`, () => {
    const [{ embedding = [], divergence, trustworthiness: theirs }] = runs;
    const ours = trustworthiness(between, { coordinates: Float64Array.from(embedding) }, 10);
    assert.ok(Math.abs(ours - theirs) < 1e-12, `trustworthiness ${ours} and ${theirs}`);
    // scikit-learn's probabilities are in single precision and stop at an entropy within 1e-5, too.
    const computed = divergenceOf(between, embedding);
    assert.ok(Math.abs(computed - divergence) < 1e-4, `divergence ${computed} and ${divergence}`);
  });
}

test('t-SNE gives the same picture again, and another for another seed.', () => {
  const options = { perplexity: 10, iterations: 300 };
  const first = projectTsne(few, fewDistances, { ...options, seed: 4 });
  assert.deepEqual(projectTsne(few, fewDistances, { ...options, seed: 4 }), first);
  assert.notDeepEqual(projectTsne(few, fewDistances, { ...options, seed: 5 }).coordinates, first.coordinates);
  assert.deepEqual(projectTsne(few, fewDistances, options), projectTsne(few, fewDistances, options));
});

test('t-SNE puts the points of a cluster next to each other.', () => {
  const { coordinates } = projectTsne(few, fewDistances, { perplexity: 5 });
  let ofCluster = 0;
  for (let i = 0; i < few.count; i++) {
    const others = [...Array(few.count).keys()].filter((j) => j !== i);
    const squared = (j: number): number =>
      (coordinates[2 * i] - coordinates[2 * j]) ** 2 + (coordinates[2 * i + 1] - coordinates[2 * j + 1]) ** 2;
    const nearest = others.reduce((best, j) => (squared(j) < squared(best) ? j : best));
    if (nearest % 10 === i % 10) ofCluster++;
  }
  // By chance it would be one in ten.
  assert.ok(ofCluster > 0.8 * few.count, `${ofCluster} of ${few.count}`);
});

test('The gradient descent ends where moving a point makes the divergence no smaller.', () => {
  const shorter = projectTsne(few, fewDistances, { perplexity: 8, iterations: 1000 }).divergence;
  const longer = projectTsne(few, fewDistances, { perplexity: 8, iterations: 3000 }).divergence;
  assert.ok(longer <= shorter + 1e-9 && longer > 0.98 * shorter, `${shorter}, then ${longer}`);
});

test('The principal components are those of scikit-learn up to sign.', () => {
  const { coordinates } = projectPca(points);
  for (let axis = 0; axis < 2; axis++) {
    const ours = coordinates.filter((_, k) => k % 2 === axis);
    const theirs = fixture.pca.filter((_, k) => k % 2 === axis);
    const sign = Math.sign(ours[0] * theirs[0]);
    // Both in double precision; the eigenvectors are exact to 1e-10 of the largest value.
    ours.forEach((x, i) => assert.ok(Math.abs(x - sign * theirs[i]) < 1e-7, `axis ${axis} row ${i}`));
    const farthest = ours.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best));
    assert.ok(farthest > 0);
  }
});

test('Points on a line have a second component of 0, and equal points none at all.', () => {
  const line = projectPca(pointsFrom(Float32Array.from([0, 0, 3, 4, 6, 8, 9, 12]), 2)).coordinates;
  const first = [...line].filter((_, k) => k % 2 === 0).map((x) => Math.abs(x));
  // Steps of 5 around the middle.
  first.forEach((x, i) => assert.ok(Math.abs(x - [7.5, 2.5, 2.5, 7.5][i]) < 1e-9));
  assert.ok(line.every((x, k) => k % 2 === 0 || Math.abs(x) < 1e-5));
  assert.deepEqual([...projectPca(pointsFrom(new Float32Array(8).fill(0.5), 4)).coordinates], [0, 0, 0, 0]);
});

test('Trustworthiness is that of scikit-learn for a mediocre picture and 1 for a perfect one.', () => {
  const mediocre = trustworthiness(distances, { coordinates: Float64Array.from(fixture.pca) }, 10);
  assert.ok(Math.abs(mediocre - fixture.pcaTrustworthiness) < 1e-12, `${mediocre}`);
  const plane = pointsFrom(Float32Array.from(fixture.pca), 2);
  const coordinates = Float64Array.from(plane.data);
  assert.equal(trustworthiness(distanceMatrix(plane, 'euclidean'), { coordinates }, 5), 1);
});

test('Arguments that do not fit are refused.', () => {
  const three = selectPoints(points, [0, 1, 2]);
  assert.throws(() => projectTsne(three, distances), /3 points, but distances of 240/);
  const threeDistances = distanceMatrix(three, 'cosine');
  assert.throws(() => projectTsne(three, threeDistances), /perplexity 30, .* below the 3 points/);
  assert.throws(() => trustworthiness(distances, { coordinates: new Float64Array(4) }), /2 projected points/);
  const coordinates = new Float64Array(480);
  assert.throws(() => trustworthiness(distances, { coordinates }, 120), /120 neighbours, .* half of 240/);
});
