import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { configure } from '../lib/experiment';
import { runFolder } from '../lib/run-names';
import { readGrid } from '../lib/runs';

const root = join(__dirname, '..');

interface Plan {
  readonly inPlace: boolean;
  readonly output?: string;
  readonly environment: Readonly<Record<string, string>>;
}
interface Options {
  readonly START_USAGE: string;
  parseOptions(args: readonly string[]): Readonly<Record<string, string>>;
  planRun(values: Readonly<Record<string, string>>): Plan;
  chooseNotebooks(files: readonly string[], only?: string): string[];
}
interface Project {
  nodeProblem(version: string): string | undefined;
}

/** scripts/*.mjs are plain JavaScript without types; the caller names what it uses. */
const load = async <Module>(name: string): Promise<Module> =>
  (await import(pathToFileURL(join(root, 'scripts', 'lib', name)).href)) as Module;

const temporary = mkdtempSync(join(tmpdir(), 'soft-prompts-scripts-'));
after(() => rmSync(temporary, { recursive: true, force: true }));

let options: Options;
before(async () => {
  options = await load<Options>('options.mjs');
});

const plan = (...args: string[]) => options.planRun(options.parseOptions(args));

test('Without options the demo runs in place.', () => {
  const { inPlace, output, environment } = plan();
  assert.equal(inPlace, true);
  assert.equal(output, undefined);
  assert.deepEqual(environment, {
    SOFT_PROMPTS_PRESET: 'demo',
    SOFT_PROMPTS_RUN: 'demo',
    SOFT_PROMPTS_FIGURES: join(root, 'figures'),
  });
});

test('A demo with other settings leaves the committed notebooks alone.', () => {
  const { inPlace, output, environment } = plan('--epochs=3', '--words', 'cat,dog', '--run', 'short');
  assert.equal(inPlace, false);
  assert.equal(output, join(root, 'data', 'runs', 'short', 'notebooks'));
  assert.equal(environment.SOFT_PROMPTS_FIGURES, join(root, 'data', 'runs', 'short', 'figures'));
  assert.equal(environment.SOFT_PROMPTS_EPOCHS, '3');
  assert.equal(environment.SOFT_PROMPTS_WORDS, 'cat,dog');
  assert.equal(environment.SOFT_PROMPTS_RUN, 'short');
});

test('A folder reaches the notebooks, which run elsewhere, by its whole path; a name stays a name.', () => {
  assert.equal(plan('--model', 'tests').environment.SOFT_PROMPTS_MODEL, join(root, 'tests'));
  assert.equal(plan('--model', 'no-such/folder').environment.SOFT_PROMPTS_MODEL, 'no-such/folder');
});

test('A wrong option is refused with its name, its value and what was expected.', () => {
  const refused = (args: readonly string[], message: RegExp) =>
    assert.throws(() => options.parseOptions(args), message);
  refused(['--epoch', '3'], /^Error: unknown option --epoch\n[^]*--epochs N/);
  refused(['cat'], /^Error: unknown option cat\n/);
  refused(['--epochs', '0'], /^Error: --epochs 0: expected a whole number from 1 to 10000, found 0$/);
  refused(['--epochs=many'], /^Error: --epochs many: expected a whole number from 1 to 10000, found "many"$/);
  refused(['--learning-rate', '-1'], /^Error: --learning-rate -1: expected a number above 0, found -1$/);
  refused(['--seeds', '0,x'], /^Error: --seeds 0,x: value 2: expected a whole number from 0 on, found "x"$/);
  refused(['--words', 'cat,elephant'], /^Error: --words cat,elephant: value 2: .* is 2 tokens .*one token: " elephant"/);
  refused(['--tasks', 'a b'], /^Error: --tasks a b: value 1: expected letters, digits, _ and -, found "a b"$/);
  refused(['--runs-per-step', 'all'], /^Error: --runs-per-step all: expected auto or a whole number/);
  refused(['--epsilon', '3'], /^Error: --epsilon 3: expected a number above 0, at most 2$/);
  refused(['--preset', 'big'], /^Error: --preset big: expected one of tiny, demo, paper, authors$/);
  refused(['--run', '../x'], /^Error: --run \.\.\/x: expected letters/);
  refused(['--seed'], /^Error: --seed needs a value/);
  refused(['--seed', '1', '--seeds', '2'], /^Error: --seeds is given twice/);
});

