/** Damaged and hostile files: each is read as what it was, or refused by an error that names the file. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { after, before } from 'node:test';
import * as fc from 'fast-check';

import { readAdapter } from '../lib/adapters';
import { startBackend, tf } from '../lib/backend';
import { loadCheckpoint, saveCheckpoint, type Checkpoint } from '../lib/checkpoints';
import { checkExperiment, configure, type Experiment } from '../lib/experiment';
import { disposeGpt2, loadGpt2 } from '../lib/gpt2';
import { openRunFolder } from '../lib/provenance';
import { groupsOf, runFolder } from '../lib/run-names';
import { readGrid, saveFinished, type Grid } from '../lib/runs';
import { openCheckpoint, openSafetensors, writeSafetensors, type SafetensorsFile } from '../lib/safetensors';
import { readTaskPairs, taskFileName } from '../lib/tasks';
import { readFixture } from './gpt2-fixtures';

/** Damaged files of all kinds together; `npm run test:long` asks for more. */
const CASES = Number(process.env.SOFT_PROMPTS_TEST_CASES ?? 2000);
const SEED = Number(process.env.SOFT_PROMPTS_TEST_SEED ?? 20);

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-fuzz-'));
const run = `test-${process.pid}-fuzz`;
after(() => {
  fs.rmSync(temporary, { recursive: true, force: true });
  fs.rmSync(runFolder(run), { recursive: true, force: true });
});

before(() => startBackend({ backend: 'cpu' }));

const experiment: Experiment = {
  ...configure('tiny', {}, {}), tasks: ['colours'], words: ['cat', 'book'], seeds: [0], epochs: 2, promptTokens: 2,
};
const [group] = groupsOf(experiment, 2);

function makeRun(): { folder: string; checkpoints: string } {
  const folder = runFolder(run);
  openRunFolder(folder, experiment, {
    device: { backend: 'cpu', kind: 'CPU', threads: 1, version: '4' }, runsPerStep: 2, node: 'v20', hashes: { colours: 'ab' },
  });
  const data = (epoch: number) => Float32Array.from({ length: 12 }, (_, i) => i + epoch / 3);
  const history = [data(1), data(2)];
  const checkpoint: Checkpoint = {
    state: { epochsDone: 2, prompts: history[1], firstMoment: data(3), secondMoment: data(4), stops: [] },
    history,
    metrics: [1, 2].map((epoch) => ({
      epoch, trainLoss: [1.25, 0.5 / epoch], stops: [],
      test: [{ loss: 1.5, accuracy: 0.25 }, { loss: 2.5 / 3, accuracy: 1 }],
    })),
  };
  saveFinished(folder, group, checkpoint, 3, data(0));
  const checkpoints = path.join(temporary, 'unfinished');
  saveCheckpoint(checkpoints, group, checkpoint);
  return { folder, checkpoints };
}

const { folder, checkpoints } = makeRun();
const whole = readGrid(run);
const inRun = (...parts: string[]) => path.join(folder, 'colours', 'cat-0', ...parts);

/** One kind of file: where it lies, how it is read, and what must hold of whatever is read. */
interface Kind {
  readonly title: string;
  readonly file: string;
  /** what every error must name: the file, or the folder it belongs to */
  readonly named: string;
  readonly read: (size: number) => void;
}

/** Nothing that the file's own digest covers can change. */
function equalGrid(grid: Grid): void {
  checkExperiment(grid.experiment, 'experiment');
  for (const found of grid.runs) {
    const made = whole.runs.find(({ task, word, seed }) => task === found.task && word === found.word && seed === found.seed);
    // as text: JSON's 0 and -0 are one number
    assert.equal(JSON.stringify(found.metrics), JSON.stringify(made?.metrics));
    assert.deepEqual(found.prompts, made?.prompts);
  }
}

/** Read everything; no more numbers than the file has room for. */
function readAll(tensors: SafetensorsFile, size: number): void {
  let bytes = 0;
  try {
    for (const name of tensors.names) {
      if (!['F32', 'F16', 'BF16'].includes(tensors.dtypeOf(name))) continue;
      const { shape, data } = tensors.read(name);
      assert.equal(data.length, shape.reduce((product, length) => product * length, 1));
      bytes += data.length * 2;
    }
  } finally {
    tensors.close();
  }
  assert.ok(bytes <= size, `${bytes} bytes of a file of ${size}`);
}

