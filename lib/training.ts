/** Train a whole grid with worker processes, resumable, with progress. */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { startBackend } from './backend';
import { resolveData } from './data';
import { checkTasks, type Experiment } from './experiment';
import { projectFolder } from './files';
import { readConfig, type Gpt2Config } from './gpt2';
import { modelFiles, resolveModel } from './hub';
import type { DownloadProgress } from './hub-download';
import { lockFolder } from './lock';
import { freeMemory, runBytes, runsThatFit, weightBytes } from './memory';
import {
  gridFinished, groupFinished, groupsOf, loadCheckpoint, openRunFolder, provenanceOf, readGrid, runFolder,
  tidyRunFolder, type Grid, type Group, type Provenance, type RunName,
} from './runs';
import { loadTask, taskFileName, type Example } from './tasks';
import type { FromWorker, ToWorker } from './worker';

export interface Progress {
  /**
   * training examples seen by all runs, of all epochs: now, of which before this start, and in the end; `done` falls
   * back where a worker process died in the middle of an epoch
   */
  readonly done: number;
  readonly resumed: number;
  readonly total: number;
  /** what happened last, for people */
  readonly note: string;
}

export interface TrainingOptions {
  readonly onProgress?: (progress: Progress) => void;
  /** told while the model is downloaded, before the training */
  readonly onDownload?: (progress: DownloadProgress) => void;
  /** worker processes; default: one a core for models under a billion parameters on a CPU, else one */
  readonly workers?: number;
  /** stops the training after the step in progress; what the last epochs ended with is saved */
  readonly signal?: AbortSignal;
}

/**
 * Train every run of the experiment that is not finished yet into data/runs/<name>, and read the grid. A worker
 * process that dies is replaced, and its runs go on from their last epoch. Throws where another process trains into
 * the folder, where it holds another configuration, where a worker fails or dies again and again, or when stopped
 * (the message says how to go on).
 */
export async function trainGrid(name: string, experiment: Experiment, options: TrainingOptions = {}): Promise<Grid> {
  options.signal?.throwIfAborted();
  const device = await startBackend();
  const folder = runFolder(name);
  const { folder: modelFolder, commit } = await resolveModel(
    experiment.model, { revision: experiment.revision, signal: options.signal, onProgress: options.onDownload });
  const config = readConfig(join(modelFolder, 'config.json'));
  const dataFolder = await resolveData(experiment.data);
  checkTasks(experiment, dataFolder, config.positions);
  const files = Object.fromEntries(experiment.tasks.map((task) => [task, join(dataFolder, taskFileName(task))]));
  const tasks = new Map(experiment.tasks.map((task) => [task, trainingExamples(task, dataFolder, experiment)]));
  const workers = options.workers ?? workersFor(experiment, config, device.kind);
  // The last bits of a sum depend on the number of threads and on the runs of a step: a run goes on with as many as
  // it began with.
  const threads = Math.max(1, Math.floor(availableParallelism() / workers));
  const runsPerStep = runsPerStepFor(experiment, config, tasks, workers, device.kind);
  const provenance = { ...provenanceOf({ ...modelFiles(modelFolder), ...files }, threads, runsPerStep), commit };
  if (gridFinished(folder, experiment)) {
    openRunFolder(folder, experiment, provenance);
    return readGrid(name);
  }
  const release = lockFolder(folder, `run ${name}`);
  try {
    await trainInto(folder, experiment, { provenance, modelFolder, config, tasks, workers }, options);
  } finally {
    release();
  }
  return readGrid(name);
}

interface Resources {
  readonly provenance: Provenance;
  readonly modelFolder: string;
  readonly config: Gpt2Config;
  /** training examples by task */
  readonly tasks: ReadonlyMap<string, readonly Example[]>;
  readonly workers: number;
}

/** Train what is not finished in a folder that this process has locked. */
async function trainInto(
  folder: string, experiment: Experiment, { provenance, modelFolder, config, tasks, workers }: Resources, options: TrainingOptions,
): Promise<void> {
  const { device, runsPerStep } = openRunFolder(folder, experiment, provenance);
  const groups = groupsOf(experiment, runsPerStep);
  tidyRunFolder(folder, groups);
  const work = groups.map((group): Work => {
    const examples = group.flatMap(({ task }) => tasks.get(task)!);
    const finished = groupFinished(folder, group);
    const epochsDone = finished ? experiment.epochs : loadCheckpoint(folder, group)?.state.epochsDone ?? 0;
    return { group, finished, epochsDone, anEpoch: examples.length, cost: operations(examples, config) };
  });
  const open = work.filter(({ finished }) => !finished).sort((a, b) => b.cost - a.cost).map(({ group }) => group);
  if (open.length === 0) return;
  const report = reporter(work, experiment.epochs, options);
  await runWorkers({ kind: 'start', experiment, folder, modelFolder, device }, Math.min(workers, open.length), open, report, options);
}

