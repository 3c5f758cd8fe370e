import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { after, before } from 'node:test';

import { exportAdapters, ORIGIN_FILE } from '../lib/adapter-export';
import { commonExperiment, findAdapters, importAdapters, importedExperiment } from '../lib/adapter-import';
import { readAdapter } from '../lib/adapters';
import { startBackend, tf } from '../lib/backend';
import { evaluate } from '../lib/evaluation';
import { configure, type Experiment } from '../lib/experiment';
import { readJson, writeJsonAtomic } from '../lib/files';
import { disposeGpt2, loadGpt2 } from '../lib/gpt2';
import { openRunFolder, provenanceOf } from '../lib/provenance';
import { createRandom } from '../lib/random';
import { groupsOf, runFolder } from '../lib/run-names';
import { promptsOf, readGrid, saveFinished, type Grid } from '../lib/runs';
import { loadTask } from '../lib/tasks';
import { vocabularySize } from '../lib/tokenizer';
import { initialState } from '../lib/tuning';
import { writeTinyModel } from './gpt2-fixtures';

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-grids-'));
const modelFolder = path.join(temporary, 'model');
const dataFolder = path.join(temporary, 'data');
const out = path.join(temporary, 'out');
const nameOf = (name: string) => `test-${process.pid}-${name}`;
const names = ['trained', 'imported', 'single', 'stopped', 'other'].map(nameOf);

const experiment: Experiment = {
  ...configure('tiny', {}, {}), model: modelFolder, data: dataFolder, tasks: ['zoo', 'art'],
  words: ['cat', '/', ' a'], seeds: [5, 0], epochs: 3, batchSize: 4, examples: null, promptTokens: 2,
};
const pairs = Array.from({ length: 10 }, (_, i) => ({ input: `in${i}`, output: 'ab'[i % 2] }));

/** A finished run with random prompts, as training leaves it. */
function makeRun(name: string): Grid {
  const folder = runFolder(name);
  openRunFolder(folder, experiment, provenanceOf({}, 1, 3));
  groupsOf(experiment, 3).forEach((group, g) => {
    const random = createRandom(g);
    const history = [1, 2, 3].map(() => Float32Array.from({ length: 3 * 2 * 8 }, () => random.uniform() - 0.5));
    const metrics = history.map((_, i) => (
      { epoch: i + 1, trainLoss: [1, 2, 3], test: [1, 2, 3].map(() => ({ loss: 4 - i, accuracy: i / 4 })),
        stops: [] }));
    saveFinished(folder, group, { state: initialState(history[2]), history, metrics }, 8, new Float32Array(48));
  });
  return readGrid(name);
}

let grid: Grid;
before(async () => {
  await startBackend({ threads: 1 });
  writeTinyModel(modelFolder, { vocabulary: vocabularySize, dModel: 8, layers: 2, heads: 2, positions: 40 });
  for (const task of experiment.tasks) writeJsonAtomic(path.join(dataFolder, `${task}.json`), pairs);
  grid = makeRun(names[0]);
});
after(() => {
  fs.rmSync(temporary, { recursive: true, force: true });
  for (const name of names) fs.rmSync(runFolder(name), { recursive: true, force: true });
});

test('Each run of a grid becomes an adapter folder of its last epoch, with base, initial text and its tokens.', () => {
  const written = exportAdapters(grid, { folder: out });
  assert.equal(written.length, 12);
  const expected = ['zoo', 'art'].flatMap((task) => (
    ['cat-5', 'cat-0', '%2F-5', '%2F-0', '%20a-5', '%20a-0'].map((run) => path.join(out, task, run))));
  assert.deepEqual(written.map(({ folder }) => folder), expected);
  assert.deepEqual(written[0], {
    folder: expected[0], task: 'zoo', word: 'cat', seed: 5, initialText: 'catcat', initialTokens: [9246, 9246],
  });
  const { prompt, baseModel, revision, tokenizer, initialText } = readAdapter(expected[0]);
  assert.deepEqual(prompt, { shape: [2, 8], data: grid.runs[0].prompts.data.slice(2 * 16) });
  assert.deepEqual(
    [baseModel, revision, tokenizer, initialText], [modelFolder, null, 'openai-community/gpt2', 'catcat']);
  assert.deepEqual(fs.readdirSync(expected[0]).sort(), ['adapter_config.json', 'adapter_model.safetensors', ORIGIN_FILE]);
  assert.deepEqual(readJson(path.join(expected[0], ORIGIN_FILE)), {
    run: names[0], task: 'zoo', word: 'cat', seed: 5, epoch: 3, metrics: grid.runs[0].metrics[2], experiment,
  });
});

