/**
 * The settings of a configuration: what each may be, how it reads from text, and what it is for. The one table
 * behind notebooks, environment variables (SOFT_PROMPTS_PROMPT_TOKENS) and the command line (--prompt-tokens).
 */
import { z } from 'zod';
import { encode, singleToken } from './tokenizer';

/** How text becomes a value; what cannot be read stays as it is, for the schema to refuse. */
type Reader = (text: string) => unknown;

interface Setting<Schema extends z.ZodType = z.ZodType> {
  readonly schema: Schema;
  readonly read: Reader;
  /** stands for the value in --help */
  readonly value: string;
  readonly help: string;
}

const asText: Reader = (text) => text;

const asNumber: Reader = (text) => {
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? text : value;
};

const orNull = (name: string, read: Reader): Reader => (text) => (text === name ? null : read(text));

/** By commas, or a JSON list, for words that begin with a space. */
const asList = (read: Reader): Reader => (text) => {
  if (text.trimStart().startsWith('[')) return jsonOf(text);
  return text.split(',').map((part) => read(part.trim()));
};

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function wholeNumber(least: number, most?: number) {
  const error = `expected a whole number from ${least} ${most === undefined ? 'on' : `to ${most}`}`;
  return z.int({ error }).min(least, { error }).max(most ?? Number.MAX_SAFE_INTEGER, { error });
}

function numberWithin(expected: string, within: (value: number) => boolean) {
  const error = `expected ${expected}`;
  return z.number({ error }).refine(within, { error });
}

function listOf<Item extends z.ZodType>(item: Item, what: string) {
  const error = `expected a list of ${what}`;
  return z.array(item, { error }).min(1, { error })
    .refine((values) => new Set(values).size === values.length, { error: 'expected no value twice' });
}

function text(what: string) {
  const error = `expected ${what}`;
  return z.string({ error }).min(1, { error });
}

const taskName = text('a name').regex(/^[\w-]+$/, { error: 'expected letters, digits, _ and -' });

const word = z.string({ error: 'expected a word' }).superRefine((value, context) => {
  const problem = wordProblem(value);
  if (problem) context.addIssue({ code: 'custom', message: problem });
});

/** Why a word is not one token, its tokens, and which of its forms is one. */
function wordProblem(value: string): string | undefined {
  try {
    singleToken(value);
    return undefined;
  } catch (error) {
    const forms = singleTokenForms(value).slice(0, 3).map((form) => JSON.stringify(form));
    return (error as Error).message + (forms.length > 0 ? `; one token: ${forms.join(' or ')}` : '');
  }
}

/** The word in other cases, with and without a space before it, where that is one token. */
function singleTokenForms(value: string): string[] {
  const bare = value.trim();
  const capitalized = bare.slice(0, 1).toUpperCase() + bare.slice(1).toLowerCase();
  const cases = [bare, bare.toLowerCase(), capitalized, bare.toUpperCase()];
  const forms = cases.flatMap((form) => [form, ` ${form}`]);
  return [...new Set(forms)].filter((form) => form.trim() !== '' && encode(form).length === 1);
}

