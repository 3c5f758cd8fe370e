/**
 * GPT-2 on a laid-out step: label losses, the gradient of the prompts, and greedy continuations.
 *
 * Three things make a step cheap, and none changes the mathematics: the prefix of a run is computed once
 * (layout.ts); in the last block only the rows that predict label tokens go on after attention; in the first
 * block the gradient stops at the prefix, since the other rows are frozen token embeddings.
 */
import { tf } from './backend';
import { attention, attentionGradient, type AttentionState, type Wanted } from './attention';
import type { Block, Gpt2 } from './gpt2';
import { disposeLayout, layOut, type Layout, type Sequence } from './layout';
import {
  dropOut, gelu, geluWithDerivative, linear, linearGradient, normalize, normalizeGradient, type DropoutMasks, type Normalized,
} from './ops';
import { labelLossGradient, labelResults, outputLogits } from './output';

/** Loss and most likely token at each label position of a layout, in its order. */
export interface LabelResult {
  /** [labels] cross-entropy in nats */
  readonly losses: Float32Array;
  /** [labels] */
  readonly predictions: Int32Array;
}

/** What the gradient of a block needs. */
interface BlockState {
  readonly norm1: Normalized;
  readonly attention: AttentionState;
  readonly attentionMask: tf.Tensor | null;
  readonly norm2: Normalized;
  readonly geluDerivative: tf.Tensor2D;
  readonly outputMask: tf.Tensor | null;
}

/** Evaluate prompts [run, promptTokens, dModel] on a layout. Leaves no tensor behind. */
export function labelLosses(model: Gpt2, prompts: tf.Tensor3D, layout: Layout): LabelResult {
  const tensors = tf.tidy(() => {
    let x = embed(model, prompts, layout);
    model.blocks.forEach((block, i) => {
      const wanted = i === model.blocks.length - 1 ? 'labels' : 'all';
      x = replace(x, () => blockForward(block, x, model, layout, wanted).output);
    });
    return labelResults(model, x, layout);
  });
  // Read outside: tidy walks through every number of an array that it returns.
  const losses = tensors.losses.dataSync() as Float32Array;
  const predictions = tensors.predictions.dataSync() as Int32Array;
  tf.dispose(tensors);
  return { losses, predictions };
}

/**
 * Mean label loss of each run and the gradient of its prompt.
 *
 * @param prompts [run, promptTokens, dModel]
 * @param dropout makes this step's masks, in a fixed order; none: no dropout
 * @returns losses [run], gradient [run, promptTokens, dModel] (the gradient of each run's own mean loss over
 * all label tokens of its batch). Leaves no tensor behind.
 */
export function promptGradient(
  model: Gpt2, prompts: tf.Tensor3D, layout: Layout, dropout?: DropoutMasks,
): { losses: Float32Array; gradient: Float32Array } {
  const last = model.blocks.length - 1;
  const states: BlockState[] = [];
  const embeddingMask = dropout ? tf.tidy(() => dropout([rowsOf(layout), model.config.dModel])) : null;
  let x = tf.tidy(() => dropOut(embed(model, prompts, layout), embeddingMask));
  model.blocks.forEach((block, i) => {
    x = replace(x, () => {
      const { output, state } = blockForward(block, x, model, layout, i === last ? 'labels' : 'all', dropout, true);
      states.push(keepAll(state!));
      return output;
    });
  });

  const weights = labelWeights(layout);
  const head = tf.tidy(() => labelLossGradient(model, x, layout, weights));
  let dx = head.gradient;
  for (let i = last; i >= 0; i--) {
    dx = replace(dx, () => blockGradient(model.blocks[i], dx, states[i], model, layout, i === last, i === 0));
    tf.dispose(states[i] as unknown as tf.TensorContainerObject);
  }
  dx = replace(dx, () => {
    const { runs, promptTokens, prefixTokens } = layout;
    const masked = embeddingMask ? tf.mul(dx, tf.slice(embeddingMask, [0, 0], dx.shape)) : dx;
    return tf.slice(masked.reshape([runs, prefixTokens, -1]), [0, 0, 0], [runs, promptTokens, -1]).reshape([runs, -1]);
  });
  const gradient = dx.dataSync() as Float32Array;
  const tokenLosses = finiteLosses(head.losses, () => labelResults(model, x, layout).losses);
  tf.dispose([x, dx, head.losses, ...(embeddingMask ? [embeddingMask] : [])]);
  const losses = new Float32Array(layout.runs);
  layout.labelOwners.forEach(({ run }, i) => (losses[run] += tokenLosses[i] * weights[i]));
  return { losses, gradient };
}