test('Runs, epoch and base model can be chosen; what is not in the grid is refused before anything is written.', () => {
  const folder = path.join(temporary, 'chosen');
  const [one, ...others] = exportAdapters(
    grid, { folder, tasks: ['art'], words: ['/'], seeds: [0], epoch: 1, base: 'openai-community/gpt2' });
  assert.deepEqual([others.length, one.task, one.word, one.seed, one.initialText], [0, 'art', '/', 0, '/']);
  const run = grid.runs.find(({ task, word, seed }) => task === 'art' && word === '/' && seed === 0)!;
  const adapter = readAdapter(one.folder);
  assert.deepEqual(adapter.prompt.data, run.prompts.data.slice(0, 16));
  assert.deepEqual([adapter.baseModel, adapter.tokenizer], ['openai-community/gpt2', 'openai-community/gpt2']);
  const nowhere = path.join(temporary, 'nowhere');
  const refused = (options: object, message: RegExp) => {
    assert.throws(() => exportAdapters(grid, { folder: nowhere, ...options }), message);
    assert.ok(!fs.existsSync(nowhere));
  };
  refused({ tasks: ['zoo', 'sea'] }, /run test-\d+-trained: task: expected zoo, art, found "sea"$/);
  refused({ words: ['dog'] }, /: word: expected cat, \/, {2}a, found "dog"$/);
  refused({ seeds: [1] }, /: seed: expected 5, 0, found 1$/);
  for (const epoch of [0, 4, 1.5]) refused({ epoch }, new RegExp(`: epoch: expected 1 to 3, found ${epoch}$`));
});

test('A model of the Hugging Face hub is named with its revision; another base model has none.', () => {
  const folder = path.join(temporary, 'hub');
  // the model's own configuration is looked up in the cache, where this snapshot stands for it
  const commit = '0123456789abcdef0123456789abcdef01234567';
  const cache = path.join(temporary, 'cache', 'models--someone--small');
  fs.cpSync(modelFolder, path.join(cache, 'snapshots', commit), { recursive: true });
  fs.mkdirSync(path.join(cache, 'refs'));
  for (const reference of ['main', 'v1']) fs.writeFileSync(path.join(cache, 'refs', reference), commit);
  const before = process.env.HF_HUB_CACHE;
  process.env.HF_HUB_CACHE = path.join(temporary, 'cache');
  try {
    const onHub = { ...grid, experiment: { ...experiment, model: 'someone/small', revision: 'v1' } };
    const [{ folder: written }] = exportAdapters(onHub, { folder, tasks: ['art'] });
    const { baseModel, revision, tokenizer } = readAdapter(written);
    assert.deepEqual([baseModel, revision, tokenizer], ['someone/small', 'v1', 'someone/small']);
    exportAdapters(onHub, { folder, tasks: ['art'], base: 'other/model' });
    assert.deepEqual([readAdapter(written).baseModel, readAdapter(written).revision], ['other/model', null]);
  } finally {
    if (before === undefined) delete process.env.HF_HUB_CACHE;
    else process.env.HF_HUB_CACHE = before;
  }
});

test('Exported and imported again, a grid has the same prompts, and losses and accuracies of them.', async () => {
  const found = findAdapters([out]);
  assert.deepEqual(commonExperiment(found), experiment);
  const progress: number[][] = [];
  const imported = await importAdapters(
    names[1], found, commonExperiment(found)!, (done, total) => progress.push([done, total]));
  assert.deepEqual(imported.experiment, { ...experiment, preset: 'imported', epochs: 1, runsPerStep: 1 });
  assert.deepEqual(promptsOf(imported), promptsOf(grid));
  assert.deepEqual(progress.at(-1), [12 * 10, 12 * 10]);
  assert.deepEqual(readGrid(names[1]), imported);
  const { hashes } = readJson(path.join(imported.folder, 'experiment.json')) as { hashes: Record<string, string> };
  assert.ok(hashes['adapter zoo/cat-5'] && hashes['model.safetensors'] && hashes.zoo);

  const model = loadGpt2(modelFolder);
  const task = loadTask('art', { folder: dataFolder, template: experiment.template });
  const last = imported.runs[imported.runs.length - 1];
  assert.deepEqual([last.task, last.word, last.seed], ['art', ' a', 0]);
  const prompt = tf.tensor3d(last.prompts.data, [1, 2, 8]);
  const [onTest] = evaluate(model, prompt, task.test, experiment);
  const [onTraining] = evaluate(model, prompt, task.train, experiment);
  assert.deepEqual(
    last.metrics, [{ epoch: 1, trainLoss: onTraining.loss, testLoss: onTest.loss, testAccuracy: onTest.accuracy }]);
  prompt.dispose();
  disposeGpt2(model);
});

