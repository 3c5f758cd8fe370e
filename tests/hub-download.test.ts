import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { startBackend, tf } from '../lib/backend';
import { readJson } from '../lib/files';
import { disposeGpt2, loadGpt2 } from '../lib/gpt2';
import { findModel, resolveModel, type ResolvedModel, type ResolveOptions } from '../lib/hub';
import type { DownloadProgress } from '../lib/hub-download';
import { openCheckpoint } from '../lib/safetensors';
import { tinyConfig, tinyShapes, withoutLeak } from './gpt2-fixtures';
import { checkpointSize, commit, json, numbersOf, shardedRepository, shards } from './hub-checkpoint';
import {
  cutAfter, gitSha1, isLarge, refuse, sendFile, sha256, startHub, type Asked, type Hub, type HubRepository,
} from './hub-server';

before(async () => {
  await startBackend({ threads: 1 });
});

const id = 'someone/tiny-gpt2';
const needed = ['config.json', 'model.safetensors.index.json', ...shards];
const weightBytes = (files: HubRepository['files']) => shards.reduce((sum, name) => sum + files[name].length, 0);

interface Scene {
  readonly repository: HubRepository;
  readonly hub: Hub;
  readonly environment: NodeJS.ProcessEnv;
  /** folder of the repository in the cache */
  readonly folder: string;
  /** seconds that were waited, or would have been */
  readonly waited: number[];
  readonly progress: DownloadProgress[];
  resolve(options?: ResolveOptions, model?: string): Promise<ResolvedModel>;
}

/** A hub, an empty cache, and no real waiting; afterwards the cache is checked, whatever happened. */
async function withHub(work: (scene: Scene) => Promise<void>, repository = shardedRepository(id)): Promise<void> {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-download-'));
  const hub = await startHub(repository);
  const environment = { HF_HOME: home, HF_ENDPOINT: hub.endpoint };
  const folder = path.join(home, 'hub', `models--${repository.id.replace('/', '--')}`);
  const waited: number[] = [];
  const progress: DownloadProgress[] = [];
  const wait = async (milliseconds: number) => void waited.push(milliseconds / 1000);
  const onProgress = (now: DownloadProgress) => void progress.push(now);
  const resolve = (options: ResolveOptions = {}, model = repository.id) => (
    resolveModel(model, { environment, wait, onProgress, seconds: 20, ...options }));
  try {
    await work({ repository, hub, environment, folder, waited, progress, resolve });
    checkCache(folder, repository);
    assert.ok(!fs.existsSync(lockOf(home, repository.id)), 'the lock is left behind');
  } finally {
    await hub.close();
    fs.rmSync(home, { recursive: true, force: true });
  }
}

const lockOf = (home: string, id: string) => (
  path.join(home, 'hub', '.locks', `models--${id.replace('/', '--')}`, '.lock'));

/** Every blob has the bytes that its name says, and every link of a snapshot leads to one. */
function checkCache(folder: string, { files }: HubRepository): void {
  const blobs = path.join(folder, 'blobs');
  for (const name of fs.existsSync(blobs) ? fs.readdirSync(blobs) : []) {
    if (name.endsWith('.incomplete')) continue;
    const bytes = fs.readFileSync(path.join(blobs, name));
    assert.equal(name.length === 64 ? sha256(bytes) : gitSha1(bytes), name);
  }
  const snapshot = path.join(folder, 'snapshots', commit);
  for (const name of fs.existsSync(snapshot) ? fs.readdirSync(snapshot) : []) {
    assert.ok(fs.readFileSync(path.join(snapshot, name)).equals(files[name]), name);
    assert.match(fs.readlinkSync(path.join(snapshot, name)), /^\.\.\/\.\.\/blobs\/[0-9a-f]{40,64}$/);
  }
}

