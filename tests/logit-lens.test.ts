import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { before } from 'node:test';

import { startBackend, tf } from '../lib/backend';
import { readJson } from '../lib/files';
import { promptStates } from '../lib/forward';
import { outputLogits } from '../lib/output';
import { disposeGpt2, loadGpt2, type Gpt2 } from '../lib/gpt2';
import { logitLens, randomOfSameLength } from '../lib/logit-lens';
import { createRandom } from '../lib/random';
import { openSafetensors } from '../lib/safetensors';
import { FIXTURE_NAMES, promptTensor, readFixture, withoutLeak, type Fixture } from './gpt2-fixtures';

before(async () => {
  await startBackend({ threads: 1 });
});

/** What transformers computed (tests/reference/logit_lens.py). */
const folder = join(__dirname, 'reference', 'fixtures', 'logit-lens');
const { models } = readJson(join(folder, 'expected.json')) as {
  models: Record<string, { top: number[][][]; smallestGap: number }>;
};

function expectedOf(name: string, what: 'states' | 'logits' | 'entropy'): Float32Array {
  const file = openSafetensors(join(folder, 'expected.safetensors'));
  try {
    return file.read(`${name}.${what}`).data;
  } finally {
    file.close();
  }
}

function assertNear(
  found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string,
): void {
  assert.equal(found.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    assert.ok(Math.abs(found[i] - expected[i]) <= tolerance, `${what} ${i}: ${found[i]} ${expected[i]}`);
  }
}

async function withModel<T>(
  name: (typeof FIXTURE_NAMES)[number], work: (model: Gpt2, fixture: Fixture) => T | Promise<T>,
): Promise<T> {
  const fixture = readFixture(name);
  const model = loadGpt2(fixture.folder);
  try {
    return await work(model, fixture);
  } finally {
    disposeGpt2(model);
  }
}

test('Hidden states at the prompt positions, and the logits of the lens, are those of transformers.', async () => {
  for (const name of FIXTURE_NAMES) {
    await withModel(name, (model, fixture) => withoutLeak(() => {
      const prompts = promptTensor([fixture.tensors.prompts]);
      const states = promptStates(model, prompts);
      assert.equal(states.length, model.config.layers + 1);
      const found = states.flatMap((state) => [...state.dataSync()]);
      const logits = states.flatMap((state) => tf.tidy(() => [...outputLogits(model, state).dataSync()]));
      tf.dispose([prompts, ...states]);
      // float32 sums in another order
      assertNear(found, expectedOf(name, 'states'), 1e-4, `${name} states`);
      assertNear(logits, expectedOf(name, 'logits'), 1e-4, `${name} logits`);
    }));
  }
});

test('Entropies and most likely tokens of every layer and position are those of torch.', async () => {
  for (const name of FIXTURE_NAMES) {
    await withModel(name, async (model, fixture) => {
      const before = tf.memory().numTensors;
      const [readings] = await logitLens(model, [fixture.tensors.prompts.data]);
      assert.equal(tf.memory().numTensors, before, 'tensors are left behind');
      const expected = expectedOf(name, 'entropy');
      const layers = model.config.layers + 1;
      assert.equal(readings.length, 4);
      for (let layer = 0; layer < layers; layer++) {
        const entropy = readings.map((reading) => reading.entropy[layer]);
        assertNear(entropy, expected.subarray(4 * layer, 4 * layer + 4), 1e-4, `${name} layer ${layer}`);
        // Logits are within 1e-4, so an order by gaps of more than twice that is certain.
        assert.ok(models[name].smallestGap > 2e-4);
        const top = readings.map((reading) => reading.top[layer]);
        assert.deepEqual(top, models[name].top[layer], `${name} layer ${layer}`);
      }
    });
  }
});

test('Prompts that are read together, in several passes, are read as each alone, and progress counts them.', async () => {
  await withModel('deep-half', async (model, fixture) => {
    const { data } = fixture.tensors.prompts;
    // 100 prompts of 4 positions are more than one pass of 320.
    const prompts = Array.from({ length: 100 }, (_, i) => data.map((value) => value * (1 - i / 50)));
    const done: string[] = [];
    const together = await logitLens(model, prompts, {
      top: 2, onProgress: (progress) => done.push(`${progress.done} of ${progress.total}`),
    });
    assert.deepEqual(done, ['80 of 100', '100 of 100']);
    assert.equal(together.length, 100);
    for (const i of [0, 79, 80, 99]) {
      const [alone] = await logitLens(model, [prompts[i]], { top: 2 });
      alone.forEach(({ entropy, top }, position) => {
        assertNear(together[i][position].entropy, entropy, 1e-4, `prompt ${i}`);
        assert.deepEqual(together[i][position].top.map((ids) => ids.length), top.map(() => 2));
      });
    }
    assert.notDeepEqual(together[0], together[99]);
  });
});

test('A position does not see those after it.', async () => {
  await withModel('deep-half', async (model, fixture) => {
    const { data } = fixture.tensors.prompts;
    const changed = data.slice();
    changed.fill(1, 3 * 16);
    const [[first], [second]] = [await logitLens(model, [data]), await logitLens(model, [changed])];
    for (let position = 0; position < 3; position++) {
      assertNear(second[position].entropy, first[position].entropy, 1e-5, `position ${position}`);
    }
    assert.notDeepEqual(second[3].entropy, first[3].entropy);
  });
});

test('Random vectors have the lengths of the given ones, other directions, and depend on the seed alone.', () => {
  const dModel = 100;
  const given = Float32Array.from({ length: 3 * dModel }, (_, i) => (1 + Math.floor(i / dModel)) * Math.sin(i));
  const random = randomOfSameLength(given, dModel, createRandom(1));
  for (let row = 0; row < 3; row++) {
    const [a, b] = [given, random].map((values) => values.subarray(row * dModel, (row + 1) * dModel));
    const lengths = [a, b].map((values) => Math.hypot(...values));
    assert.ok(Math.abs(lengths[0] / lengths[1] - 1) <= 1e-6);
    const cosine = a.reduce((sum, value, k) => sum + value * b[k], 0) / (lengths[0] * lengths[1]);
    // standard deviation 1/√100 for random directions
    assert.ok(Math.abs(cosine) <= 0.4, `${cosine}`);
  }
  assert.deepEqual(randomOfSameLength(given, dModel, createRandom(1)), random);
  assert.notDeepEqual(randomOfSameLength(given, dModel, createRandom(2)), random);
});
