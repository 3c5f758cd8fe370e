/**
 * What is trained: presets and the one configuration object, checked where it enters.
 *
 * Precedence: preset, then what a notebook or a script overrides, then the command line (which reaches
 * notebooks as environment variables SOFT_PROMPTS_<NAME>).
 */
import { EXPERIMENT_SCHEMA, firstIssue, readSetting, SETTING_NAMES, variableOf } from './settings';
import { loadTask, TASK_NAMES, type Template } from './tasks';
import { checkVariables } from './variables';

export interface Experiment {
  /** preset that it started from */
  readonly preset: string;
  /** 'embedded', a folder with config.json and safetensors, or a repository of the Hugging Face hub */
  readonly model: string;
  /** commit, tag or branch of a Hugging Face model; null: main, as the cache has it, else the newest */
  readonly revision: string | null;
  /** 'embedded', 'function-vectors' (the paper's lists) or a folder of JSON lists */
  readonly data: string;
  readonly tasks: readonly string[];
  /** initial words, one token each */
  readonly words: readonly string[];
  /** one run for each task, word and seed; the seed decides the order of the examples */
  readonly seeds: readonly number[];
  /** prompt vectors of a run; the paper trains 4 */
  readonly promptTokens: number;
  readonly epochs: number;
  readonly batchSize: number;
  /** at the first step; falls linearly to 0 */
  readonly learningRate: number;
  /** AdamW's; 0 makes it Adam */
  readonly weightDecay: number;
  /** GPT-2's own dropout while training, on embeddings, attention and residuals */
  readonly dropout: number;
  readonly template: Template;
  /** greedy tokens within which the label must appear */
  readonly newTokens: number;
  /** most training examples of a task (and a quarter as many test examples), for trials; null: all */
  readonly examples: number | null;
  /** runs that train in one step, which decides the last bits of every sum; 'auto': as many as the memory holds */
  readonly runsPerStep: number | 'auto';
}

const WORDS = ['cat', 'dog', 'bird', 'book', 'house', 'chair', 'table', 'pen', 'paper', 'water'];

/** The paper's text to the letter: Adam, no dropout, the label in the same string as its space. */
const PAPER: Omit<Experiment, 'preset'> = {
  model: 'openai-community/gpt2-xl',
  revision: null,
  data: 'function-vectors',
  tasks: TASK_NAMES,
  words: WORDS,
  seeds: [0],
  promptTokens: 4,
  epochs: 50,
  batchSize: 8,
  learningRate: 1e-3,
  weightDecay: 0,
  dropout: 0,
  template: 'plain',
  newTokens: 5,
  examples: null,
  runsPerStep: 'auto',
};

/** What the authors' code ran: AdamW, GPT-2's dropout left on, a lone space token before the label. */
const AUTHORS: Omit<Experiment, 'preset'> = {
  ...PAPER, weightDecay: 0.01, dropout: 0.1, template: 'trailing-space',
};

/** As the authors' code but for model, data and dropout. */
const DEMO: Omit<Experiment, 'preset'> = {
  ...AUTHORS, model: 'embedded', data: 'embedded', dropout: 0,
};

const PRESETS: Readonly<Record<string, Omit<Experiment, 'preset'>>> = {
  /** a few steps of everything, for tests */
  tiny: { ...DEMO, words: ['cat', 'book', 'water'], epochs: 2, examples: 16 },
  demo: DEMO,
  paper: PAPER,
  authors: AUTHORS,
};

export const PRESET_NAMES: readonly string[] = Object.keys(PRESETS);

/**
 * The configuration: a preset, changed by `overrides`, changed by environment variables.
 * Throws for an unknown preset, field or variable, a wrong type or range, and a word that is not one token.
 */
export function configure(
  preset: string, overrides: Partial<Experiment> = {}, environment: NodeJS.ProcessEnv = process.env,
): Experiment {
  if (!Object.hasOwn(PRESETS, preset)) {
    throw new Error(`preset: ${preset}, expected one of ${PRESET_NAMES.join(', ')}`);
  }
  return checkExperiment(
    { ...PRESETS[preset], preset, ...overrides, ...fromEnvironment(environment) }, 'configuration');
}

/**
 * Check a configuration from anywhere; a setting that files of before do not have gets its neutral value. Throws
 * with `source`, setting, expected and found.
 */
export function checkExperiment(value: unknown, source: string): Experiment {
  const result = EXPERIMENT_SCHEMA.safeParse(value);
  if (!result.success) throw new Error(`${source}: ${firstIssue(result.error, value)}`);
  return result.data;
}

/**
 * Check a configuration against what it is to be trained with: the task lists in `folder` and, where `positions`
 * is given, the longest sequence of the model. Throws where a task does not exist, has fewer training examples than
 * asked for, or where an example is too long.
 */
export function checkTasks(experiment: Experiment, folder: string, positions = Infinity): void {
  const { tasks, template, examples, promptTokens, newTokens } = experiment;
  for (const name of tasks) {
    const { train, test } = loadTask(name, { folder, template, limit: examples ?? undefined });
    for (const { input, textTokens, labelTokens } of [...train, ...test]) {
      // The last token of a label, or of an answer, is never read.
      const length = promptTokens + textTokens.length + Math.max(labelTokens.length, newTokens) - 1;
      if (length <= positions) continue;
      throw new Error(
        `task ${name}: input ${JSON.stringify(input)}: ${length} tokens (${promptTokens} of the prompt, ` +
        `${textTokens.length} of the text, ${length - promptTokens - textTokens.length} of the answer), ` +
        `expected at most the model's ${positions} positions`);
    }
  }
}

function fromEnvironment(environment: NodeJS.ProcessEnv): Partial<Experiment> {
  checkVariables(environment);
  const given = SETTING_NAMES.flatMap((name) => {
    const text = environment[variableOf(name)];
    return text === undefined || text === '' ? [] : [[name, readSetting(name, text, variableOf(name))]];
  });
  return Object.fromEntries(given) as Partial<Experiment>;
}

/**
 * A notebook's parameter: the value in its cell, unless the command line set SOFT_PROMPTS_<name>, which is
 * read as the same type (lists by commas). Throws where it is not of that type, and for an unknown variable.
 */
export function parameter(name: string, value: number, environment?: NodeJS.ProcessEnv): number;
export function parameter(name: string, value: string, environment?: NodeJS.ProcessEnv): string;
export function parameter(name: string, value: readonly number[], environment?: NodeJS.ProcessEnv): readonly number[];
export function parameter(name: string, value: readonly string[], environment?: NodeJS.ProcessEnv): readonly string[];
export function parameter(name: string, value: unknown, environment: NodeJS.ProcessEnv = process.env): unknown {
  checkVariables(environment);
  const text = environment[`SOFT_PROMPTS_${name}`];
  return text === undefined || text === '' ? value : parsed(text, value, name);
}

function parsed(text: string, like: unknown, name: string): unknown {
  if (Array.isArray(like)) return text.split(',').map((part) => parsed(part.trim(), like[0], name));
  if (typeof like === 'string') return text;
  const value = Number(text);
  if (text.trim() !== '' && !Number.isNaN(value)) return value;
  throw new Error(`SOFT_PROMPTS_${name}: expected a number, found ${text}`);
}
