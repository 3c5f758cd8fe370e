/** Training that is killed anywhere and started again ends as if it had never been killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { after, before, mock } from 'node:test';

import { loadCheckpoint, saveCheckpoint, type Checkpoint } from '../lib/checkpoints';
import { configure, type Experiment } from '../lib/experiment';
import { projectFolder, sha256File, writeJsonAtomic } from '../lib/files';
import { lockFolder } from '../lib/lock';
import { openRunFolder, type Provenance } from '../lib/provenance';
import { createRandom } from '../lib/random';
import { groupsOf, runFolder } from '../lib/run-names';
import { groupFinished, saveFinished, tidyRunFolder } from '../lib/runs';
import { vocabularySize } from '../lib/tokenizer';
import { writeTinyModel } from './gpt2-fixtures';

/** Kills of real processes; `npm run test:long` asks for more. */
const KILLS = Number(process.env.SOFT_PROMPTS_TEST_KILLS ?? 4);

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-kill-'));
const nameOf = (number: number | string) => `test-${process.pid}-kill-${number}`;
const names: string[] = [];
after(() => {
  fs.rmSync(temporary, { recursive: true, force: true });
  for (const name of names) fs.rmSync(runFolder(name), { recursive: true, force: true });
});

/** Every file in a folder with its SHA-256. */
function contents(folder: string): Record<string, string> {
  const files = (fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })).sort();
  return Object.fromEntries(files.filter((file) => fs.statSync(path.join(folder, file)).isFile())
    .map((file) => [file, sha256File(path.join(folder, file))]));
}

const modelFolder = path.join(temporary, 'model');
const dataFolder = path.join(temporary, 'data');
const experiment: Experiment = {
  ...configure('tiny', {}, {}), tasks: ['colours'], words: ['cat', 'book'], seeds: [0], epochs: 2, batchSize: 4,
  learningRate: 0.05, examples: null, promptTokens: 2, newTokens: 2, runsPerStep: 2, model: modelFolder, data: dataFolder,
};

before(() => {
  writeTinyModel(modelFolder, { vocabulary: vocabularySize, dModel: 8, layers: 1, heads: 2, positions: 40 });
  const pairs = ['sky', 'grass', 'snow', 'coal', 'sun', 'sea', 'blood', 'milk', 'leaf', 'night']
    .map((input, i) => ({ input, output: ['blue', 'green', 'white', 'black', 'yellow'][i % 5] }));
  writeJsonAtomic(path.join(dataFolder, 'colours.json'), pairs);
});

/** What training does to the run folder, with arithmetic in place of the model. */
function pretendTraining(folder: string, provenance: Provenance): void {
  openRunFolder(folder, experiment, provenance);
  const groups = groupsOf(experiment, 2);
  tidyRunFolder(folder, groups);
  for (const group of groups) {
    if (groupFinished(folder, group)) continue;
    const zeros = new Float32Array(group.length * 6);
    const fresh = { epochsDone: 0, prompts: zeros, firstMoment: zeros, secondMoment: zeros, stops: [] };
    let checkpoint: Checkpoint = loadCheckpoint(folder, group) ?? { state: fresh, history: [], metrics: [] };
    for (let epoch = checkpoint.state.epochsDone + 1; epoch <= experiment.epochs; epoch++) {
      const { prompts, firstMoment, secondMoment } = checkpoint.state;
      const state = {
        epochsDone: epoch, stops: [], firstMoment: firstMoment.map((value) => 0.9 * value + epoch),
        prompts: prompts.map((value, i) => value + firstMoment[i] + epoch), secondMoment: secondMoment.map((value) => value + 2),
      };
      const losses = group.map((_, run) => state.prompts[run * 6] / 3);
      const test = losses.map((loss) => ({ loss, accuracy: 0.5 }));
      checkpoint = {
        state, history: [...checkpoint.history, state.prompts],
        metrics: [...checkpoint.metrics, { epoch, trainLoss: losses, test, stops: [] }],
      };
      saveCheckpoint(folder, group, checkpoint);
    }
    saveFinished(folder, group, checkpoint, 3, zeros);
  }
}

/** From the nth operation that changes files on, none happens: what a killed process leaves. Returns how many came. */
function withDeathAt(nth: number, work: () => void): number {
  const library = require('node:fs') as typeof fs;
  let count = 0;
  const names = ['mkdirSync', 'openSync', 'writeFileSync', 'fsyncSync', 'closeSync', 'renameSync', 'rmSync'] as const;
  const mocks = names.map((name) => {
    const real = library[name] as (...args: unknown[]) => unknown;
    return mock.method(library, name, (...args: unknown[]) => {
      if (name === 'openSync' && args[1] === 'r') return real(...args);
      count += 1;
      if (count === nth && name === 'writeFileSync') {
        const bytes = args[1] as Uint8Array;
        real(args[0], bytes.subarray(0, bytes.length / 2));
      }
      if (count >= nth) throw new Error('dead');
      return real(...args);
    });
  });
  try {
    work();
  } finally {
    mocks.forEach(({ mock: context }) => context.restore());
  }
  return count;
}

test('Whatever file operation is the last of a process, the next one goes on from there to the same files.', () => {
  const provenance: Provenance = {
    device: { backend: 'cpu', kind: 'CPU', threads: 1, version: '4' }, runsPerStep: 2, node: 'v20', hashes: { colours: 'ab' },
  };
  // Waiting for the disk changes nothing that this process sees.
  const sync = mock.method(require('node:fs') as typeof fs, 'fsyncSync', () => undefined);
  const whole = path.join(temporary, 'whole');
  const operations = withDeathAt(Infinity, () => pretendTraining(whole, provenance));
  assert.ok(operations > 50, `${operations}`);
  for (let nth = 1; nth <= operations; nth++) {
    const folder = path.join(temporary, `died-${nth}`);
    assert.throws(() => withDeathAt(nth, () => pretendTraining(folder, provenance)), /dead/, `operation ${nth}`);
    pretendTraining(folder, provenance);
    assert.deepEqual(contents(folder), contents(whole), `operation ${nth}`);
    fs.rmSync(folder, { recursive: true });
  }
  sync.mock.restore();
});

