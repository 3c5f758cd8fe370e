import assert from 'node:assert/strict';
import test, { before } from 'node:test';

import { adamW } from '../lib/adamw';
import { startBackend, tf } from '../lib/backend';
import { dropoutMasks } from '../lib/dropout';
import { greedy, labelLosses, nextTokenLogits, promptGradient } from '../lib/forward';
import { disposeGpt2, loadGpt2, type Gpt2 } from '../lib/gpt2';
import { disposeLayout, layOut, sharedTextLength, type Layout, type Sequence } from '../lib/layout';
import type { Linear } from '../lib/ops';
import { createRandom } from '../lib/random';
import type { Tensor } from '../lib/safetensors';
import { initialState } from '../lib/tuning';
import { FIXTURE_NAMES, promptTensor, readFixture, relativeError, withoutLeak, type Fixture } from './gpt2-fixtures';

before(async () => {
  await startBackend({ threads: 1 });
});

function withModel<T>({ folder }: Fixture, work: (model: Gpt2) => T): T {
  const model = loadGpt2(folder);
  try {
    return work(model);
  } finally {
    disposeGpt2(model);
  }
}

/** Lay out, use, dispose; the prompts too. */
function onLayout<T>(
  batches: readonly (readonly Sequence[])[], prompts: readonly Tensor[], sharedText: number,
  use: (prompts: tf.Tensor3D, layout: Layout) => T,
): T {
  const layout = layOut(batches, prompts[0].shape[0], sharedText);
  const tensor = promptTensor(prompts);
  try {
    return use(tensor, layout);
  } finally {
    disposeLayout(layout);
    tensor.dispose();
  }
}

function gradientOf(
  model: Gpt2, batches: readonly (readonly Sequence[])[], prompts: readonly Tensor[], sharedText = 0,
) {
  return onLayout(batches, prompts, sharedText, (tensor, layout) => (
    withoutLeak(() => promptGradient(model, tensor, layout))));
}

function randomPrompt(promptTokens: number, dModel: number, seed: number): Tensor {
  const random = createRandom(seed);
  const data = Float32Array.from({ length: promptTokens * dModel }, () => 0.2 * random.normal());
  return { shape: [promptTokens, dModel], data };
}

test('The logits of all five models are those of transformers, at every position.', () => {
  for (const name of FIXTURE_NAMES) {
    const fixture = readFixture(name);
    withModel(fixture, (model) => {
      for (const { ids, tensor } of fixture.expected.logits.slice(1)) {
        // Plain logits have no prompt: the embedding of the first token stands in its place.
        const first = tf.tidy(() => tf.slice(model.tokenEmbedding, [ids[0], 0], [1, -1]).dataSync());
        const prompt = { shape: [1, model.config.dModel], data: first as Float32Array };
        const sequence = { textTokens: [ids[1]], labelTokens: [...ids.slice(2), 0] };
        const found = onLayout([[sequence]], [prompt], 0, (prompts, layout) => withoutLeak(() => (
          tf.tidy(() => nextTokenLogits(model, prompts, layout).dataSync()))));
        const expected = fixture.tensors[tensor].data.subarray(model.config.vocabularySize);
        assert.equal(found.length, expected.length);
        // float32 sums in another order; transformers itself is within 5e-6 of float64
        found.forEach((logit, i) => (
          assert.ok(Math.abs(logit - expected[i]) <= 1e-4, `${name} ${tensor} ${i}: ${logit} ${expected[i]}`)));
      }
    });
  }
});

test('Loss and prompt gradient of all five models are PEFT\'s.', () => {
  for (const name of FIXTURE_NAMES) {
    const fixture = readFixture(name);
    const { examples, batch } = fixture.expected;
    withModel(fixture, (model) => {
      const sequences = batch.indices.map((index) => examples[index]);
      const { losses, gradient } = gradientOf(model, [sequences], [fixture.tensors.prompts]);
      // float32 sums in another order; PEFT itself is within 6e-7 of float64 in these gradients
      assert.ok(Math.abs(losses[0] / batch.loss - 1) <= 1e-5, `${name}: ${losses[0]} ${batch.loss}`);
      const error = relativeError(gradient, fixture.tensors[batch.gradient].data);
      assert.ok(error <= 1e-4, `${name}: ${error}`);
    });
  }
});