function makeOthers(): Kind[] {
  const fixture = readFixture('many-heads').folder; // in shards
  const model = path.join(temporary, 'model');
  fs.cpSync(fixture, model, { recursive: true });
  const index = path.join(model, 'model.safetensors.index.json');
  const shards = fs.readdirSync(model).filter((name) => name.endsWith('.safetensors'))
    .reduce((sum, name) => sum + fs.statSync(path.join(model, name)).size, 0);
  const tensors = path.join(temporary, 'x.safetensors');
  const numbers = { a: { shape: [2, 3], data: Float32Array.from([1, 2, 3, 4, 5, 6]) }, b: { shape: [], data: Float32Array.of(7) } };
  writeSafetensors(tensors, numbers, { format: 'pt' }, 'F16');
  const list = path.join(temporary, 'colours.json');
  fs.writeFileSync(list, JSON.stringify([{ input: 'sky', output: 'blue' }, { input: 'grass', output: 'green' }]));
  const config = path.join(model, 'config.json');
  const adapter = path.join(temporary, 'adapter');
  fs.cpSync(path.join(__dirname, 'reference', 'adapter'), adapter, { recursive: true });
  const readPrompt = () => assert.ok(readAdapter(adapter).prompt.data.every(Number.isFinite));
  return [
    { title: 'adapter_config.json', file: path.join(adapter, 'adapter_config.json'), named: adapter, read: readPrompt },
    { title: 'adapter', file: path.join(adapter, 'adapter_model.safetensors'), named: adapter, read: readPrompt },
    { title: 'safetensors', file: tensors, named: tensors, read: (size) => readAll(openSafetensors(tensors), size) },
    { title: 'index of shards', file: index, named: model, read: () => readAll(openCheckpoint(model), shards) },
    {
      title: 'config.json', file: config, named: model,
      read: () => disposeGpt2(loadGpt2(model)),
    },
    {
      title: 'task list', file: list, named: list,
      read: () => readTaskPairs('colours', temporary)
        .forEach((pair) => assert.deepEqual(Object.values(pair).map((text) => typeof text), ['string', 'string'])),
    },
  ];
}

const checkpointFile = path.join(checkpoints, 'checkpoints', fs.readdirSync(path.join(checkpoints, 'checkpoints'))[0]);
const checkpoint = loadCheckpoint(checkpoints, group);
const readRun = () => equalGrid(readGrid(run));
const kinds: readonly Kind[] = [
  { title: 'experiment.json', file: path.join(folder, 'experiment.json'), named: folder, read: readRun },
  { title: 'metrics.json', file: inRun('metrics.json'), named: inRun(), read: readRun },
  { title: 'prompts.safetensors', file: inRun('prompts.safetensors'), named: inRun(), read: readRun },
  {
    title: 'checkpoint', file: checkpointFile, named: checkpointFile,
    read: () => assert.deepEqual(loadCheckpoint(checkpoints, group), checkpoint),
  },
  ...makeOthers(),
];

/** Values that a careless reader would trip over, as JSON. */
const HOSTILE = [
  'null', 'true', '-1', '0', '0.5', '1e999', '1e15', '9007199254740993', '1e308', '""', '".."', '"../../etc/passwd"',
  '"/etc/passwd"', '"\\ud800"', '"\\u0000"', '"__proto__"', '"constructor"', '[]', '{}', '[[[]]]', '[null]',
  '{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}', '"' + 'x'.repeat(5000) + '"',
  '['.repeat(1900) + ']'.repeat(1900), '[' + '0,'.repeat(3000) + '0]',
];

type Damage = (bytes: Buffer) => Buffer;
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

/** Damage anywhere in the bytes. */
const byteDamage: fc.Arbitrary<Damage> = fc.oneof(
  fc.tuple(place, fc.integer({ min: 0, max: 7 })).map(([at, bit]) => (bytes: Buffer) => {
    const changed = Buffer.from(bytes);
    if (changed.length > 0) changed[Math.floor(at * changed.length)] ^= 1 << bit;
    return changed;
  }),
  place.map((at) => (bytes: Buffer) => bytes.subarray(0, Math.floor(at * bytes.length))),
  fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 12 })).map(([at, added]) => (bytes: Buffer) => {
    const cut = Math.floor(at * bytes.length);
    return Buffer.concat([bytes.subarray(0, cut), added, bytes.subarray(cut)]);
  }),
  fc.tuple(place, place).map(([from, to]) => (bytes: Buffer) => {
    const [start, end] = [from, to].map((at) => Math.floor(at * bytes.length)).sort((a, b) => a - b);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  }),
);

