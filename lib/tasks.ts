/** The paper's six tasks: their pairs, the prompt template, the split, and the batches of an epoch. */

import * as fs from 'fs';
import * as path from 'path';

import { readJson } from './files';
import { createRandom } from './random';
import { encode } from './tokenizer';

/** The paper's tasks in the order of its figures. */
export const TASK_NAMES = [
  'country_capital', 'landmark_country', 'present_past',
  'singular_plural', 'capitalize_first_letter', 'lowercase_first_letter',
] as const;

export type TaskName = typeof TASK_NAMES[number];

/** One line of a task's file. */
export interface TaskPair { readonly input: string; readonly output: string }

/**
 * How an example becomes tokens. 'trailing-space', as the authors' code: `Input: {input}\nLabel: ` with its
 * last space (token 220), then the label without a leading space. 'plain', as the paper's text reads: `Input:
 * {input}\nLabel:`, then ` {label}`.
 */
export type Template = 'trailing-space' | 'plain';

/** A pair and its tokens: the model reads `textTokens` and is asked for `labelTokens`. */
export interface Example {
  readonly input: string;
  readonly output: string;
  readonly textTokens: readonly number[];
  readonly labelTokens: readonly number[];
}

/** A task's examples; `title` is for people. */
export interface Task {
  readonly name: string;
  readonly title: string;
  readonly train: readonly Example[];
  readonly test: readonly Example[];
}

/** File names and titles of the six tasks; the file names are those of ericwtodd/function_vectors. */
const knownTasks: ReadonlyMap<string, { readonly file: string; readonly title: string }> = new Map([
  ['country_capital', { file: 'country-capital.json', title: 'Country → capital' }],
  ['landmark_country', { file: 'landmark-country.json', title: 'Landmark → country' }],
  ['present_past', { file: 'present-past.json', title: 'Present → past' }],
  ['singular_plural', { file: 'singular-plural.json', title: 'Singular → plural' }],
  ['capitalize_first_letter', { file: 'capitalize_first_letter.json', title: 'First letter, upper case' }],
  ['lowercase_first_letter', { file: 'lowercase_first_letter.json', title: 'First letter, lower case' }],
]);

/**
 * The pairs of a task, as they stand in its JSON file: a list of objects with the texts `input` and `output`.
 * A name that is not one of the six is looked up as `<name>.json`. Throws with file, index, field, expected
 * and found.
 */
export function readTaskPairs(name: string, folder: string): TaskPair[] {
  const file = path.join(folder, taskFileName(name));
  if (!fs.existsSync(file)) {
    const there = taskNames(folder).join(', ') || 'none';
    throw new Error(`task ${name}: ${file} is missing; tasks in this folder: ${there}`);
  }
  const pairs = readJson(file);
  if (!Array.isArray(pairs) || pairs.length === 0) {
    throw new Error(`${file}: expected a list of at least one pair, found ${describe(pairs)}`);
  }
  return pairs.map((pair: unknown, index) => {
    if (typeof pair !== 'object' || pair === null || Array.isArray(pair)) {
      throw new Error(`${file}: pair ${index}: expected an object, found ${describe(pair)}`);
    }
    const fields = new Map<string, unknown>(Object.entries(pair));
    const textOf = (field: string): string => textField(fields, field, `${file}: pair ${index}: ${field}`);
    return { input: textOf('input'), output: textOf('output') };
  });
}

/** The file of a task's list inside its folder. Throws where the name could not be one. */
export function taskFileName(name: string): string {
  if (!/^[\w-]+$/.test(name)) {
    throw new Error(`task name: expected letters, digits, _ and -, found ${JSON.stringify(name)}`);
  }
  return knownTasks.get(name)?.file ?? `${name}.json`;
}