test('A model too large for a transposed copy of its embedding gives the same losses and gradients.', () => {
  const fixture = readFixture('odd-heads');
  const { examples, batch } = fixture.expected;
  const sequences = batch.indices.map((index) => examples[index]);
  withModel(fixture, (model) => {
    assert.ok(model.unembedding, 'the fixture is small');
    const { losses, gradient } = gradientOf({ ...model, unembedding: null }, [sequences], [fixture.tensors.prompts]);
    assert.ok(Math.abs(losses[0] / batch.loss - 1) <= 1e-5);
    assert.ok(relativeError(gradient, fixture.tensors[batch.gradient].data) <= 1e-4);
  });
});

test('Fifty steps of AdamW with falling learning rate end where torch and PEFT end.', () => {
  for (const name of FIXTURE_NAMES) {
    const fixture = readFixture(name);
    const { examples, training } = fixture.expected;
    const { learningRate, weightDecay, steps } = training;
    withModel(fixture, (model) => {
      const start = fixture.tensors.prompts;
      const state = initialState(start.data);
      assert.equal(training.batches.length, steps);
      training.batches.forEach((batch, step) => {
        const prompt = { shape: start.shape, data: state.prompts };
        const { losses, gradient } = gradientOf(model, [batch.map((index) => examples[index])], [prompt]);
        // 1e-3: rounding grows along the way where a second moment is tiny
        assert.ok(Math.abs(losses[0] / training.losses[step] - 1) <= 1e-3, `${name} step ${step}: ${losses[0]}`);
        adamW(state, gradient, { learningRate: learningRate * (1 - step / steps), weightDecay, step: step + 1 });
        const kept = training.prompts[step + 1];
        if (kept) {
          const error = relativeError(state.prompts, fixture.tensors[kept].data);
          assert.ok(error <= 1e-3, `${name} step ${step + 1}: ${error}`);
        }
      });
      assert.ok(relativeError(fixture.tensors['prompts.50'].data, start.data) > 0.1, 'the reference learnt nothing');
    });
  }
});

test('Greedy continuations of texts of unequal lengths are those of PEFT\'s generate, token for token.', () => {
  for (const name of FIXTURE_NAMES) {
    const fixture = readFixture(name);
    const texts = fixture.expected.greedy.map(({ textTokens }) => textTokens);
    assert.equal(texts.length, 40);
    withModel(fixture, (model) => {
      const prompts = promptTensor([fixture.tensors.prompts]);
      const found = withoutLeak(() => greedy(model, prompts, [texts], 5));
      prompts.dispose();
      assert.deepEqual(found, [fixture.expected.greedy.map(({ continuation }) => continuation)], name);
    });
  }
});

/** Sequences of unequal lengths whose texts begin alike. */
function sequencesWith(shared: readonly number[], count: number, vocabulary: number, seed: number): Sequence[] {
  const random = createRandom(seed);
  const ids = (length: number) => Array.from({ length }, () => random.integers(vocabulary));
  return Array.from({ length: count }, (_, i) => (
    { textTokens: [...shared, ...ids(1 + random.integers(6))], labelTokens: ids(1 + (i % 4)) }));
}

test('A prefix that a batch shares gives the losses and gradients of whole sequences.', () => {
  for (const name of ['odd-heads', 'one-head'] as const) {
    const fixture = readFixture(name);
    withModel(fixture, (model) => {
      const sequences = sequencesWith([7, 3, 50], 6, model.config.vocabularySize, 1);
      assert.ok(sharedTextLength(sequences) >= 3);
      const { prompts } = fixture.tensors;
      const lossesWith = (sharedText: number) => onLayout([sequences], [prompts], sharedText, (tensor, layout) => (
        withoutLeak(() => labelLosses(model, tensor, layout))));
      const whole = gradientOf(model, [sequences], [prompts], 0);
      for (const sharedText of [1, 3]) {
        // the same sums in another order: a few units in the last place of float32
        const shared = gradientOf(model, [sequences], [prompts], sharedText);
        assert.ok(relativeError(shared.losses, whole.losses) <= 1e-5);
        assert.ok(relativeError(shared.gradient, whole.gradient) <= 1e-5);
        assert.ok(relativeError(lossesWith(sharedText).losses, lossesWith(0).losses) <= 1e-5);
        assert.deepEqual(lossesWith(sharedText).predictions, lossesWith(0).predictions);
      }
    });
  }
});