/** All files are there, byte for byte, and nothing is left over. */
function checkWhole({ folder, commit: found }: ResolvedModel, { folder: repository, repository: { files } }: Scene): void {
  assert.equal(found, commit);
  assert.equal(folder, path.join(repository, 'snapshots', commit));
  assert.deepEqual(fs.readdirSync(folder).sort(), [...needed].sort());
  for (const name of needed) assert.ok(fs.readFileSync(path.join(folder, name)).equals(files[name]), name);
  assert.equal(fs.readFileSync(path.join(repository, 'refs', 'main'), 'utf8'), commit);
  assert.ok(fs.readdirSync(path.join(repository, 'blobs')).every((name) => !name.includes('incomplete')));
}

const gets = ({ asked }: Hub, name: string): Asked[] => (
  asked.filter((one) => one.name === name && one.method === 'GET' && one.where === (isLarge(name) ? 'cdn' : 'hub')));
/** Did the real content of this file get asked for? */
const isBody = ({ where, method, name }: Asked) => method === 'GET' && where === 'cdn' && shards.includes(name);

test('A checkpoint of three bfloat16 shards is downloaded from a second host, found again without asking, and loads.', () => (
  withHub(async (scene) => {
    const { repository, hub, progress, resolve, environment } = scene;
    const model = await resolve();
    checkWhole(model, scene);
    assert.equal(model.repository, id);
    assert.ok(hub.asked.every(({ name }) => needed.includes(name) || name.startsWith('/api/')), 'only what is needed');
    for (const name of needed) assert.equal(gets(hub, name).length, 1);

    const total = weightBytes(repository.files);
    assert.ok(progress.length >= 4);
    assert.deepEqual(progress[0], {
      done: 0, resumed: 0, total, bytesPerSecond: null, secondsLeft: null, note: progress[0].note });
    for (let i = 1; i < progress.length; i++) assert.ok(progress[i].done >= progress[i - 1].done);
    const last = progress[progress.length - 1];
    assert.deepEqual([last.done, last.total], [total, total]);
    assert.match(last.note, /^[\d.]+ kB of [\d.]+ kB/);

    hub.asked.length = 0;
    assert.deepEqual(await resolve(), model);
    assert.equal(findModel(id, environment), model.folder);
    assert.equal(hub.asked.length, 0);

    withoutLeak(() => {
      const gpt2 = loadGpt2(model.folder);
      const expected = numbersOf('wte.weight', [checkpointSize.vocabulary, checkpointSize.dModel]);
      assert.deepEqual(gpt2.tokenEmbedding.dataSync(), expected);
      assert.deepEqual(gpt2.finalShift.dataSync(), numbersOf('ln_f.bias', [checkpointSize.dModel]));
      disposeGpt2(gpt2);
    });
  })));

test('The numbers of a bfloat16 checkpoint come out exactly, tensor by tensor.', () => (
  withHub(async ({ resolve }) => {
    const { folder } = await resolve();
    const checkpoint = openCheckpoint(folder);
    for (const [name, shape] of Object.entries(tinyShapes(checkpointSize))) {
      assert.equal(checkpoint.dtypeOf(`transformer.${name}`), 'BF16');
      assert.deepEqual(checkpoint.read(`transformer.${name}`), { shape, data: numbersOf(name, shape) });
    }
    checkpoint.close();
  })));

// Made by tests/reference/hub_cache.py, which also lets huggingface_hub and transformers find what we download.
const layout = (readJson(path.join(__dirname, 'reference/fixtures/hub-cache.json')) as {
  readonly layout: Readonly<Record<string, string | number>>;
}).layout;

test('The cache is, entry by entry, the one that Python writes for the same repository.', () => (
  withHub(async ({ resolve, folder }) => {
    await resolve();
    const found = ['refs', 'snapshots', 'blobs'].flatMap((part) => (
      fs.readdirSync(path.join(folder, part), { recursive: true, encoding: 'utf8' }).map((name) => path.join(part, name))));
    const entries = found.filter((name) => !fs.lstatSync(path.join(folder, name)).isDirectory()).map((name) => {
      const file = path.join(folder, name);
      if (fs.lstatSync(file).isSymbolicLink()) return [name, fs.readlinkSync(file)];
      return [name, name.startsWith('refs') ? fs.readFileSync(file, 'utf8') : fs.statSync(file).size];
    });
    assert.deepEqual(Object.fromEntries(entries), layout);
  })));

