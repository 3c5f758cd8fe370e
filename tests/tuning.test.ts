import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';

import { adamW } from '../lib/adamw';
import { startBackend, tf } from '../lib/backend';
import { evaluate } from '../lib/evaluation';
import { promptGradient } from '../lib/forward';
import { disposeGpt2, loadGpt2, type Gpt2 } from '../lib/gpt2';
import { disposeLayout, layOut } from '../lib/layout';
import { createRandom } from '../lib/random';
import { epochBatches, type Example, type Task } from '../lib/tasks';
import {
  initialPrompts, initialState, tune, type EpochMetrics, type TuningSettings, type TuningState,
} from '../lib/tuning';
import { readFixture, relativeError } from './gpt2-fixtures';

let model: Gpt2;
before(async () => {
  await startBackend({ threads: 1 });
  model = loadGpt2(readFixture('odd-heads').folder);
});
after(() => disposeGpt2(model));

/** A task over the fixture's 131 tokens: texts begin alike, the label is the text's last token, then another. */
function smallTask(trainCount: number, testCount: number): Task {
  const random = createRandom(3);
  const example = (): Example => {
    const last = random.integers(90);
    const textTokens = [40, 41, ...Array.from({ length: random.integers(4) }, () => random.integers(90)), last];
    return { input: '', output: 'x', textTokens, labelTokens: random.integers(2) ? [last] : [last, 60] };
  };
  const examples = (length: number) => Array.from({ length }, example);
  return { name: 'small', title: 'Small', train: examples(trainCount), test: examples(testCount) };
}

const task = smallTask(8, 4);
const settings: TuningSettings = {
  epochs: 3, batchSize: 3, learningRate: 0.02, weightDecay: 0.01, dropout: 0, newTokens: 2,
};
const words = [5, 70, 33];
const promptTokens = 3;

interface Epoch { readonly state: TuningState; readonly metrics: EpochMetrics }

async function train(
  tokenIds: readonly number[], changes: Partial<TuningSettings> = {}, from?: TuningState, seed = 0,
): Promise<Epoch[]> {
  const state = from ?? initialState(initialPrompts(model, tokenIds, promptTokens));
  const epochs: Epoch[] = [];
  const before = tf.memory().numTensors;
  const steps = tune(model, tokenIds.map(() => ({ task, seed })), { ...settings, ...changes }, state);
  for await (const epoch of steps) epochs.push(epoch);
  assert.equal(tf.memory().numTensors, before, 'tensors are left behind');
  return epochs;
}

const last = (epochs: readonly Epoch[]) => epochs[epochs.length - 1];

test('A prompt begins as the embedding of its word, repeated.', () => {
  const { dModel } = model.config;
  const embedding = model.tokenEmbedding.dataSync();
  const prompts = initialPrompts(model, words, promptTokens);
  assert.equal(prompts.length, words.length * promptTokens * dModel);
  words.forEach((id, run) => {
    for (let position = 0; position < promptTokens; position++) {
      const start = (run * promptTokens + position) * dModel;
      assert.deepEqual(prompts.slice(start, start + dModel), embedding.slice(id * dModel, (id + 1) * dModel));
    }
  });
});

test('The first step of AdamW goes a learning rate down the sign of the gradient, after the weight decay.', () => {
  const state = initialState(Float32Array.of(1, -2, 3));
  adamW(state, Float32Array.of(0.5, -4, 0), { learningRate: 0.1, weightDecay: 0.5, step: 1 });
  // by hand: w·(1 − 0.1·0.5) − 0.1·sign(g); moments 0.1·g and 0.001·g²
  assert.ok(relativeError(state.prompts, [0.95 - 0.1, -1.9 + 0.1, 2.85]) < 1e-6);
  assert.ok(relativeError(state.firstMoment, [0.05, -0.4, 0]) < 1e-6);
  assert.ok(relativeError(state.secondMoment, [0.00025, 0.016, 0]) < 1e-6);
  // second step, gradient −0.5: m = 0.045 − 0.05, v = 0.00025·0.999 + 0.00025, corrected by 1 − β²
  adamW(state, Float32Array.of(-0.5, 0, 0), { learningRate: 0.1, weightDecay: 0, step: 2 });
  const update = (-0.005 / 0.19) / Math.sqrt(0.00049975 / 0.001999);
  assert.ok(Math.abs(state.prompts[0] - (0.85 - 0.1 * update)) < 1e-6);
});

