/**
 * Causal self-attention over a shared prefix, with its gradient.
 *
 * A suffix token sees the prefix of its run and the earlier tokens of its own example. The prefix keys are not
 * copied for each example: with the examples of a run stacked as queries, one product per run and head serves
 * them all. Queries arrive already divided by √headSize (folded into the weights).
 */
import { tf } from './backend';
import type { Layout, Selection } from './layout';
import { dropOut, softmaxGradient, type DropoutMasks } from './ops';

/** What the gradient needs; tensors [run·head(·example), position, headSize] or probabilities over keys. */
export interface AttentionState {
  readonly prefix: Heads;
  readonly suffix: Heads;
  /** [R·H, P, P] */
  readonly prefixProbabilities: tf.Tensor3D;
  /** [R·H·B, S, P + S] */
  readonly suffixProbabilities: tf.Tensor3D;
  /** masks of the two, where there is dropout */
  readonly prefixMask: tf.Tensor | null;
  readonly suffixMask: tf.Tensor | null;
}

interface Heads {
  readonly query: tf.Tensor3D;
  readonly key: tf.Tensor3D;
  readonly value: tf.Tensor3D;
}

/** Which rows of the result are wanted: all of them, or (in the last block) only those that predict labels. */
export type Wanted = 'all' | 'labels';

interface Sizes {
  readonly R: number; readonly P: number; readonly B: number; readonly S: number; readonly H: number;
  readonly headSize: number;
}

function sizesOf(layout: Layout, heads: number, dModel: number): Sizes {
  const { runs: R, prefixTokens: P, examples: B, suffixTokens: S } = layout;
  return { R, P, B, S, H: heads, headSize: dModel / heads };
}

/** qkv [R·P + N, 3·dModel] → [R·P + N, dModel], or [labels, dModel]. Call inside tf.tidy. */
export function attention(
  qkv: tf.Tensor2D, layout: Layout, heads: number, wanted: Wanted, dropout?: DropoutMasks,
): { output: tf.Tensor2D; state: AttentionState } {
  const sizes = sizesOf(layout, heads, qkv.shape[1] / 3);
  const { R, P, B, S, H, headSize } = sizes;
  const prefix = splitPrefix(qkv, sizes);
  const suffix = splitSuffix(qkv, layout, sizes);

  const prefixScores = tf.add(tf.matMul(prefix.query, prefix.key, false, true), layout.prefixMask);
  const prefixProbabilities = tf.softmax(prefixScores) as tf.Tensor3D;
  const prefixMask = dropout?.(prefixProbabilities.shape) ?? null;
  const onPrefix = tf.matMul(suffix.query.reshape([R * H, B * S, headSize]), prefix.key, false, true);
  const onSuffix = tf.matMul(suffix.query, suffix.key, false, true);
  const scores = tf.concat([onPrefix.reshape([R * H * B, S, P]), onSuffix], 2);
  const suffixProbabilities = tf.softmax(tf.add(scores, layout.suffixMask)) as tf.Tensor3D;
  const suffixMask = dropout?.(suffixProbabilities.shape) ?? null;

  const [overPrefix, overSuffix] = splitKeys(dropOut(suffixProbabilities, suffixMask), sizes);
  const mixed = tf.add(
    tf.matMul(overPrefix, prefix.value).reshape([R * H * B, S, headSize]),
    tf.matMul(overSuffix, suffix.value),
  );
  const suffixRows = tf.gather(mergeSuffix(mixed, sizes), selectionOf(layout, wanted).places);
  const output = wanted === 'labels'
    ? suffixRows
    : tf.concat([
      mergePrefix(tf.matMul(dropOut(prefixProbabilities, prefixMask), prefix.value), sizes), suffixRows,
    ], 0);
  const state = { prefix, suffix, prefixProbabilities, suffixProbabilities, prefixMask, suffixMask };
  return { output: output as tf.Tensor2D, state };
}

/**
 * Gradient of qkv: [R·P + N, 3·dModel], or only its prefix rows [R·P, 3·dModel] where `prefixOnly` (in the
 * first block, where the suffix rows come from the frozen token embeddings). Call inside tf.tidy.
 */
