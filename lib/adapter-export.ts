/**
 * The runs of a grid as PEFT adapter folders, FOLDER/<task>/<word>-<seed>/. Beside PEFT's two files stands
 * soft-prompts.json with what PEFT has no field for: run, task, word, seed, epoch, its metrics and the configuration.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { initialTextOf, initialTokens, writeAdapter } from './adapters';
import { writeJsonAtomic } from './files';
import { readConfig } from './gpt2';
import { findModel } from './hub';
import type { Grid, Run } from './runs';

/** The file beside PEFT's that says where an adapter comes from. */
export const ORIGIN_FILE = 'soft-prompts.json';

export interface AdapterExportOptions {
  /** where the adapters go; default: the folder `adapters` of the run */
  readonly folder?: string;
  /** only these; default: all */
  readonly tasks?: readonly string[];
  readonly words?: readonly string[];
  readonly seeds?: readonly number[];
  /** 1 … epochs; default: the last */
  readonly epoch?: number;
  /** folder or Hugging Face name of the base model for Python; default: the run's own model */
  readonly base?: string;
}

export interface ExportedAdapter {
  readonly folder: string;
  readonly task: string;
  readonly word: string;
  readonly seed: number;
  readonly initialText: string;
  /** its token ids, one a prompt vector */
  readonly initialTokens: readonly number[];
}

/** Write the chosen runs of a grid. Throws where a choice is not in the grid, before anything is written. */
export function exportAdapters(grid: Grid, options: AdapterExportOptions = {}): ExportedAdapter[] {
  const { experiment } = grid;
  const { folder = join(grid.folder, 'adapters'), epoch = experiment.epochs } = options;
  if (!Number.isInteger(epoch) || epoch < 1 || epoch > experiment.epochs) {
    throw new Error(`run ${grid.name}: epoch: expected 1 to ${experiment.epochs}, found ${epoch}`);
  }
  const runs = chooseRuns(grid, options);
  const config = readConfig(join(findModel(experiment.model, experiment), 'config.json'));
  const base = baseOf(grid, options.base);
  return runs.map((run) => {
    const { task, word, seed } = run;
    const prompt = promptAfter(run, epoch);
    const initialText = initialTextOf(word, experiment.promptTokens);
    const target = join(folder, task, `${encodeURIComponent(word)}-${seed}`);
    writeAdapter(target, { ...base, initialText, prompt }, config);
    const metrics = run.metrics[epoch - 1];
    writeJsonAtomic(join(target, ORIGIN_FILE), { run: grid.name, task, word, seed, epoch, metrics, experiment });
    const tokens = initialTokens(initialText, experiment.promptTokens);
    return { folder: target, task, word, seed, initialText, initialTokens: tokens };
  });
}

function chooseRuns({ name, experiment, runs }: Grid, options: AdapterExportOptions): Run[] {
  const { tasks = experiment.tasks, words = experiment.words, seeds = experiment.seeds } = options;
  const check = <T>(what: string, chosen: readonly T[], there: readonly T[]): void => {
    const other = chosen.find((value) => !there.includes(value));
    if (other === undefined) return;
    throw new Error(`run ${name}: ${what}: expected ${there.join(', ')}, found ${JSON.stringify(other)}`);
  };
  check('task', tasks, experiment.tasks);
  check('word', words, experiment.words);
  check('seed', seeds, experiment.seeds);
  return runs.filter(({ task, word, seed }) => tasks.includes(task) && words.includes(word) && seeds.includes(seed));
}

/** [promptTokens, dModel] */
function promptAfter({ prompts }: Run, epoch: number) {
  const [, promptTokens, dModel] = prompts.shape;
  const size = promptTokens * dModel;
  return { shape: [promptTokens, dModel], data: prompts.data.slice((epoch - 1) * size, epoch * size) };
}

/** GPT-2's tokenizer, for folders of a model that hold none. */
const GPT2_TOKENIZER = 'openai-community/gpt2';

/** The base model by the name and commit that it was trained on. */
function baseOf({ experiment: { model, revision }, commit }: Grid, given?: string) {
  const local = model === 'embedded' || existsSync(join(model, 'config.json'));
  const baseModel = given ?? (local ? findModel(model) : model);
  const isFolder = existsSync(join(baseModel, 'config.json'));
  const hasTokenizer = ['tokenizer.json', 'vocab.json'].some((file) => existsSync(join(baseModel, file)));
  return {
    baseModel,
    revision: given === undefined && !local ? commit ?? revision : null,
    tokenizer: isFolder && !hasTokenizer ? GPT2_TOKENIZER : baseModel,
  };
}
