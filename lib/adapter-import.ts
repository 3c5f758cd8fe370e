/**
 * PEFT adapter folders as a run folder that the notebooks open: a grid with one epoch. Its losses and accuracy are
 * measured here, with the model and the task lists of the configuration.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { ORIGIN_FILE } from './adapter-export';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, initialWordOf, readAdapter, type Adapter } from './adapters';
import { startBackend, tf } from './backend';
import type { Checkpoint } from './checkpoints';
import { resolveData } from './data';
import { evaluate } from './evaluation';
import { checkExperiment, checkTasks, type Experiment } from './experiment';
import { readJson } from './files';
import { disposeGpt2, loadGpt2, type Gpt2 } from './gpt2';
import { checkVocabulary, readConfig } from './gpt2-config';
import { findModel, modelFiles } from './hub';
import { openRunFolder, provenanceOf } from './provenance';
import { runFolder } from './run-names';
import { groupFinished, readGrid, saveFinished, type Grid } from './runs';
import { fault } from './safetensors-header';
import { loadTask, taskFileName, type Task } from './tasks';
import { singleToken } from './tokenizer';
import { initialPrompts, initialState } from './tuning';

/** An adapter and its place in a grid. */
export interface FoundAdapter {
  readonly folder: string;
  readonly task: string;
  readonly word: string;
  readonly seed: number;
  readonly promptTokens: number;
  /** configuration of the run it was exported from, where it was */
  readonly experiment?: Experiment;
}

/** What is known of adapters that do not say it themselves. */
export interface Place {
  readonly task?: string;
  readonly word?: string;
  readonly seed?: number;
}

/**
 * All adapters in and below the folders. Task, word and seed are what `given` says, else soft-prompts.json, else the
 * folder's name <task>/<word>-<seed>; the word is that of the initial text. Throws where there is no adapter, where
 * one is none that can be read, where its place is not known or contradicts its initial text, or is taken already.
 */
export function findAdapters(folders: readonly string[], given: Place = {}): FoundAdapter[] {
  const found = folders.flatMap((folder) => {
    const inside = adapterFolders(resolve(folder));
    if (inside.length > 0) return inside;
    throw new Error(`${folder}: expected an adapter folder or folders of them, found no ${ADAPTER_CONFIG}`);
  }).map((folder) => placed(folder, given));
  const taken = new Map<string, string>();
  for (const one of found) {
    const before = taken.get(nameOf(one));
    if (before !== undefined) throw new Error(`${one.folder}: ${nameOf(one)}: expected once, found in ${before} too`);
    taken.set(nameOf(one), one.folder);
  }
  return found;
}

function adapterFolders(folder: string): string[] {
  if (existsSync(join(folder, ADAPTER_CONFIG))) return [folder];
  if (!existsSync(folder)) return [];
  const inside = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return inside.map(({ name }) => join(folder, name)).sort().flatMap(adapterFolders);
}

const ORIGIN = z.object({ task: z.string(), word: z.string(), seed: z.int().min(0), experiment: z.unknown() });

function placed(folder: string, given: Place): FoundAdapter {
  const adapter = readAdapter(folder);
  const [promptTokens] = adapter.prompt.shape;
  const file = join(folder, ORIGIN_FILE);
  const origin = existsSync(file) ? readOrigin(file) : undefined;
  const known: Place = { ...placeInPath(folder), ...origin, ...given };
  const { task, seed } = known;
  const word = wordOf(folder, adapter, promptTokens) ?? known.word;
  if (task === undefined || word === undefined || seed === undefined) {
    throw new Error(
      `${folder}: task, word and seed: expected a folder <task>/<word>-<seed> or ${ORIGIN_FILE} in it, ` +
      'found neither; mend: --task, --word, --seed');
  }
  if (known.word !== undefined && known.word !== word) {
    throw fault(
      join(folder, ADAPTER_CONFIG), 'prompt_tuning_init_text', `the word '${known.word}'`, adapter.initialText);
  }
  return { folder, task, word, seed, promptTokens, experiment: origin?.experiment };
}

function wordOf(folder: string, { initialText }: Adapter, promptTokens: number): string | undefined {
  if (initialText === null) return undefined;
  const word = initialWordOf(initialText, promptTokens);
  if (word !== undefined) return word;
  throw fault(
    join(folder, ADAPTER_CONFIG), 'prompt_tuning_init_text', 'one token, repeated, as a run of a grid has it',
    initialText);
}

function readOrigin(file: string): Required<Place> & { experiment: Experiment } {
  const json = readJson(file);
  const { success, data, error } = ORIGIN.safeParse(json);
  if (!success) throw new Error(`${file}: ${error.issues[0].path.join('.')}: ${error.issues[0].message}`);
  return { ...data, experiment: checkExperiment(data.experiment, `${file}: experiment`) };
}

const nameOf = ({ task, word, seed }: Required<Place>) => `${task}/${word}-${seed}`;

/** Of .../<task>/<word>-<seed>, as far as a folder's name is of that kind. */
function placeInPath(folder: string): Place {
  const [, word, seed] = /^(.+)-(\d+)$/.exec(basename(folder)) ?? [];
  if (word === undefined) return {};
  try {
    return { task: basename(dirname(folder)), word: decodeURIComponent(word), seed: Number(seed) };
  } catch {
    return {};
  }
}

