/**
 * The end of GPT-2: last layer norm and output matrix, the losses at the labels and their gradient.
 *
 * The output matrix is the token embedding, transposed, and with it comes a softmax over the whole vocabulary: in small
 * models half of a step. The gradient of the loss at h is the mean of the token embeddings under the softmax less the
 * label's, so no more than two products are needed. Call everything inside tf.tidy.
 */
import { tf } from './backend';
import type { Gpt2 } from './gpt2';
import type { Layout } from './layout';
import { logSoftmax, normalize, normalizeGradient, timesTransposed, type Normalized } from './ops';

/**
 * Labels whose probabilities are in memory at once: the widest tensor has then at most 51 MB at GPT-2's vocabulary,
 * and much of it is still in the processor's cache for its next use.
 */
export const LABELS_AT_ONCE = 256;

/** What the last layer norm and the output matrix make of hidden states [rows, dModel]: logits [rows, vocabulary]. */
export function outputLogits(model: Gpt2, x: tf.Tensor2D): tf.Tensor2D {
  return unembed(model, finalNorm(model, x).output);
}

/** Cross-entropy and most likely token of each label [labels], from hidden states x [labels, dModel]. */
export function labelResults(
  model: Gpt2, x: tf.Tensor2D, layout: Layout,
): { losses: tf.Tensor1D; predictions: tf.Tensor1D } {
  const h = finalNorm(model, x).output;
  const parts = labelStarts(layout).map((start) => tf.tidy(() => partResults(model, h, layout, start)));
  return {
    losses: tf.concat(parts.map(({ losses }) => losses), 0) as tf.Tensor1D,
    predictions: tf.concat(parts.map(({ predictions }) => predictions), 0) as tf.Tensor1D,
  };
}

/** Cross-entropy of each label token [labels], and the gradient of the weighted sum at x [labels, dModel]. */
export function labelLossGradient(
  model: Gpt2, x: tf.Tensor2D, layout: Layout, weights: Float32Array,
): { losses: tf.Tensor1D; gradient: tf.Tensor2D } {
  const { output: h, norm } = finalNorm(model, x);
  const parts = labelStarts(layout).map((start) => tf.tidy(() => expectedRows(model, h, layout, start)));
  const labelRows = tf.gather(model.tokenEmbedding, layout.labelIds) as tf.Tensor2D;
  const dh = tf.mul(
    tf.sub(tf.concat(parts.map(({ mean }) => mean), 0), labelRows), tf.tensor2d(weights, [weights.length, 1]));
  const gradient = normalizeGradient(tf.mul(dh, model.finalScale) as tf.Tensor2D, norm);
  return { losses: tf.concat(parts.map(({ losses }) => losses), 0) as tf.Tensor1D, gradient };
}

/** Where each part of at most LABELS_AT_ONCE labels begins. */
function labelStarts({ labels }: Layout): number[] {
  return Array.from({ length: Math.ceil(labels.count / LABELS_AT_ONCE) }, (_, i) => i * LABELS_AT_ONCE);
}

/** The part of h [labels, dModel] that begins at a label, and its labels. */
function labelPart(h: tf.Tensor2D, { labels, labelIds }: Layout, start: number): { rows: tf.Tensor2D; ids: tf.Tensor1D } {
  const count = Math.min(LABELS_AT_ONCE, labels.count - start);
  return { rows: tf.slice(h, [start, 0], [count, -1]), ids: tf.slice(labelIds, start, count) };
}

/** Losses and most likely tokens [n] of a part of the labels. */
function partResults(
  model: Gpt2, h: tf.Tensor2D, layout: Layout, start: number,
): { losses: tf.Tensor1D; predictions: tf.Tensor1D } {
  const { rows, ids } = labelPart(h, layout, start);
  const logProbabilities = logSoftmax(unembed(model, rows));
  return {
    losses: tf.neg(tf.gatherND(logProbabilities, labelIndices(ids))) as tf.Tensor1D,
    predictions: tf.argMax(logProbabilities, -1),
  };
}

/** Of a part of the labels, the losses [n] and the means of the token embeddings as h predicts them [n, dModel]. */
function expectedRows(
  model: Gpt2, h: tf.Tensor2D, layout: Layout, start: number,
): { losses: tf.Tensor1D; mean: tf.Tensor2D } {
  const { rows, ids } = labelPart(h, layout, start);
  const probabilities = tf.softmax(unembed(model, rows)) as tf.Tensor2D;
  const labels = tf.gatherND(probabilities, labelIndices(ids));
  return { losses: tf.neg(tf.log(labels)) as tf.Tensor1D, mean: tf.matMul(probabilities, model.tokenEmbedding) };
}

/** [n, 2] place of each label in a matrix [n, vocabulary] */
function labelIndices(labelIds: tf.Tensor1D): tf.Tensor2D {
  return tf.stack([tf.range(0, labelIds.size, 1, 'int32'), labelIds], 1) as tf.Tensor2D;
}

function finalNorm(model: Gpt2, x: tf.Tensor2D): { output: tf.Tensor2D; norm: Normalized } {
  const norm = normalize(x, model.config.layerNormEpsilon);
  return { output: tf.add(tf.mul(norm.value, model.finalScale), model.finalShift) as tf.Tensor2D, norm };
}

/** Logits [labels, vocabulary]. */
function unembed({ unembedding, tokenEmbedding }: Gpt2, h: tf.Tensor2D): tf.Tensor2D {
  return unembedding ? tf.matMul(h, unembedding) : timesTransposed(h, tokenEmbedding);
}
