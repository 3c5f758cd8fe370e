import assert from 'node:assert/strict';
import * as childProcess from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { after, before, mock } from 'node:test';

import { currentDevice, startBackend } from '../lib/backend';
import { configure, type Experiment } from '../lib/experiment';
import { projectFolder, readJson, sha256File, writeJsonAtomic } from '../lib/files';
import { disposeGpt2, loadGpt2 } from '../lib/gpt2';
import { runFolder } from '../lib/run-names';
import { gridWarnings, promptsOf, readGrid, type Grid } from '../lib/runs';
import { loadTask } from '../lib/tasks';
import { singleToken, vocabularySize } from '../lib/tokenizer';
import { trainGrid, type Progress, type TrainingOptions } from '../lib/training';
import { initialPrompts, initialState, tune } from '../lib/tuning';
import { relativeError, writeTinyModel } from './gpt2-fixtures';

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-training-'));
const modelFolder = path.join(temporary, 'model');
const dataFolder = path.join(temporary, 'data');
const names = ['whole', 'broken', 'deadly', 'wild', 'twice', 'failing', 'none'];
const nameOf = (name: string) => `test-${process.pid}-${name}`;

const experiment: Experiment = {
  ...configure('tiny', {}, {}), model: modelFolder, data: dataFolder, tasks: ['colours', 'animals'],
  words: ['cat', 'book'], seeds: [0, 5], epochs: 3, batchSize: 4, learningRate: 0.05, examples: null,
  promptTokens: 2, newTokens: 2,
};
// 10 pairs: 8 train, 2 test
const pairs = ['sky', 'grass', 'snow', 'coal', 'sun', 'sea', 'blood', 'milk', 'leaf', 'night']
  .map((input, i) => ({ input, output: ['blue', 'green', 'white', 'black', 'yellow'][i % 5] }));
const total = 2 * 2 * 2 * 8 * 3; // tasks, seeds, words, examples, epochs

before(async () => {
  const worker = path.join(projectFolder, 'lib', 'dist', 'worker.js');
  assert.ok(fs.existsSync(worker), `${worker} is missing: training starts it; run npm run build first`);
  writeTinyModel(modelFolder, { vocabulary: vocabularySize, dModel: 8, layers: 2, heads: 2, positions: 40 });
  writeJsonAtomic(path.join(dataFolder, 'colours.json'), pairs);
  const turned = pairs.map(({ input, output }) => ({ input: output, output: input }));
  writeJsonAtomic(path.join(dataFolder, 'animals.json'), turned);
  await startBackend({ threads: 1 });
});
after(() => {
  fs.rmSync(temporary, { recursive: true, force: true });
  for (const name of names) fs.rmSync(runFolder(nameOf(name)), { recursive: true, force: true });
});

/** All files of a run but experiment.json, which holds hashes and device, with their SHA-256. */
function resultFiles(name: string): Record<string, string> {
  const folder = runFolder(nameOf(name));
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'experiment.json')
    .map((entry) => path.join(entry.parentPath, entry.name));
  return Object.fromEntries(files.sort().map((file) => [path.relative(folder, file), sha256File(file)]));
}

async function train(name: string, options: TrainingOptions = {}): Promise<{ grid: Grid; progress: Progress[] }> {
  const progress: Progress[] = [];
  const onProgress = (now: Progress) => {
    progress.push(now);
    options.onProgress?.(now);
  };
  return { grid: await trainGrid(nameOf(name), experiment, { ...options, onProgress }), progress };
}

