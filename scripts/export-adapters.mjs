// npm run export-adapters -- --run NAME [options]: runs of a grid as adapter folders for Hugging Face PEFT.
import fs from 'node:fs';
import { helpLines, isList, isName, isSomething, isWhole, readArguments } from './lib/arguments.mjs';
import { asProblem, library, makeLibrary } from './lib/library.mjs';
import { shown } from './lib/project.mjs';
import { Problem, runMain } from './lib/steps.mjs';

// prettier-ignore
const OPTIONS = [
  { usage: '--run NAME', key: 'run', check: isName, help: 'run under data/runs, e.g. demo or published' },
  { usage: '--task A,B', key: 'task', aliases: ['tasks'], check: isList, help: 'only these tasks (default: all)' },
  { usage: '--word A,B', key: 'word', aliases: ['words'], check: isSomething,
    help: 'only these initial words (default: all); a JSON list for words that begin with a space' },
  { usage: '--seed N,M', key: 'seed', aliases: ['seeds'], check: isSomething,
    help: 'only these seeds (default: all)' },
  { usage: '--epoch N', key: 'epoch', check: isWhole(1), help: 'prompts after this epoch (default: the last)' },
  { usage: '--out FOLDER', key: 'out', check: isSomething,
    help: 'where FOLDER/<task>/<word>-<seed>/ go (default: data/runs/NAME/adapters)' },
  { usage: '--base MODEL', key: 'base', check: isSomething,
    help: "folder or Hugging Face name by which Python loads the base model (default: the run's own;",
    more: 'for the embedded model and for folders the whole path on this machine)' },
];

const USAGE = [
  'npm run export-adapters -- --run NAME [options]   writes runs as adapters for Hugging Face PEFT',
  '',
  ...helpLines(OPTIONS),
  `  ${'--help'.padEnd(22)} this list`,
  '',
  'In Python:',
  '  base = PeftConfig.from_pretrained(folder).base_model_name_or_path',
  '  model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)  # as it was trained',
  '  model = PeftModel.from_pretrained(model, folder)',
].join('\n');

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    console.log(USAGE);
    return;
  }
  const { values, rest } = readArguments(args, OPTIONS, USAGE);
  if (rest.length > 0) throw new Problem(`unknown option ${rest[0]}\n\n${USAGE}`);
  if (!values.run) throw new Problem(`--run NAME is missing: ${OPTIONS[0].help}`);
  await makeLibrary();
  await asProblem(() => exportAll(values));
});

async function exportAll({ run, task, word, seed, epoch, out, base }) {
  const { SETTINGS } = library('settings');
  const { fromHere } = await import('./lib/options.mjs');
  const grid = library('runs').readGrid(run);
  const given = (name, text) => (text === undefined ? {} : { [name]: SETTINGS[name].read(text) });
  const written = library('adapter-export').exportAdapters(grid, {
    ...given('tasks', task),
    ...given('words', word),
    ...given('seeds', seed),
    epoch: epoch && Number(epoch),
    folder: out && fromHere(out),
    base: base && (fs.existsSync(fromHere(base)) ? fromHere(base) : base),
  });
  const texts = new Map(written.map(({ word: of, ...rest }) => [of, rest]));
  for (const [of, { initialText, initialTokens }] of texts) {
    const text = JSON.stringify(initialText);
    console.log(`${JSON.stringify(of)}: initial text ${text}, tokens ${initialTokens.join(' ')}`);
  }
  console.log(`${written.length} adapters of run ${run}, e.g. ${shown(written[0].folder)}`);
}
