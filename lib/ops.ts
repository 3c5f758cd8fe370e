/**
 * The element-wise operations of a GPT-2 block, each with its gradient.
 *
 * The model is frozen and only prompts learn, so nothing here needs a tape: the forward pass returns what its
 * gradient needs, and the gradient is a plain function. On a CPU these passes over memory cost as much as the
 * matrix products, so each does as few of them as it can.
 *
 * Every function may leave intermediate tensors: call them inside tf.tidy.
 */
import { tf, nativeKernels } from './backend';

type Tensor = tf.Tensor;

/** A frozen affine map: x [rows, in] → x·weight + bias [rows, out]. */
export interface Linear {
  /** [in, out] */
  readonly weight: tf.Tensor2D;
  /** [out] */
  readonly bias: tf.Tensor1D;
}

export function linear(x: tf.Tensor2D, map: Linear): tf.Tensor2D {
  return addBias(tf.matMul(x, map.weight), map.bias);
}

/** dx [rows, in] from dy [rows, out]. */
export function linearGradient(dy: tf.Tensor2D, map: Linear): tf.Tensor2D {
  return timesTransposed(dy, map.weight);
}

/**
 * x·matrixᵀ. TensorFlow is up to four times slower where the second factor is transposed and the larger one: then
 * the product is taken as (matrix·xᵀ)ᵀ.
 */
export function timesTransposed(x: tf.Tensor2D, matrix: tf.Tensor2D): tf.Tensor2D {
  if (x.shape[0] >= matrix.shape[0]) return tf.matMul(x, matrix, false, true);
  return tf.transpose(tf.matMul(matrix, x, false, true)) as tf.Tensor2D;
}

/** TensorFlow's BiasAdd is faster than its broadcast addition. */
function addBias(x: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor2D {
  const native = nativeKernels();
  if (!native) return tf.add(x, bias);
  return native.executeSingleOutput('BiasAdd', [floatType()], [x, bias]) as tf.Tensor2D;
}

const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

/** GPT-2's `gelu_new`: x·σ(2u) with u = √(2/π)(x + 0.044715 x³), the same function as its tanh form. */
export function gelu<T extends Tensor>(x: T): T {
  return tf.mul(x, geluGate(x)) as T;
}

/** gelu(x), and its derivative at x, which is all that the gradient needs. */
export function geluWithDerivative<T extends Tensor>(x: T): { value: T; derivative: T } {
  const inner = geluInner(x);
  const gate = tf.sigmoid(inner);
  // d/dx x·σ(w) = σ + x·w′·σ(1 − σ), and x·w′ = 3w − 4√(2/π)x for w = 2√(2/π)(x + c x³)
  const slope = tf.sub(tf.mul(inner, 3), tf.mul(x, 4 * GELU_SCALE));
  const derivative = tf.add(gate, sigmoidGradient(gate, slope)) as T;
  return { value: tf.mul(x, gate) as T, derivative };
}

function geluGate(x: Tensor): Tensor {
  return tf.sigmoid(geluInner(x));
}

function geluInner(x: Tensor): Tensor {
  const cubic = 2 * GELU_SCALE * GELU_CUBIC;
  return tf.mul(x, tf.add(tf.mul(tf.square(x), cubic), 2 * GELU_SCALE));
}

/** dy·y(1 − y), one pass in TensorFlow. */
function sigmoidGradient(y: Tensor, dy: Tensor): Tensor {
  const native = nativeKernels();
  if (!native) return tf.mul(dy, tf.mul(y, tf.sub(1, y)));
  return native.executeSingleOutput('SigmoidGrad', [floatType()], [y, dy]);
}

/** Layer norm without scale and shift (those are folded into the next matrix). */
export interface Normalized {
  /** [rows, dModel]: mean 0, variance 1 in each row */
  readonly value: tf.Tensor2D;
  /** [rows, 1]: 1 / standard deviation of the input row */
  readonly inverseDeviation: tf.Tensor2D;
}

export function normalize(x: tf.Tensor2D, epsilon: number): Normalized {
  const centred = tf.sub(x, rowMeans(x));
  const inverseDeviation = tf.rsqrt(tf.add(rowMeans(tf.square(centred)), epsilon)) as tf.Tensor2D;
  return { value: tf.mul(centred, inverseDeviation), inverseDeviation };
}

export function normalizeGradient(dy: tf.Tensor2D, { value, inverseDeviation }: Normalized): tf.Tensor2D {
  const along = rowMeans(tf.mul(dy, value));
  return tf.mul(tf.sub(tf.sub(dy, rowMeans(dy)), tf.mul(value, along)), inverseDeviation);
}

/** Means over the last axis, [rows, 1]. tf.mean copies all of x first. */
function rowMeans(x: Tensor): Tensor {
  const native = nativeKernels();
  if (!native) return tf.mean(x, -1, true);
  return native.executeSingleOutput('Mean', native.createReductionOpAttrs(x, true), [x, tf.tensor1d([1], 'int32')]);
}

/** Gradient of softmax over the last axis, from its output and the gradient of that. */
export function softmaxGradient<T extends Tensor>(probabilities: T, dy: T): T {
  const along = tf.sum(tf.mul(probabilities, dy), -1, true);
  return tf.mul(probabilities, tf.sub(dy, along)) as T;
}

/** log softmax over the last axis; TensorFlow's own kernel is several times faster than its composition. */
export function logSoftmax(logits: tf.Tensor2D): tf.Tensor2D {
  const native = nativeKernels();
  return (native ? native.executeSingleOutput('LogSoftmax', [floatType()], [logits]) : tf.logSoftmax(logits)) as tf.Tensor2D;
}

/** Makes the next dropout mask of a step: 0, or 1 / (1 − rate), for each element. */
export type DropoutMasks = (shape: readonly number[]) => tf.Tensor;

/** x under a mask of DropoutMasks; its gradient is the same function of dy. No mask: x itself. */
export function dropOut<T extends Tensor>(x: T, mask: Tensor | null): T {
  return mask ? (tf.mul(x, mask) as T) : x;
}


function floatType(): object {
  return typeAttribute('T', 'float32');
}

interface AttributeTypes {
  readonly TF_ATTR_TYPE: number;
}

/** A type attribute of one of TensorFlow's own kernels; native backend only. */
export function typeAttribute(name: string, dtype: tf.DataType): object {
  const native = nativeKernels()!;
  const { TF_ATTR_TYPE } = native.binding as unknown as AttributeTypes;
  return { name, type: TF_ATTR_TYPE, value: native.getDTypeInteger(dtype) };
}
