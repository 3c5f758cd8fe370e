import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';

import {
  checkExperiment, checkTasks, configure, parameter, PRESET_NAMES, type Experiment,
} from '../lib/experiment';
import { projectFolder, readJson } from '../lib/files';
import { readSetting, SETTING_NAMES, settingText } from '../lib/settings';
import { TASK_NAMES } from '../lib/tasks';

const nothing: NodeJS.ProcessEnv = {};

test('The presets differ as the paper\'s text, its authors\' code and the trials do.', () => {
  assert.deepEqual(PRESET_NAMES, ['tiny', 'demo', 'paper', 'authors']);
  const [tiny, demo, paper, authors] = PRESET_NAMES.map((name) => configure(name, {}, nothing));
  // paper.txt, "Experiments": GPT-XL, 6 tasks, 10 words, 4 tokens, 50 epochs, batch 8, Adam at 1e-3
  assert.equal(paper.model, 'openai-community/gpt2-xl');
  assert.deepEqual(paper.tasks, TASK_NAMES);
  assert.deepEqual(paper.words, ['cat', 'dog', 'bird', 'book', 'house', 'chair', 'table', 'pen', 'paper', 'water']);
  assert.deepEqual(
    [paper.promptTokens, paper.epochs, paper.batchSize, paper.learningRate, paper.newTokens], [4, 50, 8, 1e-3, 5]);
  assert.deepEqual([paper.weightDecay, paper.dropout], [0, 0]);
  assert.equal(paper.template, 'plain');
  // the authors' code: AdamW with PyTorch's weight decay, GPT-2's dropout left on, "Label: " with its space
  assert.deepEqual(
    authors, { ...paper, preset: 'authors', weightDecay: 0.01, dropout: 0.1, template: 'trailing-space' });
  assert.deepEqual([demo.model, demo.data, demo.dropout], ['embedded', 'embedded', 0]);
  assert.ok(tiny.examples !== null && tiny.examples < 50 && tiny.epochs < 5);
  for (const preset of [tiny, demo, paper, authors]) assert.deepEqual(checkExperiment(preset, 'here'), preset);
});

test('Overrides change the preset, and environment variables change both.', () => {
  const overridden = configure('demo', { epochs: 3, words: ['cat'] }, nothing);
  assert.deepEqual(overridden, { ...configure('demo', {}, nothing), epochs: 3, words: ['cat'] });
  const environment = {
    SOFT_PROMPTS_MODEL: '/models/x', SOFT_PROMPTS_DATA: 'function-vectors', SOFT_PROMPTS_EPOCHS: '7',
    SOFT_PROMPTS_TASKS: 'present_past, singular_plural', SOFT_PROMPTS_WORDS: 'dog,pen', SOFT_PROMPTS_SEEDS: '1,2',
    SOFT_PROMPTS_BATCH_SIZE: '16', SOFT_PROMPTS_LEARNING_RATE: '1e-2', SOFT_PROMPTS_WEIGHT_DECAY: '0',
    SOFT_PROMPTS_DROPOUT: '0.2', SOFT_PROMPTS_TEMPLATE: 'plain', SOFT_PROMPTS_PROMPT_TOKENS: '5',
    SOFT_PROMPTS_EXAMPLES: '20', SOFT_PROMPTS_RUNS_PER_STEP: '2', SOFT_PROMPTS_NEW_TOKENS: '3',
    SOFT_PROMPTS_REVISION: 'v1', SOFT_PROMPTS_EPSILON: '0.5',
  };
  assert.deepEqual(configure('demo', { epochs: 3 }, environment), {
    preset: 'demo', model: '/models/x', revision: 'v1', data: 'function-vectors', tasks: ['present_past', 'singular_plural'],
    words: ['dog', 'pen'], seeds: [1, 2], promptTokens: 5, epochs: 7, batchSize: 16, learningRate: 0.01,
    weightDecay: 0, dropout: 0.2, template: 'plain', newTokens: 3, examples: 20, runsPerStep: 2,
  });
  assert.deepEqual(configure('demo', {}, { SOFT_PROMPTS_EPOCHS: '' }), configure('demo', {}, nothing));
});

/** What `configure` says against overrides that have no right types. */
function refusal(overrides: Record<string, unknown>): string {
  try {
    configure('demo', overrides as Partial<Experiment>, nothing);
  } catch (error) {
    return (error as Error).message;
  }
  return assert.fail(`not refused: ${JSON.stringify(overrides)}`);
}

test('An unknown preset is refused with those there are.', () => {
  assert.throws(
    () => configure('huge', {}, nothing), { message: 'preset: huge, expected one of tiny, demo, paper, authors' });
  assert.throws(() => configure('toString', {}, nothing), /preset: toString/);
});

