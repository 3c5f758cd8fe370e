/** Train a whole grid with worker processes, resumable, with progress. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { startBackend } from './backend';
import { loadCheckpoint } from './checkpoints';
import { runWorkers, type Report } from './crew';
import { resolveData } from './data';
import { checkTasks, type Experiment } from './experiment';
import { checkVocabulary, readConfig, type Gpt2Config } from './gpt2-config';
import { modelFiles, resolveModel } from './hub';
import type { DownloadProgress } from './hub-download';
import { lockFolder } from './lock';
import { freeMemory, logitBytes, runBytes, runsThatFit, weightBytes } from './memory';
import { openRunFolder, provenanceOf, type Provenance } from './provenance';
import { describeGroup, groupsOf, runFolder, type Group } from './run-names';
import { gridFinished, groupFinished, readGrid, tidyRunFolder, type Grid } from './runs';
import { loadTask, taskFileName, type Example } from './tasks';
import type { FromWorker } from './worker';

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
  checkVocabulary(config, modelFolder);
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
  folder: string, experiment: Experiment, { provenance, modelFolder, config, tasks, workers }: Resources,
  options: TrainingOptions,
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
  const start = { kind: 'start', experiment, folder, modelFolder, device } as const;
  await runWorkers(start, Math.min(workers, open.length), open, report, options.signal);
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
  const fit = runsThatFit(bytes, weightBytes(config) + logitBytes(config), freeMemory(kind) / workers);
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
    if (message.kind === 'died') {
      const who = group ? describeGroup(group) : 'a worker';
      note = `${who}: going on from the last epoch after ${message.how}`;
    }
    if (message.kind === 'ready' || message.kind === 'failed') return;
    onProgress?.({ done: sum(done.values()), resumed, total, note });
  };
}

function epochNote({ epoch, accuracy, stops }: Extract<FromWorker, { kind: 'epoch' }>, group: Group): string {
  const stopped = stops.map(({ run, step, reason }) => (
    `; ${describeGroup([group[run]])} stopped at step ${step}: ${reason}`));
  return `${describeGroup(group)}: epoch ${epoch}, test accuracy ${accuracy.toFixed(2)}${stopped.join('')}`;
}
