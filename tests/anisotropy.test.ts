import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { cleanedDistances, removeComponents, vocabularyAxes } from '../lib/anisotropy';
import { startBackend, tf } from '../lib/backend';
import { pointAt, pointsFrom } from '../lib/points';
import { createRandom } from '../lib/random';
import { dModel, further, initRows, labels, prompts, vocabulary } from './further-fixture';

before(() => startBackend());

const { cleaned } = further;
const tokenRows = [...Array(9).keys()];

test('The components of a vocabulary are those of scikit-learn, and no tensor is left.', async () => {
  const tensors = tf.memory().numTensors;
  const { components, shares } = await vocabularyAxes(vocabulary, 4);
  assert.equal(tf.memory().numTensors, tensors);
  // The covariance is added up in float32 blocks: 1e-6 of the largest value.
  shares.forEach((share, i) => assert.ok(Math.abs(share - cleaned.shares[i]) < 1e-6, `share ${i}: ${share}`));
  components.forEach((component, i) => {
    const theirs = cleaned.components.slice(i * dModel, (i + 1) * dModel);
    const cosine = Math.abs(component.reduce((sum, x, k) => sum + x * theirs[k], 0));
    assert.ok(cosine > 1 - 1e-9, `component ${i}: cosine ${cosine}`);
  });
});

test('A vocabulary of several blocks gives the axes it was made with.', async () => {
  const random = createRandom(4);
  const scales = [3, 2, 1, 0.5, 0.25];
  const data = Float32Array.from({ length: 9000 * 5 }, (_, k) => 10 + scales[k % 5] * random.normal());
  const { mean, components, shares } = await vocabularyAxes(pointsFrom(data, 5), 2);
  for (const value of mean) assert.ok(Math.abs(value - 10) < 0.2, `mean ${value}`);
  assert.ok(Math.abs(components[0][0]) > 0.99 && Math.abs(components[1][1]) > 0.99);
  assert.ok(Math.abs(shares[0] - 9 / 14.3125) < 0.02, `share ${shares[0]}`);
});

test('What is left of a point has no part along the removed components.', async () => {
  const axes = await vocabularyAxes(vocabulary, 3);
  const left = removeComponents(prompts, axes, 2);
  for (let row = 0; row < left.count; row++) {
    const along = axes.components.map((component) => (
      pointAt(left, row).reduce((sum, x, k) => sum + x * component[k], 0)));
    assert.ok(Math.abs(along[0]) < 1e-6 && Math.abs(along[1]) < 1e-6, along.join());
    const third = pointAt(prompts, row).reduce((sum, x, k) => sum + (x - axes.mean[k]) * axes.components[2][k], 0);
    assert.ok(Math.abs(along[2] - third) < 1e-5, 'the third stays');
  }
  assert.throws(() => removeComponents(prompts, axes, 4), /4 components, expected 0 … 3/);
});

test('Distances without the mean and 0 to 3 components are those of NumPy and SciPy.', async () => {
  const axes = await vocabularyAxes(vocabulary, 3);
  const space = { vocabulary, prompts: { points: prompts, labels }, initRows };
  const variants = await cleanedDistances(space, axes, { components: [0, 1, 2, 3], tokenRows, seed: 0, resamples: 20 });
  assert.deepEqual(variants.map(({ removed }) => removed), ['nothing', 0, 1, 2, 3]);
  cleaned.variants.forEach((expected, i) => {
    const found = variants[i + 1];
    for (const key of ['sameWord', 'sameTask', 'allPrompts'] as const) {
      const { estimate, low, high } = found[key];
      assert.ok(Math.abs(estimate - expected[key]) < 1e-5, `${i} ${key}: ${estimate}, ${expected[key]}`);
      assert.ok(low < estimate && estimate < high);
    }
    assert.ok(Math.abs(found.tokens - expected.tokens) < 1e-5, `${i}: ${found.tokens}, ${expected.tokens}`);
  });
});

test('A vocabulary of equal rows or with a number that is not finite is refused.', async () => {
  await assert.rejects(vocabularyAxes(pointsFrom(new Float32Array(12).fill(1), 3), 1), /all rows are equal/);
  await assert.rejects(vocabularyAxes(pointsFrom(Float32Array.from([1, NaN, 2, 3]), 2), 1), /not finite/);
});
