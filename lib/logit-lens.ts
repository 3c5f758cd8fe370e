/**
 * The logit lens (nostalgebraist 2020, "interpreting GPT: the logit lens"): what the model would say after
 * each layer, if the last layer norm and the output matrix followed at once.
 */
import { tf } from './backend';
import type { JobProgress } from './display';
import { dotProduct } from './distances';
import { promptStates } from './forward';
import type { Gpt2 } from './gpt2';
import { logSoftmax } from './ops';
import { outputLogits } from './output';
import { stackPrompts } from './probes';
import type { Random } from './random';

/** The lens at one prompt position. Layer 0 is the vector with its position embedding, layer n what block n gives. */
export interface LensReading {
  /** [layer] of the distribution over the vocabulary, in nats: 0 … ln(vocabulary) */
  readonly entropy: readonly number[];
  /** [layer][rank] ids of the most likely tokens */
  readonly top: readonly (readonly number[])[];
}

export interface LensOptions {
  /** how many of the most likely tokens are kept of each layer; default 5 */
  readonly top?: number;
  /** counts prompts */
  readonly onProgress?: (progress: JobProgress) => void;
}

/** Prompt positions in one pass: bounds the logits, the widest tensor, to 64 MB at GPT-2's vocabulary. */
const POSITIONS_A_PASS = 320;

/**
 * The lens at every position of every prompt [promptTokens, dModel], all of one shape: [prompt][position].
 * `await startBackend()` before. Leaves no tensor behind.
 */
export async function logitLens(
  model: Gpt2, prompts: readonly Float32Array[], { top = 5, onProgress }: LensOptions = {},
): Promise<LensReading[][]> {
  const { dModel } = model.config;
  const size = Math.max(1, Math.floor((POSITIONS_A_PASS * dModel) / prompts[0].length));
  const readings: LensReading[][] = [];
  for (let start = 0; start < prompts.length; start += size) {
    readings.push(...readGroup(model, prompts.slice(start, start + size), top));
    onProgress?.({ done: readings.length, resumed: 0, total: prompts.length, note: '' });
    // Lets the progress be shown.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return readings;
}

function readGroup(model: Gpt2, vectors: readonly Float32Array[], top: number): LensReading[][] {
  const prompts = stackPrompts(vectors, model.config.dModel);
  const states = promptStates(model, prompts);
  prompts.dispose();
  const layers = states.map((state) => {
    const layer = readLayer(model, state, top);
    state.dispose();
    return layer;
  });
  const positions = states[0].shape[0] / vectors.length;
  return vectors.map((_, prompt) => Array.from({ length: positions }, (__, position) => {
    const row = prompt * positions + position;
    return {
      entropy: layers.map(({ entropy }) => entropy[row]),
      top: layers.map(({ tokens }) => [...tokens.subarray(row * top, (row + 1) * top)]),
    };
  }));
}

/** Entropy [rows] and most likely tokens [rows, top] of hidden states [rows, dModel]. */
function readLayer(
  model: Gpt2, state: tf.Tensor2D, top: number,
): { entropy: Float32Array; tokens: Int32Array } {
  const tensors = tf.tidy(() => {
    const logProbabilities = logSoftmax(outputLogits(model, state));
    const entropy = tf.neg(tf.sum(tf.mul(tf.exp(logProbabilities), logProbabilities), -1));
    return { entropy, tokens: tf.topk(logProbabilities, top).indices };
  });
  const entropy = tensors.entropy.dataSync() as Float32Array;
  const tokens = tensors.tokens.dataSync() as Int32Array;
  tf.dispose(tensors);
  return { entropy, tokens };
}

/** Vectors [rows, dModel] of random directions, each as long as the given one. */
export function randomOfSameLength(vectors: Float32Array, dModel: number, random: Random): Float32Array {
  const result = Float32Array.from(vectors, () => random.normal());
  for (let start = 0; start < vectors.length; start += dModel) {
    const own = result.subarray(start, start + dModel);
    const given = vectors.subarray(start, start + dModel);
    const factor = Math.sqrt(dotProduct(given, given) / dotProduct(own, own));
    for (let k = 0; k < dModel; k++) own[k] *= factor;
  }
  return result;
}
