/**
 * Causal self-attention with a shared prefix, with its gradient.
 *
 * A suffix token sees the prefix of its run and the earlier tokens of its own example. layout.ts puts a prefix and
 * several suffixes into one block of T places, and a mask says who sees whom: most pairs in a block do not, but one
 * product over all is far sooner done than one for the prefix and one for each example, and products with the weights,
 * which are what costs, have no part in it. Queries arrive already divided by √headSize (folded into the weights).
 */
import { tf } from './backend';
import type { Layout, Selection } from './layout';
import { dropOut, softmaxGradient, type DropoutMasks } from './ops';

/** What the gradient needs. */
export interface AttentionState {
  /** [R·G, H, T, headSize] each */
  readonly query: tf.Tensor4D;
  readonly key: tf.Tensor4D;
  readonly value: tf.Tensor4D;
  /** [R·G, H, T, T] */
  readonly probabilities: tf.Tensor4D;
  /** of the probabilities, where there is dropout */
  readonly mask: tf.Tensor | null;
}

/** Which rows of the result are wanted: all of them, or (in the last block) only those that predict labels. */
export type Wanted = 'all' | 'labels';

/** qkv [N, 3·dModel] → [N, dModel], or [labels, dModel]. Call inside tf.tidy. */
export function attention(
  qkv: tf.Tensor2D, layout: Layout, heads: number, wanted: Wanted, dropout?: DropoutMasks,
): { output: tf.Tensor2D; state: AttentionState } {
  const dModel = qkv.shape[1] / 3;
  const places = tf.gather(qkv, layout.rowOfPlace).reshape([-1, layout.blockTokens, 3, heads, dModel / heads]);
  const [query, key, value] = tf.unstack(tf.transpose(places, [2, 0, 3, 1, 4])) as tf.Tensor4D[];
  const scores = tf.add(tf.matMul(query, key, false, true), layout.mask);
  const probabilities = tf.softmax(scores) as tf.Tensor4D;
  const mask = dropout?.(probabilities.shape) ?? null;
  const mixed = tf.transpose(tf.matMul(dropOut(probabilities, mask), value), [0, 2, 1, 3]).reshape([-1, dModel]);
  const output = tf.gather(mixed, selectionOf(layout, wanted).places) as tf.Tensor2D;
  return { output, state: { query, key, value, probabilities, mask } };
}

/**
 * Gradient of qkv: [N, 3·dModel], or only its prefix rows [R·P, 3·dModel] where `prefixOnly` (in the model's first
 * block, where the suffix rows come from the frozen token embeddings). Call inside tf.tidy.
 */
export function attentionGradient(
  dy: tf.Tensor2D, { query, key, value, probabilities, mask }: AttentionState, layout: Layout, heads: number,
  wanted: Wanted, prefixOnly: boolean,
): tf.Tensor2D {
  const { runs, prefixTokens, blocks, blockTokens } = layout;
  const dModel = dy.shape[1];
  const withZero = tf.concat([dy, tf.zeros([1, dModel])], 0);
  const dPlaces = tf.gather(withZero, selectionOf(layout, wanted).indexOfPlace);
  const dMixed = tf.transpose(dPlaces.reshape([-1, blockTokens, heads, dModel / heads]), [0, 2, 1, 3]);
  const dProbabilities = tf.matMul(dMixed, value, false, true) as tf.Tensor4D;
  const dScores = softmaxGradient(probabilities, dropOut(dProbabilities, mask));
  const dHeads = tf.stack([
    tf.matMul(dScores, key),
    tf.matMul(dScores, query, true, false),
    tf.matMul(dropOut(probabilities, mask), dMixed, true, false),
  ]);
  // Every block of a run has a copy of the prefix: its gradient is the sum of theirs.
  const dQkv = tf.transpose(dHeads, [1, 3, 0, 2, 4]).reshape([runs, blocks, blockTokens, 3 * dModel]);
  const dPrefix = tf.sum(tf.slice(dQkv, [0, 0, 0, 0], [-1, -1, prefixTokens, -1]), 1).reshape([-1, 3 * dModel]);
  if (prefixOnly) return dPrefix as tf.Tensor2D;
  const suffixPlaces = tf.slice(layout.rows.places, runs * prefixTokens);
  return tf.concat([dPrefix, tf.gather(dQkv.reshape([-1, 3 * dModel]), suffixPlaces)], 0) as tf.Tensor2D;
}

function selectionOf({ rows, labels }: Layout, wanted: Wanted): Selection {
  return wanted === 'labels' ? labels : rows;
}
