import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { after } from 'node:test';

import { loadCheckpoint, saveCheckpoint, type Checkpoint } from '../lib/checkpoints';
import { configure, type Experiment } from '../lib/experiment';
import { readJson, writeFileAtomic, writeJsonAtomic } from '../lib/files';
import { openRunFolder, type Provenance } from '../lib/provenance';
import { groupsOf, runFolder, type Group } from '../lib/run-names';
import { gridWarnings, groupFinished, promptsOf, readGrid, saveFinished, tidyRunFolder } from '../lib/runs';
import { openSafetensors } from '../lib/safetensors';
import { describeGrid } from '../lib/space';

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-runs-'));
const name = `test-${process.pid}-runs`;
after(() => {
  fs.rmSync(temporary, { recursive: true, force: true });
  fs.rmSync(runFolder(name), { recursive: true, force: true });
});

const experiment: Experiment = {
  ...configure('tiny', {}, {}), tasks: ['present_past'], words: ['cat', '/', ' a'], seeds: [0, 2], epochs: 2,
  promptTokens: 2, runsPerStep: 2,
};
const provenance: Provenance = {
  device: { backend: 'native', kind: 'CPU', threads: 1, version: '2.21.0' }, runsPerStep: 2, node: 'v20.0.0',
  hashes: { 'model.safetensors': 'ab' },
};

/** A group of one task and seed. */
const runsOf = (words: readonly string[]): Group => words.map((word) => ({ task: 'present_past', word, seed: 0 }));

/** Numbers that tell run, epoch and place apart: [run, 2 promptTokens, 3 dModel]. */
const numbers = (runs: number, epoch: number, first = 0) => (
  Float32Array.from({ length: runs * 6 }, (_, i) => 1000 * (first + Math.floor(i / 6)) + 100 * epoch + (i % 6)));

function checkpointOf(runs: number, epochs: number, first = 0): Checkpoint {
  const history = Array.from({ length: epochs }, (_, i) => numbers(runs, i + 1, first));
  return {
    state: {
      epochsDone: epochs, prompts: history[epochs - 1],
      firstMoment: numbers(runs, 8).map((x) => x / 3), secondMoment: numbers(runs, 9).map((x) => x / 7), stops: [],
    },
    history,
    metrics: history.map((_, i) => ({
      epoch: i + 1,
      trainLoss: Array.from({ length: runs }, (__, run) => 3.1 + first + run - i),
      test: Array.from({ length: runs }, (__, run) => (
        { loss: 4.2 + first + run - i, accuracy: 0.001 * (first + run) + 0.5 * i })),
      stops: [],
    })),
  };
}

test('Groups have some of every task, and as many runs as train in a step.', () => {
  const runs = (seed: number, ...names: string[]) => names.map((name) => {
    const [task, word] = name.split(' ');
    return { task, word, seed };
  });
  const two = { ...experiment, tasks: ['a', 'b'], words: ['cat', 'dog', 'pen'], seeds: [0, 2] };
  assert.deepEqual(groupsOf(two, 4), [
    runs(0, 'a cat', 'b cat', 'a dog', 'b dog'),
    [...runs(0, 'a pen', 'b pen'), ...runs(2, 'a cat', 'b cat')],
    runs(2, 'a dog', 'b dog', 'a pen', 'b pen'),
  ]);
  assert.deepEqual(groupsOf(two, 5).map(({ length }) => length), [5, 5, 2]);
  assert.equal(groupsOf(two, 100).length, 1);
});

test('A checkpoint comes back number for number, with as many epochs as were done.', () => {
  const folder = path.join(temporary, 'checkpoint');
  const [group, other] = groupsOf(experiment, 2);
  assert.equal(loadCheckpoint(folder, group), undefined);
  for (const epochs of [1, 2]) {
    const checkpoint = checkpointOf(2, epochs);
    saveCheckpoint(folder, group, checkpoint);
    assert.deepEqual(loadCheckpoint(folder, group), checkpoint);
    assert.equal(loadCheckpoint(folder, other), undefined);
    assert.ok(!groupFinished(folder, group));
  }
});

test('A checkpoint of very many words has a file name that every file system takes.', () => {
  const folder = path.join(temporary, 'many');
  const words = Array.from({ length: 300 }, (_, i) => `word${i}`);
  const group = runsOf(words);
  const checkpoint = checkpointOf(words.length, 1);
  saveCheckpoint(folder, group, checkpoint);
  assert.deepEqual(loadCheckpoint(folder, group), checkpoint);
  assert.equal(loadCheckpoint(folder, runsOf([...words.slice(1), words[0]])), undefined);
});