test('A connection that is cut again and again goes on where it stopped.', () => (
  withHub(async (scene) => {
    const { hub, resolve, repository } = scene;
    // More cuts than attempts: what counts are those that brought nothing.
    hub.misbehave = (asked, response, content) => {
      if (!isBody(asked) || asked.before > 7) return false;
      cutAfter(response, content, asked, 3001);
      return true;
    };
    checkWhole(await resolve(), scene);
    const ranges = gets(hub, shards[0]).map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')?.[1]));
    assert.equal(ranges.length, 9);
    assert.ok(ranges.every((from, i) => from > (i === 0 ? -1 : ranges[i - 1])), `ranges rise: ${ranges.join()}`);
    assert.ok(ranges[8] < repository.files[shards[0]].length);
  })));

test('A line that gives nothing any more ends in an error that says what to do; the bytes that came stay.', () => (
  withHub(async (scene) => {
    const { hub, resolve, folder, waited } = scene;
    hub.misbehave = (asked, response, content) => {
      if (!isBody(asked)) return false;
      if (asked.before === 0) cutAfter(response, content, asked, 5000);
      else response.destroy();
      return true;
    };
    await assert.rejects(resolve(), /00001-of-00003\.safetensors: no answer \(.+\); mend: check the network; or set HF_ENDPOINT/);
    assert.deepEqual(waited, [1, 2, 4, 8]);
    const [partial] = fs.readdirSync(path.join(folder, 'blobs')).filter((name) => name.endsWith('.incomplete'));
    assert.equal(fs.statSync(path.join(folder, 'blobs', partial)).size, 5000);
    assert.ok(!fs.existsSync(path.join(folder, 'refs')));
    assert.throws(() => findModel(id, scene.environment), /nor, whole, in the Hugging Face cache/);

    hub.misbehave = () => false;
    hub.asked.length = 0;
    checkWhole(await resolve(), scene);
    assert.equal(gets(hub, shards[0])[0].range, 'bytes=5000-');
    const { resumed } = scene.progress[scene.progress.length - 1];
    assert.equal(resumed, 5000);
  })));

test('A server that knows no ranges sends the file anew.', () => (
  withHub(async (scene) => {
    const { hub, resolve } = scene;
    hub.misbehave = (asked, response, content) => {
      if (!isBody(asked)) return false;
      if (asked.before === 0) cutAfter(response, content, asked, 2000);
      else sendFile(response, content, { method: 'GET' });
      return true;
    };
    checkWhole(await resolve(), scene);
  })));

/** Answers that are wrong the first `times` times for one shard. */
const wrongContent: Readonly<Record<string, (content: Buffer) => Buffer>> = {
  'too short': (content) => content.subarray(0, content.length - 100),
  'too long': (content) => Buffer.concat([content, Buffer.alloc(9)]),
  'other bytes': (content) => Buffer.from(content.map((byte, i) => (i === 4000 ? byte ^ 1 : byte))),
};

