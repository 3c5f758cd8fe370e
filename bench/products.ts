/**
 * The products with the model's weights in one training step, as forward.ts does them: none for padding, the last
 * block's only at label rows, the first block's gradient only at prefix rows. Attention itself, a few operations in a hundred, is
 * left out. No program that trains these runs in float32 does with fewer, so their time alone is a step's floor.
 */
import { tf } from '../lib/backend';
import type { Gpt2 } from '../lib/gpt2';
import type { Layout } from '../lib/layout';
import { timesTransposed } from '../lib/ops';

/** `rows` rows times a weight, or its transpose. */
interface Product {
  readonly rows: number;
  readonly weight: tf.Tensor2D;
  readonly transposed: boolean;
}

function stepProducts({ blocks, tokenEmbedding, unembedding }: Gpt2, layout: Layout): Product[] {
  const prefix = layout.runs * layout.prefixTokens;
  const all = prefix + layout.suffixes.count;
  const labels = layout.labels.count;
  const both = (weight: tf.Tensor2D, forward: number, backward: number): Product[] => (
    [{ rows: forward, weight, transposed: false }, { rows: backward, weight, transposed: true }]);
  const ofBlocks = blocks.flatMap((block, i) => {
    const rows = i === blocks.length - 1 ? labels : all;
    const others = [block.attentionOutput, block.up, block.down];
    return [...both(block.qkv.weight, all, i === 0 ? prefix : all), ...others.flatMap(({ weight }) => both(weight, rows, rows))];
  });
  const logits = unembedding ? { rows: labels, weight: unembedding, transposed: false } : { rows: labels, weight: tokenEmbedding, transposed: true };
  return [...ofBlocks, logits, { rows: labels, weight: tokenEmbedding, transposed: false }];
}

/** Multiplications and additions of one training step in these products. */
export function stepOperations(model: Gpt2, layout: Layout): number {
  return stepProducts(model, layout).reduce((sum, { rows, weight }) => sum + 2 * rows * weight.size, 0);
}

/** Seconds that these products of a step take with nothing between them. */
export function secondsOfProducts(model: Gpt2, layout: Layout): number {
  let seconds = 0;
  for (const { rows, weight, transposed } of stepProducts(model, layout)) {
    const x = tf.randomUniform([rows, weight.shape[transposed ? 1 : 0]], -1, 1) as tf.Tensor2D;
    const since = process.hrtime.bigint();
    const product = tf.tidy(() => (transposed ? timesTransposed(x, weight) : tf.matMul(x, weight)));
    tf.tidy(() => tf.slice(product, [0, 0], [1, 1]).dataSync()); // a GPU works on until it is asked
    seconds += Number(process.hrtime.bigint() - since) / 1e9;
    tf.dispose([x, product]);
  }
  return seconds;
}