test('A grid leaves the configuration, and prompts and metrics of each run; progress goes to the end.', async () => {
  const { grid, progress } = await train('whole', { workers: 2 });
  const files = ['animals', 'colours'].flatMap((task) => ['book-0', 'book-5', 'cat-0', 'cat-5'].flatMap((run) => (
    ['metrics.json', 'prompts.safetensors'].map((file) => path.join(task, run, file)))));
  assert.deepEqual(Object.keys(resultFiles('whole')), files);
  const order = ['colours', 'animals'].flatMap((task) => (
    ['cat', 'book'].flatMap((word) => [0, 5].map((seed) => [task, word, seed]))));
  assert.deepEqual(grid.runs.map(({ task, word, seed }) => [task, word, seed]), order);
  assert.deepEqual(grid.experiment, experiment);
  assert.equal(grid.device.backend, currentDevice().backend);
  for (const { prompts, metrics } of grid.runs) {
    assert.deepEqual(prompts.shape, [3, 2, 8]);
    assert.deepEqual(metrics.map(({ epoch }) => epoch), [1, 2, 3]);
    for (const { trainLoss, testLoss, testAccuracy } of metrics) {
      assert.ok(trainLoss > 0 && testLoss > 0 && testAccuracy >= 0 && testAccuracy <= 1);
    }
  }
  const stored = readJson(path.join(grid.folder, 'experiment.json')) as (
    { experiment: unknown; hashes: Record<string, string> });
  assert.deepEqual(stored.experiment, experiment);
  assert.equal(stored.hashes['model.safetensors'], sha256File(path.join(modelFolder, 'model.safetensors')));
  assert.equal(stored.hashes.animals, sha256File(path.join(dataFolder, 'animals.json')));

  assert.deepEqual(progress.at(-1)?.done, total);
  assert.ok(progress.every((now) => now.total === total && now.resumed === 0));
  assert.ok(progress.every((now, i) => i === 0 || now.done >= progress[i - 1].done));
  assert.ok(progress.some(({ note }) => /^colours animals × cat book, seed [05]: epoch 3, test accuracy \d\.\d\d$/.test(note)));
});

test('A run\'s prompts are what tuning it alone gives, and are read in order task, word, seed, position.', async () => {
  const grid = readGrid(nameOf('whole'));
  const model = loadGpt2(modelFolder);
  const task = loadTask('animals', { folder: dataFolder, template: experiment.template });
  const start = initialState(initialPrompts(model, [singleToken('book')], 2));
  const run = grid.runs[7];
  assert.deepEqual([run.task, run.word, run.seed], ['animals', 'book', 5]);
  for await (const { state, metrics } of tune(model, [{ task, seed: 5 }], experiment, start)) {
    const found = run.prompts.data.subarray((metrics.epoch - 1) * 16, metrics.epoch * 16);
    // in the grid two runs share a step: the same mathematics, sums in another order
    assert.ok(relativeError(found, state.prompts) <= 1e-4);
    const { trainLoss, testLoss, testAccuracy } = run.metrics[metrics.epoch - 1];
    assert.ok(relativeError([trainLoss, testLoss], [metrics.trainLoss[0], metrics.test[0].loss]) <= 1e-4);
    assert.equal(testAccuracy, metrics.test[0].accuracy);
  }
  disposeGpt2(model);

  const { points, labels } = promptsOf(grid);
  assert.deepEqual([points.count, points.dModel], [16, 8]);
  assert.deepEqual(labels[15], { task: 'animals', word: 'book', seed: 5, position: 1 });
  assert.deepEqual([...points.data.subarray(15 * 8)], [...run.prompts.data.subarray(2 * 16 + 8)]);
  assert.deepEqual([...promptsOf(grid, 1).points.data.subarray(15 * 8)], [...run.prompts.data.subarray(8, 16)]);
  assert.throws(() => promptsOf(grid, 4), /epoch 4, expected 1 … 3/);
});

test('A finished grid is read without training again.', async () => {
  const before = resultFiles('whole');
  const { progress } = await train('whole');
  assert.deepEqual(progress, []);
  assert.deepEqual(resultFiles('whole'), before);
});

/** Call `work` while `onFork` sees every worker process that is started; `forkOptions` come before what starts it. */
async function watchingWorkers<T>(
  onFork: (worker: childProcess.ChildProcess) => void, work: () => Promise<T>,
  forkOptions = (): childProcess.ForkOptions => ({}),
): Promise<T> {
  const real = childProcess.fork;
  const watched = (file: string, options: childProcess.ForkOptions) => {
    const { env, ...others } = forkOptions();
    const worker = real(file, { ...options, ...others, env: { ...options.env, ...env } });
    onFork(worker);
    return worker;
  };
  const library = require('node:child_process') as typeof childProcess;
  const fork = mock.method(library, 'fork', watched as typeof real);
  try {
    return await work();
  } finally {
    fork.mock.restore();
  }
}