for (const [kind, wrong] of Object.entries(wrongContent)) {
  test(`A file that comes ${kind} is thrown away and fetched anew, once.`, () => (
    withHub(async (scene) => {
      const { hub, resolve, folder } = scene;
      for (const chunked of [false, true]) {
        const misbehaveTimes = (times: number) => {
          hub.asked.length = 0;
          hub.misbehave = (asked, response, content) => {
            if (!isBody(asked) || asked.name !== shards[1] || asked.before >= times) return false;
            // What is written before the end goes without a content-length.
            if (chunked) response.write(wrong(content).subarray(0, 5000));
            response.end(wrong(content).subarray(chunked ? 5000 : 0));
            return true;
          };
        };
        misbehaveTimes(1000);
        await assert.rejects(resolve(), kind === 'other bytes'
          ? /00002-of-00003\.safetensors: SHA-256: expected [0-9a-f]{64}, found [0-9a-f]{64}; fetched twice and thrown away/
          : chunked && kind === 'too short'
            ? /00002-of-00003\.safetensors: the connection broke off after \d+ of \d+ bytes/
            : /00002-of-00003\.safetensors: expected \d+ bytes, found (\d+|more); fetched twice and thrown away/);
        assert.ok(!fs.existsSync(path.join(folder, 'snapshots', commit, shards[1])));

        misbehaveTimes(1);
        checkWhole(await resolve(), scene);
        assert.equal(gets(hub, shards[0]).length, 0, 'what was right is not fetched again');
        fs.rmSync(folder, { recursive: true });
      }
    })));
}

test('A partial file with other bytes in it, as a crash may leave it, does no harm.', () => (
  withHub(async (scene) => {
    const { repository: { files }, resolve, folder, hub } = scene;
    fs.mkdirSync(path.join(folder, 'blobs'), { recursive: true });
    const put = (name: string, bytes: Buffer) => (
      fs.writeFileSync(path.join(folder, 'blobs', `${sha256(files[name])}.incomplete`), bytes));
    put(shards[0], Buffer.alloc(1000));
    put(shards[1], Buffer.alloc(files[shards[1]].length + 1));
    put(shards[2], files[shards[2]]);
    checkWhole(await resolve(), scene);
    assert.deepEqual(gets(hub, shards[0]).map(({ range }) => range), ['bytes=1000-', undefined]);
    assert.deepEqual(gets(hub, shards[1]).map(({ range }) => range), [undefined]);
    assert.equal(gets(hub, shards[2]).length, 0, 'a whole partial file is only checked');
  })));

test('A blob whose length is wrong is fetched anew.', () => (
  withHub(async (scene) => {
    const { repository: { files }, resolve, folder } = scene;
    const { folder: snapshot } = await resolve();
    fs.writeFileSync(path.join(folder, 'blobs', sha256(files[shards[0]])), 'cut');
    fs.rmSync(path.join(snapshot, shards[1]));
    checkWhole(await resolve(), scene);
  })));

test('429 and 503 are waited out as long as the server says, within reason, and then tried again.', () => (
  withHub(async (scene) => {
    const { hub, resolve, waited, progress } = scene;
    const answers: readonly [number, string | undefined][] = [
      [429, '7'], [503, '100000'], [500, undefined], [503, new Date(Date.now() + 30_000).toUTCString()],
    ];
    let next = 0;
    hub.misbehave = (asked, response) => {
      const turn = asked.name.startsWith('/api/') || asked.name === 'config.json' || isBody(asked);
      if (!turn || asked.before >= answers.length) return false;
      const [status, after] = answers[next++ % answers.length];
      response.writeHead(status, after === undefined ? {} : { 'retry-after': after }).end('no');
      return true;
    };
    checkWhole(await resolve(), scene);
    assert.equal(waited.length, 4 * 6); // api, config.json (HEAD and GET), three shards
    assert.deepEqual(waited.slice(0, 3), [7, 300, 4]);
    assert.ok(waited[3] > 20 && waited[3] <= 30);
    assert.ok(progress.some(({ note }) => /found 429 Too Many Requests; trying again in 7 s/.test(note)));
  })));

test('A server that stays busy is given up with its address and status.', () => (
  withHub(async ({ hub, resolve, waited }) => {
    hub.misbehave = (_asked, response) => {
      response.writeHead(503).end();
      return true;
    };
    await assert.rejects(resolve(), /\/api\/models\/someone\/tiny-gpt2\/revision\/main: expected status 200, found 503/);
    assert.deepEqual(waited, [1, 2, 4, 8]);
  })));