test('Each wrong field is refused with its name and what was found.', () => {
  const cases: [Record<string, unknown>, string | RegExp][] = [
    [{ epoch: 3 }, /^epoch: there is no such setting; there are model, .*epochs, .*runsPerStep$/],
    [{ epochs: '3' }, 'epochs: expected a whole number from 1 to 10000, found "3"'],
    [{ epochs: 0 }, 'epochs: expected a whole number from 1 to 10000, found 0'],
    [{ epochs: 2.5 }, 'epochs: expected a whole number from 1 to 10000, found 2.5'],
    [{ epochs: undefined }, 'epochs: expected a whole number from 1 to 10000, found nothing'],
    [{ learningRate: -1 }, 'learningRate: expected a number above 0, found -1'],
    [{ learningRate: NaN }, 'learningRate: expected a number above 0, found NaN'],
    [{ learningRate: Infinity }, 'learningRate: expected a number above 0, found Infinity'],
    [{ dropout: 1 }, 'dropout: expected a number from 0 to below 1, found 1'],
    [{ weightDecay: -0.1 }, 'weightDecay: expected a number from 0 on, found -0.1'],
    [{ batchSize: 0 }, 'batchSize: expected a whole number from 1 to 1024, found 0'],
    [{ promptTokens: 0 }, 'promptTokens: expected a whole number from 1 to 100, found 0'],
    [{ promptTokens: 101 }, 'promptTokens: expected a whole number from 1 to 100, found 101'],
    [{ newTokens: 51 }, 'newTokens: expected a whole number from 1 to 50, found 51'],
    [{ examples: 1 }, 'examples: expected a whole number from 4 on, found 1'],
    [{ runsPerStep: 0 }, 'runsPerStep: expected auto or a whole number from 1 to 1000, found 0'],
    [{ runsPerStep: 'all' }, 'runsPerStep: expected auto or a whole number from 1 to 1000, found "all"'],
    [{ template: 'other' }, 'template: expected plain or trailing-space, found "other"'],
    [{ words: [] }, 'words: expected a list of words, found []'],
    [{ words: 'cat' }, 'words: expected a list of words, found "cat"'],
    [{ words: ['cat', 'cat'] }, 'words: expected no value twice, found ["cat","cat"]'],
    [{ words: ['cat', 3] }, 'words: value 2: expected a word, found 3'],
    [{ words: ['cat', ''] }, "words: value 2: word '' is 0 tokens (), expected 1"],
    [{ tasks: ['../secret'] }, 'tasks: value 1: expected letters, digits, _ and -, found "../secret"'],
    [{ seeds: [0, -1] }, 'seeds: value 2: expected a whole number from 0 on, found -1'],
    [{ seeds: [1, 1] }, 'seeds: expected no value twice, found [1,1]'],
    [{ model: '' }, 'model: expected a name or folder, found ""'],
    [{ revision: 3 }, 'revision: expected a commit, tag or branch, or null, found 3'],
  ];
  for (const [overrides, message] of cases) {
    const found = refusal(overrides).replace(/^configuration: /, '');
    if (typeof message === 'string') assert.equal(found, message);
    else assert.match(found, message);
  }
});

test('A word of several tokens is refused with its tokens, and with those of its forms that are one.', () => {
  // numbers of tokens by GPT2TokenizerFast of transformers 5.23.0
  assert.equal(
    refusal({ words: ['cat', 'armadillo'] }),
    "configuration: words: value 2: word 'armadillo' is 3 tokens (\"arm\" \"ad\" \"illo\"), expected 1");
  assert.match(refusal({ words: ['giraffe'] }), /is 3 tokens .*, expected 1$/);
  assert.match(refusal({ words: ['elephant'] }), /is 2 tokens .*, expected 1; one token: " elephant" or " Elephant"$/);
  assert.match(refusal({ words: [' paris'] }), /is 2 tokens .*, expected 1; one token: "Paris" or " Paris"$/);
  assert.match(refusal({ words: ['nasa'] }), /is 2 tokens .*; one token: " Nasa" or "NASA" or " NASA"$/);
});

test('What stands in files of before gets the neutral value of a setting that is new.', () => {
  const { revision, ...before } = configure('demo', { runsPerStep: 10 }, nothing);
  assert.equal(revision, null);
  assert.deepEqual(checkExperiment(before, 'x'), { ...before, revision: null });
  const file = path.join(projectFolder, 'data', 'runs', 'published', 'experiment.json');
  const { experiment } = readJson(file) as { experiment: object };
  assert.deepEqual(checkExperiment(experiment, file), { ...experiment, revision: null });
});