/** Loaded before a worker: after the epoch of `HOLD_EPOCH` it stands still until the file `HOLD_UNTIL` exists. */
const holdWorker = `
const { existsSync } = require('node:fs');
const send = process.send;
process.send = (message) => {
  send.call(process, message);
  if (message.kind !== 'epoch' || message.epoch < Number(process.env.HOLD_EPOCH)) return;
  while (!existsSync(process.env.HOLD_UNTIL)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
};
`;

test('A worker that is killed is replaced and its runs go on, after a stop too; nothing differs in the end.', async () => {
  const workers: childProcess.ChildProcess[] = [];
  const stop = new AbortController();
  const go = path.join(temporary, 'go');
  const hold = path.join(temporary, 'hold.js');
  fs.writeFileSync(hold, holdWorker);
  const seen: Progress[] = [];
  const onProgress = (now: Progress) => {
    seen.push(now);
    if (workers.length === 2 && now.note.includes('epoch 1')) workers.forEach((worker) => worker.kill('SIGKILL'));
    if (!now.note.includes('epoch 2')) return;
    stop.abort();
    fs.writeFileSync(go, '');
  };
  await watchingWorkers(
    (worker) => workers.push(worker),
    () => assert.rejects(
      train('broken', { workers: 2, signal: stop.signal, onProgress }), /training stopped; run it again to go on/),
    () => ({ execArgv: ['--require', hold], env: { HOLD_UNTIL: go, HOLD_EPOCH: workers.length < 2 ? '1' : '2' } }));
  assert.equal(workers.length, 4, 'each of the two is replaced once');
  assert.ok(seen.some(({ note }) => /: going on from the last epoch after SIGKILL$/.test(note)));

  const { progress } = await train('broken', { workers: 1 });
  const anEpoch = 4 * 8; // runs of a group, examples
  assert.ok(progress[0].resumed >= 2 * anEpoch, 'the finished epochs must count');
  assert.equal(progress.at(-1)?.done, total);
  assert.ok([...seen, ...progress].every(({ done }) => done <= total));
  assert.deepEqual(resultFiles('broken'), resultFiles('whole'));
});

test('A worker that dies again and again ends the training, by the name of its runs.', async () => {
  const small = { ...experiment, tasks: ['colours'], seeds: [0] };
  let started = 0;
  const killAtFirstStep = (worker: childProcess.ChildProcess) => {
    started++;
    worker.on('message', ({ kind }: { kind: string }) => {
      if (kind === 'trained') worker.kill('SIGKILL');
    });
  };
  const progress: Progress[] = [];
  await watchingWorkers(killAtFirstStep, () => assert.rejects(
    trainGrid(nameOf('deadly'), small, { workers: 1, onProgress: (now) => progress.push(now) }),
    /^Error: training worker \(colours × cat book, seed 0\): died 3 times without a new epoch, last by SIGKILL; .*mend: /));
  assert.equal(started, 3);
  assert.ok(progress.every(({ done }) => done <= 16), 'the examples of the first epoch count once');
  const { message } = await trainGrid(nameOf('deadly'), small, { workers: 1 }).then(
    (grid) => ({ message: `${grid.runs.length} runs` }), (error: Error) => error);
  assert.equal(message, '2 runs', 'the lock is released, and training goes on');
});

test('A run whose numbers are no longer finite stops by itself; the result says so.', async () => {
  const wild = { ...experiment, tasks: ['colours'], seeds: [0], epochs: 1, learningRate: 1e38 };
  const notes: string[] = [];
  const grid = await trainGrid(nameOf('wild'), wild, { workers: 1, onProgress: ({ note }) => notes.push(note) });
  for (const { metrics: [last], prompts } of grid.runs) {
    // the first step, of 1e38, leads to a float32; the second would not
    assert.deepEqual([last.stoppedAt, last.stopReason], [2, 'prompt or moments are not finite']);
    assert.ok(Number.isNaN(last.trainLoss));
    assert.ok(prompts.data.every(Number.isFinite));
  }
  assert.match(notes.at(-1)!, /: epoch 1, .*; colours × cat, seed 0 stopped at step 2: prompt or moments are not finite; colours × book, seed 0 stopped/);
  assert.equal(gridWarnings(grid).length, 2);
});

