/**
 * Test loss and accuracy of prompts.
 *
 * Accuracy is the paper's: greedy decoding of at most 5 tokens, decoded and stripped, must start with the label.
 * One pass over text and label gives the loss and, at each label position, the greedy token as long as the
 * tokens before it were the label's own; so most examples are decided without generating anything, and only
 * the rest (an answer in other tokens than the label's) is generated.
 */
import { tf } from './backend';
import { greedy, labelLosses } from './forward';
import type { Gpt2 } from './gpt2';
import { disposeLayout, layOut, sharedTextLength, type Layout } from './layout';
import type { Example } from './tasks';
import { decode, endOfText } from './tokenizer';

export interface Evaluation {
  /** mean over batches, in order, of the mean over a batch's label tokens, in nats */
  readonly loss: number;
  /** share of examples, 0–1 */
  readonly accuracy: number;
}

export interface EvaluationOptions {
  /** examples a batch of the loss */
  readonly batchSize: number;
  /** greedy tokens */
  readonly newTokens: number;
}

/**
 * Label tokens in one pass, of all runs. Bounds the memory of the hidden states (output.ts bounds that of the
 * logits); large enough that what a pass costs besides its products does not count.
 */
export const LABEL_TOKENS_A_PASS = 1280;

/**
 * Evaluate the prompts of several runs [run, promptTokens, dModel] on the same examples; one result a run.
 * Leaves no tensor behind.
 */
export function evaluate(
  model: Gpt2, prompts: tf.Tensor3D, examples: readonly Example[], options: EvaluationOptions,
): Evaluation[] {
  const runs = prompts.shape[0];
  const sharedText = sharedTextLength(examples);
  const losses: number[][] = Array.from({ length: runs }, () => []);
  const verdicts: Verdict[][] = Array.from({ length: runs }, () => []);
  for (const part of passes(examples, runs, options.batchSize)) {
    const layout = layOut(new Array(runs).fill(part), prompts.shape[1], sharedText);
    const results = byExample(layout, labelLosses(model, prompts, layout));
    disposeLayout(layout);
    results.forEach((run, r) => {
      for (let start = 0; start < run.length; start += options.batchSize) {
        losses[r].push(mean(run.slice(start, start + options.batchSize).flatMap((result) => result.losses)));
      }
      run.forEach((result, e) => verdicts[r].push(
        judge(part[e], generatedSoFar(part[e], result.predictions), options.newTokens)));
    });
  }
  settle(model, prompts, examples, verdicts, options.newTokens);
  return losses.map((batchLosses, r) => ({
    loss: mean(batchLosses),
    accuracy: verdicts[r].filter((verdict) => verdict === 'right').length / examples.length,
  }));
}

/** 'right', 'wrong', or the tokens generated so far where more are needed to tell. */
type Verdict = 'right' | 'wrong' | readonly number[];

/** Exported for tests. */
export function judge(example: Example, generated: readonly number[], newTokens: number): Verdict {
  const ended = generated.indexOf(endOfText);
  const kept = generated.slice(0, Math.min(newTokens, ended < 0 ? Infinity : ended));
  const text = decode(kept).trimStart();
  if (text.trimEnd().startsWith(example.output)) return 'right';
  if (ended >= 0 || kept.length >= newTokens) return 'wrong';
  // The bytes of one character may still be incomplete.
  return example.output.startsWith(text.replace(/\uFFFD+$/, '')) ? kept : 'wrong';
}

/** The greedy tokens that one pass over text and label reveals: the label's own, up to the first other one. */
function generatedSoFar({ labelTokens }: Example, predictions: readonly number[]): number[] {
  const other = predictions.findIndex((id, i) => id !== labelTokens[i]);
  return other < 0 ? [...predictions] : predictions.slice(0, other + 1);
}

/** Generate for the examples that are still open, and judge them. */
function settle(
  model: Gpt2, prompts: tf.Tensor3D, examples: readonly Example[], verdicts: Verdict[][], newTokens: number,
): void {
  for (;;) {
    const open = verdicts.map((run) => run.flatMap((verdict, e) => (typeof verdict === 'string' ? [] : [e])));
    const runs = open.flatMap((indices, r) => (indices.length > 0 ? [r] : []));
    if (runs.length === 0) return;
    const chosen = tf.tidy(() => tf.gather(prompts, tf.tensor1d(runs, 'int32')) as tf.Tensor3D);
    const texts = runs.map((r) => open[r].slice(0, 64).map((e) => (
      [...examples[e].textTokens, ...(verdicts[r][e] as readonly number[])])));
    const next = greedy(model, chosen, texts, 1);
    chosen.dispose();
    runs.forEach((r, i) => next[i].forEach(([id], j) => {
      const e = open[r][j];
      verdicts[r][e] = judge(examples[e], [...(verdicts[r][e] as readonly number[]), id], newTokens);
    }));
  }
}

/** Examples cut into passes of whole batches. */
function passes(examples: readonly Example[], runs: number, batchSize: number): Example[][] {
  const longest = Math.max(...examples.map((example) => example.labelTokens.length));
  const batches = Math.max(1, Math.floor(LABEL_TOKENS_A_PASS / (runs * longest * batchSize)));
  const size = batches * batchSize;
  return Array.from({ length: Math.ceil(examples.length / size) }, (_, i) => examples.slice(i * size, (i + 1) * size));
}

interface ExampleResult {
  readonly losses: number[];
  readonly predictions: number[];
}

function byExample(
  layout: Layout, { losses, predictions }: { losses: Float32Array; predictions: Int32Array },
): ExampleResult[][] {
  const results: ExampleResult[][] = Array.from({ length: layout.runs }, () => (
    Array.from({ length: layout.examples }, () => ({ losses: [], predictions: [] }))));
  layout.labelOwners.forEach(({ run, example }, i) => {
    results[run][example].losses.push(losses[i]);
    results[run][example].predictions.push(predictions[i]);
  });
  return results;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