test('--help lists every setting with its value in the demo and in the paper.', () => {
  const { START_USAGE: usage } = options;
  const demo = configure('demo', {}, {});
  const paper = configure('paper', {}, {});
  const settings = usage.slice(usage.indexOf('--model')).split(/\n(?= {2}--)/);
  const names = Object.keys(demo).filter((name) => name !== 'preset');
  assert.equal(settings.length, names.length);
  names.forEach((name, i) => {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    assert.ok(settings[i].startsWith(i === 0 ? `--${flag} ` : `  --${flag} `), `${flag}: ${settings[i]}`);
  });
  const valueOf = (flag: string) => settings.find((text) => text.includes(`--${flag} `))?.split('\n')[1].trim();
  assert.equal(valueOf('model'), `demo embedded · paper ${paper.model}`);
  assert.equal(valueOf('dropout'), 'demo 0 · paper 0 · authors 0.1');
  assert.equal(valueOf('batch-size'), 'demo, paper, authors: 8');
  assert.equal(valueOf('words'), `demo, paper, authors: ${demo.words.join(',')}`);
});

test('Another configuration gets a run of its own, the same each time, so that no run is in the way.', () => {
  const run = (...args: string[]) => plan(...args).environment.SOFT_PROMPTS_RUN;
  assert.equal(run(), 'demo');
  assert.equal(run('--epsilon', '0.5'), 'demo');
  assert.equal(run('--preset', 'tiny'), 'tiny');
  assert.equal(run('--preset', 'tiny', '--only', '02'), 'tiny');
  assert.equal(
    run('--model', 'gpt2', '--words', 'cat,water', '--epochs', '10'), 'demo-model-gpt2-words-cat-water-epochs-10');
  const long = (words: string) => run('--words', words, '--model', 'openai-community/gpt2-xl', '--learning-rate', '1e-3');
  const name = long('cat,dog,water');
  assert.match(name, /^demo-model-openai-community-gpt2-xl-words-cat-dog.*-[0-9a-f]{8}$/);
  assert.ok(name.length <= 60);
  assert.notEqual(name, long('cat,dog,pen'));
  assert.equal(name, long('cat,dog,water'));
  assert.doesNotThrow(() => options.parseOptions(['--run', name]));
});

test('Notebooks are chosen by their numbers, and a number that is not there is refused.', () => {
  const files = ['/x/01-data-prep.ipynb', '/x/02-prompt-tuning.ipynb', '/x/06-token-review.ipynb'];
  assert.deepEqual(options.chooseNotebooks(files, '6,02'), [files[1], files[2]]);
  assert.deepEqual(options.chooseNotebooks(files), files);
  assert.throws(
    () => options.chooseNotebooks(files, '3'),
    /--only 3: there are the notebooks 01-data-prep\.ipynb/,
  );
});

test('Node 20 and 22 are accepted, 18 and 23 refused by a line that names the version.', async () => {
  const { nodeProblem } = await load<Project>('project.mjs');
  assert.equal(nodeProblem('20.20.2'), undefined);
  assert.equal(nodeProblem('22.1.0'), undefined);
  assert.match(nodeProblem('18.20.0') ?? '', /Node 18\.20\.0 is not supported: use Node 20 or 22/);
  assert.match(nodeProblem('23.0.0') ?? '', /Node 23\.0\.0/);
});

test('What the command line sets is what lib reads from the environment.', () => {
  const given = {
    seeds: [1, 2], batchSize: 4, dropout: 0.1, template: 'plain', promptTokens: 2, weightDecay: 0,
    learningRate: 1e-4, examples: 8, runsPerStep: 3, words: ['cat', ' dog'], tasks: ['present_past'], epochs: 3,
    model: 'm', revision: 'v1', data: 'd', newTokens: 3,
  };
  const args = '--preset tiny --seed 1,2 --batch-size 4 --dropout 0.1 --template plain --prompt-tokens 2 ' +
    '--weight-decay 0 --learning-rate 1e-4 --examples 8 --runs-per-step 3 --tasks present_past --epochs 3 ' +
    '--model m --revision v1 --data d --new-tokens 3';
  const { environment } = plan(...args.split(' '), '--words', '["cat"," dog"]');
  assert.deepEqual(configure('tiny', {}, environment), { preset: 'tiny', ...given });
});

test('A setting left in the shell is not one of npm start; what belongs to the machine stays.', async () => {
  const { isSetting } = await load<{ isSetting(name: string): boolean }>('notebooks.mjs');
  const names = ['SOFT_PROMPTS_EPOCHS', 'SOFT_PROMPTS_BACKEND', 'SOFT_PROMPTS_TEST_KILLS', 'PATH'];
  assert.deepEqual(names.map(isSetting), [true, false, false, false]);
});