/** The tasks whose lists lie in a folder: the paper's first, then all others by name. */
export function taskNames(folder: string): string[] {
  const files = new Set(fs.existsSync(folder) ? fs.readdirSync(folder) : []);
  const paper = [...knownTasks].flatMap(([name, { file }]) => (files.delete(file) ? [name] : []));
  const others = [...files].filter((file) => /^[\w-]+\.json$/.test(file)).sort();
  return [...paper, ...others.map((file) => file.slice(0, -'.json'.length))];
}

function textField(fields: ReadonlyMap<string, unknown>, field: string, where: string): string {
  const value = fields.get(field);
  if (typeof value !== 'string' || value.trim() === '') {
    throw new Error(`${where}: expected a text that is not empty, found ${describe(value)}`);
  }
  return value;
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? 'nothing' : text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/**
 * Which of `count` pairs train and which test: of the order
 * `numpy.random.default_rng(seed).permutation(count)` the first fifth, rounded up, tests and the rest, in
 * that order, trains. Seed 42 gives the paper's split.
 */
export function splitIndices(count: number, seed = 42): { train: number[]; test: number[] } {
  if (!Number.isSafeInteger(count) || count < 2) {
    throw new Error(`split: count: expected at least 2 pairs, found ${count}`);
  }
  const order = createRandom(seed).permutation(count);
  const testCount = Math.ceil(count / 5); // count / 5, as 0.2 · count can round up past a whole number
  return { train: order.slice(testCount), test: order.slice(0, testCount) };
}

/**
 * Read, split and tokenise a task. `limit` keeps the first `limit` training examples and the first `limit /
 * 4`, rounded up, test examples, for trials. Throws where the list has fewer than `limit` to train on.
 */
export function loadTask(
  name: string, options: { readonly folder: string; readonly template: Template; readonly limit?: number },
): Task {
  const { folder, template, limit } = options;
  if (limit !== undefined && !(limit >= 1)) {
    throw new Error(`task ${name}: limit: expected at least 1, found ${limit}`);
  }
  const pairs = readTaskPairs(name, folder);
  const { train, test } = splitIndices(pairs.length);
  if (limit !== undefined && limit > train.length) {
    throw new Error(`task ${name}: examples: expected at most ${train.length}, which its list of ${pairs.length} ` +
      `has for training, found ${limit}`);
  }
  const examplesOf = (indices: readonly number[], count: number): Example[] =>
    indices.slice(0, count).map((index) => exampleOf(pairs[index], template));
  return {
    name,
    title: knownTasks.get(name)?.title ?? name.replace(/[_-]+/g, ' '),
    train: examplesOf(train, limit ?? train.length),
    test: examplesOf(test, Math.ceil((limit ?? Infinity) / 4)),
  };
}

/** The tokens of one pair under a template. */
export function exampleOf(pair: TaskPair, template: Template): Example {
  const { input, output } = pair;
  const text = `Input: ${input}\nLabel:`;
  switch (template) {
    case 'trailing-space':
      return { input, output, textTokens: encode(`${text} `), labelTokens: encode(output) };
    case 'plain':
      return { input, output, textTokens: encode(text), labelTokens: encode(` ${output}`) };
    default:
      throw new Error(`template: expected 'trailing-space' or 'plain', found ${JSON.stringify(template)}`);
  }
}

/**
 * The batches of one epoch: all of 0 … trainCount − 1 in a shuffled order, cut into `batchSize`; the last
 * batch may be smaller. The order depends on seed, task and epoch alone, so that a run gives the same in a
 * grid and alone.
 */
export function epochBatches(
  trainCount: number, batchSize: number, seed: number, task: string, epoch: number,
): number[][] {
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new Error(`batches: batchSize: expected a whole number from 1, found ${batchSize}`);
  }
  const order = createRandom([seed, epoch, ...Buffer.from(task, 'utf8')]).permutation(trainCount);
  const batches: number[][] = [];
  for (let start = 0; start < trainCount; start += batchSize) {
    batches.push(order.slice(start, start + batchSize));
  }
  return batches;
}
