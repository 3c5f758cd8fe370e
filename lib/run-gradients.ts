/**
 * Loss and gradient of several runs, each on its own batch: in one pass with a shared prefix, or, where there is
 * dropout, run by run.
 */
import { tf } from './backend';
import { dropoutMasks } from './dropout';
import { promptGradient } from './forward';
import type { Gpt2 } from './gpt2';
import { disposeLayout, layOut, type Layout } from './layout';
import type { Example } from './tasks';

/** A run's part of a step: its batch, and the step counted from its own start. */
export interface RunStep {
  readonly run: number;
  readonly examples: readonly Example[];
  readonly seed: number;
  readonly step: number;
  readonly stepsAnEpoch: number;
}

/** [promptTokens, dModel] */
export type PromptShape = readonly [number, number];

/**
 * Mean label loss of each run's batch, and its gradient at the run's prompt.
 *
 * @param prompts [run, promptTokens, dModel]
 * @param shape [promptTokens, dModel]
 * @param sharedText text tokens that all examples of all runs begin with
 * @returns losses [run], gradient [run, promptTokens, dModel]. Leaves no tensor behind.
 */
export function runGradients(
  model: Gpt2, prompts: Float32Array, shape: PromptShape, steps: readonly RunStep[], sharedText: number, dropout: number,
): { losses: Float32Array; gradient: Float32Array } {
  const tensor = tf.tensor3d(prompts, [steps.length, ...shape]);
  try {
    return dropout > 0 ? unsharedGradient(model, tensor, steps, dropout) : sharedGradient(model, tensor, steps, sharedText);
  } finally {
    tensor.dispose();
  }
}

function sharedGradient(model: Gpt2, prompts: tf.Tensor3D, steps: readonly RunStep[], sharedText: number) {
  return withLayout(layOut(steps.map(({ examples }) => examples), prompts.shape[1], sharedText), (layout) => (
    promptGradient(model, prompts, layout)));
}

/**
 * With dropout every sequence has its own masks, so nothing is shared: one run after another, each example
 * becomes a row of the layout with its own copy of the prompt, and the run's gradient is the sum over examples
 * weighted by label tokens. The masks depend on seed and step alone, so a run gives here what it gives alone.
 */
function unsharedGradient(
  model: Gpt2, prompts: tf.Tensor3D, steps: readonly RunStep[], dropout: number,
): { losses: Float32Array; gradient: Float32Array } {
  const [, promptTokens, dModel] = prompts.shape;
  const size = promptTokens * dModel;
  const losses = new Float32Array(steps.length);
  const gradient = new Float32Array(steps.length * size);
  steps.forEach(({ examples, seed, step }, row) => {
    const labelTokens = examples.reduce((sum, example) => sum + example.labelTokens.length, 0);
    const copies = tf.tidy(() => tf.tile(tf.slice(prompts, [row, 0, 0], [1, -1, -1]), [examples.length, 1, 1]));
    const each = withLayout(layOut(examples.map((example) => [example]), promptTokens, 0), (layout) => (
      promptGradient(model, copies, layout, dropoutMasks(dropout, [seed, step]))));
    copies.dispose();
    examples.forEach((example, e) => {
      const weight = example.labelTokens.length / labelTokens;
      losses[row] += weight * each.losses[e];
      for (let i = 0; i < size; i++) gradient[row * size + i] += weight * each.gradient[e * size + i];
    });
  });
  return { losses, gradient };
}

function withLayout<T>(layout: Layout, use: (layout: Layout) => T): T {
  try {
    return use(layout);
  } finally {
    disposeLayout(layout);
  }
}