/** A group, and how much of it is done before this start. */
interface Work {
  readonly group: Group;
  readonly finished: boolean;
  readonly epochsDone: number;
  /** examples of an epoch, of all its runs */
  readonly anEpoch: number;
  readonly cost: number;
}

function trainingExamples(task: string, folder: string, { template, examples }: Experiment): readonly Example[] {
  return loadTask(task, { folder, template, limit: examples ?? undefined }).train;
}

/**
 * Below a billion parameters one single-threaded process a core does more than one process with threads inside its
 * operations; a larger model is loaded once.
 */
function workersFor({ tasks, words, seeds }: Experiment, config: Gpt2Config, kind: string): number {
  const small = kind === 'CPU' && weightBytes(config) < 4e9;
  return small ? Math.min(availableParallelism(), tasks.length * words.length * seeds.length) : 1;
}

/** More runs in a step than this gain nothing: the matrix products are large by then. */
const MOST_RUNS_PER_STEP = 60;

/** As many runs a step as fit the memory, but so few that every worker has a group; all groups alike. */
function runsPerStepFor(
  experiment: Experiment, config: Gpt2Config, tasks: ReadonlyMap<string, readonly Example[]>, workers: number,
  kind: string,
): number {
  if (experiment.runsPerStep !== 'auto') return experiment.runsPerStep;
  const bytes = Math.max(...[...tasks.values()].map((examples) => runBytes(config, examples, experiment)));
  const fit = runsThatFit(bytes, weightBytes(config), freeMemory(kind) / workers);
  const runs = experiment.tasks.length * experiment.words.length * experiment.seeds.length;
  const groups = Math.ceil(runs / Math.min(fit, MOST_RUNS_PER_STEP) / workers) * workers;
  return Math.ceil(runs / groups);
}

/** Multiplications of one forward pass over the examples, roughly: which group is the largest. */
function operations(examples: readonly Example[], { layers, dModel, vocabularySize }: Gpt2Config): number {
  const ofToken = 12 * layers * dModel ** 2;
  const ofLabel = vocabularySize * dModel;
  return examples.reduce((sum, { textTokens, labelTokens }) => (
    sum + (textTokens.length + labelTokens.length) * ofToken + labelTokens.length * ofLabel), 0);
}

/** Deaths of worker processes without a new epoch in between that end the training. */
const MOST_DEATHS = 3;

/** What a worker tells of the group it is on, or that it died of the signal or exit code `how`. */
type Report = (message: FromWorker | { readonly kind: 'died'; readonly how: string }, group: Group | undefined) => void;

interface Crew {
  readonly start: ToWorker;
  readonly workers: Set<ChildProcess>;
  /** groups that no worker has begun */
  readonly queue: Group[];
  readonly report: Report;
  /** why all stop */
  failure?: Error;
}

/** Hand the groups out, largest first, until all are done; the first failure stops all workers. */
async function runWorkers(
  start: ToWorker, count: number, groups: readonly Group[], report: Report, { signal }: TrainingOptions,
): Promise<void> {
  const crew: Crew = { start, workers: new Set(), queue: [...groups], report };
  const stop = (error: Error) => {
    crew.failure ??= error;
    for (const worker of crew.workers) if (worker.connected) send(worker, { kind: 'stop' });
  };
  const abort = () => stop(new Error('training stopped; run it again to go on from the last finished epochs'));
  signal?.addEventListener('abort', abort);
  process.on('SIGINT', abort);
  try {
    await Promise.all(Array.from({ length: count }, () => fillPlace(crew).catch(stop)));
  } finally {
    signal?.removeEventListener('abort', abort);
    process.off('SIGINT', abort);
  }
  if (crew.failure) throw crew.failure;
}

/** One place in the crew: a worker and, when it dies, another that goes on with what it left. */
async function fillPlace(crew: Crew): Promise<void> {
  let group: Group | undefined;
  for (let deaths = 0; !crew.failure;) {
    const worker = startWorker(crew.start);
    crew.workers.add(worker);
    let left = group;
    const next = () => {
      group = crew.failure ? undefined : left ?? crew.queue.shift();
      left = undefined;
      return group;
    };
    const how = await employ(worker, next, (message) => {
      if (message.kind === 'epoch') deaths = 0;
      crew.report(message, group);
    });
    crew.workers.delete(worker);
    if (how === undefined || crew.failure) return;
    deaths += 1;
    if (deaths === MOST_DEATHS) throw deathError(how, group);
    crew.report({ kind: 'died', how }, group);
  }
}