test('A silent server and none at all are told, with the mend.', () => (
  withHub(async ({ hub, resolve, environment }) => {
    hub.misbehave = () => true;
    await assert.rejects(
      resolve({ seconds: 0.05 }), /no answer \(.*silent for 0.05 s\); mend: check the network; .* hf download someone/);
    const nobody = { ...environment, HF_ENDPOINT: 'http://127.0.0.1:9' };
    await assert.rejects(resolve({ environment: nobody }), /no answer \(.*\); mend: check the network/);
    const offline = { ...environment, HF_HUB_OFFLINE: '1' };
    hub.asked.length = 0;
    await assert.rejects(resolve({ environment: offline }), /mend: unset HF_HUB_OFFLINE/);
    assert.equal(hub.asked.length, 0);
  })));

test('A body that falls silent in the middle is asked for again from there.', () => (
  withHub(async (scene) => {
    const { hub, resolve } = scene;
    hub.misbehave = (asked, response, content) => {
      if (!isBody(asked) || asked.before > 0) return false;
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 1234));
      return true;
    };
    checkWhole(await resolve({ seconds: 1 }), scene);
    assert.ok(gets(hub, shards[0]).length >= 2);
  })));

test('An aborted download throws the reason, and the next one goes on.', () => (
  withHub(async (scene) => {
    const { hub, resolve, repository } = scene;
    const controller = new AbortController();
    const half = Math.floor(repository.files[shards[0]].length / 2);
    hub.misbehave = (asked, response, content) => {
      if (!isBody(asked) || asked.before > 0) return false;
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, half));
      return true;
    };
    const onProgress = ({ done }: DownloadProgress) => {
      if (done === half) controller.abort(new Error('stopped by hand'));
    };
    await assert.rejects(resolve({ signal: controller.signal, onProgress }), { message: 'stopped by hand' });
    checkWhole(await resolve(), scene);
    assert.equal(gets(hub, shards[0])[1].range, `bytes=${half}-`);
  })));

function startProcess(environment: NodeJS.ProcessEnv, model = id): { child: ChildProcess; ended: Promise<string> } {
  const child = spawn(process.execPath, ['--import', 'tsx', path.join(__dirname, 'hub-process.ts'), model], {
    env: { ...process.env, ...environment, HF_HUB_OFFLINE: '', HF_TOKEN: '' }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (output += text.toString()));
  return { child, ended: new Promise((resolve) => child.on('close', () => resolve(output))) };
}

test('A killed process leaves a lock and a part; the next one takes both over.', () => (
  withHub(async (scene) => {
    const { hub, environment, resolve, folder, repository } = scene;
    const half = Math.floor(repository.files[shards[0]].length / 2);
    hub.misbehave = (asked, response, content) => {
      if (!isBody(asked) || asked.before > 0) return false;
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, half));
      return true;
    };
    const partial = path.join(folder, 'blobs', `${sha256(repository.files[shards[0]])}.incomplete`);
    const { child, ended } = startProcess(environment);
    let over = false;
    const output = ended.finally(() => (over = true));
    while (!over && !(fs.existsSync(partial) && fs.statSync(partial).size === half)) await sleep(20);
    child.kill('SIGKILL');
    assert.equal(await output, '');
    assert.ok(fs.existsSync(lockOf(environment.HF_HOME!, id)));
    checkWhole(await resolve(), scene);
    assert.equal(gets(hub, shards[0])[1].range, `bytes=${half}-`);
  })));

test('Two processes at once fetch everything once and both have it.', () => (
  withHub(async (scene) => {
    const { hub, environment, folder } = scene;
    // Slow enough for the second to come while the first is at it.
    hub.misbehave = (asked, response, content) => {
      if (!isBody(asked)) return false;
      setTimeout(() => sendFile(response, content, asked), 300);
      return true;
    };
    const outputs = await Promise.all([startProcess(environment).ended, startProcess(environment).ended]);
    const model = { folder: path.join(folder, 'snapshots', commit), commit, repository: id };
    for (const output of outputs) {
      assert.ok(output.startsWith('{'), output);
      assert.deepEqual(JSON.parse(output), model);
    }
    checkWhole(model, scene);
    for (const name of needed) assert.equal(gets(hub, name).length, 1, name);
  })));

