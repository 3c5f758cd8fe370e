/** GPT-2's dropout masks from a seed, so that a step is a function of its configuration. */
import { nativeKernels, tf } from './backend';
import { typeAttribute, type DropoutMasks } from './ops';
import { createRandom } from './random';

/**
 * Masks for one step: each call gives the next one, 1 / (1 − rate) where a number is kept and 0 where it is
 * dropped, independent for each element.
 *
 * @param seed whole numbers, e.g. run seed and step. Same seed and backend, same masks; backends differ.
 */
export function dropoutMasks(rate: number, seed: readonly number[]): DropoutMasks {
  const random = createRandom(seed);
  return (shape) => tf.tidy(() => {
    const uniform = uniformTensor(shape, random.integers(2 ** 31), random.integers(2 ** 31));
    return tf.mul(tf.cast(tf.greaterEqual(uniform, rate), 'float32'), 1 / (1 - rate));
  });
}

/** TensorFlow's stateless (Philox) generator where it runs; TensorFlow.js' seeded one elsewhere. */
function uniformTensor(shape: readonly number[], seed1: number, seed2: number): tf.Tensor {
  const native = nativeKernels();
  if (!native) return tf.randomUniform(shape as number[], 0, 1, 'float32', seed1);
  const attributes = [
    typeAttribute('dtype', 'float32'), typeAttribute('T', 'int32'), typeAttribute('Tseed', 'int32'),
  ];
  const inputs = [tf.tensor1d(shape as number[], 'int32'), tf.tensor1d([seed1, seed2], 'int32')];
  return native.executeSingleOutput('StatelessRandomUniform', attributes, inputs);
}
