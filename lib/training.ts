/** Train a whole grid with worker processes, resumable, with progress. */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { startBackend } from './backend';
import { resolveData } from './data';
import type { Experiment } from './experiment';
import { projectFolder } from './files';
import { readConfig } from './gpt2';
import { findModel, modelFiles } from './hub';
import {
  groupFinished, groupsOf, loadCheckpoint, openRunFolder, provenanceOf, readGrid, runFolder, type Grid, type Group,
} from './runs';
import { loadTask, taskFileName } from './tasks';
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
  const device = await startBackend();
  const folder = runFolder(name);
  const modelFolder = findModel(experiment.model);
  const dataFolder = await resolveData(experiment.data);
  const files = Object.fromEntries(experiment.tasks.map((task) => [task, join(dataFolder, taskFileName(task))]));
  const small = device.kind === 'CPU' && parameterCount(modelFolder) < 1e9;
  const wanted = options.workers ?? (small ? availableParallelism() : 1);
  // The last bits of a sum depend on the number of threads: a run goes on with as many as it began with.
  const provenance = provenanceOf(
    { ...modelFiles(modelFolder), ...files }, Math.max(1, Math.floor(availableParallelism() / wanted)));
  const { threads } = openRunFolder(folder, experiment, provenance).device;

  const sizes = new Map(experiment.tasks.map((task) => [task, trainingSize(task, dataFolder, experiment)]));
  const work = groupsOf(experiment).map((group) => {
    const { examples, tokens } = sizes.get(group.task)!;
    const epochs = groupFinished(folder, group) ? experiment.epochs : loadCheckpoint(folder, group)?.state.epochsDone ?? 0;
    const anEpoch = examples * group.words.length;
    return { group, total: anEpoch * experiment.epochs, done: anEpoch * epochs, cost: tokens * group.words.length };
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

function trainingSize(task: string, folder: string, { template, examples }: Experiment) {
  const { train } = loadTask(task, { folder, template, limit: examples ?? undefined });
  const tokens = train.reduce((sum, { textTokens, labelTokens }) => sum + textTokens.length + labelTokens.length, 0);
  return { examples: train.length, tokens };
}

function parameterCount(modelFolder: string): number {
  const { layers, dModel, vocabularySize } = readConfig(join(modelFolder, 'config.json'));
  return 12 * layers * dModel ** 2 + vocabularySize * dModel;
}

/** Hand the groups out, largest first, until all are done; the first failure stops all workers. */
function runWorkers(
  start: ToWorker, count: number, groups: Group[], before: Progress, options: TrainingOptions,
): Promise<void> {
  const queue = [...groups];
  let progress = before;
  let failure: Error | undefined;
  const workers = new Set<ChildProcess>();
  const stopAll = (error: Error) => {
    if (failure) return;
    failure = error;
    for (const worker of workers) send(worker, { kind: 'stop' });
  };
  const abort = () => stopAll(new Error('training stopped; run it again to go on from the last finished epochs'));

  return new Promise((resolve, reject) => {
    const leave = (worker: ChildProcess) => {
      workers.delete(worker);
      if (workers.size > 0) return;
      options.signal?.removeEventListener('abort', abort);
      process.off('SIGINT', abort);
      if (failure) reject(failure);
      else resolve();
    };
    const listen = (worker: ChildProcess) => (message: FromWorker) => {
      if (message.kind === 'failed') stopAll(new Error(`training worker failed: ${message.message}`));
      if (message.kind === 'trained') report({ done: progress.done + message.examples });
      if (message.kind === 'epoch') {
        const { group, epoch, accuracy } = message;
        report({ note: `${group.task} epoch ${epoch}, test accuracy ${accuracy.toFixed(2)}` });
      }
      if (message.kind === 'ready') {
        const group = failure ? undefined : queue.shift();
        if (group) send(worker, { kind: 'group', group });
        else worker.disconnect();
      }
    };
    const report = (change: Partial<Progress>) => {
      progress = { ...progress, ...change };
      options.onProgress?.(progress);
    };
    options.signal?.addEventListener('abort', abort);
    process.on('SIGINT', abort);
    for (let i = 0; i < count; i++) {
      const worker = startWorker(start);
      workers.add(worker);
      worker.on('message', listen(worker));
      worker.on('exit', (code, signal) => {
        if (code !== 0) stopAll(new Error(`a training worker ended with ${signal ?? `exit code ${code}`}`));
        leave(worker);
      });
      worker.on('error', (error) => {
        stopAll(new Error(`a training worker failed: ${error.message}`));
        if (worker.pid === undefined) leave(worker);
      });
    }
    if (options.signal?.aborted) abort();
  });
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
