/**
 * Run folders: what a grid of runs leaves on disk.
 *
 *   data/runs/<name>/experiment.json                   configuration, device, versions, hashes
 *   data/runs/<name>/<task>/<word>-<seed>/             prompts.safetensors [epochs, promptTokens, dModel], metrics.json
 *   data/runs/<name>/checkpoints/<group>.safetensors   what a group that is still training continues from
 *
 * Every file appears whole or not at all. A group (the runs that train in one step) is a function of the
 * configuration and of its number of runs, so a resumed group does the same sums as an unbroken one.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { BACKEND_NAMES, currentDevice, type Device } from './backend';
import { checkExperiment, type Experiment } from './experiment';
import { projectFolder, readJson, removeLeftovers, sha256File, writeJsonAtomic } from './files';
import { checkJson, parseJson } from './json';
import { pointsFrom, type PromptLabel, type PromptSet } from './points';
import { openSafetensors, writeSafetensors, type Tensor } from './safetensors';
import type { EpochMetrics, TuningState } from './tuning';

/** What tells a run of an experiment from the others. */
export interface RunName {
  readonly task: string;
  readonly word: string;
  readonly seed: number;
}

/** Runs that train in one step. */
export type Group = readonly RunName[];

/** One epoch of one run. What is no finite number is NaN here and null in the file. */
export interface RunMetrics {
  /** 1 … epochs */
  readonly epoch: number;
  /** mean label loss of the epoch's batches and of the test set, in nats */
  readonly trainLoss: number;
  readonly testLoss: number;
  /** share, 0–1 */
  readonly testAccuracy: number;
  /** the step at which the run stopped for good, 1 … all steps, and why; its prompt is that of the step before */
  readonly stoppedAt?: number;
  readonly stopReason?: string;
  /** in the last epoch: the prompt is still what it was before training */
  readonly unchanged?: true;
}

export interface Run extends RunName {
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
  /** of the model's repository, where it comes from one */
  readonly commit?: string;
  readonly runs: readonly Run[];
}

export interface Provenance {
  readonly device: Device;
  /** runs that train in one step: the configuration's number, or what was chosen for its 'auto' */
  readonly runsPerStep: number;
  readonly node: string;
  /** of the model's repository, where it comes from one */
  readonly commit?: string;
  /** SHA-256 of the model's weights and of each task list */
  readonly hashes: Readonly<Record<string, string>>;
}

const number = z.number().nullable().transform((value) => value ?? NaN);
const share = z.number().min(0).max(1).nullable().transform((value) => value ?? NaN);
const ordered = <T extends { epoch: number }>(epochs: T[]) => epochs.every(({ epoch }, i) => epoch === i + 1);
const IN_ORDER = 'expected the epochs 1, 2, … in order';

const METRICS = z.array(z.strictObject({
  epoch: z.int().min(1), trainLoss: number, testLoss: number, testAccuracy: share,
  stoppedAt: z.int().min(1).optional(), stopReason: z.string().optional(), unchanged: z.literal(true).optional(),
})).min(1).refine(ordered, IN_ORDER);

/** The metrics of a checkpoint of so many runs. */
const epochsSchema = (runs: number) => z.array(z.strictObject({
  epoch: z.int().min(1),
  trainLoss: z.array(number).length(runs),
  test: z.array(z.strictObject({ loss: number, accuracy: share })).length(runs),
  stops: z.array(z.strictObject({
    run: z.int().min(0).max(runs - 1), step: z.int().min(1), reason: z.string(),
  })).max(runs),
})).min(1).refine(ordered, IN_ORDER);

/** experiment.json; the configuration has its own check. */
const RECORD = z.strictObject({
  experiment: z.unknown(),
  device: z.looseObject({
    backend: z.enum(BACKEND_NAMES), kind: z.string().min(1), threads: z.int().min(1), version: z.string(),
  }),
  runsPerStep: z.int().min(1).optional(),
  node: z.string(),
  commit: z.string().optional(),
  hashes: z.record(z.string(), z.string()),
});

const RUNS_FOLDER = join(projectFolder, 'data', 'runs');

/** The folder of a run name. Throws where the name is no plain folder name. */
export function runFolder(name: string): string {
  if (!/^[\w][\w.-]*$/.test(name)) throw new Error(`run name: ${name}, expected letters, digits, dots, _ and -`);
  return join(RUNS_FOLDER, name);
}

/**
 * The groups of an experiment. Tasks change fastest, so that each group has some of every task and all groups take
 * about as long.
 */
