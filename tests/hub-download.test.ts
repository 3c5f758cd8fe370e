import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test, { before } from 'node:test';

import { startBackend } from '../lib/backend';
import { readJson } from '../lib/files';
import { disposeGpt2, loadGpt2 } from '../lib/gpt2';
import { findModel } from '../lib/hub';
import { openCheckpoint } from '../lib/safetensors';
import { tinyConfig, tinyShapes, withoutLeak } from './gpt2-fixtures';
import { checkpointSize, commit, json, numbersOf, shardedRepository, shards } from './hub-checkpoint';
import { checkWhole, gets, id, isBody, needed, weightBytes, withHub } from './hub-scene';
import { refuse, type HubRepository } from './hub-server';

before(async () => {
  await startBackend({ threads: 1 });
});

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
    assert.equal(findModel(id, { environment }), model.folder);
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

test('A single model.safetensors is preferred to shards.', () => {
  const files = { 'config.json': whole.files['config.json'], 'model.safetensors': whole.files[shards[0]] };
  return withHub(async ({ hub, resolve }) => {
    const { folder } = await resolve();
    assert.deepEqual(fs.readdirSync(folder).sort(), ['config.json', 'model.safetensors']);
    assert.ok(!hub.asked.some(({ name }) => name.includes('index')));
    // It is a shard only, and loading says so.
    assert.throws(() => loadGpt2(folder), /tensor wpe\.weight: expected, but missing/);
  }, { ...whole, files: { ...whole.files, ...files } });
});
