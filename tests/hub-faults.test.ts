import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { findModel } from '../lib/hub';
import type { DownloadProgress } from '../lib/hub-download';
import { commit, shards } from './hub-checkpoint';
import { checkWhole, gets, id, isBody, lockOf, needed, withHub, type Scene } from './hub-scene';
import { cutAfter, sendFile, sha256, startHub, type Misbehaviour } from './hub-server';

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
    assert.throws(() => findModel(id, { environment: scene.environment }), /nor, whole, in the Hugging Face cache/);

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
  withHub(async ({ hub, resolve, environment, repository }) => {
    hub.misbehave = () => true;
    await assert.rejects(
      resolve({ seconds: 0.05 }), /no answer \(.*silent for 0.05 s\); mend: check the network; .* hf download someone/);
    const gone = await startHub(repository);
    await gone.close();
    const nobody = { ...environment, HF_ENDPOINT: gone.endpoint };
    await assert.rejects(
      resolve({ environment: nobody }), /no answer \(.*ECONNREFUSED.*\); mend: check the network; or set HF_ENDPOINT/);
    const offline = { ...environment, HF_HUB_OFFLINE: '1' };
    hub.asked.length = 0;
    await assert.rejects(resolve({ environment: offline }), /mend: unset HF_HUB_OFFLINE/);
    assert.equal(hub.asked.length, 0);
  })));

/** The first answer for the first shard stops after so many bytes, its connection open. */
function silentAfter(bytes: number): Misbehaviour {
  return (asked, response, content) => {
    if (!isBody(asked) || asked.name !== shards[0] || asked.before > 0) return false;
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, bytes));
    return true;
  };
}

test('A body that falls silent in the middle is asked for again from there.', () => (
  withHub(async (scene) => {
    const { hub, resolve } = scene;
    hub.misbehave = silentAfter(1234);
    checkWhole(await resolve({ seconds: 1 }), scene);
    assert.ok(gets(hub, shards[0]).length >= 2);
  })));

test('An aborted download throws the reason, and the next one goes on.', () => (
  withHub(async (scene) => {
    const { hub, resolve, repository } = scene;
    const controller = new AbortController();
    const half = Math.floor(repository.files[shards[0]].length / 2);
    hub.misbehave = silentAfter(half);
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

/** Start a process on a hub that falls silent in the middle of the first shard, and do something to it there. */
async function inTheMiddle(
  { hub, environment, folder, repository }: Scene, act: (child: ChildProcess) => void,
): Promise<{ output: string; half: number }> {
  const half = Math.floor(repository.files[shards[0]].length / 2);
  hub.misbehave = silentAfter(half);
  const partial = path.join(folder, 'blobs', `${sha256(repository.files[shards[0]])}.incomplete`);
  const { child, ended } = startProcess(environment);
  let over = false;
  const output = ended.finally(() => (over = true));
  while (!over && !(fs.existsSync(partial) && fs.statSync(partial).size === half)) await sleep(20);
  act(child);
  return { output: await output, half };
}

test('Ctrl-C in a download ends it with a line that says how to go on, and the next one does.', () => (
  withHub(async (scene) => {
    const { output, half } = await inTheMiddle(scene, (child) => child.kill('SIGINT'));
    assert.equal(output, `model ${id}: download interrupted; run it again to go on where it stopped`);
    assert.ok(!fs.existsSync(lockOf(scene.environment.HF_HOME!, id)));
    checkWhole(await scene.resolve(), scene);
    assert.equal(gets(scene.hub, shards[0])[1].range, `bytes=${half}-`);
  })));

test('A killed process leaves a lock and a part; the next one takes both over.', () => (
  withHub(async (scene) => {
    const { output, half } = await inTheMiddle(scene, (child) => child.kill('SIGKILL'));
    assert.equal(output, '');
    assert.ok(fs.existsSync(lockOf(scene.environment.HF_HOME!, id)));
    checkWhole(await scene.resolve(), scene);
    assert.equal(gets(scene.hub, shards[0])[1].range, `bytes=${half}-`);
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
