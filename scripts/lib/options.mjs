// The options of `npm start` and the environment variables by which they reach the notebooks: the one table
// of both.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot } from './project.mjs';
import { Problem } from './steps.mjs';

const whole = (least) => (text) =>
  /^\d+$/.test(text) && Number(text) >= least ? undefined : `a whole number from ${least} on`;
const positive = (text) =>
  Number(text) > 0 && Number.isFinite(Number(text)) ? undefined : 'a number above 0';
const fraction = (text) =>
  /^\d*\.?\d+$/.test(text) && Number(text) < 1 ? undefined : 'a number from 0 to below 1';
const seeds = (text) =>
  /^\d+(,\d+)*$/.test(text) ? undefined : 'whole numbers from 0 on, separated by commas';
const list = (text) =>
  /^[^,\s]+(,[^,\s]+)*$/.test(text) ? undefined : 'names separated by commas, without spaces';
const name = (text) =>
  /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text) ? undefined : 'letters, digits, dots, - and _';
const something = (text) => (text.trim() ? undefined : 'something');
const oneOf =
  (...names) =>
  (text) =>
    names.includes(text) ? undefined : `one of ${names.join(', ')}`;

// Option and value; variable (SOFT_PROMPTS_…); check, which returns what it expected of a wrong value; help.
// prettier-ignore
const TABLE = [
  ['--preset NAME', 'PRESET', oneOf('demo', 'tiny', 'paper', 'authors'),
    'demo (default), tiny, paper or authors'],
  ['--run NAME', 'RUN', name, 'folder under data/runs (default: the name of the preset)'],
  ['--only NUMBERS', undefined, list, 'only these notebooks, e.g. 02,04'],
  ['--model M', 'MODEL', something, 'embedded, a folder, or a Hugging Face name, e.g. openai-community/gpt2'],
  ['--data D', 'DATA', something, "embedded, function-vectors (the paper's lists) or a folder of JSON lists"],
  ['--tasks A,B', 'TASKS', list, 'tasks to train on, e.g. country_capital,present_past'],
  ['--words A,B', 'WORDS', list, 'words the prompts start from, e.g. cat,dog'],
  ['--seed N,M', 'SEED', seeds, 'seeds; one run for each task, word and seed'],
  ['--prompt-tokens N', 'PROMPT_TOKENS', whole(1), 'vectors of a prompt'],
  ['--epochs N', 'EPOCHS', whole(1), 'passes over the training examples'],
  ['--batch-size N', 'BATCH_SIZE', whole(1), 'examples of a step'],
  ['--learning-rate X', 'LEARNING_RATE', positive, 'at the first step; falls linearly to 0'],
  ['--weight-decay X', 'WEIGHT_DECAY', fraction, "AdamW's; 0 makes it Adam"],
  ['--dropout X', 'DROPOUT', fraction, "GPT-2's own, while training"],
  ['--template NAME', 'TEMPLATE', oneOf('plain', 'trailing-space'), 'plain or trailing-space'],
  ['--examples N', 'EXAMPLES', whole(4), 'most training examples of a task'],
  ['--runs-per-step N', 'RUNS_PER_STEP', whole(1), 'runs that train in one step'],
  ['--epsilon X', 'EPSILON', positive, 'radius of a neighbourhood, cosine distance'],
  ['--backend NAME', 'BACKEND', oneOf('auto', 'native', 'wasm', 'cpu'),
    'auto (default), native, wasm or cpu'],
  ['--output DIR', undefined, something,
    'folder for executed notebooks and figures (default: data/runs/RUN)'],
];

/** Options that say which notebooks run and of which preset, without changing what the preset is. */
const KEEP_PRESET = ['preset', 'only'];
/** Options whose value may be a folder. */
const NAMES_FOLDER = ['model', 'data'];

export const OPTIONS = TABLE.map(([usage, variable, check, help]) => ({
  usage,
  key: usage.split(' ')[0].slice('--'.length),
  variable: variable && `SOFT_PROMPTS_${variable}`,
  check,
  help,
}));

export const START_USAGE = [
  'npm start -- [options]   runs the notebooks in order',
  '',
  ...OPTIONS.map(({ usage, help }) => `  ${usage.padEnd(20)} ${help}`),
  `  ${'--help'.padEnd(20)} this list`,
  '',
  'Without options the notebooks in notebooks/ and the figures in figures/ are made anew, in place.',
].join('\n');

/**
 * Reads `--flag value` and `--flag=value`. Throws a Problem that names the option, the value and what was
 * expected.
 */
export function parseOptions(args) {
  const values = {};
  for (let i = 0; i < args.length; i += 1) {
    const [flag, attached] = splitOnce(args[i]);
    const option = OPTIONS.find(({ key }) => `--${key}` === flag);
    if (!option) throw new Problem(`unknown option ${args[i]}\n\n${START_USAGE}`);
    if (option.key in values) throw new Problem(`${flag} is given twice`);
    if (attached === undefined) i += 1;
    const value = attached ?? args[i];
    if (value === undefined || value.startsWith('--')) {
      throw new Problem(`${flag} needs a value: ${option.help}`);
    }
    const expected = option.check(value);
    if (expected) throw new Problem(`${flag} ${value}: expected ${expected}`);
    values[option.key] = value;
  }
  return values;
}

function splitOnce(argument) {
  const at = argument.startsWith('--') ? argument.indexOf('=') : -1;
  return at < 0 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)];
}

/**
 * What a run with these options is: { run, inPlace, output, environment }. Only the plain demo is written in
 * place; any other goes to the folder of its run, so that the committed notebooks keep showing what the
 * README says.
 */
export function planRun(values) {
  const preset = values.preset ?? 'demo';
  const inPlace = preset === 'demo' && Object.keys(values).every((key) => KEEP_PRESET.includes(key));
  const run = values.run ?? preset;
  const folder = values.output ? fromHere(values.output) : inRoot('data', 'runs', run);
  const environment = {
    SOFT_PROMPTS_PRESET: preset,
    SOFT_PROMPTS_RUN: run,
    SOFT_PROMPTS_FIGURES: inPlace ? inRoot('figures') : path.join(folder, 'figures'),
  };
  for (const { key, variable } of OPTIONS) {
    if (!variable || !(key in values)) continue;
    environment[variable] = NAMES_FOLDER.includes(key) ? asFolder(values[key]) : values[key];
  }
  return { run, inPlace, output: inPlace ? undefined : path.join(folder, 'notebooks'), environment };
}

/** npm changes to the project's folder; paths are meant from where the user was. */
const fromHere = (file) => path.resolve(process.env.INIT_CWD ?? process.cwd(), file);

/** Notebooks run in notebooks/, so a folder must reach them by its whole path; other names stay. */
const asFolder = (value) => (fs.existsSync(fromHere(value)) ? fromHere(value) : value);

/**
 * The notebooks whose number is in `only` ('02,04' or '2,4'); all where it is undefined. Refuses unknown
 * numbers.
 */
export function chooseNotebooks(files, only) {
  if (only === undefined) return files;
  const numberOf = (file) => Number(path.basename(file).slice(0, 2));
  for (const text of only.split(',')) {
    if (!files.some((file) => numberOf(file) === Number(text))) {
      throw new Problem(
        `--only ${text}: there are the notebooks ${files.map((file) => path.basename(file)).join(', ')}`,
      );
    }
  }
  const wanted = new Set(only.split(',').map(Number));
  return files.filter((file) => wanted.has(numberOf(file)));
}