test('A batch has the mean gradient of its sequences, each alone.', () => {
  const fixture = readFixture('odd-heads');
  withModel(fixture, (model) => {
    const { prompts } = fixture.tensors;
    const sequences = sequencesWith([7, 3, 50], 20, model.config.vocabularySize, 3);
    for (const sharedText of [0, 3]) {
      const labels = sequences.reduce((sum, { labelTokens }) => sum + labelTokens.length, 0);
      const mean = new Float64Array(prompts.data.length);
      let loss = 0;
      for (const sequence of sequences) {
        const alone = gradientOf(model, [[sequence]], [prompts], sharedText);
        const weight = sequence.labelTokens.length / labels;
        loss += weight * alone.losses[0];
        alone.gradient.forEach((value, i) => (mean[i] += weight * value));
      }
      const together = gradientOf(model, [sequences], [prompts], sharedText);
      assert.ok(relativeError(together.losses, [loss]) <= 1e-5);
      assert.ok(relativeError(together.gradient, mean) <= 1e-5);
    }
  });
});

test('Runs that train in one step, with batches of their own, have the losses and gradients of each alone.', () => {
  const fixture = readFixture('odd-heads');
  withModel(fixture, (model) => {
    const { dModel, vocabularySize } = model.config;
    const batches = [5, 1, 3].map((count, i) => sequencesWith([9, 4], count, vocabularySize, 10 + i));
    const prompts = [0, 1, 2].map((i) => randomPrompt(4, dModel, 20 + i));
    for (const sharedText of [0, 2]) {
      const together = gradientOf(model, batches, prompts, sharedText);
      const labels = onLayout(batches, prompts, sharedText, (tensor, layout) => ({
        ...labelLosses(model, tensor, layout), owners: layout.labelOwners,
      }));
      batches.forEach((batch, run) => {
        const alone = gradientOf(model, [batch], [prompts[run]], sharedText);
        const size = 4 * dModel;
        assert.ok(relativeError([together.losses[run]], alone.losses) <= 1e-5);
        assert.ok(relativeError(together.gradient.subarray(run * size, (run + 1) * size), alone.gradient) <= 1e-5);
        const aloneLabels = onLayout([batch], [prompts[run]], sharedText, (tensor, layout) => (
          labelLosses(model, tensor, layout)));
        const own = [...labels.losses].filter((_, i) => labels.owners[i].run === run);
        assert.ok(relativeError(own, aloneLabels.losses) <= 1e-5);
      });
    }
  });
});

test('The gradient with dropout is the slope of the loss under the same masks.', () => {
  const fixture = readFixture('odd-heads');
  withModel(fixture, (model) => {
    const { dModel, vocabularySize } = model.config;
    const sequences = sequencesWith([9, 4], 3, vocabularySize, 30);
    const prompt = randomPrompt(4, dModel, 31);
    // as training lays it out, an example a run, and as evaluation does, a shared prefix
    for (const [batches, sharedText] of [[sequences.map((sequence) => [sequence]), 0], [[sequences], 2]] as const) {
      const at = (point: Tensor) => onLayout(batches, batches.map(() => point), sharedText, (tensor, layout) => (
        withoutLeak(() => promptGradient(model, tensor, layout, dropoutMasks(0.2, [5])))));
      const lossAt = (step: number, direction: Tensor) => {
        const data = prompt.data.map((x, i) => x + step * direction.data[i]);
        return at({ shape: prompt.shape, data }).losses.reduce((sum, loss) => sum + loss, 0);
      };
      const { gradient } = at(prompt);
      const plain = gradientOf(model, batches, batches.map(() => prompt), sharedText);
      assert.ok(relativeError(gradient, plain.gradient) > 0.05, 'dropout changed nothing');
      for (const seed of [1, 2, 3]) {
        const direction = randomPrompt(4, dModel, seed);
        const slope = gradient.reduce((sum, g, i) => sum + g * direction.data[i % direction.data.length], 0);
        const h = 0.02;
        const difference = (step: number) => lossAt(step, direction) - lossAt(-step, direction);
        const expected = (8 * difference(h) - difference(2 * h)) / (12 * h);
        // float32 losses near 10 are good to 1e-6, so their difference over 0.24 to about 1e-4
        assert.ok(Math.abs(slope - expected) <= 1e-3 + 2e-3 * Math.abs(expected), `${slope} ${expected}`);
      }
    }
  });
});

