/**
 * Prompt tuning of several runs in one step (Lester et al. 2021, as Hugging Face PEFT does it).
 *
 * The model is frozen, AdamW is element-wise and a run's loss touches only its own prompt, so runs that train
 * together have exactly the mathematics of each alone; together they fill the matrix products. Any runs may: of
 * several tasks, words and seeds, each with its own batches and its own place in its own schedule.
 */
import { tryAdamW, type Moments } from './adamw';
import { tf } from './backend';
import { evaluate, type Evaluation } from './evaluation';
import type { Gpt2 } from './gpt2';
import { sharedTextLength } from './layout';
import { runGradients, type PromptShape, type RunStep } from './run-gradients';
import { epochBatches, type Task } from './tasks';

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
  const prompts = tf.tidy(() => tf.gather(model.tokenEmbedding, tf.tensor1d(rows, 'int32')));
  const values = prompts.dataSync() as Float32Array;
  prompts.dispose();
  return values;
}

export function initialState(prompts: Float32Array): TuningState {
  const zeros = () => new Float32Array(prompts.length);
  return { epochsDone: 0, prompts: prompts.slice(), firstMoment: zeros(), secondMoment: zeros(), stops: [] };
}

/** One run of a group: what it learns from. Its prompt is the run's row of the state. */
export interface TuningRun {
  readonly task: Task;
  /** decides the order of the examples */
  readonly seed: number;
}

/**
 * Train a group of runs from `state` to the last epoch, all in one step; yields the state and metrics after each
 * epoch. A run whose epoch has fewer batches than another's rests until the epoch ends. The result is a
 * function of the arguments: continued from any yielded state, it ends the same.
 */
export async function* tune(
  model: Gpt2, runs: readonly TuningRun[], settings: TuningSettings, state: TuningState, hooks: TuningHooks = {},
): AsyncGenerator<{ state: TuningState; metrics: EpochMetrics }> {
  const size = state.prompts.length / runs.length;
  const shape = [size / model.config.dModel, model.config.dModel] as const;
  const tasks = [...new Set(runs.map(({ task }) => task))];
  const sharedText = sharedTextLength(tasks.flatMap(({ train, test }) => [...train, ...test]));
  const current = {
    prompts: state.prompts.slice(), firstMoment: state.firstMoment.slice(), secondMoment: state.secondMoment.slice(),
  };
  const stops = [...state.stops];

  for (let epoch = state.epochsDone + 1; epoch <= settings.epochs; epoch++) {
    const trainLoss = new Array<number>(runs.length).fill(0);
    const batches = runs.map(({ task, seed }) => (
      epochBatches(task.train.length, settings.batchSize, seed, task.name, epoch)));
    const longest = Math.max(...batches.map(({ length }) => length));
    for (let i = 0; i < longest; i++) {
      const steps = runs.flatMap(({ task, seed }, run): RunStep[] => {
        const stepsAnEpoch = batches[run].length;
        if (i >= stepsAnEpoch) return [];
        const examples = batches[run][i].map((index) => task.train[index]);
        return [{ run, examples, seed, step: (epoch - 1) * stepsAnEpoch + i, stepsAnEpoch }];
      });
      const prompts = rowsOf(current.prompts, steps.map(({ run }) => run), size);
      const { losses, gradient } = runGradients(model, prompts, shape, steps, sharedText, settings.dropout);
      stops.push(...updateRuns(current, steps, losses, gradient, settings, stops));
      steps.forEach(({ run, stepsAnEpoch }, row) => {
        trainLoss[run] += stops.some((stop) => stop.run === run) ? NaN : losses[row] / stepsAnEpoch;
      });
      await hooks.onStep?.(steps.reduce((sum, { examples }) => sum + examples.length, 0));
    }
    yield {
      state: {
        epochsDone: epoch, prompts: current.prompts.slice(), firstMoment: current.firstMoment.slice(),
        secondMoment: current.secondMoment.slice(), stops: [...stops],
      },
      metrics: { epoch, trainLoss, test: evaluateRuns(model, current.prompts, shape, runs, settings), stops: [...stops] },
    };
  }
}

/** A view of one row of [row, size]. */
function rowOf(values: Float32Array, row: number, size: number): Float32Array {
  return values.subarray(row * size, (row + 1) * size);
}

/** A copy of some rows of [row, size]. */
function rowsOf(values: Float32Array, rows: readonly number[], size: number): Float32Array {
  const chosen = new Float32Array(rows.length * size);
  rows.forEach((row, i) => chosen.set(rowOf(values, row, size), i * size));
  return chosen;
}

/** Test every run on its task's test examples, the runs of a task together; one result a run. */
function evaluateRuns(
  model: Gpt2, prompts: Float32Array, shape: PromptShape, runs: readonly TuningRun[], settings: TuningSettings,
): Evaluation[] {
  const results = new Array<Evaluation>(runs.length);
  for (const task of new Set(runs.map((run) => run.task))) {
    const rows = runs.flatMap((run, i) => (run.task === task ? [i] : []));
    const tensor = tf.tensor3d(rowsOf(prompts, rows, shape[0] * shape[1]), [rows.length, ...shape]);
    evaluate(model, tensor, task.test, settings).forEach((result, i) => {
      // Of logits that are no numbers there is no accuracy either.
      results[rows[i]] = Number.isFinite(result.loss) ? result : { loss: NaN, accuracy: NaN };
    });
    tensor.dispose();
  }
  return results;
}

/**
 * One AdamW step, in place, of every run of a step that has not stopped before. A run whose loss, gradient or
 * result is not finite keeps what it had before this step and is returned; the others do not notice.
 */
function updateRuns(
  state: Moments, steps: readonly RunStep[], losses: Float32Array, gradient: Float32Array, settings: TuningSettings,
  stops: readonly Stop[],
): Stop[] {
  const size = gradient.length / steps.length;
  return steps.flatMap(({ run, step, stepsAnEpoch }, row) => {
    if (stops.some((stop) => stop.run === run)) return [];
    const own = {
      prompts: rowOf(state.prompts, run, size),
      firstMoment: rowOf(state.firstMoment, run, size),
      secondMoment: rowOf(state.secondMoment, run, size),
    };
    const learningRate = settings.learningRate * (1 - step / (stepsAnEpoch * settings.epochs));
    const schedule = { learningRate, weightDecay: settings.weightDecay, step: step + 1 };
    const reason = tryAdamW(own, losses[row], rowOf(gradient, row, size), schedule);
    return reason === undefined ? [] : [{ run, step: step + 1, reason }];
  });
}
