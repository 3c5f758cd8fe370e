/** Train a whole grid with worker processes, resumable, with progress. */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { startBackend } from './backend';
import { resolveData } from './data';
import { checkTasks, type Experiment } from './experiment';
import { projectFolder } from './files';
import { readConfig, type Gpt2Config } from './gpt2';
import { findModel, modelFiles } from './hub';
import {
  groupFinished, groupsOf, loadCheckpoint, openRunFolder, provenanceOf, readGrid, runFolder, type Grid, type Group,
} from './runs';
import { loadTask, taskFileName, type Example } from './tasks';
import type { FromWorker, ToWorker } from './worker';

export interface Progress {
  /** training examples seen by all runs, of all epochs: now, of which before this start, and in the end */
  readonly done: number;
  readonly resumed: number;
  readonly total: number;
  /** what happened last, for people */
  readonly note: string;
}

export interface TrainingOptions {
  readonly onProgress?: (progress: Progress) => void;
  /** worker processes; default: one a core for models under a billion parameters on a CPU, else one */
  readonly workers?: number;
  /** stops the training after the step in progress; what the last epochs ended with is saved */
  readonly signal?: AbortSignal;
}

/**
 * Train every run of the experiment that is not finished yet into data/runs/<name>, and read the grid.
 * Throws where the folder holds another configuration, where a worker fails, or when stopped (the message says
 * how to go on).
 */
export async function trainGrid(name: string, experiment: Experiment, options: TrainingOptions = {}): Promise<Grid> {
  options.signal?.throwIfAborted();
  const device = await startBackend();
  const folder = runFolder(name);
  const modelFolder = findModel(experiment.model);
  const config = readConfig(join(modelFolder, 'config.json'));
  const dataFolder = await resolveData(experiment.data);
  checkTasks(experiment, dataFolder, config.positions);
  const files = Object.fromEntries(experiment.tasks.map((task) => [task, join(dataFolder, taskFileName(task))]));
  const small = device.kind === 'CPU' && parameterCount(config) < 1e9;
  const wanted = options.workers ?? (small ? availableParallelism() : 1);
  // The last bits of a sum depend on the number of threads: a run goes on with as many as it began with.
  const provenance = provenanceOf(
    { ...modelFiles(modelFolder), ...files }, Math.max(1, Math.floor(availableParallelism() / wanted)));
  const { threads } = openRunFolder(folder, experiment, provenance).device;

  const tasks = new Map(experiment.tasks.map((task) => [task, trainingExamples(task, dataFolder, experiment)]));
  const work = groupsOf(experiment).map((group) => {
    const examples = tasks.get(group.task)!;
    const epochs = groupFinished(folder, group) ? experiment.epochs : loadCheckpoint(folder, group)?.state.epochsDone ?? 0;
    const anEpoch = examples.length * group.words.length;
    const cost = group.words.length * operations(examples, config);
    return { group, total: anEpoch * experiment.epochs, done: anEpoch * epochs, cost };
  });
  const open = work.filter(({ group }) => !groupFinished(folder, group)).sort((a, b) => b.cost - a.cost);
  const resumed = work.reduce((sum, { done }) => sum + done, 0);
  const total = work.reduce((sum, item) => sum + item.total, 0);
  if (open.length > 0) {
    const workers = Math.min(wanted, open.length);
    const start = { kind: 'start', experiment, folder, threads } as const;
    await runWorkers(start, workers, open.map(({ group }) => group), { done: resumed, resumed, total, note: '' }, options);
  }
  return readGrid(name);
}

function trainingExamples(task: string, folder: string, { template, examples }: Experiment): readonly Example[] {
  return loadTask(task, { folder, template, limit: examples ?? undefined }).train;
}