const PROGRAM = `
  const [, library, run, experiment, workers] = process.argv;
  require(library).trainGrid(run, JSON.parse(experiment), { workers: Number(workers) }).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });`;

// WebAssembly starts fastest; the training tests do the same with the native library.
const backend = { SOFT_PROMPTS_BACKEND: process.env.SOFT_PROMPTS_TEST_BACKEND ?? 'wasm' };

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

/** Start a training in a process of its own, the first of a group. */
function startTraining(
  name: string, trained: Experiment, environment: NodeJS.ProcessEnv = {},
): { readonly pid: number; readonly ending: Promise<Ending> } {
  const hook = path.join(__dirname, 'kill-hook.cjs');
  const library = path.join(projectFolder, 'lib', 'dist', 'training.js');
  const child = spawn(process.execPath, ['-e', PROGRAM, library, name, JSON.stringify(trained), '2'], {
    detached: true, // a group of its own, which is killed as a whole
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env, ...backend, NODE_OPTIONS: `--require=${JSON.stringify(hook)}`, KILL_IN: runFolder(name), ...environment,
    },
  });
  let errors = '';
  child.stderr.on('data', (data) => (errors += String(data)));
  const ending = new Promise<Ending>((resolve, reject) => {
    child.on('error', reject);
    // not 'close': the workers of a trainer that is killed alone keep its stderr open
    child.on('exit', (code, signal) => signal && resolve({ code, signal, errors }));
    child.on('close', (code, signal) => resolve({ code, signal, errors }));
  });
  return { pid: child.pid!, ending };
}

/** Train; `kill` may end it after so many milliseconds, alone or with its workers. */
async function train(
  name: string, environment: NodeJS.ProcessEnv, kill?: { readonly after: number; readonly alone: boolean },
): Promise<Ending> {
  const { pid, ending } = startTraining(name, experiment, environment);
  const timer = kill && setTimeout(() => process.kill(kill.alone ? pid : -pid, 'SIGKILL'), kill.after);
  return ending.finally(() => clearTimeout(timer));
}

test(`A trainer killed at ${KILLS} random moments ends bit for bit as one that is left alone.`, async (t) => {
  names.push(nameOf('whole'));
  const countFile = path.join(temporary, 'count');
  const began = Date.now();
  assert.deepEqual(await train(nameOf('whole'), { COUNT: countFile }), { code: 0, signal: null, errors: '' });
  const longest = Date.now() - began;
  const whole = contents(runFolder(nameOf('whole')));
  assert.equal(Object.keys(whole).length, 5);
  const counted = fs.readFileSync(countFile, 'utf8').trim().split('\n');

  const random = createRandom(20);
  const kinds: Record<string, number> = {};
  let kills = 0;
  for (let folder = 0; kills < KILLS; folder++) {
    const name = nameOf(folder);
    names.push(name);
    for (let finished = false; !finished;) {
      const kind = (['worker', 'worker', 'trainer', 'time', 'alone'] as const)[random.integers(5)];
      const timed = kind === 'time' || kind === 'alone';
      const operations = counted.filter((role) => role === kind).length;
      const more = kills < KILLS;
      const environment = more && !timed ? { KILL_AT: `${kind}:${1 + random.integers(operations)}` } : {};
      const at = { after: longest * (0.2 + 0.8 * random.uniform()), alone: kind === 'alone' };
      const { signal, errors } = await train(name, environment, more && timed ? at : undefined);
      assert.equal(errors, '');
      finished = signal === null;
      if (finished) continue;
      kills += 1;
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    // a trainer killed after its last result leaves its lock, which is taken over here; a worker whose trainer was
    // killed alone may have saved once more after the next trainer had tidied up
    lockFolder(runFolder(name), name)();
    tidyRunFolder(runFolder(name), groupsOf(experiment, 2));
    assert.deepEqual(contents(runFolder(name)), whole);
    fs.rmSync(runFolder(name), { recursive: true });
  }
  t.diagnostic(`${kills} kills: ${JSON.stringify(kinds)}`);
});

test('Ctrl-C stops a training after the step in progress: its epochs are saved, and a line says how to go on.', async () => {
  const name = nameOf('interrupted');
  names.push(name);
  const folder = runFolder(name);
  const long = { ...experiment, epochs: 10_000 };
  const epochsDone = () => groupsOf(long, 2).map((group) => loadCheckpoint(folder, group)?.state.epochsDone ?? 0)[0];
  const said = 'stopping after the step in progress; finished epochs are saved: run it again to go on\n' +
    'training stopped; run it again to go on from the last finished epochs\n';
  for (let before = 0, turn = 0; turn < 2; turn++) {
    const { pid, ending } = startTraining(name, long);
    let ended = false;
    void ending.then(() => (ended = true));
    while (epochsDone() <= before && !ended) await new Promise((resolve) => setTimeout(resolve, 20));
    process.kill(-pid, 'SIGINT'); // as a terminal does: to the workers too
    assert.deepEqual(await ending, { code: 1, signal: null, errors: said });
    assert.ok(epochsDone() > before && epochsDone() < 10_000);
    before = epochsDone();
    const left = Object.keys(contents(folder)).map((file) => path.dirname(file));
    assert.deepEqual(left, ['checkpoints', '.'], 'checkpoint and experiment.json, no lock, no half-written file');
  }
});