test('Masks of 1.1 act as embeddings, attention weights and block outputs that are 1.1 times as large.', () => {
  // GPT-2 has dropout after the embeddings, on the attention weights, and on the output of attention and MLP;
  // a constant in place of the masks can be moved into the weights by hand.
  const c = 1.1;
  const fixture = readFixture('odd-heads');
  withModel(fixture, (model) => tf.tidy(() => {
    const scaled = ({ weight, bias }: Linear, onWeight: number, onBias: number): Linear => (
      { weight: tf.mul(weight, onWeight) as tf.Tensor2D, bias: tf.mul(bias, onBias) as tf.Tensor1D });
    assert.ok(model.unembedding, 'the output matrix must be a copy, or it would be scaled as well');
    const larger: Gpt2 = {
      ...model,
      tokenEmbedding: tf.mul(model.tokenEmbedding, c),
      positionEmbedding: tf.mul(model.positionEmbedding, c),
      blocks: model.blocks.map((block) => ({
        ...block, attentionOutput: scaled(block.attentionOutput, c * c, c), down: scaled(block.down, c, c),
      })),
    };
    const sequences = sequencesWith([9, 4], 4, model.config.vocabularySize, 50);
    const prompt = fixture.tensors.prompts;
    const largerPrompt = { shape: prompt.shape, data: prompt.data.map((x) => c * x) };
    for (const sharedText of [0, 2]) {
      const masked = onLayout([sequences], [prompt], sharedText, (prompts, layout) => (
        promptGradient(model, prompts, layout, (shape) => tf.fill(shape as number[], c))));
      const { losses } = onLayout([sequences], [largerPrompt], sharedText, (prompts, layout) => (
        labelLosses(larger, prompts, layout)));
      const expected = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      assert.ok(relativeError(masked.losses, [expected]) <= 1e-5, `${masked.losses[0]} ${expected}`);
    }
  }));
});

test('Dropout of rate 0 changes nothing, and the same seed repeats the same loss.', () => {
  const fixture = readFixture('one-head');
  withModel(fixture, (model) => {
    const batches = sequencesWith([], 8, model.config.vocabularySize, 40).map((sequence) => [sequence]);
    const prompts = batches.map(() => fixture.tensors.prompts);
    const lossesWith = (rate: number, seed: number) => onLayout(batches, prompts, 0, (tensor, layout) => (
      promptGradient(model, tensor, layout, dropoutMasks(rate, [seed])).losses));
    const { losses: plain } = gradientOf(model, batches, prompts);
    assert.ok(relativeError(lossesWith(0, 1), plain) <= 1e-6);
    assert.deepEqual(lossesWith(0.1, 1), lossesWith(0.1, 1));
    assert.notDeepEqual(lossesWith(0.1, 1), lossesWith(0.1, 2));
  });
});

test('A loss of hundreds of nats is a number, and so is its gradient.', () => {
  const fixture = readFixture('odd-heads');
  withModel(fixture, (model) => {
    const sequence = { textTokens: [1, 2, 3], labelTokens: [4] };
    const { prompts } = fixture.tensors;
    const sharp = { ...model, finalScale: tf.mul(model.finalScale, 100) as tf.Tensor1D };
    const { losses, gradient } = gradientOf(sharp, [[sequence]], [prompts]);
    // −log softmax in double precision, from the logits
    const logits = onLayout([[sequence]], [prompts], 0, (tensor, layout) => {
      const tensorOfLogits = nextTokenLogits(sharp, tensor, layout);
      const values = tensorOfLogits.dataSync() as Float32Array;
      tensorOfLogits.dispose();
      return values;
    });
    const largest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
    const sum = logits.reduce((total, value) => total + Math.exp(value - largest), 0);
    const expected = largest + Math.log(sum) - logits[4];
    assert.ok(expected > 100, `the test wants a loss above 100 nats, found ${expected}`);
    assert.ok(relativeError(losses, [expected]) <= 1e-5, `${losses[0]} ${expected}`);
    assert.ok(gradient.every(Number.isFinite) && gradient.some((value) => value !== 0));
    sharp.finalScale.dispose();
  });
});

test('A sequence longer than the model\'s positions is refused with both lengths.', () => {
  const fixture = readFixture('one-head');
  withModel(fixture, (model) => {
    const long = [{ textTokens: new Array<number>(37).fill(1), labelTokens: [2] }];
    assert.throws(
      () => gradientOf(model, [long], [fixture.tensors.prompts]), /sequence of 41 tokens, expected at most 40/);
    const fits = [{ textTokens: new Array<number>(36).fill(1), labelTokens: [2] }];
    assert.equal(gradientOf(model, [fits], [fixture.tensors.prompts]).losses.length, 1);
  });
});
