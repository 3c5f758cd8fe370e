/**
 * Run folders: what a grid of runs leaves on disk.
 *
 *   data/runs/<name>/experiment.json                   configuration, device, versions, hashes
 *   data/runs/<name>/<task>/<word>-<seed>/             prompts.safetensors [epochs, promptTokens, dModel], metrics.json
 *   data/runs/<name>/checkpoints/<group>.safetensors   what a group that is still training continues from
 *
 * Every file appears whole or not at all. A group (the runs that train in one step) is a function of the
 * configuration, so a resumed group does the same sums as an unbroken one.
 */
import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { currentDevice, type Device } from './backend';
import { checkExperiment, resolveRunsPerStep, type Experiment } from './experiment';
import { projectFolder, readJson, sha256File, writeJsonAtomic } from './files';
import { pointsFrom, type PromptLabel, type PromptSet } from './points';
import { openSafetensors, writeSafetensors, type Tensor } from './safetensors';
import type { EpochMetrics, TuningState } from './tuning';

/** Runs of one task and seed that train in one step. */
export interface Group {
  readonly task: string;
  readonly seed: number;
  readonly words: readonly string[];
}

/** One epoch of one run. */
export interface RunMetrics {
  /** 1 … epochs */
  readonly epoch: number;
  /** mean label loss of the epoch's batches and of the test set, in nats */
  readonly trainLoss: number;
  readonly testLoss: number;
  /** share, 0–1 */
  readonly testAccuracy: number;
}

export interface Run {
  readonly task: string;
  readonly word: string;
  readonly seed: number;
  readonly metrics: readonly RunMetrics[];
  /** [epochs, promptTokens, dModel]: after each epoch */
  readonly prompts: Tensor;
}

/** All runs of a finished grid, in order task, word, seed. */
export interface Grid {
  readonly name: string;
  readonly folder: string;
  readonly experiment: Experiment;
  readonly device: Device;
  readonly runs: readonly Run[];
}

export interface Provenance {
  readonly device: Device;
  readonly node: string;
  /** SHA-256 of the model's weights and of each task list */
  readonly hashes: Readonly<Record<string, string>>;
}

const RUNS_FOLDER = join(projectFolder, 'data', 'runs');

/** The folder of a run name. Throws where the name is no plain folder name. */
export function runFolder(name: string): string {
  if (!/^[\w][\w.-]*$/.test(name)) throw new Error(`run name: ${name}, expected letters, digits, dots, _ and -`);
  return join(RUNS_FOLDER, name);
}

/** The groups of an experiment, in the order of its tasks, seeds and words. */
export function groupsOf(experiment: Experiment): Group[] {
  const { tasks, seeds, words } = experiment;
  const runsPerStep = resolveRunsPerStep(experiment);
  return tasks.flatMap((task) => seeds.flatMap((seed) => {
    const count = Math.ceil(words.length / runsPerStep);
    return Array.from({ length: count }, (_, i) => (
      { task, seed, words: words.slice(i * runsPerStep, (i + 1) * runsPerStep) }));
  }));
}

/**
 * Write experiment.json into a new folder, or check that an existing one was made with the same configuration,
 * backend and files. Throws with the field that differs. Returns the provenance that stands in the folder.
 */
export function openRunFolder(folder: string, experiment: Experiment, provenance: Provenance): Provenance {
  const file = join(folder, 'experiment.json');
  if (!existsSync(file)) {
    writeJsonAtomic(file, { experiment, ...provenance });
    return provenance;
  }
  const existing = readJson(file) as { experiment: Experiment } & Provenance;
  const before = checkExperiment(existing.experiment, file);
  const wanted = comparable(experiment, provenance);
  const found = comparable(before, existing);
  for (const field of Object.keys(wanted) as (keyof typeof wanted)[]) {
    if (JSON.stringify(wanted[field]) !== JSON.stringify(found[field])) {
      throw new Error(
        `${file}: ${String(field)}: this run was made with ${JSON.stringify(found[field])}, ` +
        `now asked for ${JSON.stringify(wanted[field])}; mend: choose another run name, or delete ${folder}`);
    }
  }
  return { device: existing.device, node: existing.node, hashes: existing.hashes };
}

/** Everything that must be the same for a run to go on. */
function comparable(experiment: Experiment, { device, hashes }: Provenance) {
  return { ...experiment, runsPerStep: resolveRunsPerStep(experiment), backend: device.backend, ...hashes };
}

/** Where results come from: the device that computes with so many threads, and hashes of everything read. */
export function provenanceOf(files: Readonly<Record<string, string>>, threads: number): Provenance {
  const hashes = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, sha256File(file)]));
  return { device: { ...currentDevice(), threads }, node: process.version, hashes };
}

function groupFile(folder: string, { task, seed, words }: Group): string {
  const key = createHash('sha256').update(words.join('\n')).digest('hex').slice(0, 12);
  return join(folder, 'checkpoints', `${task}-${seed}-${key}.safetensors`);
}

function runPath(folder: string, task: string, word: string, seed: number): string {
  return join(folder, task, `${encodeURIComponent(word)}-${seed}`);
}

/** Have all runs of the group been trained to the end? */
export function groupFinished(folder: string, group: Group): boolean {
  return group.words.every((word) => existsSync(join(runPath(folder, group.task, word, group.seed), 'metrics.json')));
}

