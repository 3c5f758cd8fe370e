/**
 * Prompt tuning of several runs in one step (Lester et al. 2021, as Hugging Face PEFT does it).
 *
 * The model is frozen and AdamW is element-wise, so runs that train together have exactly the mathematics of
 * each alone; together they fill the matrix products. The runs of one call share task and seed and differ in
 * their initial word, so they share their batches too.
 */
import { tf } from './backend';
import { dropoutMasks } from './dropout';
import { evaluate, type Evaluation } from './evaluation';
import { promptGradient } from './forward';
import type { Gpt2 } from './gpt2';
import { disposeLayout, layOut, sharedTextLength, type Layout } from './layout';
import { epochBatches, type Example, type Task } from './tasks';

export interface TuningSettings {
  readonly epochs: number;
  readonly batchSize: number;
  /** at the first step; falls linearly to 0 over all steps */
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly dropout: number;
  readonly newTokens: number;
}

/** What an epoch ended with, a value for each run. */
export interface EpochMetrics {
  /** 1 … epochs */
  readonly epoch: number;
  /** mean over the steps of the epoch of the batch's mean label loss, in nats */
  readonly trainLoss: number[];
  readonly test: Evaluation[];
  /** runs that have stopped so far; their training loss is NaN from then on, their test is of the prompt they keep */
  readonly stops: readonly Stop[];
}

/** A run that stopped because a number was not finite: it keeps prompt and moments of the step before. */
export interface Stop {
  readonly run: number;
  /** 1 … all steps */
  readonly step: number;
  readonly reason: string;
}

/** Everything that the next step depends on. Arrays are [run, promptTokens, dModel]. */
export interface TuningState {
  readonly epochsDone: number;
  readonly prompts: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
  readonly stops: readonly Stop[];
}

export interface TuningHooks {
  /** after every step; throw to stop (what the last epoch ended with is not touched) */
  readonly onStep?: (examples: number) => void | Promise<void>;
}

/** The initial prompts: each run's word embedding, repeated. [run, promptTokens, dModel] */
export function initialPrompts(model: Gpt2, tokenIds: readonly number[], promptTokens: number): Float32Array {
  const rows = tokenIds.flatMap((id) => new Array<number>(promptTokens).fill(id));
  return tf.tidy(() => tf.gather(model.tokenEmbedding, tf.tensor1d(rows, 'int32')).dataSync() as Float32Array);
}

export function initialState(prompts: Float32Array): TuningState {
  const zeros = () => new Float32Array(prompts.length);
  return { epochsDone: 0, prompts: prompts.slice(), firstMoment: zeros(), secondMoment: zeros(), stops: [] };
}

/**
 * Train the runs of one task and seed from `state` to the last epoch; yields the state and metrics after each
 * epoch. The result is a function of its arguments: continued from any yielded state, it ends the same.
 */
export async function* tune(
  model: Gpt2, task: Task, seed: number, runs: number, settings: TuningSettings, state: TuningState,
  hooks: TuningHooks = {},
): AsyncGenerator<{ state: TuningState; metrics: EpochMetrics }> {
  const promptTokens = state.prompts.length / (runs * model.config.dModel);
  const shape: [number, number, number] = [runs, promptTokens, model.config.dModel];
  const sharedText = sharedTextLength([...task.train, ...task.test]);
  const stepsAnEpoch = Math.ceil(task.train.length / settings.batchSize);
  const totalSteps = stepsAnEpoch * settings.epochs;
  const current = {
    prompts: state.prompts.slice(), firstMoment: state.firstMoment.slice(), secondMoment: state.secondMoment.slice(),
  };
  const stops = [...state.stops];

  for (let epoch = state.epochsDone + 1; epoch <= settings.epochs; epoch++) {
    const trainLoss = new Array<number>(runs).fill(0);
    const batches = epochBatches(task.train.length, settings.batchSize, seed, task.name, epoch);
    for (let i = 0; i < batches.length; i++) {
      const step = (epoch - 1) * stepsAnEpoch + i;
      const examples = batches[i].map((index) => task.train[index]);
      const { losses, gradient } = gradientOf(model, current.prompts, shape, examples, sharedText, settings, [seed, step]);
      const learningRate = settings.learningRate * (1 - step / totalSteps);
      const schedule = { learningRate, weightDecay: settings.weightDecay, step: step + 1 };
      stops.push(...stepRuns(current, losses, gradient, schedule, stops));
      losses.forEach((loss, run) => (trainLoss[run] += stops.some((stop) => stop.run === run) ? NaN : loss / batches.length));
      await hooks.onStep?.(runs * examples.length);
    }
    const prompts = tf.tensor3d(current.prompts, shape);
    // Of logits that are no numbers there is no accuracy either.
    const test = evaluate(model, prompts, task.test, { ...settings, sharedText })
      .map((result) => (Number.isFinite(result.loss) ? result : { loss: NaN, accuracy: NaN }));
    prompts.dispose();
    yield {
      state: {
        epochsDone: epoch, prompts: current.prompts.slice(), firstMoment: current.firstMoment.slice(),
        secondMoment: current.secondMoment.slice(), stops: [...stops],
      },
      metrics: { epoch, trainLoss, test, stops: [...stops] },
    };
  }
}