/** Another value for one of those in the text: of JSON files and of the headers of safetensors files alike. */
const valueDamage: fc.Arbitrary<Damage> = fc.tuple(place, fc.constantFrom(...HOSTILE)).map(([at, value]) => (bytes: Buffer) => {
  const text = bytes.toString('latin1');
  const values = [...text.matchAll(/"[^"\\]*"(?=\s*[,}\]])|-?\d[\d.e+-]*|\[[^[\]]*\]|\{[^{}]*\}/g)];
  if (values.length === 0) return bytes;
  const match = values[Math.floor(at * values.length)];
  return Buffer.from(text.slice(0, match.index) + value + text.slice(match.index + match[0].length), 'latin1');
});

/** One more name in an object. */
const nameDamage: fc.Arbitrary<Damage> = fc.tuple(
  place, fc.constantFrom('__proto__', 'constructor', 'toString', 'epochs', 'weight_map', 'a'), fc.constantFrom(...HOSTILE),
).map(([at, name, value]) => (bytes: Buffer) => {
  const text = bytes.toString('latin1');
  const objects = [...text.matchAll(/\{/g)];
  if (objects.length === 0) return bytes;
  const start = objects[Math.floor(at * objects.length)].index + 1;
  return Buffer.from(`${text.slice(0, start)}"${name}":${value},${text.slice(start)}`, 'latin1');
});

/** The header length of a safetensors file said right again, so that the damage inside is met. */
const headerMended = (damage: Damage): Damage => (bytes) => {
  const changed = damage(bytes);
  const length = bytes.length < 8 ? 0 : Number(bytes.readBigUInt64LE(0)) + changed.length - bytes.length;
  if (changed.length >= 8 && length >= 0) changed.writeBigUInt64LE(BigInt(length));
  return changed;
};

const textDamage = fc.oneof(valueDamage, nameDamage);
const upTo3 = (text: fc.Arbitrary<Damage>) => fc.array(
  fc.oneof({ weight: 1, arbitrary: byteDamage }, { weight: 2, arbitrary: text }), { minLength: 1, maxLength: 3 });
const damages = upTo3(textDamage);
const binaryDamages = upTo3(textDamage.map(headerMended));

for (const { title, file, named, read } of kinds) {
  const cases = Math.ceil(CASES / kinds.length);
  test(`Damaged ${title}: read as valid or refused by name (${cases} cases).`, (t) => {
    const good = fs.readFileSync(file);
    let refused = 0;
    try {
      read(good.length);
      fc.assert(fc.property(file.endsWith('.safetensors') ? binaryDamages : damages, (list) => {
        const bad = list.reduce<Buffer>((bytes, damage) => damage(bytes), good);
        fs.writeFileSync(file, bad);
        try {
          read(bad.length);
        } catch (error) {
          refused += 1;
          if (error instanceof assert.AssertionError) throw error;
          assert.equal((error as Error).constructor, Error, String((error as Error).stack));
          assert.ok((error as Error).message.includes(named), (error as Error).message);
          assert.ok((error as Error).message.length < 2000 + named.length, (error as Error).message);
        }
        assert.equal(({} as { polluted?: number }).polluted, undefined);
      }), { seed: SEED, numRuns: cases });
    } finally {
      fs.writeFileSync(file, good);
    }
    assert.equal(tf.memory().numTensors, 0, 'tensors are left behind');
    t.diagnostic(`${cases} cases, ${refused} refused`);
    assert.ok(refused > cases / 4, 'the damage must matter');
  });
}

test('Names from outside never lead out of their folder.', () => {
  const names = fc.oneof(
    fc.string({ unit: 'binary' }), fc.constantFrom('..', '.', '../x', '/etc/passwd', 'a/../..', 'a\\b', '\0', 'x\n', '', 'CON', '__proto__'),
    fc.array(fc.constantFrom('.', '/', '\\', 'a', '-', '%2e', '\0'), { maxLength: 6 }).map((parts) => parts.join('')));
  fc.assert(fc.property(names, (name) => {
    for (const [make, parent] of [
      [() => runFolder(name), path.dirname(folder)],
      [() => path.join(temporary, taskFileName(name)), temporary],
    ] as const) {
      let made: string;
      try {
        made = make();
      } catch (error) {
        assert.match((error as Error).message, /^(run|task) name: /);
        continue;
      }
      assert.equal(path.dirname(path.resolve(made)), path.resolve(parent));
    }
  }), { seed: SEED, numRuns: Math.ceil(CASES / 10) });
});

test('Any word becomes a folder of its own inside its task.', () => {
  const words = fc.uniqueArray(fc.oneof(
    fc.string({ minLength: 1, unit: 'grapheme' }), fc.constantFrom('..', '.', '/', '../..', '\\', '\0', ' ', '%2F', 'a'.repeat(400)),
  ), { minLength: 3, maxLength: 3 });
  fc.assert(fc.property(words, (three) => {
    const place = fs.mkdtempSync(path.join(temporary, 'words-'));
    const inner = path.join(place, 'run');
    saveFinished(inner, three.map((word) => ({ task: 'colours', word, seed: 0 })), {
      state: checkpoint!.state, history: [new Float32Array(18)],
      metrics: [{ epoch: 1, trainLoss: [1, 1, 1], test: three.map(() => ({ loss: 1, accuracy: 0 })), stops: [] }],
    }, 3, new Float32Array(18));
    assert.deepEqual(fs.readdirSync(place), ['run']);
    assert.deepEqual(fs.readdirSync(inner), ['colours']);
    assert.equal(fs.readdirSync(path.join(inner, 'colours')).length, 3);
    fs.rmSync(place, { recursive: true });
  }), { seed: SEED, numRuns: Math.ceil(CASES / 100) });
});