/** What a group continues from. */
export interface Checkpoint {
  readonly state: TuningState;
  /** prompts after each epoch so far: [run, promptTokens, dModel] each */
  readonly history: readonly Float32Array[];
  readonly metrics: readonly EpochMetrics[];
}

/** One file for state, history and metrics, so that they always belong together. */
export function saveCheckpoint(folder: string, group: Group, checkpoint: Checkpoint): void {
  const { state, history, metrics } = checkpoint;
  const flat = (data: Float32Array): Tensor => ({ shape: [data.length], data });
  const tensors: Record<string, Tensor> = { firstMoment: flat(state.firstMoment), secondMoment: flat(state.secondMoment) };
  history.forEach((prompts, i) => (tensors[`prompts.${i + 1}`] = flat(prompts)));
  writeSafetensors(groupFile(folder, group), tensors, { metrics: JSON.stringify(metrics) });
}

/** The last checkpoint of a group, if there is one. Throws where the file is damaged. */
export function loadCheckpoint(folder: string, group: Group): Checkpoint | undefined {
  const file = groupFile(folder, group);
  if (!existsSync(file)) return undefined;
  const tensors = openSafetensors(file);
  try {
    const metrics = JSON.parse(tensors.metadata.get('metrics') ?? '[]') as EpochMetrics[];
    const history = metrics.map((_, i) => tensors.read(`prompts.${i + 1}`).data);
    const state = {
      epochsDone: metrics.length,
      prompts: history[history.length - 1],
      firstMoment: tensors.read('firstMoment').data,
      secondMoment: tensors.read('secondMoment').data,
    };
    return { state, history, metrics };
  } finally {
    tensors.close();
  }
}

/** Write the results of a group that is done, a folder for each run; then its checkpoint goes. */
export function saveFinished(folder: string, group: Group, { history, metrics }: Checkpoint, dModel: number): void {
  const size = history[0].length / group.words.length;
  group.words.forEach((word, run) => {
    const data = new Float32Array(history.length * size);
    history.forEach((prompts, epoch) => data.set(prompts.subarray(run * size, (run + 1) * size), epoch * size));
    const path = runPath(folder, group.task, word, group.seed);
    const prompts = { shape: [history.length, size / dModel, dModel], data };
    writeSafetensors(join(path, 'prompts.safetensors'), { prompts }, { format: 'pt' });
    // metrics.json comes last: where it stands, the run is complete.
    writeJsonAtomic(join(path, 'metrics.json'), metrics.map(({ epoch, trainLoss, test }): RunMetrics => ({
      epoch, trainLoss: trainLoss[run], testLoss: test[run].loss, testAccuracy: test[run].accuracy,
    })));
  });
  rmSync(groupFile(folder, group), { force: true });
}

/**
 * Read a finished grid by run name. Throws, with what to run, where it does not exist or is not complete.
 */
export function readGrid(name: string): Grid {
  const folder = runFolder(name);
  const file = join(folder, 'experiment.json');
  if (!existsSync(file)) {
    throw new Error(
      `run ${name}: ${file} is missing; run notebook 02-prompt-tuning with this run name first, ` +
      "or read the demo run that ships with the project: RUN = 'published'");
  }
  const { experiment, device } = readJson(file) as { experiment: Experiment; device: Device };
  const checked = checkExperiment(experiment, file);
  const runs = checked.tasks.flatMap((task) => checked.words.flatMap((word) => checked.seeds.map(
    (seed) => readRun(folder, task, word, seed, checked))));
  return { name, folder, experiment: checked, device, runs };
}

function readRun(folder: string, task: string, word: string, seed: number, experiment: Experiment): Run {
  const path = runPath(folder, task, word, seed);
  const metricsFile = join(path, 'metrics.json');
  if (!existsSync(metricsFile)) {
    throw new Error(`${path}: not trained to the end yet; run notebook 02-prompt-tuning, which goes on where it stopped`);
  }
  const metrics = readJson(metricsFile) as RunMetrics[];
  const file = join(path, 'prompts.safetensors');
  const tensors = openSafetensors(file);
  try {
    const prompts = tensors.read('prompts');
    const expected = [experiment.epochs, experiment.promptTokens];
    if (prompts.shape.slice(0, 2).join() !== expected.join() || metrics.length !== experiment.epochs) {
      throw new Error(`${file}: expected [${expected.join(', ')}, …] and as many epochs in metrics.json, ` +
        `found [${prompts.shape.join(', ')}] and ${metrics.length}`);
    }
    return { task, word, seed, metrics, prompts };
  } finally {
    tensors.close();
  }
}

/** The prompt vectors of all runs after an epoch (default: the last), in order task, word, seed, position. */
export function promptsOf(grid: Grid, epoch = grid.experiment.epochs): PromptSet {
  const [epochs, promptTokens, dModel] = grid.runs[0].prompts.shape;
  if (!(epoch >= 1 && epoch <= epochs)) throw new Error(`epoch ${epoch}, expected 1 … ${epochs}`);
  const size = promptTokens * dModel;
  const data = new Float32Array(grid.runs.length * size);
  const labels: PromptLabel[] = [];
  grid.runs.forEach(({ task, word, seed, prompts }, i) => {
    data.set(prompts.data.subarray((epoch - 1) * size, epoch * size), i * size);
    for (let position = 0; position < promptTokens; position++) labels.push({ task, word, seed, position });
  });
  return { points: pointsFrom(data, dModel), labels };
}
