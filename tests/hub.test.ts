import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';

import { embeddedModelFolder, findModel, modelFiles, resolveModel } from '../lib/hub';
import { hubSettings, repositoryOf } from '../lib/hub-cache';

const commit = '0123456789abcdef0123456789abcdef01234567';
const other = 'f'.repeat(40);

interface Cache {
  readonly hub: string;
  readonly environment: NodeJS.ProcessEnv;
  /** put a model into the cache, as a commit that refs/<revision> names; returns its snapshot */
  put(id: string, reference: string, files?: Readonly<Record<string, string>>, revision?: string): string;
}

/** Run `work` with an empty Hugging Face cache and no network. */
async function withCache(work: (cache: Cache) => void | Promise<void>): Promise<void> {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-hub-'));
  const hub = path.join(home, 'hub');
  const put: Cache['put'] = (id, reference, files = { 'model.safetensors': '' }, revision = 'main') => {
    const repository = path.join(hub, `models--${id.replace('/', '--')}`);
    const snapshot = path.join(repository, 'snapshots', reference.trim());
    fs.mkdirSync(path.join(repository, 'refs'), { recursive: true });
    fs.mkdirSync(snapshot, { recursive: true });
    fs.writeFileSync(path.join(repository, 'refs', revision), reference);
    for (const [name, text] of Object.entries({ 'config.json': '{}', ...files })) {
      fs.writeFileSync(path.join(snapshot, name), text);
    }
    return snapshot;
  };
  try {
    await work({ hub, environment: { HF_HOME: home, HF_HUB_OFFLINE: '1' }, put });
  } finally {
    fs.rmSync(home, { recursive: true, force: true });
  }
}

test('A model is found in the Hugging Face cache by its id, with and without owner, and its commit is told.', () => (
  withCache(async ({ hub, environment, put }) => {
    assert.equal(put('gpt2', `${commit}\n`), findModel('gpt2', { environment }));
    const folder = put('openai-community/gpt2-xl', commit);
    assert.equal(folder, findModel('openai-community/gpt2-xl', { environment }));
    assert.deepEqual(
      await resolveModel('openai-community/gpt2-xl', { environment }),
      { folder, commit, repository: 'openai-community/gpt2-xl' });
    const elsewhere = { HF_HOME: '/nowhere', HF_HUB_CACHE: hub, HF_HUB_OFFLINE: '1' };
    assert.match(findModel('gpt2', { environment: elsewhere }), new RegExp(`models--gpt2/snapshots/${commit}$`));
  })));

test('A branch, a tag or a commit is found by its name, after an @ or as an option, and not both.', () => (
  withCache(async ({ environment, put }) => {
    put('gpt2', commit);
    const tagged = put('gpt2', other, { 'model.safetensors': '' }, 'v2');
    assert.equal(findModel('gpt2@v2', { environment }), tagged);
    assert.equal(findModel(`gpt2@${other}`, { environment }), tagged);
    assert.equal((await resolveModel('gpt2', { environment, revision: 'v2' })).commit, other);
    assert.equal((await resolveModel('gpt2@v2', { environment, revision: 'v2' })).commit, other);
    assert.equal((await resolveModel('gpt2', { environment })).commit, commit);
    await assert.rejects(
      resolveModel('gpt2@v2', { environment, revision: 'v1' }),
      /model gpt2@v2: revision: expected v2 as in the name, found v1/);
    assert.throws(() => findModel('gpt2@../../x', { environment }), /revision: expected a branch, tag or commit/);
  })));

test('A folder with a config.json is a model, before any cache.', () => (
  withCache(async ({ environment, put }) => {
    const folder = put('mine', commit);
    assert.equal(findModel(folder, { environment }), folder);
    assert.equal(findModel(path.relative(process.cwd(), folder), { environment }), folder);
    assert.deepEqual(await resolveModel(folder, { environment }), { folder });
  })));

test('What is nowhere is refused with the name, the places looked at, and how to get it.', () => (
  withCache(async ({ hub, environment, put }) => {
    const told = ({ message }: Error) => (
      message.startsWith('model gpt2: ') && message.includes(hub) && message.includes('hf download gpt2 ')
      && message.includes('HF_HUB_OFFLINE'));
    assert.throws(() => findModel('gpt2', { environment }), told);
    await assert.rejects(resolveModel('gpt2', { environment }), told);
    put('gpt2', 'v1.0'); // refs/main of a cache is a commit
    assert.throws(() => findModel('gpt2', { environment }), told);
    for (const name of ['../gpt2', 'a/b/c', '', '/no/folder', 'a--b']) {
      const message = /neither a folder with a config.json nor.* no name of a repository/;
      assert.throws(() => findModel(name, { environment }), message);
      await assert.rejects(resolveModel(name, { environment }), message);
    }
  })));

