import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';

import { projectFolder, readJson, sha256File } from '../lib/files';
import { createRandom } from '../lib/random';
import {
  epochBatches, exampleOf, loadTask, readTaskPairs, splitIndices, TASK_NAMES, taskNames, type TaskPair, type Template,
} from '../lib/tasks';
import { decode, encode } from '../lib/tokenizer';

// Token ids by Hugging Face, see tests/reference/tokenizer.py.
const tokenizerFixture = readJson(path.join(__dirname, 'reference/fixtures/tokenizer.json')) as {
  readonly encode: readonly { readonly text: string; readonly ids: readonly number[] }[];
};
const idsOf = new Map(tokenizerFixture.encode.map(({ text, ids }) => [text, ids]));

function withTask(name: string, content: unknown, work: (folder: string, file: string) => void): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-tasks-'));
  try {
    const file = path.join(folder, `${name}.json`);
    fs.writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    work(folder, file);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const numberedPairs = (count: number): TaskPair[] =>
  Array.from({ length: count }, (_, index) => ({ input: `in${index}`, output: `out${index}` }));

test('An example has the authors\' tokens under one template and the paper\'s text under the other.', () => {
  const input = 'Côte d\'Ivoire';
  const trailing = exampleOf({ input, output: 'went' }, 'trailing-space');
  assert.deepEqual(trailing.textTokens, idsOf.get(`Input: ${input}\nLabel: `));
  assert.equal(trailing.textTokens[trailing.textTokens.length - 1], 220); // a lone space
  assert.deepEqual(trailing.labelTokens, idsOf.get('went'));
  const plain = exampleOf({ input, output: 'went' }, 'plain');
  assert.deepEqual(plain.textTokens, idsOf.get(`Input: ${input}\nLabel:`));
  assert.deepEqual(plain.labelTokens, idsOf.get(' went'));
  const wrong = 'none' as Template;
  assert.throws(() => exampleOf({ input, output: 'went' }, wrong), /template: expected .* found "none"/);
});

test('The plain template\'s tokens are those of the whole text; both templates read the same.', () => {
  for (const output of ['Yamoussoukro', 'N\'Djamena', 'children', 'É', 'St. John\'s', '1984']) {
    const pair = { input: 'Saint Kitts and Nevis', output };
    const text = `Input: Saint Kitts and Nevis\nLabel: ${output}`;
    const plain = exampleOf(pair, 'plain');
    assert.deepEqual([...plain.textTokens, ...plain.labelTokens], encode(text));
    const trailing = exampleOf(pair, 'trailing-space');
    assert.equal(decode([...trailing.textTokens, ...trailing.labelTokens]), text);
  }
});

test('A task is split by the seeded order: the first fifth, rounded up, tests.', () => {
  withTask('my_own-task', numberedPairs(11), (folder) => {
    const task = loadTask('my_own-task', { folder, template: 'plain' });
    // numpy 2.4.6: np.random.default_rng(42).permutation(11)
    const order = [6, 7, 0, 10, 3, 5, 2, 4, 9, 1, 8];
    assert.deepEqual(task.test.map(({ input }) => input), order.slice(0, 3).map((index) => `in${index}`));
    assert.deepEqual(task.train.map(({ output }) => output), order.slice(3).map((index) => `out${index}`));
    assert.equal(task.name, 'my_own-task');
    assert.equal(task.title, 'my own task');
    const limited = loadTask('my_own-task', { folder, template: 'plain', limit: 5 });
    assert.deepEqual(limited.train, task.train.slice(0, 5));
    assert.deepEqual(limited.test, task.test.slice(0, 2));
    const empty = { folder, template: 'plain', limit: 0 } as const;
    assert.throws(() => loadTask('my_own-task', empty), /limit: expected at least 1, found 0/);
    assert.equal(loadTask('my_own-task', { folder, template: 'plain', limit: 8 }).train.length, 8);
    assert.throws(
      () => loadTask('my_own-task', { folder, template: 'plain', limit: 9 }),
      { message: 'task my_own-task: examples: expected at most 8, which its list of 11 has for training, found 9' });
  });
});

test('A split has every index once and the paper\'s sizes.', () => {
  // Sizes of the six tasks as published: [pairs, train, test].
  const sizes = [
    [197, 157, 40], [836, 668, 168], [293, 234, 59], [205, 164, 41], [813, 650, 163], [814, 651, 163],
  ];
  for (const [count, trainCount, testCount] of sizes) {
    const split = splitIndices(count);
    assert.equal(split.train.length, trainCount);
    assert.equal(split.test.length, testCount);
    assert.equal(new Set([...split.train, ...split.test]).size, count);
  }
  assert.notDeepEqual(splitIndices(100, 1), splitIndices(100, 2));
  assert.throws(() => splitIndices(1), /split: count: expected at least 2 pairs, found 1/);
});

test('Inputs and outputs are kept exactly, spaces and accents included.', () => {
  const pairs = [{ input: ' é ', output: 'e\u0301' }, { input: 'b', output: ' B' }];
  withTask('kept', pairs, (folder) => assert.deepEqual(readTaskPairs('kept', folder), pairs));
  withTask('country-capital', pairs, (folder) => {
    assert.deepEqual(readTaskPairs('country_capital', folder), pairs);
  });
});

test('A file that is no list of pairs is refused with file, index, field, expected and found.', () => {
  const good = { input: 'a', output: 'b' };
  const cases: [content: unknown, message: string][] = [
    [{}, 'expected a list of at least one pair, found {}'],
    [[], 'expected a list of at least one pair, found []'],
    [null, 'expected a list of at least one pair, found null'],
    [[good, 'x'], 'pair 1: expected an object, found "x"'],
    [[good, null], 'pair 1: expected an object, found null'],
    [[good, ['a', 'b']], 'pair 1: expected an object, found ["a","b"]'],
    [[good, { input: 'a' }], 'pair 1: output: expected a text that is not empty, found nothing'],
    [[{ output: 'a' }], 'pair 0: input: expected a text that is not empty, found nothing'],
    [[{ input: 3, output: 'a' }], 'pair 0: input: expected a text that is not empty, found 3'],
    [[{ input: 'a', output: ['b'] }], 'pair 0: output: expected a text that is not empty, found ["b"]'],
    [[{ input: 'a', output: '' }], 'pair 0: output: expected a text that is not empty, found ""'],
    [[{ input: ' \n', output: 'b' }], 'pair 0: input: expected a text that is not empty, found " \\n"'],
    ['[{"input": "a", "output": "b"},]', 'line 1 column 32: expected a value, found "]"'],
    ['[{"__proto__": {"input": "a", "output": "b"}}]',
      'pair 0: input: expected a text that is not empty, found nothing'],
    ['[{"input": "a", "input": "b", "output": "c"}]',
      'line 1 column 17: expected each name once, found "input" again'],
  ];
  for (const [content, message] of cases) {
    withTask('bad', content, (folder, file) => {
      assert.throws(() => readTaskPairs('bad', folder), { message: `${file}: ${message}` });
    });
  }
});

test('A task\'s name cannot lead out of its folder.', () => {
  withTask('x', [{ input: 'a', output: 'b' }], (folder) => {
    for (const name of ['../x', '/etc/passwd', '', 'a/b', 'a\\b', '..', 'x.json']) {
      assert.throws(() => readTaskPairs(name, folder), /task name: expected letters, digits, _ and -, found/);
    }
    assert.throws(() => readTaskPairs('none', folder), /task none: .*none\.json is missing; tasks in this folder: x$/);
    assert.throws(() => readTaskPairs('constructor', folder), /task constructor: .*constructor\.json is missing/);
  });
});

test('The tasks of a folder are named: the paper\'s in its order, then all other lists.', () => {
  assert.deepEqual(taskNames(path.join(projectFolder, 'data', 'tasks')), TASK_NAMES);
  withTask('zebra', [], (folder) => {
    for (const file of ['present-past.json', 'landmark-country.json', 'ape.json', 'notes.txt', 'a b.json']) {
      fs.writeFileSync(path.join(folder, file), '[]');
    }
    assert.deepEqual(taskNames(folder), ['landmark_country', 'present_past', 'ape', 'zebra']);
    assert.deepEqual(taskNames(path.join(folder, 'none')), []);
  });
});

test('An epoch\'s batches have every example once; the last may be smaller.', () => {
  const batches = epochBatches(19, 8, 1, 'present_past', 3);
  assert.deepEqual(batches.map((batch) => batch.length), [8, 8, 3]);
  const sorted = batches.flat().sort((left, right) => left - right);
  assert.deepEqual(sorted, Array.from({ length: 19 }, (_, index) => index));
  assert.deepEqual(epochBatches(16, 8, 1, 'x', 1).map((batch) => batch.length), [8, 8]);
  assert.deepEqual(epochBatches(3, 8, 1, 'x', 1).map((batch) => batch.length), [3]);
  assert.throws(() => epochBatches(3, 0, 1, 'x', 1), /batchSize: expected a whole number from 1, found 0/);
});

test('The order of an epoch is NumPy\'s for seed, epoch and task, and differs where they do.', () => {
  // np.random.default_rng([1, 3, *b"ab"]).permutation(10), numpy 2.4.6
  assert.deepEqual(epochBatches(10, 10, 1, 'ab', 3), [[8, 1, 3, 0, 9, 4, 5, 6, 2, 7]]);
  assert.deepEqual(epochBatches(10, 10, 1, 'ab', 3), [createRandom([1, 3, 97, 98]).permutation(10)]);
  const orders = new Set<string>();
  for (const seed of [0, 1, 2]) {
    for (const task of TASK_NAMES) {
      for (const epoch of [0, 1, 2, 49]) orders.add(epochBatches(50, 50, seed, task, epoch).join());
    }
  }
  assert.equal(orders.size, 3 * 6 * 4);
});

test('The six tasks that come with the project load under both templates.', () => {
  const folder = path.join(projectFolder, 'data', 'tasks');
  for (const name of TASK_NAMES) {
    for (const template of ['trailing-space', 'plain'] as const) {
      const task = loadTask(name, { folder, template });
      assert.ok(task.test.length >= 30 && task.train.length >= 100, `${name} ${task.train.length}`);
      for (const { input, output, textTokens, labelTokens } of [...task.train, ...task.test]) {
        assert.equal(decode([...textTokens, ...labelTokens]), `Input: ${input}\nLabel: ${output}`);
      }
    }
  }
});

const paperData = process.env.SOFT_PROMPTS_PAPER_DATA;
test('The paper\'s own data give its task sizes and split.', {
  skip: paperData ? false : 'set SOFT_PROMPTS_PAPER_DATA to dataset_files/abstractive of function_vectors',
}, () => {
  // SHA-256 of the files of ericwtodd/function_vectors, commit fb9eac7b6dc7, and the published sizes.
  const published: Record<string, [file: string, sha256: string, train: number, test: number]> = {
    country_capital: ['country-capital',
      '5748cbfb789c2d671f8a88bf8eaa8a800ead77299e34e1d0cafae11b0409782b', 157, 40],
    landmark_country: ['landmark-country',
      'c96fb4514a4b93426150ec499064bcc5988ac11b440af88bde2196a7b474e240', 668, 168],
    present_past: ['present-past',
      'bd6f7d484a967646aa5854740c70803568225f47a5630e1555c39e827ba9c78b', 234, 59],
    singular_plural: ['singular-plural',
      'beac51d02481a63115f0f7879e0dfc8d70244aeaea4d0a8d5193a5b2dfc07b9b', 164, 41],
    capitalize_first_letter: ['capitalize_first_letter',
      '147c3a091f000c21b2512ab8461029881ef05600414a0633078b460da7b9f5b3', 650, 163],
    lowercase_first_letter: ['lowercase_first_letter',
      '7c30a855decdacb5ca108f112dae630f4cca84dbdf13f34deb3f26cb4f85cee9', 651, 163],
  };
  const folder = paperData ?? '';
  for (const name of TASK_NAMES) {
    const [file, sha256, train, tests] = published[name];
    assert.equal(sha256File(path.join(folder, `${file}.json`)), sha256);
    for (const template of ['trailing-space', 'plain'] as const) {
      const task = loadTask(name, { folder, template });
      assert.deepEqual([task.train.length, task.test.length], [train, tests]);
      for (const { input, output, textTokens, labelTokens } of [...task.train, ...task.test]) {
        assert.equal(decode([...textTokens, ...labelTokens]), `Input: ${input}\nLabel: ${output}`);
      }
    }
  }
});
