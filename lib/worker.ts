/**
 * A worker process: trains one group of runs after another, as crew.ts hands them out, and saves each
 * epoch. Processes rather than threads inside operations: below a billion parameters two single-threaded
 * processes do far more than one with two threads.
 */
import { startBackend, type Device } from './backend';
import { loadCheckpoint, saveCheckpoint, type Checkpoint } from './checkpoints';
import { findData } from './data';
import type { Experiment } from './experiment';
import { loadGpt2, type Gpt2 } from './gpt2';
import type { Group } from './run-names';
import { saveFinished } from './runs';
import { loadTask } from './tasks';
import { singleToken } from './tokenizer';
import { initialPrompts, initialState, tune, type Stop } from './tuning';

/** From the parent: first `start`, then one `group` after another; `stop` ends after the step in progress. */
export type ToWorker =
  | {
    readonly kind: 'start'; readonly experiment: Experiment; readonly folder: string; readonly modelFolder: string;
    readonly device: Device;
  }
  | { readonly kind: 'group'; readonly group: Group }
  | { readonly kind: 'stop' };

/**
 * To the parent: ready for a group, going on after so many epochs of it, examples trained since the last message, the
 * end of an epoch with the runs that have stopped so far, a failure.
 */
export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'begun'; readonly epochsDone: number }
  | { readonly kind: 'trained'; readonly examples: number }
  | { readonly kind: 'epoch'; readonly epoch: number; readonly accuracy: number; readonly stops: readonly Stop[] }
  | { readonly kind: 'failed'; readonly message: string; readonly stack?: string };

class Stopped extends Error {}

let stopping = false;
let model: Gpt2;
let settings: Extract<ToWorker, { kind: 'start' }>;

function tell(message: FromWorker): void {
  if (process.connected) process.send!(message);
}

async function start(message: Extract<ToWorker, { kind: 'start' }>): Promise<void> {
  settings = message;
  const { device } = message;
  const found = await startBackend({ threads: device.threads });
  if (found.backend !== device.backend || found.kind !== device.kind) {
    throw new Error(`backend: expected ${device.backend} on ${device.kind} as in ${message.folder}, ` +
      `found ${found.backend} on ${found.kind} in a worker process; mend: npm run doctor`);
  }
  model = loadGpt2(message.modelFolder);
  tell({ kind: 'ready' });
}

async function train(group: Group): Promise<void> {
  const { experiment, folder } = settings;
  const options = {
    folder: findData(experiment.data), template: experiment.template, limit: experiment.examples ?? undefined,
  };
  const tasks = new Map([...new Set(group.map(({ task }) => task))].map((name) => [name, loadTask(name, options)]));
  const runs = group.map(({ task, seed }) => ({ task: tasks.get(task)!, seed }));
  const initial = initialPrompts(model, group.map(({ word }) => singleToken(word)), experiment.promptTokens);
  let checkpoint: Checkpoint = loadCheckpoint(folder, group) ?? { state: initialState(initial), history: [], metrics: [] };
  tell({ kind: 'begun', epochsDone: checkpoint.state.epochsDone });
  const steps = tune(model, runs, experiment, checkpoint.state, { onStep: afterStep });
  for await (const { state, metrics } of steps) {
    checkpoint = {
      state, history: [...checkpoint.history, state.prompts], metrics: [...checkpoint.metrics, metrics],
    };
    saveCheckpoint(folder, group, checkpoint);
    const accuracy = metrics.test.reduce((sum, test) => sum + test.accuracy, 0) / group.length;
    tell({ kind: 'epoch', epoch: metrics.epoch, accuracy, stops: metrics.stops });
  }
  saveFinished(folder, group, checkpoint, model.config.dModel, initial);
  tell({ kind: 'ready' });
}

/** Report the step and let messages of the parent in. */
async function afterStep(examples: number): Promise<void> {
  tell({ kind: 'trained', examples });
  await new Promise((resolve) => setImmediate(resolve));
  if (stopping) throw new Stopped();
}

function handle(message: ToWorker): void {
  if (message.kind === 'stop') {
    stopping = true;
    return;
  }
  const work = message.kind === 'start' ? start(message) : train(message.group);
  work.catch((error: Error) => {
    if (!(error instanceof Stopped)) tell({ kind: 'failed', message: error.message, stack: error.stack });
    if (process.connected) process.disconnect();
  });
}

// The parent decides when to stop: a Ctrl-C in its terminal reaches this process too.
process.on('SIGINT', () => undefined);
process.on('message', handle);
process.on('disconnect', () => (stopping = true));