test('A damaged checkpoint is refused with its file.', () => {
  const folder = path.join(temporary, 'damaged');
  const [group] = groupsOf(experiment, 2);
  saveCheckpoint(folder, group, checkpointOf(2, 1));
  const [entry] = fs.readdirSync(path.join(folder, 'checkpoints'));
  const file = path.join(folder, 'checkpoints', entry);
  const bytes = fs.readFileSync(file);
  writeFileAtomic(file, bytes.subarray(0, bytes.length - 4));
  assert.throws(() => loadCheckpoint(folder, group), ({ message }: Error) => message.includes(file));
  writeFileAtomic(file, '');
  assert.throws(() => loadCheckpoint(folder, group), ({ message }: Error) => message.includes(file));
});

test('Finished groups become a folder a run, whatever the words, and their checkpoints go.', () => {
  const folder = runFolder(name);
  openRunFolder(folder, experiment, provenance);
  assert.throws(() => readGrid(name), /not trained to the end yet; run notebook 02-prompt-tuning/);
  groupsOf(experiment, 2).forEach((group, i) => {
    const checkpoint = checkpointOf(group.length, 2, 2 * i);
    saveCheckpoint(folder, group, checkpoint);
    saveFinished(folder, group, checkpoint, 3, numbers(group.length, 0));
    assert.ok(groupFinished(folder, group));
    assert.equal(loadCheckpoint(folder, group), undefined);
  });
  assert.deepEqual(fs.readdirSync(path.join(folder, 'checkpoints')), []);
  assert.deepEqual(
    fs.readdirSync(path.join(folder, 'present_past')).sort(), ['%20a-0', '%20a-2', '%2F-0', '%2F-2', 'cat-0', 'cat-2']);
});

test('A finished grid is read in order task, word, seed, with the prompts and metrics of every epoch.', () => {
  const grid = readGrid(name);
  assert.deepEqual(grid.experiment, experiment);
  assert.deepEqual(grid.device, provenance.device);
  assert.deepEqual(
    grid.runs.map(({ word, seed }) => `${word} ${seed}`), ['cat 0', 'cat 2', '/ 0', '/ 2', ' a 0', ' a 2']);
  // by hand: groups (cat 0, / 0), (a 0, cat 2), (/ 2, a 2) were numbered from 0, 2, 4
  const place = [0, 3, 1, 4, 2, 5];
  grid.runs.forEach(({ prompts, metrics }, i) => {
    assert.deepEqual(prompts.shape, [2, 2, 3]);
    assert.deepEqual([...prompts.data], [1, 2].flatMap((epoch) => [...numbers(1, epoch, place[i])]));
    assert.deepEqual(metrics, [0, 1].map((epoch) => ({
      epoch: epoch + 1, trainLoss: checkpointOf(1, 2, place[i]).metrics[epoch].trainLoss[0],
      testLoss: checkpointOf(1, 2, place[i]).metrics[epoch].test[0].loss,
      testAccuracy: checkpointOf(1, 2, place[i]).metrics[epoch].test[0].accuracy,
    })));
  });
  const { points, labels } = promptsOf(grid);
  assert.deepEqual([points.count, points.dModel], [12, 3]);
  assert.deepEqual(
    labels.slice(2, 4), [0, 1].map((position) => ({ task: 'present_past', word: 'cat', seed: 2, position })));
  assert.deepEqual([...points.data.subarray(2 * 3, 4 * 3)], [...numbers(1, 2, 3)]);
  assert.deepEqual([...promptsOf(grid, 1).points.data.subarray(2 * 3, 4 * 3)], [...numbers(1, 1, 3)]);
  for (const epoch of [0, 3]) assert.throws(() => promptsOf(grid, epoch), new RegExp(`epoch ${epoch}, expected 1 … 2`));
});

test('Prompts that do not fit the configuration are refused with the file and both shapes.', () => {
  const folder = runFolder(name);
  const file = path.join(folder, 'experiment.json');
  const stored = readJson(file) as { experiment: Experiment };
  writeJsonAtomic(file, { ...stored, experiment: { ...experiment, epochs: 3 } });
  assert.throws(() => readGrid(name), /cat-0\/prompts\.safetensors: expected \[3, 2, …\].*found \[2, 2, 3\] and 2; mend: delete .*cat-0 and run notebook 02/);
  writeJsonAtomic(file, { ...stored, experiment: { ...experiment, epochs: 'two' } });
  assert.throws(() => readGrid(name), /experiment\.json: epochs: .*found "two"/);
  writeJsonAtomic(file, stored);
  assert.equal(readGrid(name).runs.length, 6);
  const tensors = openSafetensors(path.join(folder, 'present_past', 'cat-0', 'prompts.safetensors'));
  assert.deepEqual([tensors.names, tensors.metadata.get('format')], [['prompts'], 'pt']);
  tensors.close();
});