test('A disk that is too full is told before anything large is fetched; what is there already counts.', () => (
  withHub(async (scene) => {
    const { hub, resolve, repository } = scene;
    const total = weightBytes(repository.files);
    await assert.rejects(resolve({ freeBytes: () => total - 1 }), ({ message }: Error) => (
      /^model someone\/tiny-gpt2: expected [\d.]+ kB free on the disk of .*, found [\d.]+ kB; mend: .*HF_HOME/.test(message)));
    assert.equal(hub.asked.filter(isBody).length, 0);
    hub.misbehave = (asked, response, content) => {
      if (!isBody(asked) || asked.name !== shards[1]) return false;
      refuse(response, 403, String(content.length));
      return true;
    };
    await assert.rejects(resolve({ freeBytes: () => total }), /expected status 200, found 403/);
    hub.misbehave = () => false;
    checkWhole(await resolve({ freeBytes: () => total - repository.files[shards[0]].length }), scene);
  })));

test('The token goes to the hub alone, and into no error.', () => (
  withHub(async (scene) => {
    const { hub, resolve, environment } = scene;
    hub.token = 'hf_verySecret';
    const expected = /model someone\/tiny-gpt2: there is no such repository, or it is private; mend: check the name, or set HF_TOKEN/;
    await assert.rejects(resolve(), expected);
    const wrong = { ...environment, HF_TOKEN: 'hf_anotherSecret' };
    await assert.rejects(resolve({ environment: wrong }), ({ message }: Error) => (
      expected.test(message) && !message.includes('Secret')));
    hub.asked.length = 0;
    checkWhole(await resolve({ environment: { ...environment, HF_TOKEN: hub.token } }), scene);
    for (const { where, authorization } of hub.asked) {
      assert.equal(authorization, where === 'hub' ? `Bearer ${hub.token}` : undefined);
    }
    assert.ok(hub.asked.some(({ where }) => where === 'cdn'));
  })));

test('What does not exist or may not be read is told in words.', () => (
  withHub(async ({ hub, resolve }) => {
    await assert.rejects(
      resolve({}, 'someone/else'), /model someone\/else: there is no such repository, or it is private; .* 404 RepoNotFound\)/);
    await assert.rejects(
      resolve({ revision: 'v9' }), /model someone\/tiny-gpt2: revision v9: expected a branch, tag or commit of it, found none/);
    hub.misbehave = (_asked, response) => {
      refuse(response, 403, 'GatedRepo');
      return true;
    };
    await assert.rejects(resolve(), ({ message }: Error) => (
      message.includes(`accept them at ${hub.endpoint}/someone/tiny-gpt2, then set HF_TOKEN`)));
  })));

test('A revision is pinned by name or commit, and its commit is told.', () => (
  withHub(async ({ hub, resolve, folder }) => {
    const tagged = await resolve({ revision: 'v1.0' });
    assert.equal(tagged.commit, commit);
    assert.equal(fs.readFileSync(path.join(folder, 'refs', 'v1.0'), 'utf8'), commit);
    assert.ok(!fs.existsSync(path.join(folder, 'refs', 'main')));
    hub.asked.length = 0;
    assert.deepEqual(await resolve({}, `${id}@${commit}`), tagged);
    assert.equal(hub.asked.length, 0, 'a commit in the cache needs no hub');
    assert.deepEqual(await resolve({}, `${id}@refs/pr/1`), tagged);
    assert.equal(fs.readFileSync(path.join(folder, 'refs', 'refs', 'pr', '1'), 'utf8'), commit);
    assert.equal(hub.asked.filter(isBody).length, 0, 'the same commit is not fetched again');
  })));

