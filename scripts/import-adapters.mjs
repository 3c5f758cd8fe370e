// npm run import-adapters -- FOLDER... --run NAME [options]: adapter folders of PEFT as a run for the notebooks.
import { helpLines, isName, isOneOf, isSomething, isWhole, readArguments } from './lib/arguments.mjs';
import { asProblem, library, makeLibrary } from './lib/library.mjs';
import { shown } from './lib/project.mjs';
import { Problem, runMain } from './lib/steps.mjs';

/** Settings that decide how adapters are evaluated. */
const EVALUATION = ['model', 'revision', 'data', 'template', 'batchSize', 'newTokens', 'examples'];

// prettier-ignore
const OWN_OPTIONS = [
  { usage: '--run NAME', key: 'run', check: isName, help: 'run to make under data/runs' },
  { usage: '--task NAME', key: 'task', check: isSomething,
    help: 'task, where neither soft-prompts.json nor the path says it' },
  { usage: '--word WORD', key: 'word', check: isSomething, help: 'initial word, likewise' },
  { usage: '--seed N', key: 'seed', check: isWhole(0), help: 'seed, likewise' },
];

await runMain(async () => {
  await makeLibrary();
  const { SETTING_OPTIONS, fromHere, settingsEnvironment } = await import('./lib/options.mjs');
  const { PRESET_NAMES } = library('experiment');
  // prettier-ignore
  const preset = {
    usage: '--preset NAME', key: 'preset', check: isOneOf(...PRESET_NAMES),
    help: 'what the settings below are for adapters that were not exported here (default: demo)' };
  const settings = SETTING_OPTIONS.filter(({ setting }) => EVALUATION.includes(setting));
  const options = [...OWN_OPTIONS, preset, ...settings];
  const usage = usageOf([...OWN_OPTIONS, preset], settings);
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    console.log(usage);
    return;
  }
  const { values, rest } = readArguments(args, options, usage);
  if (!values.run) throw new Problem(`--run NAME is missing: ${OWN_OPTIONS[0].help}`);
  if (rest.length === 0) throw new Problem(`FOLDER is missing: adapter folders, or a folder of them\n\n${usage}`);
  await asProblem(() => importAll(values, rest.map(fromHere), settingsEnvironment(values)));
});

function usageOf(own, settings) {
  return [
    'npm run import-adapters -- FOLDER... --run NAME [options]   reads adapters of Hugging Face PEFT into a run',
    '',
    'FOLDER is an adapter folder, or a folder with such inside, as export-adapters writes them. The run has one',
    'epoch; its losses and accuracy are measured here. Notebooks 04 to 06 open it with --run NAME.',
    '',
    ...helpLines(own),
    `  ${'--help'.padEnd(22)} this list`,
    '',
    'How they are evaluated, by default as the run they were exported from; below each its value in the presets:',
    '',
    ...helpLines(settings),
  ].join('\n');
}

async function importAll({ run, preset, task, word, seed }, folders, environment) {
  const { commonExperiment, findAdapters, importAdapters } = library('adapter-import');
  const given = { task, word, seed: seed && Number(seed) };
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const found = findAdapters(folders, known);
  const base = preset ? {} : commonExperiment(found);
  const experiment = library('experiment').configure(preset ?? 'demo', base ?? {}, environment);
  showWords(found);
  const { progressBar } = library('display');
  let bar;
  const grid = await importAdapters(run, found, experiment, (done, total, note) => {
    bar ??= progressBar('evaluating', total);
    bar.update(done, note);
  });
  bar?.finish();
  console.log(`${grid.runs.length} runs in ${shown(grid.folder)}; next: npm start -- --run ${run} --only 04,05,06`);
}

function showWords(found) {
  const { singleToken } = library('tokenizer');
  const words = [...new Set(found.map(({ word }) => word))];
  for (const word of words) console.log(`${JSON.stringify(word)}: token ${singleToken(word)}`);
}