test('Tuning takes the batches of the epoch, in order, with a learning rate that falls linearly to 0.', async () => {
  const state = initialState(initialPrompts(model, words.slice(0, 1), promptTokens));
  const shape: [number, number, number] = [1, promptTokens, model.config.dModel];
  const stepsAnEpoch = 3; // 8 examples in batches of 3
  for (let step = 0; step < stepsAnEpoch * settings.epochs; step++) {
    const epoch = Math.floor(step / stepsAnEpoch) + 1;
    const batch = epochBatches(8, 3, 9, 'small', epoch)[step % stepsAnEpoch].map((index) => task.train[index]);
    const layout = layOut([batch], promptTokens, 0);
    const prompts = tf.tensor3d(state.prompts, shape);
    const { gradient } = promptGradient(model, prompts, layout);
    adamW(state, gradient, { learningRate: 0.02 * (1 - step / 9), weightDecay: 0.01, step: step + 1 });
    prompts.dispose();
    disposeLayout(layout);
  }
  const epochs = await train(words.slice(0, 1), {}, undefined, 9);
  assert.deepEqual(epochs.map(({ metrics }) => metrics.epoch), [1, 2, 3]);
  // tune shares the prefix of the texts, so sums come in another order
  assert.ok(relativeError(last(epochs).state.prompts, state.prompts) <= 1e-4);
});

test('Tuning lowers the loss, and each epoch tells the test loss and accuracy of its prompts.', async () => {
  const epochs = await train(words, { epochs: 6, learningRate: 0.1 });
  words.forEach((_, run) => {
    const [first, final] = [epochs[0], last(epochs)].map(({ metrics }) => metrics.trainLoss[run]);
    assert.ok(final < 0.9 * first, `${first} ${final}`);
  });
  for (const { state, metrics } of [epochs[0], last(epochs)]) {
    const prompts = tf.tensor3d(state.prompts, [words.length, promptTokens, model.config.dModel]);
    const found = evaluate(model, prompts, task.test, { batchSize: 3, newTokens: 2 });
    prompts.dispose();
    assert.ok(relativeError(metrics.test.map(({ loss }) => loss), found.map(({ loss }) => loss)) <= 1e-5);
    assert.deepEqual(metrics.test.map(({ accuracy }) => accuracy), found.map(({ accuracy }) => accuracy));
  }
});

test('Tuning continued from any epoch ends bit for bit as without a break, with dropout too.', async () => {
  for (const [dropout, done] of [[0, 2], [0.1, 1]]) {
    const unbroken = await train(words, { dropout });
    const resumed = await train(words, { dropout }, unbroken[done - 1].state);
    assert.deepEqual(resumed, unbroken.slice(done));
    assert.deepEqual(await train(words, { dropout }, last(unbroken).state), []);
  }
});

test('A seed repeats a run bit for bit, and another seed gives another.', async () => {
  for (const dropout of [0, 0.1]) {
    const first = await train(words, { dropout, epochs: 1 });
    assert.deepEqual(await train(words, { dropout, epochs: 1 }), first);
    const other = await train(words, { dropout, epochs: 1 }, undefined, 1);
    assert.ok(relativeError(other[0].state.prompts, first[0].state.prompts) > 1e-3);
  }
});

test('A run among others ends as it does alone, with dropout too.', async () => {
  for (const dropout of [0, 0.1]) {
    const together = await train(words, { dropout, epochs: 2 });
    for (const run of [0, 2]) {
      const alone = await train([words[run]], { dropout, epochs: 2 });
      const size = promptTokens * model.config.dModel;
      const own = last(together).state.prompts.subarray(run * size, (run + 1) * size);
      // the same mathematics, sums in another order, over 6 steps
      assert.ok(relativeError(own, last(alone).state.prompts) <= 1e-4);
      assert.ok(relativeError([last(together).metrics.trainLoss[run]], last(alone).metrics.trainLoss) <= 1e-4);
      assert.ok(relativeError([last(together).metrics.test[run].loss], [last(alone).metrics.test[0].loss]) <= 1e-4);
    }
  }
});

test('Runs of several tasks and seeds train in one step as each does alone, also where one has fewer batches.', async () => {
  const other: Task = { ...smallTask(4, 3), name: 'other' };
  const runs = [{ task, seed: 0 }, { task: other, seed: 0 }, { task: other, seed: 3 }];
  const prompts = initialPrompts(model, words, promptTokens);
  const size = promptTokens * model.config.dModel;
  for (const dropout of [0, 0.1]) {
    const ends = async (chosen: readonly number[]): Promise<Epoch> => {
      const start = Float32Array.from(chosen.flatMap((run) => [...prompts.subarray(run * size, (run + 1) * size)]));
      const epochs: Epoch[] = [];
      const steps = tune(model, chosen.map((run) => runs[run]), { ...settings, dropout }, initialState(start));
      for await (const epoch of steps) epochs.push(epoch);
      return last(epochs);
    };
    const together = await ends([0, 1, 2]);
    for (const run of [0, 1, 2]) {
      const alone = await ends([run]);
      assert.ok(relativeError(together.state.prompts.subarray(run * size, (run + 1) * size), alone.state.prompts) <= 1e-4);
      assert.ok(relativeError([together.metrics.trainLoss[run]], alone.metrics.trainLoss) <= 1e-4);
      assert.ok(relativeError([together.metrics.test[run].loss], [alone.metrics.test[0].loss]) <= 1e-4);
      assert.equal(together.metrics.test[run].accuracy, alone.metrics.test[0].accuracy);
    }
  }
});