/** The configuration that all adapters were exported from, if they know one. Throws where they differ. */
export function commonExperiment(found: readonly FoundAdapter[]): Experiment | undefined {
  const [first, ...rest] = found;
  const other = rest.find(({ experiment }) => JSON.stringify(experiment) !== JSON.stringify(first.experiment));
  if (!other) return first.experiment;
  throw new Error(
    `${other.folder}: configuration: expected that of ${first.folder}, found another; ` +
    'mend: give --preset and settings for all, or import them into different runs');
}

/**
 * The configuration of the grid that the adapters make: `base`, but for tasks, words, seeds and prompt tokens. Throws
 * where they are no whole grid. Its preset is 'imported': settings of the training are those of `base`, which may not
 * be how adapters from elsewhere were trained.
 */
export function importedExperiment(found: readonly FoundAdapter[], base: Experiment): Experiment {
  const ordered = <T>(values: readonly T[], order: readonly T[]): T[] => {
    const there = new Set(values);
    return [...order.filter((value) => there.delete(value)), ...there];
  };
  const tasks = ordered(found.map(({ task }) => task), base.tasks);
  const words = ordered(found.map(({ word }) => word), base.words);
  const seeds = ordered(found.map(({ seed }) => seed), base.seeds);
  const there = new Set(found.map(nameOf));
  const missing = tasks.flatMap((task) => words.flatMap((word) => seeds.map((seed) => nameOf({ task, word, seed }))))
    .filter((name) => !there.has(name));
  if (missing.length > 0) {
    throw new Error(`adapters: expected every word and seed of every task, ${missing.length} missing: ` +
      `${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ' …' : ''}`);
  }
  const { promptTokens } = found[0];
  const other = found.find((one) => one.promptTokens !== promptTokens);
  if (other) {
    const file = join(other.folder, ADAPTER_CONFIG);
    throw fault(file, 'num_virtual_tokens', `${promptTokens}, as the others have`, other.promptTokens);
  }
  const changed = { ...base, preset: 'imported', tasks, words, seeds, promptTokens, epochs: 1, runsPerStep: 1 };
  return checkExperiment(changed, 'imported adapters');
}

/** examples evaluated, and in all; what was done last */
type OnProgress = (done: number, total: number, note: string) => void;

/**
 * Write the adapters into the run folder data/runs/<name> and read the grid. Each run is evaluated: test loss and
 * accuracy, and as its training loss that of the finished prompt on the training examples. Stopped and called again
 * it goes on. Throws where an adapter does not fit the model, or where the folder holds another run.
 */
export async function importAdapters(
  name: string, found: readonly FoundAdapter[], base: Experiment, onProgress?: OnProgress,
): Promise<Grid> {
  const experiment = importedExperiment(found, base);
  const modelFolder = findModel(experiment.model, experiment);
  const config = readConfig(join(modelFolder, 'config.json'));
  checkVocabulary(config, modelFolder);
  const data = await resolveData(experiment.data);
  checkTasks(experiment, data, config.positions);
  const adapters = found.map((one) => ({ ...one, prompt: readAdapter(one.folder, config).prompt }));
  const files = {
    ...modelFiles(modelFolder),
    ...Object.fromEntries(experiment.tasks.map((task) => [task, join(data, taskFileName(task))])),
    ...Object.fromEntries(found.map((one) => [`adapter ${nameOf(one)}`, join(one.folder, ADAPTER_WEIGHTS)])),
  };
  const { threads } = await startBackend();
  const folder = runFolder(name);
  openRunFolder(folder, experiment, provenanceOf(files, threads, 1));

  const limit = experiment.examples ?? undefined;
  const tasks = new Map(experiment.tasks.map((task) => (
    [task, loadTask(task, { folder: data, template: experiment.template, limit })])));
  const size = ({ train, test }: Task) => train.length + test.length;
  const total = adapters.reduce((sum, { task }) => sum + size(tasks.get(task)!), 0);
  const model = loadGpt2(modelFolder);
  let done = 0;
  try {
    for (const { task, word, seed, prompt } of adapters) {
      const group = [{ task, word, seed }];
      if (!groupFinished(folder, group)) {
        const start = initialPrompts(model, [singleToken(word)], experiment.promptTokens);
        saveFinished(folder, group, evaluated(model, prompt.data, tasks.get(task)!, experiment), config.dModel, start);
      }
      done += size(tasks.get(task)!);
      onProgress?.(done, total, `${task} ${word} ${seed}`);
      await new Promise((resolved) => setImmediate(resolved));
    }
  } finally {
    disposeGpt2(model);
  }
  return readGrid(name);
}

/** What training would have left after its last epoch. */
function evaluated(model: Gpt2, prompt: Float32Array, task: Task, experiment: Experiment): Checkpoint {
  const { promptTokens, batchSize, newTokens } = experiment;
  const prompts = tf.tensor3d(prompt, [1, promptTokens, model.config.dModel]);
  try {
    const test = evaluate(model, prompts, task.test, { batchSize, newTokens });
    // One new token: of the training examples only the loss is wanted, so nothing need be generated.
    const train = evaluate(model, prompts, task.train, { batchSize, newTokens: 1 });
    const trainLoss = train.map(({ loss }) => loss);
    return { state: initialState(prompt), history: [prompt], metrics: [{ epoch: 1, trainLoss, test, stops: [] }] };
  } finally {
    prompts.dispose();
  }
}
