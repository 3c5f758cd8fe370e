import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { PRESET_NAMES, configure } from '../lib/experiment';

const root = join(__dirname, '..');

interface Plan {
  readonly inPlace: boolean;
  readonly output?: string;
  readonly environment: Readonly<Record<string, string>>;
}
interface Options {
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
  assert.throws(() => options.parseOptions(['--epoch', '3']), /unknown option --epoch\n[^]*--epochs N/);
  assert.throws(
    () => options.parseOptions(['--epochs', '0']),
    /--epochs 0: expected a whole number from 1 on/,
  );
  assert.throws(
    () => options.parseOptions(['--preset', 'big']),
    /--preset big: expected one of demo, tiny, paper, authors/,
  );
  assert.throws(() => options.parseOptions(['--run', '../x']), /--run \.\.\/x: expected letters/);
  assert.throws(() => options.parseOptions(['--seed']), /--seed needs a value/);
  assert.throws(() => options.parseOptions(['--seed', '1', '--seed', '2']), /--seed is given twice/);
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

test('The presets and variables of the command line are those that lib understands.', () => {
  assert.doesNotThrow(() => PRESET_NAMES.forEach((name) => options.parseOptions(['--preset', name])));
  assert.throws(
    () => options.parseOptions(['--preset', 'none']),
    new RegExp(`one of (${PRESET_NAMES.join('|')}|, )+$`),
  );
  const { environment } = plan(
    '--preset',
    'tiny',
    '--seed',
    '1,2',
    '--batch-size',
    '4',
    '--dropout',
    '0.1',
    '--template',
    'plain',
    '--prompt-tokens',
    '2',
    '--weight-decay',
    '0',
    '--learning-rate',
    '1e-4',
    '--examples',
    '8',
    '--runs-per-step',
    '3',
    '--words',
    'cat,dog',
    '--tasks',
    'present_past',
    '--epochs',
    '3',
    '--model',
    'm',
    '--data',
    'd',
  );
  const {
    seeds,
    batchSize,
    dropout,
    template,
    promptTokens,
    weightDecay,
    learningRate,
    examples,
    runsPerStep,
    words,
    tasks,
    epochs,
    model,
    data,
  } = configure('tiny', {}, environment);
  assert.deepEqual(
    {
      seeds,
      batchSize,
      dropout,
      template,
      promptTokens,
      weightDecay,
      learningRate,
      examples,
      runsPerStep,
      words,
      tasks,
      epochs,
      model,
      data,
    },
    {
      seeds: [1, 2],
      batchSize: 4,
      dropout: 0.1,
      template: 'plain',
      promptTokens: 2,
      weightDecay: 0,
      learningRate: 1e-4,
      examples: 8,
      runsPerStep: 3,
      words: ['cat', 'dog'],
      tasks: ['present_past'],
      epochs: 3,
      model: 'm',
      data: 'd',
    },
  );
});
