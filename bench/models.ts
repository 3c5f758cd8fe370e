/** The model shapes that are measured, with random weights. */
import { tf } from '../lib/backend';
import { loadGpt2, transposedCopy, type Gpt2, type Gpt2Config } from '../lib/gpt2';
import { embeddedModelFolder } from '../lib/hub';

const shape = (layers: number, dModel: number, heads: number): Gpt2Config => (
  { vocabularySize: 50257, positions: 1024, dModel, layers, heads, layerNormEpsilon: 1e-5 });

export const SHAPES = {
  '6x256': shape(6, 256, 8),
  '124m': shape(12, 768, 12),
  xl: shape(48, 1600, 25),
} as const;

export type ModelName = 'embedded' | keyof typeof SHAPES;

/** The embedded model as it is, or a model of random weights. The caller ends the process. */
export function measuredModel(name: ModelName): Gpt2 {
  return name === 'embedded' ? loadGpt2(embeddedModelFolder) : randomGpt2(SHAPES[name]);
}

/** Weights like a fresh GPT-2's (normal, 0.02). One block of numbers is repeated: generating 1.5 billion takes minutes. */
function randomGpt2(config: Gpt2Config): Gpt2 {
  const { vocabularySize, positions, dModel, layers } = config;
  const block = tf.randomNormal([1 << 20], 0, 0.02, 'float32', 1);
  const random = (rows: number, columns: number) => tf.tidy(() => {
    const size = rows * columns;
    return tf.slice(tf.tile(block, [Math.ceil(size / block.size)]), [0], [size]).reshape([rows, columns]) as tf.Tensor2D;
  });
  const linear = (input: number, output: number) => ({ weight: random(input, output), bias: tf.zeros([output]) as tf.Tensor1D });
  const tokenEmbedding = random(vocabularySize, dModel);
  return {
    config,
    tokenEmbedding,
    unembedding: transposedCopy(tokenEmbedding),
    positionEmbedding: random(positions, dModel),
    blocks: Array.from({ length: layers }, () => ({
      qkv: linear(dModel, 3 * dModel), attentionOutput: linear(dModel, dModel),
      up: linear(dModel, 4 * dModel), down: linear(4 * dModel, dModel),
    })),
    finalScale: tf.ones([dModel]),
    finalShift: tf.zeros([dModel]),
  };
}