function deathError(how: string, group: Group | undefined): Error {
  const where = group ? nameOf(group) : 'before its first runs';
  return new Error(
    `training worker (${where}): died ${MOST_DEATHS} times without a new epoch, last by ${how}; finished epochs are ` +
    'saved; mend: SIGKILL mostly means too little memory: free some and run it again, or choose another run name ' +
    'and fewer runs per step');
}

/**
 * Give a worker the next group whenever it is ready. Settles when its process has ended: with undefined where all
 * is done, with the signal or exit code where it died; rejects with what it failed of.
 */
function employ(
  worker: ChildProcess, next: () => Group | undefined, report: (message: FromWorker) => void,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let problem: Error | undefined;
    let dismissed = false;
    worker.on('message', (message: FromWorker) => {
      report(message);
      if (message.kind === 'failed') {
        problem = new Error(`training worker failed: ${message.message}`, { cause: message.stack });
      }
      if (message.kind !== 'ready') return;
      const group = next();
      if (group) send(worker, { kind: 'group', group });
      else {
        dismissed = true;
        worker.disconnect();
      }
    });
    worker.on('error', (error) => {
      problem ??= new Error(`a training worker failed: ${error.message}`);
      if (worker.pid === undefined) reject(problem);
    });
    worker.on('exit', (code, signal) => {
      if (problem) reject(problem);
      else resolve(dismissed ? undefined : signal ?? `exit code ${code}`);
    });
  });
}

/** Adds what the workers tell to the progress and passes it on. */
function reporter(work: readonly Work[], epochs: number, { onProgress }: TrainingOptions): Report {
  const done = new Map(work.map(({ group, epochsDone, anEpoch }) => [group, epochsDone * anEpoch]));
  const anEpoch = new Map(work.map((item) => [item.group, item.anEpoch]));
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
  const resumed = sum(done.values());
  const total = epochs * sum(anEpoch.values());
  let note = '';
  return (message, group) => {
    if (message.kind === 'begun') done.set(group!, message.epochsDone * anEpoch.get(group!)!);
    if (message.kind === 'trained') done.set(group!, done.get(group!)! + message.examples);
    if (message.kind === 'epoch') note = epochNote(message, group!);
    if (message.kind === 'died') note = `${group ? nameOf(group) : 'a worker'}: going on from the last epoch after ${message.how}`;
    if (message.kind === 'ready' || message.kind === 'failed') return;
    onProgress?.({ done: sum(done.values()), resumed, total, note });
  };
}

function epochNote({ epoch, accuracy, stops }: Extract<FromWorker, { kind: 'epoch' }>, group: Group): string {
  const stopped = stops.map(({ run, step, reason }) => (
    `; ${nameOf([group[run]])} stopped at step ${step}: ${reason}`));
  return `${nameOf(group)}: epoch ${epoch}, test accuracy ${accuracy.toFixed(2)}${stopped.join('')}`;
}

/** A group in a few words, for people. */
function nameOf(group: Group): string {
  const all = (field: keyof RunName) => [...new Set(group.map((run) => run[field]))];
  const shown = (values: unknown[], what: string) => (values.length > 2 ? `${values.length} ${what}` : values.join(' '));
  return `${shown(all('task'), 'tasks')} × ${shown(all('word'), 'words')}, seed ${all('seed').join(' ')}`;
}

/**
 * The environment of a worker process. For glibc's allocator: reuse freed memory instead of handing it back. Each step
 * makes and frees the same large tensors; fetching their pages anew from the system took up to half of the time.
 */
export function workerEnvironment(threads: number): NodeJS.ProcessEnv {
  return {
    MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: String(2 ** 40), MALLOC_TOP_PAD_: String(2 ** 28),
    TF_NUM_INTRAOP_THREADS: String(threads),
  };
}

function startWorker(start: ToWorker): ChildProcess {
  const threads = start.kind === 'start' ? start.device.threads : 1;
  const worker = fork(join(projectFolder, 'lib', 'dist', 'worker.js'), {
    env: { ...process.env, ...workerEnvironment(threads) }, execArgv: [],
  });
  send(worker, start);
  return worker;
}

/** A worker that is gone tells so by its exit; the error of sending to it adds nothing. */
function send(worker: ChildProcess, message: ToWorker): void {
  worker.send(message, () => undefined);
}