const table = {
  model: {
    schema: text('a name or folder'), read: asText, value: 'MODEL',
    help: 'embedded, a folder, or a Hugging Face name, e.g. openai-community/gpt2',
  },
  revision: {
    schema: text('a commit, tag or branch, or null').nullable().default(null), read: orNull('main', asText),
    value: 'NAME', help: "commit, tag or branch of a Hugging Face model; main: the cached one, else the newest",
  },
  data: {
    schema: text('a name or folder'), read: asText, value: 'DATA',
    help: "embedded, function-vectors (the paper's lists) or a folder of JSON lists",
  },
  tasks: {
    schema: listOf(taskName, 'task names'), read: asList(asText), value: 'A,B',
    help: 'tasks to train on: names of the lists in the data',
  },
  words: {
    schema: listOf(word, 'words'), read: asList(asText), value: 'A,B',
    help: 'words the prompts start from, one token each; a JSON list for words that begin with a space',
  },
  seeds: {
    schema: listOf(wholeNumber(0), 'whole numbers'), read: asList(asNumber), value: 'N,M',
    help: 'one run for each task, word and seed; the seed decides the order of the examples',
  },
  promptTokens: {
    schema: wholeNumber(1, 100), read: asNumber, value: 'N', help: 'vectors of a prompt',
  },
  epochs: {
    schema: wholeNumber(1, 10_000), read: asNumber, value: 'N', help: 'passes over the training examples',
  },
  batchSize: {
    schema: wholeNumber(1, 1024), read: asNumber, value: 'N', help: 'examples of a step',
  },
  learningRate: {
    schema: numberWithin('a number above 0', (value) => value > 0), read: asNumber, value: 'X',
    help: 'at the first step; falls linearly to 0',
  },
  weightDecay: {
    schema: numberWithin('a number from 0 on', (value) => value >= 0), read: asNumber, value: 'X',
    help: "AdamW's; 0 makes it Adam",
  },
  dropout: {
    schema: numberWithin('a number from 0 to below 1', (value) => value >= 0 && value < 1), read: asNumber, value: 'X',
    help: "GPT-2's own, while training",
  },
  template: {
    schema: z.enum(['plain', 'trailing-space'], { error: 'expected plain or trailing-space' }), read: asText,
    value: 'NAME', help: 'plain, or trailing-space: a lone space token before the label',
  },
  newTokens: {
    schema: wholeNumber(1, 50), read: asNumber, value: 'N', help: 'greedy tokens within which the label must appear',
  },
  examples: {
    schema: wholeNumber(4).nullable(), read: orNull('all', asNumber), value: 'N',
    help: 'training examples of a task, and a quarter as many test examples; all: no limit',
  },
  runsPerStep: {
    schema: z.custom<number | 'auto'>(
      (value) => value === 'auto' || wholeNumber(1, 1000).safeParse(value).success,
      { error: 'expected auto or a whole number from 1 to 1000' }),
    read: asNumber, value: 'N', help: 'runs that train in one step, or auto; it decides the last bits of every sum',
  },
} satisfies Record<string, Setting>;

export type SettingName = keyof typeof table;

export const SETTINGS: Readonly<Record<SettingName, Setting>> = table;
export const SETTING_NAMES = Object.keys(table) as SettingName[];

const shape = Object.fromEntries(SETTING_NAMES.map((name) => [name, table[name].schema])) as {
  [Name in SettingName]: (typeof table)[Name]['schema'];
};

/** A whole configuration; `preset` says where it comes from. */
export const EXPERIMENT_SCHEMA = z.strictObject({ preset: z.string(), ...shape });

/** 'promptTokens' with another sign between its words: 'prompt-tokens' on the command line. */
export function spelled(name: string, sign: '-' | '_' | ' '): string {
  return name.replace(/[A-Z]/g, (letter) => `${sign}${letter.toLowerCase()}`);
}

/** The environment variable of a setting or a notebook's parameter. */
export function variableOf(name: string): string {
  return `SOFT_PROMPTS_${spelled(name, '_').toUpperCase()}`;
}

/** A setting from text, as it comes from a command line. Throws, naming `source`, where it is no such value. */
export function readSetting(name: SettingName, text: string, source: string): unknown {
  const value = SETTINGS[name].read(text);
  const result = SETTINGS[name].schema.safeParse(value);
  if (!result.success) throw new Error(`${source}: ${firstIssue(result.error, value)}`);
  return result.data;
}

/** The text that readSetting reads as this value. */
export function settingText(name: SettingName, value: unknown): string {
  if (value === null) return name === 'revision' ? 'main' : 'all';
  if (!Array.isArray(value)) return String(value);
  const plain = value.every((item) => String(item).trim() === String(item) && !/[,[]/.test(String(item)));
  return plain ? value.join(',') : JSON.stringify(value);
}

/** What is wrong with a value: where inside it, what was expected, what was found. */
export function firstIssue(error: z.ZodError, value: unknown): string {
  const [{ path, message, ...issue }] = error.issues;
  if (issue.code === 'unrecognized_keys') {
    return `${issue.keys[0]}: there is no such setting; there are ${SETTING_NAMES.join(', ')}`;
  }
  const found = path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)?.[key], value);
  const text = typeof found === 'number' ? String(found) : JSON.stringify(found) ?? 'nothing';
  const shown = message.startsWith('expected') ? `${message}, found ${text}` : message;
  return [...path.map((key) => (typeof key === 'number' ? `value ${key + 1}` : String(key))), shown].join(': ');
}