test('A folder made with another configuration, backend or file is refused with field and values.', () => {
  const folder = path.join(temporary, 'opened');
  openRunFolder(folder, experiment, provenance);
  openRunFolder(folder, experiment, { ...provenance, node: 'v22.0.0' });
  const refused = (changed: Experiment, from: Provenance, message: RegExp) => (
    assert.throws(() => openRunFolder(folder, changed, from), message));
  refused(
    { ...experiment, learningRate: 0.5 }, provenance,
    /experiment\.json: learningRate: this run was made with 0\.001, now asked for 0\.5/);
  refused({ ...experiment, revision: 'v1' }, provenance, /revision: this run was made with null, now asked for "v1"/);
  refused({ ...experiment, runsPerStep: 1 }, { ...provenance, runsPerStep: 1 }, /runsPerStep: this run was made with 2, now asked for 1/);
  const wasm: Provenance = { ...provenance, device: { ...provenance.device, backend: 'wasm' } };
  refused(experiment, wasm, /backend: this run was made with "native", now asked for "wasm"/);
  const gpu: Provenance = { ...provenance, device: { ...provenance.device, kind: 'GPU' } };
  refused(experiment, gpu, /kind of device: this run was made with "CPU", now asked for "GPU"/);
  refused(experiment, { ...provenance, hashes: {} }, /SHA-256 of model\.safetensors: .* "ab", now asked for nothing/);
  refused(
    experiment, { ...provenance, hashes: { 'model.safetensors': 'cd' } },
    /model\.safetensors: this run was made with "ab", now asked for "cd"; mend: choose another run name, or delete/);
});

test('A folder made before a setting was there goes on, and with auto one made with any number of runs a step.', () => {
  const folder = path.join(temporary, 'before');
  const { revision, ...before } = experiment;
  assert.equal(revision, null);
  const { runsPerStep, ...older } = provenance;
  assert.equal(runsPerStep, 2);
  writeJsonAtomic(path.join(folder, 'experiment.json'), { experiment: { ...before, runsPerStep: 10 }, ...older });
  const auto = openRunFolder(folder, { ...experiment, runsPerStep: 'auto' }, { ...provenance, runsPerStep: 3 });
  assert.equal(auto.runsPerStep, 10);
  openRunFolder(folder, { ...experiment, runsPerStep: 10 }, { ...provenance, runsPerStep: 10 });
});

test('The demo run that ships with the project is read.', () => {
  const { experiment: published, runs } = readGrid('published');
  assert.equal(runs.length, published.tasks.length * published.words.length);
  assert.equal(published.revision, null);
});

test('A run name is a plain folder name.', () => {
  assert.ok(runFolder('demo-2.b').endsWith(path.join('data', 'runs', 'demo-2.b')));
  for (const wrong of ['', '.', '..', '.hidden', 'a/b', '../a', 'a b', 'a\\b', 'a\n']) {
    assert.throws(() => runFolder(wrong), /run name: /, JSON.stringify(wrong));
  }
});

test('Numbers that were changed, and results of another run in their place, are refused.', () => {
  const fileOf = (run: string, file: string) => path.join(runFolder(name), 'present_past', run, file);
  const changed = (file: string, bytes: Uint8Array, message: RegExp) => {
    const before = fs.readFileSync(file);
    writeFileAtomic(file, bytes);
    assert.throws(() => readGrid(name), message);
    writeFileAtomic(file, before);
    assert.equal(readGrid(name).runs.length, 6);
  };
  const prompts = fileOf('cat-0', 'prompts.safetensors');
  const flipped = fs.readFileSync(prompts);
  flipped[flipped.length - 1] ^= 1;
  changed(prompts, flipped, /cat-0\/prompts\.safetensors: sha256: .*damaged or changed; mend: delete .*cat-0 and run/);
  changed(prompts, fs.readFileSync(fileOf('cat-2', 'prompts.safetensors')), /cat-0\/prompts\.safetensors: sha256: /);
  const metrics = fileOf('cat-0', 'metrics.json');
  changed(metrics, Buffer.from(fs.readFileSync(metrics, 'utf8').replace('3.1', '3.2')), /cat-0\/prompts.* sha256: /);
  changed(metrics, Buffer.from('[]'), /cat-0\/metrics\.json: .*; found \[\]/);
  changed(metrics, Buffer.from('{"epoch": 1}'), /cat-0\/metrics\.json: .*expected array/);
});