export function attentionGradient(
  dy: tf.Tensor2D, state: AttentionState, layout: Layout, heads: number, wanted: Wanted, prefixOnly: boolean,
): tf.Tensor2D {
  const sizes = sizesOf(layout, heads, dy.shape[1]);
  const { R, P, B, S, H, headSize } = sizes;
  const { prefix, suffix } = state;
  const dSuffixRows = wanted === 'labels' ? dy : tf.slice(dy, [R * P, 0]);
  const dMixed = splitSuffixRows(dSuffixRows, selectionOf(layout, wanted), sizes);
  const dMixedByRun = dMixed.reshape([R * H, B * S, headSize]) as tf.Tensor3D;

  const dProbabilities = tf.concat([
    tf.matMul(dMixedByRun, prefix.value, false, true).reshape([R * H * B, S, P]),
    tf.matMul(dMixed, suffix.value, false, true),
  ], 2) as tf.Tensor3D;
  const dScores = softmaxGradient(state.suffixProbabilities, dropOut(dProbabilities, state.suffixMask));
  const [dOnPrefix, dOnSuffix] = splitKeys(dScores, sizes);
  const [overPrefix, overSuffix] = splitKeys(dropOut(state.suffixProbabilities, state.suffixMask), sizes);
  const queryByRun = suffix.query.reshape([R * H, B * S, headSize]);

  let dKey = tf.matMul(dOnPrefix, queryByRun, true, false) as tf.Tensor3D;
  let dValue = tf.matMul(overPrefix, dMixedByRun, true, false) as tf.Tensor3D;
  let dQuery = tf.zerosLike(prefix.query);
  if (wanted === 'all') {
    const dPrefix = splitPrefixRows(tf.slice(dy, [0, 0], [R * P, -1]), sizes);
    const dPrefixProbabilities = tf.matMul(dPrefix, prefix.value, false, true) as tf.Tensor3D;
    const dPrefixScores = softmaxGradient(
      state.prefixProbabilities, dropOut(dPrefixProbabilities, state.prefixMask));
    dQuery = tf.matMul(dPrefixScores, prefix.key);
    dKey = tf.add(dKey, tf.matMul(dPrefixScores, prefix.query, true, false));
    const weights = dropOut(state.prefixProbabilities, state.prefixMask);
    dValue = tf.add(dValue, tf.matMul(weights, dPrefix, true, false));
  }
  const dPrefixRows = joinPrefix([dQuery, dKey, dValue], sizes);
  if (prefixOnly) return dPrefixRows;

  const dSuffix = joinSuffix([
    tf.add(tf.matMul(dOnPrefix, prefix.key).reshape(suffix.query.shape), tf.matMul(dOnSuffix, suffix.key)),
    tf.matMul(dOnSuffix, suffix.query, true, false),
    tf.matMul(overSuffix, dMixed, true, false),
  ], sizes);
  return tf.concat([dPrefixRows, tf.gather(dSuffix, layout.suffixes.places)], 0) as tf.Tensor2D;
}

function selectionOf(layout: Layout, wanted: Wanted): Selection {
  return wanted === 'labels' ? layout.labels : layout.suffixes;
}

/** Probabilities or scores over [prefix, own suffix] keys: [R·H, B·S, P] and [R·H·B, S, S]. */
function splitKeys(x: tf.Tensor3D, { R, P, B, S, H }: Sizes): [tf.Tensor3D, tf.Tensor3D] {
  const [onPrefix, onSuffix] = tf.split(x, [P, S], 2);
  return [onPrefix.reshape([R * H, B * S, P]), onSuffix as tf.Tensor3D];
}

function splitPrefix(qkv: tf.Tensor2D, { R, P, H, headSize }: Sizes): Heads {
  const rows = tf.slice(qkv, [0, 0], [R * P, -1]).reshape([R, P, 3, H, headSize]);
  const [query, key, value] = tf.unstack(tf.transpose(rows, [2, 0, 3, 1, 4]).reshape([3, R * H, P, headSize]));
  return { query, key, value } as unknown as Heads;
}

function splitSuffix(qkv: tf.Tensor2D, layout: Layout, { R, B, S, H, headSize }: Sizes): Heads {
  const rows = tf.gather(qkv, layout.rowOfPlace).reshape([R, B, S, 3, H, headSize]);
  const [query, key, value] = tf.unstack(
    tf.transpose(rows, [3, 0, 4, 1, 2, 5]).reshape([3, R * H * B, S, headSize]));
  return { query, key, value } as unknown as Heads;
}

function splitPrefixRows(rows: tf.Tensor2D, { R, P, H, headSize }: Sizes): tf.Tensor3D {
  return tf.transpose(rows.reshape([R, P, H, headSize]), [0, 2, 1, 3]).reshape([R * H, P, headSize]);
}

/** Selected rows back to their places in the rectangle, zero elsewhere: [R·H·B, S, headSize]. */
function splitSuffixRows(rows: tf.Tensor2D, selection: Selection, { R, B, S, H, headSize }: Sizes): tf.Tensor3D {
  const withZero = tf.concat([rows, tf.zeros([1, rows.shape[1]])], 0);
  const rectangle = tf.gather(withZero, selection.indexOfPlace).reshape([R, B, S, H, headSize]);
  return tf.transpose(rectangle, [0, 3, 1, 2, 4]).reshape([R * H * B, S, headSize]);
}

function mergePrefix(x: tf.Tensor, { R, P, H, headSize }: Sizes): tf.Tensor2D {
  return tf.transpose(x.reshape([R, H, P, headSize]), [0, 2, 1, 3]).reshape([R * P, H * headSize]);
}

function mergeSuffix(x: tf.Tensor, { R, B, S, H, headSize }: Sizes): tf.Tensor2D {
  return tf.transpose(x.reshape([R, H, B, S, headSize]), [0, 2, 3, 1, 4]).reshape([R * B * S, H * headSize]);
}

function joinPrefix(parts: tf.Tensor[], { R, P, H, headSize }: Sizes): tf.Tensor2D {
  const stacked = tf.stack(parts).reshape([3, R, H, P, headSize]);
  return tf.transpose(stacked, [1, 3, 0, 2, 4]).reshape([R * P, 3 * H * headSize]);
}

function joinSuffix(parts: tf.Tensor[], { R, B, S, H, headSize }: Sizes): tf.Tensor2D {
  const stacked = tf.stack(parts).reshape([3, R, H, B, S, headSize]);
  return tf.transpose(stacked, [1, 3, 4, 0, 2, 5]).reshape([R * B * S, 3 * H * headSize]);
}