test('While one training works on a folder another is refused with its process and time.', async () => {
  const stop = new AbortController();
  let second: Promise<unknown> | undefined;
  const onProgress = () => {
    second ??= train('twice', { workers: 1 }).catch((error: Error) => error.message).finally(() => stop.abort());
  };
  await assert.rejects(train('twice', { workers: 1, signal: stop.signal, onProgress }), /training stopped/);
  assert.match(
    String(await second),
    new RegExp(`^run test-\\d+-twice: process ${process.pid} works on it since \\d{4}-\\d\\d-\\d\\dT.*Z; mend: wait for it`));
});

test('A run that was made otherwise is refused with the field, what it was and what is asked for.', async () => {
  const before = resultFiles('whole');
  const refused = (changes: Partial<Experiment>, message: RegExp) => (
    assert.rejects(trainGrid(nameOf('whole'), { ...experiment, ...changes }), message));
  await refused(
    { epochs: 4 }, /experiment\.json: epochs: this run was made with 3, now asked for 4; mend: choose another/);
  await refused({ words: ['cat'] }, /words: this run was made with \["cat","book"\], now asked for \["cat"\]/);
  const list = path.join(dataFolder, 'animals.json');
  const text = fs.readFileSync(list);
  fs.writeFileSync(list, `${text.toString('utf8')}\n`);
  await refused({}, /animals: this run was made with "[0-9a-f]{64}", now asked for "[0-9a-f]{64}"/);
  fs.writeFileSync(list, text);
  assert.deepEqual(resultFiles('whole'), before);
});

test('What fails in a worker reaches the caller with its message.', async () => {
  const deeper = path.join(temporary, 'deeper');
  fs.cpSync(modelFolder, deeper, { recursive: true });
  const config = path.join(deeper, 'config.json');
  writeJsonAtomic(config, { ...(readJson(config) as object), n_layer: 3 }); // one more than the weights have
  await assert.rejects(
    trainGrid(nameOf('failing'), { ...experiment, model: deeper, tasks: ['colours'] }, { workers: 1 }),
    /training worker failed: .*tensor h\.2\..*: expected, but missing/);
});

test('Sequences longer than the model reads, tasks that are not there and other vocabularies are refused before anything is made.', async () => {
  const refused = (changes: Partial<Experiment>, message: RegExp) => (
    assert.rejects(trainGrid(nameOf('none'), { ...experiment, ...changes }), message));
  await refused({ promptTokens: 36 }, /task colours: input ".*": \d+ tokens \(36 of the prompt, .*the model's 40 positions/);
  await refused({ examples: 9 }, /task colours: examples: expected at most 8/);
  await refused({ tasks: ['unknown'] }, /unknown\.json is missing; tasks in this folder: animals, colours/);
  const model = path.join(temporary, 'other-vocabulary');
  writeTinyModel(model, { vocabulary: 21128, dModel: 8, layers: 1, heads: 2, positions: 40 });
  await refused({ model }, /config\.json: vocab_size: expected 50257, the tokens of GPT-2 .*, found 21128/);
  assert.ok(!fs.existsSync(runFolder(nameOf('none'))), 'a folder is left behind');
});

test('A run that is missing, and a name that leads elsewhere, are refused.', async () => {
  assert.throws(
    () => readGrid(nameOf('none')),
    /run test-\d+-none: .*experiment\.json is missing; run notebook 02-prompt-tuning/);
  for (const name of ['../elsewhere', '', 'a/b', '.hidden']) {
    assert.throws(() => runFolder(name), /run name: .*expected letters, digits, dots, _ and -/);
  }
});
