// The options of `npm start`. Those that change the configuration are lib/settings.ts as flags: --prompt-tokens is
// promptTokens; they reach the notebooks as environment variables. Import after makeLibrary().
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { helpLines, isList, isName, isOneOf, isSomething, readArguments } from './arguments.mjs';
import { library } from './library.mjs';
import { inRoot } from './project.mjs';
import { Problem } from './steps.mjs';

const { PRESET_NAMES, configure } = library('experiment');
const { SETTINGS, SETTING_NAMES, readSetting, settingText, spelled, variableOf } = library('settings');

const isRadius = (text) => (Number(text) > 0 && Number(text) <= 2 ? undefined : 'a number above 0, at most 2');

const SHOWN_PRESETS = ['demo', 'paper', 'authors'].map((name) => [name, configure(name, {}, {})]);

/** What a setting is in the presets that matter: 'demo 8 · paper 8', with the authors' where it is another. */
function valuesOf(name) {
  const [demo, paper, authors] = SHOWN_PRESETS.map(([preset, experiment]) => {
    const text = settingText(name, experiment[name]);
    return { text, shown: `${preset} ${text}` };
  });
  if (demo.text === paper.text && paper.text === authors.text) return `demo, paper, authors: ${demo.text}`;
  const last = authors.text === paper.text ? [] : [authors.shown];
  return [demo.shown, paper.shown, ...last].join(' · ');
}

/** Flags of the settings, in the order of the configuration. */
export const SETTING_OPTIONS = SETTING_NAMES.map((name) => {
  const key = spelled(name, '-');
  return {
    usage: `--${key} ${SETTINGS[name].value}`,
    key,
    aliases: name === 'seeds' ? ['seed'] : [],
    setting: name,
    variable: variableOf(name),
    check: (text, flag) => void readSetting(name, text, `${flag} ${text}`),
    help: SETTINGS[name].help,
    more: valuesOf(name),
  };
});

// prettier-ignore
const OTHER_OPTIONS = [
  ['--preset NAME', 'PRESET', isOneOf(...PRESET_NAMES),
    `${PRESET_NAMES.join(', ')}: what is trained, before the settings below change it (default: demo)`],
  ['--run NAME', 'RUN', isName,
    'folder under data/runs (default: the preset and the changed settings, e.g. demo-epochs-10)'],
  ['--only NUMBERS', undefined, isList, 'only these notebooks, e.g. 02,04'],
  ['--epsilon X', 'EPSILON', isRadius,
    'radius of a neighbourhood, cosine distance (default 0.7; the paper 0.7, its code 0.5)'],
  ['--backend NAME', 'BACKEND', isOneOf('auto', 'native', 'wasm', 'cpu'),
    'auto (default), native, wasm or cpu'],
  ['--output DIR', undefined, isSomething,
    'folder for executed notebooks and figures (default: data/runs/RUN)'],
].map(([usage, variable, check, help]) => {
  const key = usage.split(' ')[0].slice('--'.length);
  return { usage, key, variable: variable && `SOFT_PROMPTS_${variable}`, check, help };
});

/** Options that say which notebooks run and of which preset, without changing what the preset is. */
const KEEP_PRESET = ['preset', 'only'];
/** Options that change nothing of what is trained. */
const KEEP_RUN = [...KEEP_PRESET, 'run', 'epsilon', 'output'];
/** Options whose value may be a folder. */
const NAMES_FOLDER = ['model', 'data'];

export const OPTIONS = [...OTHER_OPTIONS, ...SETTING_OPTIONS];

export const START_USAGE = [
  'npm start -- [options]   runs the notebooks in order',
  '',
  ...helpLines(OTHER_OPTIONS),
  `  ${'--help'.padEnd(22)} this list`,
  '',
  'What is trained; below each setting its value in the presets:',
  '',
  ...helpLines(SETTING_OPTIONS),
  '',
  'Without options the notebooks in notebooks/ and the figures in figures/ are made anew, in place.',
  'On a laptop, for instance: npm start -- --model gpt2 --words cat,water --epochs 10',
].join('\n');

/** The options of `npm start` by key, checked one by one. Throws a Problem where one is wrong. */
export function parseOptions(args) {
  const { values, rest } = readArguments(args, OPTIONS, START_USAGE);
  if (rest.length > 0) throw new Problem(`unknown option ${rest[0]}\n\n${START_USAGE}`);
  return values;
}

/**
 * What a run with these options is: { run, inPlace, output, environment }. Only the plain demo is written in
 * place; any other goes to the folder of its run, so that the committed notebooks keep showing what the
 * README says.
 */
export function planRun(values) {
  const preset = values.preset ?? 'demo';
  const inPlace = preset === 'demo' && Object.keys(values).every((key) => KEEP_PRESET.includes(key));
  const run = values.run ?? runName(preset, values);
  const folder = values.output ? fromHere(values.output) : inRoot('data', 'runs', run);
  const environment = {
    SOFT_PROMPTS_PRESET: preset,
    SOFT_PROMPTS_RUN: run,
    SOFT_PROMPTS_FIGURES: inPlace ? inRoot('figures') : path.join(folder, 'figures'),
    ...settingsEnvironment(values, OPTIONS),
  };
  return { run, inPlace, output: inPlace ? undefined : path.join(folder, 'notebooks'), environment };
}

/** The environment variables by which options reach lib. */
export function settingsEnvironment(values, options = SETTING_OPTIONS) {
  const given = options.filter(({ key, variable }) => variable && key in values);
  return Object.fromEntries(
    given.map(({ key, variable }) => [
      variable,
      NAMES_FOLDER.includes(key) ? asFolder(values[key]) : values[key],
    ]),
  );
}

/** The preset and what is changed of it, so that another configuration gets another folder; short and plain. */
function runName(preset, values) {
  const changed = OPTIONS.filter(({ key }) => key in values && !KEEP_RUN.includes(key));
  const parts = changed.map(({ key }) => `${key}-${values[key]}`);
  const full = [preset, ...parts].join('-');
  const plain = full.replace(/[^A-Za-z0-9.]+/g, '-').replace(/^-|-$/g, '');
  if (parts.length === 0 || plain.length <= 60) return plain;
  return `${plain.slice(0, 50)}-${createHash('sha256').update(full).digest('hex').slice(0, 8)}`;
}

/** npm changes to the project's folder; paths are meant from where the user was. */
export const fromHere = (file) => path.resolve(process.env.INIT_CWD ?? process.cwd(), file);

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