/**
 * Greedy continuations of each sequence's text: `count` token ids. `prompts` [run, promptTokens, dModel];
 * `texts[run]` are token lists. Every new token is a forward pass over the grown sequence.
 */
export function greedy(
  model: Gpt2, prompts: tf.Tensor3D, texts: readonly (readonly (readonly number[])[])[], count: number,
): number[][][] {
  const continuations: number[][][] = texts.map((run) => run.map(() => []));
  for (let step = 0; step < count; step++) {
    const batches: Sequence[][] = texts.map((run, r) => run.map((text, e) => (
      { textTokens: [...text, ...continuations[r][e]], labelTokens: [0] })));
    const layout = layOut(batches, prompts.shape[1], 0);
    const { predictions } = labelLosses(model, prompts, layout);
    layout.labelOwners.forEach(({ run, example }, i) => continuations[run][example].push(predictions[i]));
    disposeLayout(layout);
  }
  return continuations;
}

/** Logits [vocabulary] after each sequence, one row a sequence, in order run, example. For tests and tools. */
export function nextTokenLogits(model: Gpt2, prompts: tf.Tensor3D, layout: Layout): tf.Tensor2D {
  return tf.tidy(() => {
    let x = embed(model, prompts, layout);
    model.blocks.forEach((block, i) => {
      const wanted = i === model.blocks.length - 1 ? 'labels' : 'all';
      x = blockForward(block, x, model, layout, wanted).output;
    });
    return outputLogits(model, x);
  });
}

/**
 * Hidden states at the prompt positions, [run · promptTokens, dModel] each: of the embeddings, then after every block
 * and before the last layer norm, so layers + 1 tensors, which the caller disposes. Attention is causal: what follows
 * the prompts [run, promptTokens, dModel] makes no difference to them.
 */
export function promptStates(model: Gpt2, prompts: tf.Tensor3D): tf.Tensor2D[] {
  const [runs, promptTokens, dModel] = prompts.shape;
  // A layout wants a text: one token, which no prompt position sees.
  const layout = layOut(new Array(runs).fill([{ textTokens: [0], labelTokens: [0] }]), promptTokens, 0);
  const promptRows = (x: tf.Tensor2D) => tf.tidy(() => tf.slice(x, [0, 0], [runs * promptTokens, dModel]));
  let x = tf.tidy(() => embed(model, prompts, layout));
  const states = [promptRows(x)];
  for (const block of model.blocks) {
    x = replace(x, () => blockForward(block, x, model, layout, 'all').output);
    states.push(promptRows(x));
  }
  x.dispose();
  disposeLayout(layout);
  return states;
}

function rowsOf({ runs, prefixTokens, suffixes }: Layout): number {
  return runs * prefixTokens + suffixes.count;
}

/** Token and position embeddings of all packed rows, prompts in their places: [R·P + N, dModel]. */
function embed(model: Gpt2, prompts: tf.Tensor3D, layout: Layout): tf.Tensor2D {
  const { runs, prefixTokens, sharedTokens } = layout;
  const { dModel, positions } = model.config;
  if (prefixTokens + layout.suffixTokens > positions) {
    throw new Error(`sequence of ${prefixTokens + layout.suffixTokens} tokens, expected at most ${positions}`);
  }
  let prefix: tf.Tensor3D = prompts;
  if (sharedTokens.length > 0) {
    const shared = tf.gather(model.tokenEmbedding, tf.tensor1d(sharedTokens as number[], 'int32'));
    prefix = tf.concat([prompts, tf.tile(tf.expandDims(shared, 0), [runs, 1, 1])], 1) as tf.Tensor3D;
  }
  const prefixPositions = tf.slice(model.positionEmbedding, [0, 0], [prefixTokens, dModel]);
  const suffix = tf.add(
    tf.gather(model.tokenEmbedding, layout.suffixIds), tf.gather(model.positionEmbedding, layout.suffixPositions));
  return tf.concat([tf.add(prefix, prefixPositions).reshape([runs * prefixTokens, dModel]), suffix], 0) as tf.Tensor2D;
}