export function groupsOf({ tasks, seeds, words }: Experiment, runsPerStep: number): Group[] {
  const runs = seeds.flatMap((seed) => words.flatMap((word) => tasks.map((task) => ({ task, word, seed }))));
  return Array.from({ length: Math.ceil(runs.length / runsPerStep) }, (_, i) => (
    runs.slice(i * runsPerStep, (i + 1) * runsPerStep)));
}

/** A group in a few words, for people. */
export function describeGroup(group: Group): string {
  const all = (field: keyof RunName) => [...new Set(group.map((run) => run[field]))];
  const shown = (values: unknown[], what: string) => (values.length > 2 ? `${values.length} ${what}` : values.join(' '));
  return `${shown(all('task'), 'tasks')} × ${shown(all('word'), 'words')}, seed ${all('seed').join(' ')}`;
}

function readRecord(file: string): { experiment: Experiment } & Provenance {
  const record = checkJson(RECORD, readJson(file), file);
  const experiment = checkExperiment(record.experiment, file);
  // Runs older than the field have a number in their configuration.
  const runsPerStep = record.runsPerStep ?? (experiment.runsPerStep === 'auto' ? 1 : experiment.runsPerStep);
  return { ...record, experiment, runsPerStep };
}

/**
 * Write experiment.json into a new folder, or check that an existing one was made with the same configuration,
 * device and files. Throws with the field that differs. Returns the provenance that stands in the folder.
 */
export function openRunFolder(folder: string, experiment: Experiment, provenance: Provenance): Provenance {
  const file = join(folder, 'experiment.json');
  if (!existsSync(file)) {
    writeJsonAtomic(file, { experiment, ...provenance });
    return provenance;
  }
  const { experiment: made, ...existing } = readRecord(file);
  const found = comparedFields(made, existing);
  // 'auto' goes on with what the run began with.
  const { runsPerStep } = experiment.runsPerStep === 'auto' ? existing : provenance;
  const wanted = comparedFields(experiment, { ...provenance, runsPerStep });
  for (const field of new Set([...wanted.keys(), ...found.keys()])) {
    if (wanted.get(field) !== found.get(field)) {
      throw new Error(
        `${file}: ${field}: this run was made with ${found.get(field) ?? 'nothing'}, ` +
        `now asked for ${wanted.get(field) ?? 'nothing'}; mend: choose another run name, or delete ${folder}`);
    }
  }
  return existing;
}

/** What must be the same for results to lie in one folder, as JSON by name. */
function comparedFields(
  experiment: Experiment, { device, hashes, runsPerStep }: Provenance,
): Map<string, string> {
  const files = Object.entries(hashes).map(([name, hash]) => [`SHA-256 of ${name}`, hash]);
  const settings = Object.entries({
    ...experiment, runsPerStep, backend: device.backend, 'kind of device': device.kind,
  });
  return new Map([...settings, ...files].map(([name, value]) => [name, JSON.stringify(value)]));
}

/** Remove what killed processes left behind: temporary files, and checkpoints of groups that are done. */
export function tidyRunFolder(folder: string, groups: readonly Group[]): void {
  removeLeftovers(folder);
  for (const group of groups) {
    if (groupFinished(folder, group)) rmSync(groupFile(folder, group), { force: true });
  }
}

/** Is every run trained to the end, and nothing left to tidy up? */
export function gridFinished(folder: string, experiment: Experiment): boolean {
  const checkpoints = join(folder, 'checkpoints');
  return groupsOf(experiment, 1).every((group) => groupFinished(folder, group)) &&
    (!existsSync(checkpoints) || readdirSync(checkpoints).length === 0);
}

/** Where results come from: the device that computes with so many threads, and hashes of everything read. */
export function provenanceOf(
  files: Readonly<Record<string, string>>, threads: number, runsPerStep: number,
): Provenance {
  const hashes = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, sha256File(file)]));
  return { device: { ...currentDevice(), threads }, runsPerStep, node: process.version, hashes };
}

function groupFile(folder: string, group: Group): string {
  return join(folder, 'checkpoints', `${digestOf(group).slice(0, 16)}.safetensors`);
}

function runPath(folder: string, { task, word, seed }: RunName): string {
  const encoded = encodeURIComponent(word);
  // File systems take names of 255 bytes at most.
  const name = encoded.length <= 200 ? encoded : `${encoded.slice(0, 150)}~${digestOf(word).slice(0, 12)}`;
  return join(folder, task, `${name}-${seed}`);
}