test('A run that stopped, and a prompt that did not change, are in the metrics and among the warnings.', () => {
  const stoppedName = `${name}-stopped`;
  const folder = runFolder(stoppedName);
  try {
    openRunFolder(folder, { ...experiment, words: ['cat', '/'], seeds: [0] }, provenance);
    const whole = checkpointOf(2, 2);
    const stops = [{ run: 1, step: 7, reason: 'loss is NaN' }];
    const metrics = whole.metrics.map((epoch, i) => (i === 0 ? epoch : { ...epoch, trainLoss: [3, NaN], stops }));
    const checkpoint = { state: { ...whole.state, stops }, history: whole.history, metrics };
    const group = runsOf(['cat', '/']);
    saveCheckpoint(folder, group, checkpoint);
    assert.deepEqual(loadCheckpoint(folder, group), checkpoint);
    const start = Float32Array.of(...numbers(1, 0), ...whole.history[1].subarray(6));
    saveFinished(folder, group, checkpoint, 3, start);
    const grid = readGrid(stoppedName);
    assert.deepEqual(grid.runs[1].metrics[1], {
      epoch: 2, trainLoss: NaN, testLoss: 4.2, testAccuracy: 0.001 + 0.5,
      stoppedAt: 7, stopReason: 'loss is NaN', unchanged: true,
    });
    assert.deepEqual(Object.keys(grid.runs[0].metrics[1]), ['epoch', 'trainLoss', 'testLoss', 'testAccuracy']);
    assert.deepEqual(gridWarnings(grid), [
      'present_past, /, seed 0: stopped at step 7: loss is NaN',
      'present_past, /, seed 0: the prompt is the same as before training',
    ]);
    assert.match(describeGrid(grid), /on native CPU\.\S* .*\n- \*\*Warning\*\* – present\S+, \/, seed 0: stopped at step 7/);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

test('Tidying removes temporary files of dead processes and checkpoints of what is done, and nothing else.', () => {
  const folder = runFolder(name);
  const [group] = groupsOf(experiment, 2);
  const kept = fs.readdirSync(folder, { recursive: true });
  saveCheckpoint(folder, group, checkpointOf(2, 1));
  const dead = 2 ** 22 + 1; // above Linux' largest process number
  fs.writeFileSync(path.join(folder, 'present_past', `.metrics.json.${dead}.0123456789ab.tmp`), '[');
  fs.writeFileSync(path.join(folder, `.experiment.json.${process.pid}.0123456789ab.tmp`), '{');
  const alive = path.join(folder, `.experiment.json.${process.ppid}.0123456789ab.tmp`);
  fs.writeFileSync(alive, '{');
  tidyRunFolder(folder, groupsOf(experiment, 2));
  assert.ok(fs.existsSync(alive));
  fs.rmSync(alive);
  assert.deepEqual(fs.readdirSync(folder, { recursive: true }), kept);
});

test('A word whose name is too long for a file system gets a shorter one.', () => {
  const word = 'ÃÂ'.repeat(32); // one token of GPT-2
  const folder = path.join(temporary, 'long-word');
  const group = runsOf([word, word.slice(0, 32)]);
  saveFinished(folder, group, checkpointOf(2, 1), 3, numbers(2, 0));
  assert.ok(groupFinished(folder, group));
  assert.equal(fs.readdirSync(path.join(folder, 'present_past')).length, 2);
});

test('Files that vanish midway are missed by name, and what is left of another configuration is not taken for one\'s own.', () => {
  const vanishing = `${name}-vanishing`;
  const folder = runFolder(vanishing);
  try {
    const [first, second] = groupsOf({ ...experiment, seeds: [0] }, 2);
    openRunFolder(folder, { ...experiment, seeds: [0] }, provenance);
    saveFinished(folder, first, checkpointOf(2, 2), 3, numbers(2, 0));
    saveFinished(folder, second, checkpointOf(1, 2), 3, numbers(1, 0));
    fs.rmSync(path.join(folder, 'present_past', 'cat-0', 'prompts.safetensors'));
    assert.throws(() => readGrid(vanishing), /cat-0\/prompts\.safetensors.*; mend: delete .*cat-0 and run notebook 02-prompt-tuning/);
    fs.rmSync(folder, { recursive: true }); // while a group trains
    saveFinished(folder, second, checkpointOf(1, 2), 3, numbers(1, 0));
    assert.throws(() => readGrid(vanishing), /experiment\.json is missing; run notebook 02-prompt-tuning/);
    const refused = /experiment\.json: missing, though there are results: .*; mend: choose another run name, or delete /;
    assert.throws(() => openRunFolder(folder, { ...experiment, learningRate: 0.5 }, provenance), refused);
    fs.rmSync(folder, { recursive: true });
    saveCheckpoint(folder, first, checkpointOf(2, 1));
    assert.throws(() => openRunFolder(folder, experiment, provenance), refused);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