/** Run `work` with a folder of task lists. */
function withTasks(lists: Record<string, unknown>, work: (folder: string) => void): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-experiment-'));
  try {
    for (const [name, list] of Object.entries(lists)) fs.writeFileSync(path.join(folder, name), JSON.stringify(list));
    work(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

test('Before anything is trained: a task that is not there, too few examples, and a sequence too long are told.', () => {
  const pairs = Array.from({ length: 10 }, (_, i) => ({ input: `in${i}`, output: 'out' }));
  const long = pairs.map((pair, i) => (i === 3 ? { input: 'cat '.repeat(50), output: 'out' } : pair));
  withTasks({ 'mine.json': pairs, 'long.json': long, 'country-capital.json': pairs }, (folder) => {
    const check = (changes: Partial<Experiment>, positions?: number) => (
      checkTasks(configure('demo', { tasks: ['mine'], ...changes }, nothing), folder, positions));
    check({});
    check({ examples: 8 }, 1024);
    assert.throws(() => check({ tasks: ['mine', 'yours'] }), {
      message: `task yours: ${path.join(folder, 'yours.json')} is missing; ` +
        'tasks in this folder: country_capital, long, mine',
    });
    assert.throws(() => check({ examples: 9 }), {
      message: 'task mine: examples: expected at most 8, which its list of 10 has for training, found 9',
    });
    assert.throws(() => check({ tasks: ['mine', 'long'] }, 60), ({ message }: Error) => (
      /^task long: input "cat cat .*: \d+ tokens \(4 of the prompt, \d+ of the text, 4 of the answer\), /.test(message) &&
      message.endsWith("expected at most the model's 60 positions")));
    check({ tasks: ['mine', 'long'] }, 1024);
    // by hand: "Input", ":", " in", digit, newline, "Label", ":", " " are 8 tokens, with 4 of the prompt and 4 of 5 new ones
    check({}, 16);
    assert.throws(() => check({}, 15), /16 tokens \(4 of the prompt, 8 of the text, 4 of the answer\)/);
    assert.throws(() => check({ promptTokens: 5 }, 16), /17 tokens \(5 of the prompt/);
  });
});

test('Text reads as every setting: lists by commas or as JSON, all and main for no limit, auto.', () => {
  const read = (variables: Record<string, string>) => configure('demo', {}, Object.fromEntries(
    Object.entries(variables).map(([name, text]) => [`SOFT_PROMPTS_${name}`, text])));
  assert.deepEqual(read({ WORDS: '[" cat", "dog"]' }).words, [' cat', 'dog']);
  assert.deepEqual(read({ WORDS: 'cat, dog' }).words, ['cat', 'dog']);
  assert.equal(configure('tiny', {}, { SOFT_PROMPTS_EXAMPLES: 'all' }).examples, null);
  assert.equal(configure('demo', { revision: 'v1' }, { SOFT_PROMPTS_REVISION: 'main' }).revision, null);
  assert.equal(configure('demo', { runsPerStep: 3 }, { SOFT_PROMPTS_RUNS_PER_STEP: 'auto' }).runsPerStep, 'auto');
  assert.throws(() => read({ WORDS: '["cat' }), /SOFT_PROMPTS_WORDS: expected a list of words, found "\[\\"cat"/);
});

test('What the text of a setting shows reads as the same setting again.', () => {
  for (const preset of PRESET_NAMES) {
    const experiment = { ...configure(preset, {}, nothing), words: ['cat', ' dog'] };
    for (const name of SETTING_NAMES) {
      assert.deepEqual(readSetting(name, settingText(name, experiment[name]), 'here'), experiment[name], name);
    }
  }
});

test('What is read from a file is checked in the same way, with the file\'s name.', () => {
  assert.throws(() => checkExperiment([], '/runs/x/experiment.json'), /^Error: \/runs\/x\/experiment\.json: .*object/);
  const { words, ...rest } = configure('demo', {}, nothing);
  assert.ok(words.length > 0);
  assert.throws(() => checkExperiment(rest, 'x.json'), /^Error: x\.json: words: expected a list of words, found nothing$/);
});

test('An environment variable that is not of its setting\'s type is refused by name.', () => {
  const refused = (name: string, text: string, message: string) => (
    assert.throws(() => configure('demo', {}, { [`SOFT_PROMPTS_${name}`]: text }), { message: `SOFT_PROMPTS_${name}: ${message}` }));
  refused('EPOCHS', 'many', 'expected a whole number from 1 to 10000, found "many"');
  refused('EPOCHS', '0', 'expected a whole number from 1 to 10000, found 0');
  refused('SEEDS', '1,two', 'value 2: expected a whole number from 0 on, found "two"');
  refused('SEEDS', '1,', 'value 2: expected a whole number from 0 on, found ""');
  refused('LEARNING_RATE', ' ', 'expected a number above 0, found " "');
});

test('A notebook\'s parameter is the cell\'s value, or the environment\'s in the same type.', () => {
  const environment = {
    SOFT_PROMPTS_EPSILON: '0.5', SOFT_PROMPTS_RUN: 'mine', SOFT_PROMPTS_WORDS: 'cat, dog', SOFT_PROMPTS_SEED: '3,4',
  };
  assert.equal(parameter('EPSILON', 0.7, environment), 0.5);
  assert.equal(parameter('EPSILON', 0.7, nothing), 0.7);
  assert.equal(parameter('EPSILON', 0.7, { SOFT_PROMPTS_EPSILON: '' }), 0.7);
  assert.equal(parameter('RUN', 'demo', environment), 'mine');
  assert.deepEqual(parameter('WORDS', ['pen'], environment), ['cat', 'dog']);
  assert.deepEqual(parameter('SEED', [0], environment), [3, 4]);
  assert.throws(
    () => parameter('EPSILON', 0.7, { SOFT_PROMPTS_EPSILON: 'wide' }),
    /SOFT_PROMPTS_EPSILON: expected a number, found wide/);
});
