/** The reference models of fixtures/gpt2-* (made by tests/reference/gpt2.py), and tiny ones made here. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { tf } from '../lib/backend';
import { readJson, writeJsonAtomic } from '../lib/files';
import type { Sequence } from '../lib/layout';
import { createRandom } from '../lib/random';
import { openSafetensors, writeSafetensors, type Tensor } from '../lib/safetensors';

export const FIXTURE_NAMES = ['one-head', 'odd-heads', 'deep-half', 'wide-bfloat', 'many-heads'] as const;

/** What transformers and PEFT computed; tests/reference/README.md describes each field. */
export interface Expected {
  readonly logits: readonly { readonly ids: readonly number[]; readonly tensor: string }[];
  readonly examples: readonly Sequence[];
  readonly batch: { readonly indices: readonly number[]; readonly loss: number; readonly gradient: string };
  readonly training: {
    readonly learningRate: number;
    readonly weightDecay: number;
    readonly steps: number;
    readonly batches: readonly (readonly number[])[];
    readonly losses: readonly number[];
    readonly prompts: Readonly<Record<string, string>>;
  };
  readonly greedy: readonly {
    readonly textTokens: readonly number[];
    readonly continuation: readonly number[];
  }[];
  readonly evaluation: {
    readonly batchSize: number;
    readonly examples: readonly (Sequence & { readonly continuation: readonly number[] })[];
    readonly loss: number;
    readonly accuracy: number;
  };
}

export interface Fixture {
  readonly folder: string;
  readonly expected: Expected;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

export function readFixture(name: string): Fixture {
  const folder = join(__dirname, 'reference', 'fixtures', `gpt2-${name}`);
  const file = openSafetensors(join(folder, 'expected.safetensors'));
  const tensors = Object.fromEntries(file.names.map((tensor) => [tensor, file.read(tensor)]));
  file.close();
  return { folder, expected: readJson(join(folder, 'expected.json')) as Expected, tensors };
}

/** A prompt [promptTokens, dModel], or several one after the other, as [run, promptTokens, dModel]. */
export function promptTensor(runs: readonly Tensor[]): tf.Tensor3D {
  const [promptTokens, dModel] = runs[0].shape;
  return tf.tensor3d(runs.flatMap(({ data }) => [...data]), [runs.length, promptTokens, dModel]);
}

/** Largest difference, relative to the largest of the expected numbers. */
export function relativeError(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(found.length, expected.length);
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    // A NaN must not pass: Math.max keeps it.
    difference = Math.max(difference, Math.abs(found[i] - expected[i]));
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return difference / scale;
}

/** Run `work` and assert that it leaves no tensor behind. */
export function withoutLeak<T>(work: () => T): T {
  const before = tf.memory().numTensors;
  const result = work();
  assert.equal(tf.memory().numTensors, before, 'tensors are left behind');
  return result;
}

export interface TinySize {
  readonly vocabulary: number;
  readonly dModel: number;
  readonly layers: number;
  readonly heads: number;
  readonly positions: number;
}

/** Names and shapes of a GPT-2 checkpoint, as transformers saves it. */
export function tinyShapes({ vocabulary, dModel: d, layers, positions }: TinySize): Record<string, number[]> {
  const shapes: Record<string, number[]> = {
    'wte.weight': [vocabulary, d], 'wpe.weight': [positions, d], 'ln_f.weight': [d], 'ln_f.bias': [d],
  };
  for (let layer = 0; layer < layers; layer++) {
    const maps = {
      ln_1: [d], ln_2: [d], 'attn.c_attn': [d, 3 * d], 'attn.c_proj': [d, d],
      'mlp.c_fc': [d, 4 * d], 'mlp.c_proj': [4 * d, d],
    };
    for (const [name, shape] of Object.entries(maps)) {
      shapes[`h.${layer}.${name}.weight`] = shape;
      shapes[`h.${layer}.${name}.bias`] = shape.slice(-1);
    }
  }
  return shapes;
}

/** Write a random GPT-2 into a folder: config.json and model.safetensors. */
export function writeTinyModel(folder: string, size: TinySize, seed = 1): void {
  mkdirSync(folder, { recursive: true });
  writeJsonAtomic(join(folder, 'config.json'), tinyConfig(size));
  const random = createRandom(seed);
  const tensors = Object.fromEntries(Object.entries(tinyShapes(size)).map(([name, shape]) => {
    const length = shape.reduce((product, n) => product * n, 1);
    const centre = /ln_.+weight$/.test(name) ? 1 : 0;
    return [name, { shape, data: Float32Array.from({ length }, () => centre + 0.4 * (random.uniform() - 0.5)) }];
  }));
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
}

export function tinyConfig({ vocabulary, dModel, layers, heads, positions }: TinySize): Record<string, unknown> {
  return {
    model_type: 'gpt2', vocab_size: vocabulary, n_positions: positions, n_embd: dModel, n_layer: layers,
    n_head: heads, layer_norm_epsilon: 1e-5, activation_function: 'gelu_new',
  };
}