test('An import that was stopped goes on; other adapters under the same name are refused.', async () => {
  const found = findAdapters([out]);
  const stop = (done: number): void => {
    if (done >= 50) throw new Error('stopped here');
  };
  await assert.rejects(importAdapters(names[3], found, experiment, stop), /stopped here/);
  const first = path.join(runFolder(names[3]), 'art', '%20a-0', 'metrics.json');
  const { mtimeMs } = fs.statSync(first);
  assert.equal((await importAdapters(names[3], found, experiment)).runs.length, 12);
  assert.equal(fs.statSync(first).mtimeMs, mtimeMs);
  const others = path.join(temporary, 'others');
  exportAdapters(grid, { folder: others, epoch: 1 });
  await assert.rejects(
    importAdapters(names[3], findAdapters([others]), experiment), /adapter art\/ a-0: this run was made with .*choose another run name/);
});

test('An adapter from elsewhere needs to be told task, word and seed, unless its folder or text says them.', async () => {
  const alone = path.join(temporary, 'alone');
  fs.cpSync(path.join(out, 'art', 'cat-0'), alone, { recursive: true });
  fs.rmSync(path.join(alone, ORIGIN_FILE));
  assert.throws(() => findAdapters([alone]), /alone: task, word and seed: expected .*mend: --task, --word, --seed/);
  const [found] = findAdapters([alone], { task: 'art', seed: 3 });
  assert.deepEqual(found, { folder: alone, task: 'art', word: 'cat', seed: 3, promptTokens: 2, experiment: undefined });
  const imported = await importAdapters(names[2], [found], experiment);
  assert.deepEqual(imported.runs.map(({ task, word, seed }) => [task, word, seed]), [['art', 'cat', 3]]);

  const named = path.join(temporary, 'named', 'art', '%2F-7');
  fs.cpSync(path.join(out, 'art', '%2F-0'), named, { recursive: true });
  fs.rmSync(path.join(named, ORIGIN_FILE));
  assert.deepEqual(findAdapters([path.dirname(named)]).map(({ task, word, seed }) => [task, word, seed]), [['art', '/', 7]]);
});

test('Adapters that are none, contradict themselves, or make no whole grid are refused by folder.', async () => {
  assert.throws(() => findAdapters([dataFolder]), /data: expected an adapter folder .*, found no adapter_config\.json/);
  assert.throws(() => findAdapters([path.join(temporary, 'none')]), /none: expected an adapter folder/);
  assert.throws(() => findAdapters([out, out]), /zoo\/.*: expected once, found in .* too|art\/.*: expected once, found in .* too/);
  assert.throws(
    () => findAdapters([path.join(out, 'art', 'cat-0')], { word: 'dog' }),
    /adapter_config\.json: prompt_tuning_init_text: expected the word 'dog', found "catcat"/);

  const two = path.join(temporary, 'two', 'art', 'cat-0');
  fs.cpSync(path.join(out, 'art', 'cat-0'), two, { recursive: true });
  const file = path.join(two, 'adapter_config.json');
  const config = readJson(file) as object;
  writeJsonAtomic(file, { ...config, prompt_tuning_init_text: 'cat dog' });
  assert.throws(() => findAdapters([two]), /prompt_tuning_init_text: expected one token, repeated, .*, found "cat dog"/);
  writeJsonAtomic(file, config);
  writeJsonAtomic(path.join(two, ORIGIN_FILE), { task: 'art', word: 'cat', seed: 0, experiment: { ...experiment, epochs: 0 } });
  assert.throws(() => findAdapters([two]), /soft-prompts\.json: experiment: epochs: expected a whole number/);

  const found = findAdapters([out]);
  assert.throws(
    () => importedExperiment(found.slice(0, -1), experiment),
    /expected every word and seed of every task, 1 missing: zoo\/cat-5/);
  assert.throws(
    () => importedExperiment([{ ...found[0], promptTokens: 3 }, ...found.slice(1)], experiment),
    /num_virtual_tokens: expected 3, as the others have, found 2/);
  const other = { ...found[0], experiment: { ...experiment, epochs: 9 } };
  assert.throws(() => commonExperiment([...found, other]), /configuration: expected that of .*, found another; mend: give --preset/);
  const wide = path.join(temporary, 'wide');
  writeTinyModel(wide, { vocabulary: vocabularySize, dModel: 16, layers: 2, heads: 2, positions: 40 });
  await assert.rejects(
    importAdapters(names[4], found, { ...experiment, model: wide }), /adapter_config\.json: token_dim: expected the model's 16, found 8/);
  assert.ok(!fs.existsSync(runFolder(names[4])), 'a folder is left behind');
});