test('A snapshot that lacks its weights or a shard is not taken for a model.', () => (
  withCache(({ environment, put }) => {
    const index = JSON.stringify({ weight_map: { a: 'one.safetensors', b: 'two.safetensors' } });
    put('half', commit, {});
    put('shards', commit, { 'model.safetensors.index.json': index, 'one.safetensors': '' });
    for (const id of ['half', 'shards']) {
      assert.throws(() => findModel(id, { environment }), /nor, whole, in the Hugging Face cache/);
    }
    put('shards', commit, { 'two.safetensors': '' });
    assert.ok(findModel('shards', { environment }));
  })));

test('The embedded model is in data/model, or its absence is told.', () => {
  if (fs.existsSync(path.join(embeddedModelFolder, 'config.json'))) {
    assert.equal(findModel('embedded'), embeddedModelFolder);
  } else {
    assert.throws(() => findModel('embedded'), /embedded model: .*config\.json is missing/);
  }
});

test('A model is made of its configuration and weights, sorted by name, and nothing else.', () => (
  withCache(({ put }) => {
    const names = ['a.safetensors', 'config.json', 'model.safetensors', 'model.safetensors.index.json'];
    const others = ['vocab.json', 'README.md'];
    const folder = put('gpt2', commit, Object.fromEntries([...names, ...others].map((name) => [name, ''])));
    assert.deepEqual(Object.entries(modelFiles(folder)), names.map((name) => [name, path.join(folder, name)]));
  })));

test('The settings are read as huggingface_hub reads them.', () => {
  const home = os.homedir();
  // huggingface_hub 2.4.0, constants.py
  assert.equal(hubSettings({}).cache, path.join(home, '.cache/huggingface/hub'));
  assert.equal(hubSettings({ XDG_CACHE_HOME: '/x' }).cache, '/x/huggingface/hub');
  assert.equal(hubSettings({ XDG_CACHE_HOME: '/x', HF_HOME: '~/h' }).cache, path.join(home, 'h/hub'));
  assert.equal(hubSettings({ HF_HOME: '/h', HF_HUB_CACHE: '/c' }).cache, '/c');
  assert.equal(hubSettings({}).endpoint, 'https://huggingface.co');
  assert.equal(hubSettings({ HF_ENDPOINT: 'http://mirror/hf/' }).endpoint, 'http://mirror/hf');
  assert.deepEqual(
    ['1', 'true', 'YES', 'on', '0', 'false', ''].map((text) => hubSettings({ HF_HUB_OFFLINE: text }).offline),
    [true, true, true, true, false, false, false]);
});

test('The token comes from HF_TOKEN, else from its file; one that can be none is refused unseen.', () => {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-token-'));
  try {
    assert.equal(hubSettings({ HF_HOME: home }).token, undefined);
    fs.writeFileSync(path.join(home, 'token'), 'hf_file\n');
    assert.equal(hubSettings({ HF_HOME: home }).token, 'hf_file');
    assert.equal(hubSettings({ HF_HOME: home, HF_TOKEN: ' hf_own ' }).token, 'hf_own');
    assert.equal(hubSettings({ HF_TOKEN_PATH: path.join(home, 'token') }).token, 'hf_file');
    assert.throws(() => hubSettings({ HF_TOKEN: 'hf_secret\u0001x' }), ({ message }: Error) => (
      message.startsWith('HF_TOKEN: expected') && !message.includes('secret')));
    assert.throws(() => hubSettings({ HF_ENDPOINT: 'https://me:secret@host' }), ({ message }: Error) => (
      message.startsWith('HF_ENDPOINT: expected') && !message.includes('secret')));
    assert.throws(() => hubSettings({ HF_ENDPOINT: 'file:///etc' }), /HF_ENDPOINT: expected an http or https/);
  } finally {
    fs.rmSync(home, { recursive: true, force: true });
  }
});

test('Only what can be a repository is taken for one.', () => {
  assert.deepEqual(repositoryOf('gpt2'), { id: 'gpt2', revision: 'main' });
  assert.deepEqual(repositoryOf('a/b-c.d_e@refs/pr/1'), { id: 'a/b-c.d_e', revision: 'refs/pr/1' });
  for (const name of ['./a', '../a', '/a', 'a/../b', 'a/b/c', 'a/', '.a', '-a', 'a b', 'a--b', 'a/b@', '~/a']) {
    assert.equal(repositoryOf(name), undefined, name);
  }
});
