import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';

import { embeddedModelFolder, findModel, modelFiles } from '../lib/hub';

const commit = '0123456789abcdef0123456789abcdef01234567';

/** Run `work` in an empty Hugging Face cache. */
function withCache(work: (hub: string, put: (id: string, reference: string) => string) => void): void {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-hub-'));
  const hub = path.join(home, 'hub');
  const before = { HF_HOME: process.env.HF_HOME, HF_HUB_CACHE: process.env.HF_HUB_CACHE };
  const put = (id: string, reference: string) => {
    const repository = path.join(hub, `models--${id.replace('/', '--')}`);
    const snapshot = path.join(repository, 'snapshots', commit);
    fs.mkdirSync(path.join(repository, 'refs'), { recursive: true });
    fs.mkdirSync(snapshot, { recursive: true });
    fs.writeFileSync(path.join(repository, 'refs', 'main'), reference);
    fs.writeFileSync(path.join(snapshot, 'config.json'), '{}');
    return snapshot;
  };
  try {
    process.env.HF_HOME = home;
    delete process.env.HF_HUB_CACHE;
    work(hub, put);
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    fs.rmSync(home, { recursive: true, force: true });
  }
}

test('A model is found in the Hugging Face cache by its id, with and without owner.', () => {
  withCache((hub, put) => {
    assert.equal(put('gpt2', `${commit}\n`), findModel('gpt2'));
    assert.equal(put('openai-community/gpt2-xl', commit), findModel('openai-community/gpt2-xl'));
    process.env.HF_HOME = '/nowhere';
    process.env.HF_HUB_CACHE = hub;
    assert.match(findModel('gpt2'), new RegExp(`models--gpt2/snapshots/${commit}$`));
  });
});

test('A folder with a config.json is a model, before any cache.', () => {
  withCache((_hub, put) => {
    const folder = put('mine', commit);
    assert.equal(findModel(folder), folder);
    assert.equal(findModel(path.relative(process.cwd(), folder)), folder);
  });
});

test('What is nowhere is refused with the name, the places looked at, and how to get it.', () => {
  withCache((hub, put) => {
    assert.throws(() => findModel('gpt2'), ({ message }: Error) => (
      message.startsWith('model gpt2: ') && message.includes(hub) && message.includes('download gpt2')));
    put('gpt2', 'v1.0'); // refs/main of a cache is a commit
    assert.throws(() => findModel('gpt2'), /model gpt2: /);
    for (const name of ['../gpt2', 'a/b/c', '']) {
      assert.throws(() => findModel(name), /neither a folder with a config.json/);
    }
  });
});

test('The embedded model is in data/model, or its absence is told.', () => {
  if (fs.existsSync(path.join(embeddedModelFolder, 'config.json'))) {
    assert.equal(findModel('embedded'), embeddedModelFolder);
  } else {
    assert.throws(() => findModel('embedded'), /embedded model: .*config\.json is missing/);
  }
});

test('A model is made of its configuration and weights, sorted by name, and nothing else.', () => {
  withCache((_hub, put) => {
    const folder = put('gpt2', commit);
    for (const weights of ['model.safetensors', 'model.safetensors.index.json', 'a.safetensors']) {
      fs.writeFileSync(path.join(folder, weights), '');
    }
    for (const other of ['vocab.json', 'README.md']) fs.writeFileSync(path.join(folder, other), '');
    const names = ['a.safetensors', 'config.json', 'model.safetensors', 'model.safetensors.index.json'];
    assert.deepEqual(Object.entries(modelFiles(folder)), names.map((name) => [name, path.join(folder, name)]));
  });
});