test('Two hundred steps leave no tensor behind, and as many bytes in tensors after each.', async () => {
  const bytes: number[] = [];
  const onStep = () => void bytes.push(tf.memory().numBytes);
  const state = initialState(initialPrompts(model, words, promptTokens));
  const runs = words.map(() => ({ task, seed: 0 }));
  for await (const { metrics } of tune(model, runs, { ...settings, epochs: 67 }, state, { onStep })) assert.ok(metrics.epoch);
  assert.equal(bytes.length, 201);
  assert.deepEqual([...new Set(bytes)], [bytes[0]]);
});

test('Dropout of almost 0 ends where training without dropout ends, though it shares no prefix.', async () => {
  const [none, almost] = [await train(words, { epochs: 1 }), await train(words, { epochs: 1, dropout: 1e-7 })];
  assert.ok(relativeError(last(almost).state.prompts, last(none).state.prompts) <= 1e-4);
  assert.ok(relativeError(last(almost).metrics.trainLoss, last(none).metrics.trainLoss) <= 1e-4);
  const real = await train(words, { epochs: 1, dropout: 0.1 });
  assert.ok(relativeError(last(real).state.prompts, last(none).state.prompts) > 1e-2);
});

test('Each step is told with its examples; an error thrown there stops the training, no tensor is left.', async () => {
  const state = initialState(initialPrompts(model, words, promptTokens));
  const initial = state.prompts.slice();
  const steps: number[] = [];
  const before = tf.memory().numTensors;
  await assert.rejects(async () => {
    const onStep = (examples: number) => {
      steps.push(examples);
      if (steps.length === 5) throw new Error('enough');
    };
    for await (const epoch of tune(model, words.map(() => ({ task, seed: 0 })), settings, state, { onStep })) {
      assert.equal(epoch.metrics.epoch, 1);
    }
  }, /enough/);
  assert.deepEqual(steps, [9, 9, 6, 9, 9]);
  assert.equal(tf.memory().numTensors, before);
  assert.deepEqual(state.prompts, initial, 'the state handed in is changed');
});

test('A run whose numbers are not finite stops at that step and keeps its last finite state; the others go on.', async () => {
  const healthy = await train(words);
  const size = promptTokens * model.config.dModel;
  const own = (data: Float32Array, run: number) => data.subarray(run * size, (run + 1) * size);
  const damaged = (number: number) => {
    const state = initialState(initialPrompts(model, words, promptTokens));
    state.prompts[size + 1] = number;
    return state;
  };
  for (const [number, reason] of [[NaN, 'loss is NaN'], [Infinity, 'loss is NaN']] as const) {
    const start = damaged(number);
    const epochs = await train(words, {}, start);
    const stops = [{ run: 1, step: 1, reason }];
    epochs.forEach(({ state, metrics }, i) => {
      assert.deepEqual([state.stops, metrics.stops], [stops, stops]);
      assert.deepEqual([metrics.trainLoss[1], metrics.test[1]], [NaN, { loss: NaN, accuracy: NaN }]);
      assert.deepEqual(own(state.prompts, 1), own(start.prompts, 1));
      assert.ok(own(state.firstMoment, 1).every((value) => value === 0));
      for (const run of [0, 2]) {
        for (const data of ['prompts', 'firstMoment', 'secondMoment'] as const) {
          assert.deepEqual(own(state[data], run), own(healthy[i].state[data], run));
        }
        assert.deepEqual(
          [metrics.trainLoss[run], metrics.test[run]], [healthy[i].metrics.trainLoss[run], healthy[i].metrics.test[run]]);
      }
    });
    assert.deepEqual(await train(words, {}, epochs[0].state), epochs.slice(1), 'continued, it stays stopped');
  }
});

test('A step that leads to numbers beyond float32 stops the run at the next; steps count from 1.', async () => {
  const epochs = await train(words.slice(0, 1), { learningRate: 3e38, epochs: 2 });
  const [{ step, reason }] = epochs[0].state.stops;
  assert.deepEqual([step, reason], [2, 'loss is NaN']);
  assert.ok(last(epochs).state.prompts.every(Number.isFinite));
  assert.deepEqual(last(epochs).state.prompts, epochs[0].state.prompts);
  assert.deepEqual(last(epochs).state.stops, epochs[0].state.stops);
});
