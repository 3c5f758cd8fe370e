/** A hub, an empty cache and no real waiting, for the tests of downloads. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

import { resolveModel, type ResolvedModel, type ResolveOptions } from '../lib/hub';
import type { DownloadProgress } from '../lib/hub-download';
import { commit, shardedRepository, shards } from './hub-checkpoint';
import { gitSha1, isLarge, sha256, startHub, type Asked, type Hub, type HubRepository } from './hub-server';

export const id = 'someone/tiny-gpt2';
export const needed = ['config.json', 'model.safetensors.index.json', ...shards];
export const weightBytes = (files: HubRepository['files']) => shards.reduce((sum, name) => sum + files[name].length, 0);

export interface Scene {
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
export async function withHub(work: (scene: Scene) => Promise<void>, repository = shardedRepository(id)): Promise<void> {
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

export const lockOf = (home: string, id: string) => (
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
export function checkWhole({ folder, commit: found }: ResolvedModel, { folder: repository, repository: { files } }: Scene): void {
  assert.equal(found, commit);
  assert.equal(folder, path.join(repository, 'snapshots', commit));
  assert.deepEqual(fs.readdirSync(folder).sort(), [...needed].sort());
  for (const name of needed) assert.ok(fs.readFileSync(path.join(folder, name)).equals(files[name]), name);
  assert.equal(fs.readFileSync(path.join(repository, 'refs', 'main'), 'utf8'), commit);
  assert.ok(fs.readdirSync(path.join(repository, 'blobs')).every((name) => !name.includes('incomplete')));
}

export const gets = ({ asked }: Hub, name: string): Asked[] => (
  asked.filter((one) => one.name === name && one.method === 'GET' && one.where === (isLarge(name) ? 'cdn' : 'hub')));
/** Did the real content of this file get asked for? */
export const isBody = ({ where, method, name }: Asked) => method === 'GET' && where === 'cdn' && shards.includes(name);