test('A renamed repository and a mirror in a folder are followed within their host.', () => (
  withHub(async (scene) => {
    const { hub, resolve } = scene;
    hub.misbehave = (asked, response) => {
      if (asked.where !== 'hub' || asked.before > 0 || asked.name.startsWith('/api/')) return false;
      const file = `/${id}/resolve/${commit}/${asked.name}`;
      response.writeHead(307, { location: file }).end();
      return true;
    };
    checkWhole(await resolve(), scene);
  })));

test('A redirect that leads nowhere, in circles or away from https is refused.', () => (
  withHub(async ({ hub, resolve }) => {
    for (const [location, message] of [
      ['/round', /found more than 10 redirects/], ['ftp://host/file', /expected a redirect to https, found one to ftp:/],
      ['http://[', /found one to no address/],
    ] as const) {
      hub.misbehave = (_asked, response) => {
        response.writeHead(302, { location }).end();
        return true;
      };
      await assert.rejects(resolve(), message);
    }
  })));

const without = (repository: HubRepository, ...names: string[]): HubRepository => ({
  ...repository, files: Object.fromEntries(Object.entries(repository.files).filter(([name]) => !names.includes(name))),
});
const whole = shardedRepository(id);

test('A repository with pickled weights only is refused, and one without weights or configuration.', async () => {
  const noWeights = without(whole, ...shards, 'model.safetensors.index.json');
  await withHub(({ resolve }) => assert.rejects(resolve(), ({ message }: Error) => (
    message.includes('found only pytorch_model.bin, a pickle') && message.includes('; mend: '))), noWeights);
  await withHub(({ resolve }) => assert.rejects(resolve(), /expected model.safetensors or .*, found neither/),
    without(noWeights, 'pytorch_model.bin'));
  await withHub(({ resolve }) => assert.rejects(resolve(), /config.json: expected, but the repository has none/),
    without(whole, 'config.json'));
});

test('A checkpoint that is no GPT-2 is refused with the reason before its weights are fetched.', async () => {
  for (const [change, reason] of [
    [{ model_type: 'llama' }, /not a GPT-2 that can be read: .*config\.json: model_type: expected "gpt2", found "llama"/],
    [{ activation_function: 'relu' }, /activation_function: expected "gelu_new", found "relu"/],
  ] as const) {
    const files = { ...whole.files, 'config.json': json({ ...tinyConfig(checkpointSize), ...change }) };
    await withHub(async ({ hub, resolve }) => {
      await assert.rejects(resolve(), reason);
      assert.equal(hub.asked.filter(({ name }) => shards.includes(name)).length, 0);
    }, { ...whole, files });
  }
});

test('An index that names a file elsewhere is refused.', () => (
  withHub(({ resolve }) => assert.rejects(resolve(), /weight_map: "a": expected the plain name of a .safetensors file/), {
    ...whole,
    files: { ...whole.files, 'model.safetensors.index.json': json({ weight_map: { a: '../../etc/x.safetensors' } }) },
  })));

test('A hub that tells no hash to check by is refused.', () => (
  withHub(async ({ hub, resolve }) => {
    hub.misbehave = (asked, response, content) => {
      if (asked.method !== 'HEAD') return false;
      response.writeHead(200, { etag: '"v1"', 'content-length': content.length }).end();
      return true;
    };
    await assert.rejects(resolve(), /expected etag and length to check the file by, found "v1" and \d+/);
  })));

test('A single model.safetensors is preferred to shards, and one tensor library is enough.', () => {
  const files = { 'config.json': whole.files['config.json'], 'model.safetensors': whole.files[shards[0]] };
  return withHub(async ({ hub, resolve }) => {
    const { folder } = await resolve();
    assert.deepEqual(fs.readdirSync(folder).sort(), ['config.json', 'model.safetensors']);
    assert.ok(!hub.asked.some(({ name }) => name.includes('index')));
    // It is a shard only, and loading says so.
    assert.throws(() => loadGpt2(folder), /tensor wpe\.weight: expected, but missing/);
    assert.ok(tf.memory().numTensors >= 0);
  }, { ...whole, files: { ...whole.files, ...files } });
});