/** SHA-256 that ties numbers to what they belong to. */
function digestOf(owner: unknown, arrays: readonly Float32Array[] = []): string {
  const hash = createHash('sha256').update(JSON.stringify(owner));
  for (const { buffer, byteOffset, byteLength } of arrays) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex');
}

/** Have all runs of the group been trained to the end? */
export function groupFinished(folder: string, group: Group): boolean {
  return group.every((run) => existsSync(join(runPath(folder, run), 'metrics.json')));
}

/** What a group continues from. */
export interface Checkpoint {
  readonly state: TuningState;
  /** prompts after each epoch so far: [run, promptTokens, dModel] each */
  readonly history: readonly Float32Array[];
  readonly metrics: readonly EpochMetrics[];
}

/** One file for state, history and metrics, so that they always belong together. */
export function saveCheckpoint(folder: string, group: Group, { state, history, metrics }: Checkpoint): void {
  const names = checkpointNames(history.length);
  const arrays = [...history, state.firstMoment, state.secondMoment];
  const text = JSON.stringify(metrics);
  const tensors = Object.fromEntries(names.map((name, i) => [name, { shape: [arrays[i].length], data: arrays[i] }]));
  const sha256 = digestOf([group, text], arrays);
  writeSafetensors(groupFile(folder, group), tensors, { metrics: text, sha256 });
}

function checkpointNames(epochs: number): string[] {
  return [...Array.from({ length: epochs }, (_, i) => `prompts.${i + 1}`), 'firstMoment', 'secondMoment'];
}

/** The last checkpoint of a group, if there is one. Throws, saying what to do, where the file is damaged. */
export function loadCheckpoint(folder: string, group: Group): Checkpoint | undefined {
  const file = groupFile(folder, group);
  if (!existsSync(file)) return undefined;
  return orMend(`delete ${file}; the runs in it then start from their first epoch`, () => readCheckpoint(file, group));
}

function readCheckpoint(file: string, group: Group): Checkpoint {
  const tensors = openSafetensors(file);
  try {
    const where = `${file}: metrics`;
    const text = tensors.metadata.get('metrics') ?? '';
    const metrics: EpochMetrics[] = checkJson(epochsSchema(group.length), parseJson(Buffer.from(text), where), where);
    const names = checkpointNames(metrics.length);
    if ([...names].sort().join() !== [...tensors.names].sort().join()) {
      throw new Error(`${file}: expected the tensors of ${metrics.length} epochs, found ${tensors.names.join(', ')}`);
    }
    const arrays = names.map((name) => tensors.read(name).data);
    if (arrays.some(({ length }) => length !== arrays[0].length || length % group.length !== 0)) {
      throw new Error(`${file}: expected tensors of one length, found ${arrays.map(({ length }) => length).join(', ')}`);
    }
    checkDigest(file, tensors.metadata.get('sha256'), digestOf([group, text], arrays));
    const history = arrays.slice(0, metrics.length);
    const [prompts, firstMoment, secondMoment] = arrays.slice(metrics.length - 1);
    const state = { epochsDone: metrics.length, prompts, firstMoment, secondMoment, stops: metrics.at(-1)!.stops };
    return { state, history, metrics };
  } finally {
    tensors.close();
  }
}

function checkDigest(file: string, found: string | undefined, expected: string): void {
  if (found !== expected) {
    throw new Error(`${file}: sha256: the content is ${expected}, found ${found ?? 'nothing'}: damaged or changed`);
  }
}