function blockForward(
  block: Block, x: tf.Tensor2D, model: Gpt2, layout: Layout, wanted: Wanted, dropout?: DropoutMasks, keep = false,
): { output: tf.Tensor2D; state?: BlockState } {
  const { layerNormEpsilon, heads } = model.config;
  const norm1 = normalize(x, layerNormEpsilon);
  const attended = attention(linear(norm1.value, block.qkv), layout, heads, wanted, dropout);
  const attentionOutput = linear(attended.output, block.attentionOutput);
  const attentionMask = dropout?.(attentionOutput.shape) ?? null;
  const residual = wanted === 'labels' ? tf.gather(x, layout.labelRows) : x;
  const middle = tf.add(residual, dropOut(attentionOutput, attentionMask)) as tf.Tensor2D;

  const norm2 = normalize(middle, layerNormEpsilon);
  const hidden = linear(norm2.value, block.up);
  const { value, derivative } = keep ? geluWithDerivative(hidden) : { value: gelu(hidden), derivative: hidden };
  const mlpOutput = linear(value, block.down);
  const outputMask = dropout?.(mlpOutput.shape) ?? null;
  const output = tf.add(middle, dropOut(mlpOutput, outputMask)) as tf.Tensor2D;
  if (!keep) return { output };
  const state = { norm1, attention: attended.state, attentionMask, norm2, geluDerivative: derivative, outputMask };
  return { output, state };
}

/** dx from dy, rows as in blockForward; in the first block only the rows of the prefixes. */
function blockGradient(
  block: Block, dy: tf.Tensor2D, state: BlockState, model: Gpt2, layout: Layout, last: boolean, first: boolean,
): tf.Tensor2D {
  const dHidden = tf.mul(linearGradient(dropOut(dy, state.outputMask), block.down), state.geluDerivative);
  const dMiddle = tf.add(
    dy, normalizeGradient(linearGradient(dHidden as tf.Tensor2D, block.up), state.norm2)) as tf.Tensor2D;
  const dQkv = attentionGradient(
    linearGradient(dropOut(dMiddle, state.attentionMask), block.attentionOutput),
    state.attention, layout, model.config.heads, last ? 'labels' : 'all', first,
  );
  const norm1 = first ? prefixRows(state.norm1, layout) : state.norm1;
  const dResidual = last ? scatterLabels(dMiddle, layout) : dMiddle;
  return tf.add(
    first ? tf.slice(dResidual, [0, 0], [dQkv.shape[0], -1]) : dResidual,
    normalizeGradient(linearGradient(dQkv, block.qkv), norm1),
  ) as tf.Tensor2D;
}

function prefixRows({ value, inverseDeviation }: Normalized, { runs, prefixTokens }: Layout): Normalized {
  const rows = runs * prefixTokens;
  return { value: tf.slice(value, [0, 0], [rows, -1]), inverseDeviation: tf.slice(inverseDeviation, [0, 0], [rows, -1]) };
}

/** Label rows back to their places among all packed rows, zero elsewhere. */
function scatterLabels(rows: tf.Tensor2D, layout: Layout): tf.Tensor2D {
  return tf.gather(tf.concat([rows, tf.zeros([1, rows.shape[1]])], 0), layout.labelOfRow) as tf.Tensor2D;
}

/**
 * The losses that were found on the way to the gradient; where a label's probability was too small for a float32 (a
 * loss above about 87 nats), that of the log softmax, which has no such limit.
 */
function finiteLosses(found: tf.Tensor1D, exact: () => tf.Tensor1D): Float32Array {
  const losses = found.dataSync() as Float32Array;
  if (losses.every(Number.isFinite)) return losses;
  const tensor = tf.tidy(exact);
  const values = tensor.dataSync();
  tensor.dispose();
  return losses.map((loss, i) => (Number.isFinite(loss) ? loss : values[i]));
}

/** Weight of each label token in its run's mean loss. */
function labelWeights({ runs, labelOwners }: Layout): Float32Array {
  const counts = new Array<number>(runs).fill(0);
  for (const { run } of labelOwners) counts[run]++;
  return Float32Array.from(labelOwners, ({ run }) => 1 / counts[run]);
}

/** The tensor that `make` returns, in place of `old`, which is disposed with all intermediate ones. */
function replace(old: tf.Tensor2D, make: () => tf.Tensor2D): tf.Tensor2D {
  const made = tf.tidy(make);
  old.dispose();
  return made;
}

/** Let a block's state outlive the tidy that made it. */
function keepAll(state: BlockState): BlockState {
  const visit = (value: unknown): void => {
    if (value instanceof tf.Tensor) tf.keep(value);
    else if (value && typeof value === 'object') Object.values(value).forEach(visit);
  };
  visit(state);
  return state;
}
