/**
 * What is trained: presets and the one configuration object, checked where it enters.
 *
 * Precedence: preset, then what a notebook or a script overrides, then the command line (which reaches
 * notebooks as environment variables SOFT_PROMPTS_<NAME>).
 */
import { z } from 'zod';
import { TASK_NAMES, type Template } from './tasks';
import { singleToken } from './tokenizer';

export interface Experiment {
  /** preset that it started from */
  readonly preset: string;
  /** 'embedded', a folder with config.json and safetensors, or a Hugging Face id found in its cache */
  readonly model: string;
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

const list = <T extends z.ZodType>(item: T) => z.array(item).min(1).refine(
  (values) => new Set(values).size === values.length, 'expected no value twice');

const SCHEMA = z.strictObject({
  preset: z.string(),
  model: z.string().min(1),
  data: z.string().min(1),
  tasks: list(z.string().regex(/^[\w-]+$/, 'expected letters, digits, _ and -')),
  words: list(z.string().min(1)),
  seeds: list(z.int().min(0)),
  promptTokens: z.int().min(1).max(100),
  epochs: z.int().min(1).max(10_000),
  batchSize: z.int().min(1).max(1024),
  learningRate: z.number().positive(),
  weightDecay: z.number().min(0),
  dropout: z.number().min(0).lt(1),
  template: z.enum(['plain', 'trailing-space']),
  newTokens: z.int().min(1).max(50),
  examples: z.int().min(4).nullable(),
  runsPerStep: z.union([z.literal('auto'), z.int().min(1).max(1000)]),
});

/**
 * The configuration: a preset, changed by `overrides`, changed by environment variables.
 * Throws for an unknown preset or field, a wrong type or range, and a word that is not one token.
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

/** Check a configuration from anywhere. Throws with `source`, field, expected and found. */
export function checkExperiment(value: unknown, source: string): Experiment {
  const result = SCHEMA.safeParse(value);
  if (!result.success) {
    const { path, message } = result.error.issues[0];
    const found = path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)?.[key], value);
    const shown = path.length > 0 ? `${path.join('.')}: ${message}; found ${JSON.stringify(found)}` : message;
    throw new Error(`${source}: ${shown}`);
  }
  for (const word of result.data.words) {
    try {
      singleToken(word);
    } catch (error) {
      throw new Error(`${source}: words: ${(error as Error).message}`, { cause: error });
    }
  }
  return result.data;
}

/** Environment variables and the fields they set. SEED gives the list of seeds. */
const VARIABLES: Readonly<Record<string, keyof Experiment>> = {
  MODEL: 'model', DATA: 'data', TASKS: 'tasks', WORDS: 'words', SEED: 'seeds', EPOCHS: 'epochs',
  BATCH_SIZE: 'batchSize', LEARNING_RATE: 'learningRate', WEIGHT_DECAY: 'weightDecay', DROPOUT: 'dropout',
  TEMPLATE: 'template', PROMPT_TOKENS: 'promptTokens', EXAMPLES: 'examples', RUNS_PER_STEP: 'runsPerStep',
};

function fromEnvironment(environment: NodeJS.ProcessEnv): Partial<Experiment> {
  const overrides: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(VARIABLES)) {
    const text = environment[`SOFT_PROMPTS_${name}`];
    if (text !== undefined && text !== '') overrides[field] = parsed(text, DEMO[field as keyof typeof DEMO], name);
  }
  return overrides as Partial<Experiment>;
}

/**
 * A notebook's parameter: the value in its cell, unless the command line set SOFT_PROMPTS_<name>, which is
 * read as the same type (lists by commas). Throws where it is not of that type.
 */
export function parameter(name: string, value: number, environment?: NodeJS.ProcessEnv): number;
export function parameter(name: string, value: string, environment?: NodeJS.ProcessEnv): string;
export function parameter(name: string, value: readonly number[], environment?: NodeJS.ProcessEnv): readonly number[];
export function parameter(name: string, value: readonly string[], environment?: NodeJS.ProcessEnv): readonly string[];
export function parameter(name: string, value: unknown, environment: NodeJS.ProcessEnv = process.env): unknown {
  const text = environment[`SOFT_PROMPTS_${name}`];
  return text === undefined || text === '' ? value : parsed(text, value, name);
}

function parsed(text: string, like: unknown, name: string): unknown {
  if (Array.isArray(like)) return text.split(',').map((part) => parsed(part.trim(), like[0], name));
  if (text === like || (typeof like === 'string' && like !== 'auto')) return text;
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new Error(`SOFT_PROMPTS_${name}: expected a number, found ${text}`);
  return value;
}