/** Multiplications of one forward pass over the examples, roughly: which group is the largest. */
function operations(examples: readonly Example[], { layers, dModel, vocabularySize }: Gpt2Config): number {
  const ofToken = 12 * layers * dModel ** 2;
  const ofLabel = vocabularySize * dModel;
  return examples.reduce((sum, { textTokens, labelTokens }) => (
    sum + (textTokens.length + labelTokens.length) * ofToken + labelTokens.length * ofLabel), 0);
}

function parameterCount({ layers, dModel, vocabularySize }: Gpt2Config): number {
  return 12 * layers * dModel ** 2 + vocabularySize * dModel;
}

/** Hand the groups out, largest first, until all are done; the first failure stops all workers. */
async function runWorkers(
  start: ToWorker, count: number, groups: readonly Group[], before: Progress, options: TrainingOptions,
): Promise<void> {
  const queue = [...groups];
  const crew = Array.from({ length: count }, () => startWorker(start));
  let failure: Error | undefined;
  const stop = (error: Error) => {
    failure ??= error;
    for (const worker of crew) if (worker.connected) send(worker, { kind: 'stop' });
  };
  const abort = () => stop(new Error('training stopped; run it again to go on from the last finished epochs'));
  options.signal?.addEventListener('abort', abort);
  process.on('SIGINT', abort);
  try {
    const report = reporter(before, options);
    await Promise.all(crew.map((worker) => (
      employ(worker, () => (failure ? undefined : queue.shift()), report).catch(stop))));
  } finally {
    options.signal?.removeEventListener('abort', abort);
    process.off('SIGINT', abort);
  }
  if (failure) throw failure;
}

/** Give a worker the next group whenever it is ready. Settles when its process has ended. */
function employ(
  worker: ChildProcess, next: () => Group | undefined, report: (message: FromWorker) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let problem: Error | undefined;
    worker.on('message', (message: FromWorker) => {
      report(message);
      if (message.kind === 'failed') problem = new Error(`training worker failed: ${message.message}`);
      if (message.kind !== 'ready') return;
      const group = next();
      if (group) send(worker, { kind: 'group', group });
      else worker.disconnect();
    });
    worker.on('error', (error) => {
      problem ??= new Error(`a training worker failed: ${error.message}`);
      if (worker.pid === undefined) reject(problem);
    });
    worker.on('exit', (code, signal) => {
      if (code !== 0) problem ??= new Error(`a training worker ended with ${signal ?? `exit code ${code}`}`);
      if (problem) reject(problem);
      else resolve();
    });
  });
}

/** Adds what the workers tell to the progress and passes it on. */
function reporter(before: Progress, { onProgress }: TrainingOptions): (message: FromWorker) => void {
  let progress = before;
  return (message) => {
    if (message.kind === 'trained') progress = { ...progress, done: progress.done + message.examples };
    if (message.kind === 'epoch') {
      const { group, epoch, accuracy } = message;
      progress = { ...progress, note: `${group.task} epoch ${epoch}, test accuracy ${accuracy.toFixed(2)}` };
    }
    if (message.kind === 'trained' || message.kind === 'epoch') onProgress?.(progress);
  };
}

/**
 * For glibc's allocator: reuse freed memory instead of handing it back. Each step makes and frees the same large
 * tensors; fetching their pages anew from the system took up to half of the time.
 */
const KEEP_FREED_MEMORY = {
  MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: String(2 ** 40), MALLOC_TOP_PAD_: String(2 ** 28),
};

function startWorker(start: ToWorker): ChildProcess {
  const threads = start.kind === 'start' ? String(start.threads) : '1';
  const worker = fork(join(projectFolder, 'lib', 'dist', 'worker.js'), {
    env: { ...process.env, ...KEEP_FREED_MEMORY, TF_NUM_INTRAOP_THREADS: threads },
    execArgv: [],
  });
  send(worker, start);
  return worker;
}

/** A worker that is gone tells so by its exit; the error of sending to it adds nothing. */
function send(worker: ChildProcess, message: ToWorker): void {
  worker.send(message, () => undefined);
}
