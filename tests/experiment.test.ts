import assert from 'node:assert/strict';
import test from 'node:test';

import { checkExperiment, configure, parameter, PRESET_NAMES, type Experiment } from '../lib/experiment';
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
    SOFT_PROMPTS_TASKS: 'present_past, singular_plural', SOFT_PROMPTS_WORDS: 'dog,pen', SOFT_PROMPTS_SEED: '1,2',
    SOFT_PROMPTS_BATCH_SIZE: '16', SOFT_PROMPTS_LEARNING_RATE: '1e-2', SOFT_PROMPTS_WEIGHT_DECAY: '0',
    SOFT_PROMPTS_DROPOUT: '0.2', SOFT_PROMPTS_TEMPLATE: 'plain', SOFT_PROMPTS_PROMPT_TOKENS: '5',
    SOFT_PROMPTS_EXAMPLES: '20', SOFT_PROMPTS_RUNS_PER_STEP: '2', SOFT_PROMPTS_UNRELATED: 'x',
  };
  assert.deepEqual(configure('demo', { epochs: 3 }, environment), {
    preset: 'demo', model: '/models/x', data: 'function-vectors', tasks: ['present_past', 'singular_plural'],
    words: ['dog', 'pen'], seeds: [1, 2], promptTokens: 5, epochs: 7, batchSize: 16, learningRate: 0.01,
    weightDecay: 0, dropout: 0.2, template: 'plain', newTokens: 5, examples: 20, runsPerStep: 2,
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
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ epoch: 3 }, /^configuration: .*"epoch"$/],
    [{ epochs: '3' }, /^configuration: epochs: .*expected number.*; found "3"$/],
    [{ epochs: 0 }, /^configuration: epochs: .*1.*; found 0$/],
    [{ epochs: 2.5 }, /^configuration: epochs: .*; found 2.5$/],
    [{ learningRate: -1 }, /^configuration: learningRate: .*; found -1$/],
    [{ learningRate: NaN }, /^configuration: learningRate: /],
    [{ learningRate: Infinity }, /^configuration: learningRate: /],
    [{ dropout: 1 }, /^configuration: dropout: .*; found 1$/],
    [{ weightDecay: -0.1 }, /^configuration: weightDecay: .*; found -0.1$/],
    [{ batchSize: 0 }, /^configuration: batchSize: /],
    [{ promptTokens: 0 }, /^configuration: promptTokens: /],
    [{ promptTokens: 101 }, /^configuration: promptTokens: /],
    [{ examples: 1 }, /^configuration: examples: /],
    [{ runsPerStep: 0 }, /^configuration: runsPerStep: /],
    [{ template: 'other' }, /^configuration: template: .*plain.*trailing-space.*; found "other"$/],
    [{ words: [] }, /^configuration: words: /],
    [{ words: 'cat' }, /^configuration: words: .*array.*; found "cat"$/],
    [{ words: ['cat', 'cat'] }, /^configuration: words: expected no value twice; found \["cat","cat"\]$/],
    [{ words: ['cat', ''] }, /^configuration: words\.1: .*; found ""$/],
    [{ tasks: ['../secret'] }, /^configuration: tasks\.0: expected letters, digits, _ and -; found "\.\.\/secret"$/],
    [{ seeds: [0, -1] }, /^configuration: seeds\.1: .*; found -1$/],
    [{ seeds: [1, 1] }, /^configuration: seeds: expected no value twice; found \[1,1\]$/],
    [{ model: '' }, /^configuration: model: /],
  ];
  for (const [overrides, message] of cases) assert.match(refusal(overrides), message);
});

test('A word of several tokens is refused with its tokens.', () => {
  assert.match(
    refusal({ words: ['cat', 'armadillo'] }),
    /word 'armadillo' is 3 tokens \("arm" "ad" "illo"\), expected 1/);
});

test('What is read from a file is checked in the same way, with the file\'s name.', () => {
  assert.throws(() => checkExperiment([], '/runs/x/experiment.json'), /^Error: \/runs\/x\/experiment\.json: .*object/);
  const { words, ...rest } = configure('demo', {}, nothing);
  assert.ok(words.length > 0);
  assert.throws(() => checkExperiment(rest, 'x.json'), /^Error: x\.json: words: .*; found undefined$/);
});

test('An environment variable that is not of its field\'s type is refused by name.', () => {
  const refused = (name: string, text: string) => (
    assert.throws(
      () => configure('demo', {}, { [`SOFT_PROMPTS_${name}`]: text }),
      new RegExp(`SOFT_PROMPTS_${name}: expected a number, found`)));
  refused('EPOCHS', 'many');
  refused('SEED', '1,two');
  refused('SEED', '1,');
  refused('LEARNING_RATE', ' ');
  assert.throws(() => configure('demo', {}, { SOFT_PROMPTS_EPOCHS: '0' }), /configuration: epochs: /);
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