/** Add to an error what the user can do. */
function orMend<T>(mend: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${(error as Error).message}; mend: ${mend}`, { cause: error });
  }
}

/**
 * Write the results of a group that is done, a folder for each run; then its checkpoint goes. `start` are the
 * prompts before training: [run, promptTokens, dModel].
 */
export function saveFinished(
  folder: string, group: Group, { history, metrics }: Checkpoint, dModel: number, start: Float32Array,
): void {
  const size = start.length / group.length;
  const shape = [history.length, size / dModel, dModel];
  group.forEach((name, run) => {
    const own = (prompts: Float32Array): Float32Array => prompts.subarray(run * size, (run + 1) * size);
    const data = new Float32Array(history.length * size);
    history.forEach((prompts, epoch) => data.set(own(prompts), epoch * size));
    const unchanged = own(history[history.length - 1]).every((value, i) => value === own(start)[i]);
    const rows = runMetrics(metrics, run, unchanged);
    const path = runPath(folder, name);
    const sha256 = digestOf([name.task, name.word, name.seed, JSON.stringify(rows)], [data]);
    writeSafetensors(join(path, 'prompts.safetensors'), { prompts: { shape, data } }, { format: 'pt', sha256 });
    writeJsonAtomic(join(path, 'metrics.json'), rows);
  });
  rmSync(groupFile(folder, group), { force: true });
}

function runMetrics(metrics: readonly EpochMetrics[], run: number, unchanged: boolean): RunMetrics[] {
  return metrics.map(({ epoch, trainLoss, test, stops }, i): RunMetrics => {
    const stop = stops.find((candidate) => candidate.run === run);
    return {
      epoch, trainLoss: trainLoss[run], testLoss: test[run].loss, testAccuracy: test[run].accuracy,
      ...(stop && { stoppedAt: stop.step, stopReason: stop.reason }),
      ...(unchanged && i === metrics.length - 1 && { unchanged }),
    };
  });
}

/**
 * Read a finished grid by run name. Throws, with what to run, where it does not exist or is not complete, and
 * where a file is damaged.
 */
export function readGrid(name: string): Grid {
  const folder = runFolder(name);
  const file = join(folder, 'experiment.json');
  if (!existsSync(file)) {
    throw new Error(
      `run ${name}: ${file} is missing; run notebook 02-prompt-tuning with this run name first, ` +
      "or read the demo run that ships with the project: RUN = 'published'");
  }
  const { experiment, device, commit } = readRecord(file);
  const runs = experiment.tasks.flatMap((task) => experiment.words.flatMap((word) => experiment.seeds.map(
    (seed) => readRun(folder, { task, word, seed }, experiment))));
  const [{ prompts: first }] = runs;
  for (const run of runs) {
    const { prompts } = run;
    if (prompts.shape.join() !== first.shape.join()) {
      throw new Error(`${runPath(folder, run)}/prompts.safetensors: expected [${first.shape.join(', ')}] ` +
        `as in the other runs, found [${prompts.shape.join(', ')}]`);
    }
  }
  return { name, folder, experiment, device, commit, runs };
}

function readRun(folder: string, { task, word, seed }: RunName, experiment: Experiment): Run {
  const path = runPath(folder, { task, word, seed });
  const metricsFile = join(path, 'metrics.json');
  if (!existsSync(metricsFile)) {
    throw new Error(`${path}: not trained to the end yet; run notebook 02-prompt-tuning, which goes on where it stopped`);
  }
  return orMend(`delete ${path} and run notebook 02-prompt-tuning, which trains what is missing`, () => {
    const json = readJson(metricsFile);
    const metrics: RunMetrics[] = checkJson(METRICS, json, metricsFile);
    const prompts = readPrompts(join(path, 'prompts.safetensors'), [task, word, seed, JSON.stringify(json)]);
    const expected = [experiment.epochs, experiment.promptTokens];
    if (prompts.shape.slice(0, 2).join() !== expected.join() || metrics.length !== experiment.epochs) {
      throw new Error(`${path}/prompts.safetensors: expected [${expected.join(', ')}, …] and as many epochs in ` +
        `metrics.json, found [${prompts.shape.join(', ')}] and ${metrics.length}`);
    }
    return { task, word, seed, metrics, prompts };
  });
}

function readPrompts(file: string, owner: unknown): Tensor {
  const tensors = openSafetensors(file);
  try {
    const prompts = tensors.read('prompts');
    if (prompts.shape.length !== 3 || prompts.data.length === 0) {
      throw new Error(`${file}: expected [epochs, promptTokens, dModel], found [${prompts.shape.join(', ')}]`);
    }
    // The demo run that ships with the project is older than the digests.
    const older = [...tensors.metadata].join() === 'format,pt';
    if (!older) checkDigest(file, tensors.metadata.get('sha256'), digestOf(owner, [prompts.data]));
    if (!prompts.data.every(Number.isFinite)) throw new Error(`${file}: expected finite numbers, found others`);
    return prompts;
  } finally {
    tensors.close();
  }
}

/** What a reader of the results must know: runs that stopped, and prompts that training left as they were. */
export function gridWarnings({ runs }: Grid): string[] {
  return runs.flatMap(({ task, word, seed, metrics }) => {
    const { stoppedAt, stopReason, unchanged } = metrics[metrics.length - 1];
    const run = `${task}, ${word}, seed ${seed}`;
    return [
      ...(stoppedAt === undefined ? [] : [`${run}: stopped at step ${stoppedAt}: ${stopReason ?? 'no reason given'}`]),
      ...(unchanged ? [`${run}: the prompt is the same as before training`] : []),
    ];
  });
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