function gradientOf(
  model: Gpt2, prompts: Float32Array, shape: [number, number, number], examples: readonly Example[],
  sharedText: number, { dropout }: TuningSettings, seed: readonly number[],
): { losses: Float32Array; gradient: Float32Array } {
  const tensor = tf.tensor3d(prompts, shape);
  try {
    return dropout > 0
      ? unsharedGradient(model, tensor, examples, dropout, seed)
      : sharedGradient(model, tensor, examples, sharedText);
  } finally {
    tensor.dispose();
  }
}

function sharedGradient(model: Gpt2, prompts: tf.Tensor3D, examples: readonly Example[], sharedText: number) {
  return withLayout(layOut(new Array(prompts.shape[0]).fill(examples), prompts.shape[1], sharedText), (layout) => (
    promptGradient(model, prompts, layout)));
}

/**
 * With dropout every sequence has its own masks, so nothing is shared: one run after another, each example
 * becomes a row of the layout with its own copy of the prompt, and the run's gradient is the sum over examples
 * weighted by label tokens. The masks depend on seed and step alone, so a run gives here what it gives alone.
 */
function unsharedGradient(
  model: Gpt2, prompts: tf.Tensor3D, examples: readonly Example[], dropout: number, seed: readonly number[],
): { losses: Float32Array; gradient: Float32Array } {
  const [runs, promptTokens, dModel] = prompts.shape;
  const size = promptTokens * dModel;
  const labelTokens = examples.reduce((sum, example) => sum + example.labelTokens.length, 0);
  const losses = new Float32Array(runs);
  const gradient = new Float32Array(runs * size);
  for (let run = 0; run < runs; run++) {
    const copies = tf.tidy(() => tf.tile(tf.slice(prompts, [run, 0, 0], [1, -1, -1]), [examples.length, 1, 1]));
    const each = withLayout(layOut(examples.map((example) => [example]), promptTokens, 0), (layout) => (
      promptGradient(model, copies, layout, dropoutMasks(dropout, seed))));
    copies.dispose();
    examples.forEach((example, e) => {
      const weight = example.labelTokens.length / labelTokens;
      losses[run] += weight * each.losses[e];
      for (let i = 0; i < size; i++) gradient[run * size + i] += weight * each.gradient[e * size + i];
    });
  }
  return { losses, gradient };
}

function withLayout<T>(layout: Layout, use: (layout: Layout) => T): T {
  try {
    return use(layout);
  } finally {
    disposeLayout(layout);
  }
}

/**
 * One AdamW step, in place, of every run that has not stopped. A run whose loss, gradient or result is not
 * finite keeps what it had before this step and is returned; the others do not notice.
 */
function stepRuns(
  state: Moments, losses: Float32Array, gradient: Float32Array, schedule: Schedule, stops: readonly Stop[],
): Stop[] {
  const size = gradient.length / losses.length;
  return [...losses].flatMap((loss, run) => {
    if (stops.some((stop) => stop.run === run)) return [];
    const of = (data: Float32Array): Float32Array => data.subarray(run * size, (run + 1) * size);
    const own = {
      prompts: of(state.prompts), firstMoment: of(state.firstMoment), secondMoment: of(state.secondMoment),
    };
    const reason = tryStep(own, loss, of(gradient), schedule);
    return reason === undefined ? [] : [{ run, step: schedule.step, reason }];
  });
}

/** AdamW where everything stays finite; else nothing changes, and why is returned. */
function tryStep(own: Moments, loss: number, gradient: Float32Array, schedule: Schedule): string | undefined {
  if (!Number.isFinite(loss)) return `loss is ${loss}`;
  if (!gradient.every(Number.isFinite)) return 'gradient is not finite';
  const next = {
    prompts: own.prompts.slice(), firstMoment: own.firstMoment.slice(), secondMoment: own.secondMoment.slice(),
  };
  adamW(next, gradient, schedule);
  for (const data of Object.values(next)) if (!data.every(Number.isFinite)) return 'prompt or moments are not finite';
  own.prompts.set(next.prompts);
  own.firstMoment.set(next.firstMoment);
  own.secondMoment.set(next.secondMoment);
  return undefined;
}

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

interface Moments {
  readonly prompts: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
}

interface Schedule {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** from 1 */
  readonly step: number;
}

/**
 * One step of AdamW in place, as torch.optim.AdamW does it; `step` counts from 1. With weightDecay 0 it is
 * Adam. A prompt is a few thousand numbers, so this is plain TypeScript and its state is easy to save.
 */
export function adamW(
  { prompts, firstMoment, secondMoment }: Moments, gradient: Float32Array,
  { learningRate, weightDecay, step }: Schedule,
): void {
  const stepSize = learningRate / (1 - BETA1 ** step);
  const correction = Math.sqrt(1 - BETA2 ** step);
  const decay = 1 - learningRate * weightDecay;
  for (let i = 0; i < prompts.length; i++) {
    firstMoment[i] = BETA1 * firstMoment[i] + (1 - BETA1) * gradient[i];
    secondMoment[i] = BETA2 * secondMoment[i] + (1 - BETA2) * gradient[i] * gradient[i];
    prompts[i] = decay * prompts[i] - (stepSize * firstMoment[i]) / (Math.sqrt(secondMoment[i]) / correction + EPSILON);
  }
}
