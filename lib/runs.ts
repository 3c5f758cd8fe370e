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
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from './backend';
import { removeCheckpoint, type Checkpoint } from './checkpoints';
import { checkDigest, digestOf } from './digests';
import type { Experiment } from './experiment';
import { orMend, readJson, removeLeftovers, writeJsonAtomic } from './files';
import { checkJson } from './json';
import { METRICS, runMetrics, type RunMetrics } from './metrics';
import { pointsFrom, type PromptLabel, type PromptSet } from './points';
import { readRecord } from './provenance';
import { groupsOf, runFolder, runPath, type Group, type RunName } from './run-names';
import { openSafetensors, writeSafetensors, type Tensor } from './safetensors';

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

/** Have all runs of the group been trained to the end? */
export function groupFinished(folder: string, group: Group): boolean {
  return group.every((run) => existsSync(join(runPath(folder, run), 'metrics.json')));
}

/** Remove what killed processes left behind: temporary files, and checkpoints of groups that are done. */
export function tidyRunFolder(folder: string, groups: readonly Group[]): void {
  removeLeftovers(folder);
  for (const group of groups) {
    if (groupFinished(folder, group)) removeCheckpoint(folder, group);
  }
}

/** Is every run trained to the end, and nothing left to tidy up? */
export function gridFinished(folder: string, experiment: Experiment): boolean {
  const checkpoints = join(folder, 'checkpoints');
  return groupsOf(experiment, 1).every((group) => groupFinished(folder, group)) &&
    (!existsSync(checkpoints) || readdirSync(checkpoints).length === 0);
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
  removeCheckpoint(folder, group);
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
    checkDigest(file, tensors.metadata.get('sha256'), digestOf(owner, [prompts.data]));
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