interface Output {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const script = (name: string, ...args: string[]): Output =>
  spawnSync(process.execPath, [join(root, 'scripts', name), ...args], {
    encoding: 'utf8',
    env: { ...process.env, INIT_CWD: temporary },
  });

test('npm start refuses a task or examples that the data do not have, before set-up.', () => {
  // notebook 99 is not there: should the check fail, nothing is run
  const task = script('start.mjs', '--only', '99', '--tasks', 'present_past,antonym');
  assert.equal(task.status, 1);
  assert.match(task.stderr, /^task antonym: .*antonym\.json is missing; tasks in this folder: country_capital, /);
  assert.equal(task.stderr.trim().split('\n').length, 1);
  const examples = script('start.mjs', '--only', '99', '--examples', '158');
  assert.match(examples.stderr, /^task country_capital: examples: expected at most 157, .*found 158\n$/);
});

test('Adapters are exported by a command, which shows the tokens of the initial text.', () => {
  const help = script('export-adapters.mjs', '--help');
  assert.equal(help.status, 0);
  for (const flag of ['--run', '--task', '--word', '--seed', '--epoch', '--out', '--base']) assert.ok(help.stdout.includes(flag));
  const args = ['--run', 'published', '--out', 'adapters', '--epoch', '2', '--base', 'openai-community/gpt2'];
  const { status, stdout, stderr } = script('export-adapters.mjs', ...args, '--task', 'present_past', '--word', 'cat,water');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^"cat": initial text "catcatcatcat", tokens 9246 9246 9246 9246\n"water": .* 7050 7050 7050 7050\n2 adapters/m);
  const folder = join(temporary, 'adapters', 'present_past', 'water-0');
  assert.deepEqual(readdirSync(folder).sort(), ['adapter_config.json', 'adapter_model.safetensors', 'soft-prompts.json']);
  const refused = script('export-adapters.mjs', '--run', 'published', '--task', 'antonym');
  assert.deepEqual([refused.status, refused.stdout], [1, '']);
  assert.match(refused.stderr, /^run published: task: expected country_capital, .*, found "antonym"\n$/);
  assert.match(script('export-adapters.mjs').stderr, /^--run NAME is missing/);
});

test('The page of all figures is written by a command into a folder of figures.', () => {
  assert.match(script('figures.mjs', '--help').stdout, /^npm run figures \[-- FOLDER\]/);
  const empty = script('figures.mjs', temporary);
  assert.deepEqual([empty.status, empty.stdout], [1, '']);
  assert.match(empty.stderr, /: no exported figure or table\n$/);
  const folder = join(temporary, 'figures');
  mkdirSync(folder);
  writeFileSync(join(folder, 'figure-1.svg'), '<svg width="1"><desc>One</desc></svg>');
  const { status, stdout, stderr } = script('figures.mjs', folder);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^written: .*README\.md\n$/);
  assert.match(readFileSync(join(folder, 'README.md'), 'utf8'), /^## One$/m);
  assert.match(script('figures.mjs', '--all').stderr, /^unknown option --all/);
});

test('Adapters are imported by a command into a run, which shows their tokens and says what is wrong.', () => {
  const help = script('import-adapters.mjs', '--help');
  assert.equal(help.status, 0);
  for (const flag of ['--run', '--task', '--word', '--seed', '--preset', '--model', '--data']) assert.ok(help.stdout.includes(flag));
  const run = `test-${process.pid}-command`;
  script('export-adapters.mjs', '--run', 'published', '--out', 'one', '--task', 'singular_plural', '--word', 'cat');
  try {
    const { status, stdout, stderr } = script('import-adapters.mjs', 'one', '--run', run, '--examples', '8');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^"cat": token 9246$/m);
    assert.match(stdout, /1 runs in data\/runs\/test-/);
    assert.equal(readGrid(run).runs[0].metrics.length, 1);
    const again = script('import-adapters.mjs', 'one', '--run', run, '--examples', '12');
    assert.equal(again.status, 1);
    assert.match(again.stderr, /examples: this run was made with 8, now asked for 12; mend: choose another run name/);
  } finally {
    rmSync(runFolder(run), { recursive: true, force: true });
  }
  assert.match(script('import-adapters.mjs', '--run', run).stderr, /^FOLDER is missing/);
  assert.match(script('import-adapters.mjs', 'one').stderr, /^--run NAME is missing/);
  assert.match(script('import-adapters.mjs', 'none', '--run', run).stderr, /none: expected an adapter folder .*\n$/);
});
