import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';

import { lockFolder, withFolderLock } from '../lib/lock';

async function withFolder(work: (folder: string, file: string) => Promise<void> | void): Promise<void> {
  const parent = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-lock-'));
  const folder = path.join(parent, 'deep', 'er');
  try {
    await work(folder, path.join(folder, '.lock'));
    assert.deepEqual(fs.readdirSync(folder), [], 'nothing is left behind');
  } finally {
    fs.rmSync(parent, { recursive: true, force: true });
  }
}

const hold = (file: string, owner: object) => {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, JSON.stringify({
    pid: process.pid, host: os.hostname(), since: '2026-01-01T00:00:00.000Z', processStart: null, ...owner,
  }));
};

test('Under one lock one piece of work runs at a time, and its value comes back.', () => (
  withFolder(async (folder) => {
    let running = 0;
    let most = 0;
    const work = (value: number) => withFolderLock(folder, 'test', async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 10));
      running--;
      return value;
    }, { poll: 2 });
    assert.deepEqual(await Promise.all([1, 2, 3, 4, 5].map(work)), [1, 2, 3, 4, 5]);
    assert.equal(most, 1);
  })));

test('Work that fails frees the lock and its error comes out.', () => (
  withFolder(async (folder) => {
    await assert.rejects(withFolderLock(folder, 'test', () => Promise.reject(new Error('no'))), { message: 'no' });
    assert.equal(await withFolderLock(folder, 'test', () => Promise.resolve(7)), 7);
    lockFolder(folder, 'test')();
  })));

test('The lock of a process that has died is taken over without waiting.', () => (
  withFolder(async (folder, file) => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    hold(file, { pid });
    const onWait = () => assert.fail('must not wait');
    assert.equal(await withFolderLock(folder, 'test', () => Promise.resolve(1), { onWait }), 1);
    // Another process that has its number by now: this one is not the one that started then.
    if (process.platform === 'linux') {
      hold(file, { processStart: 'another boot 12' });
      assert.equal(await withFolderLock(folder, 'test', () => Promise.resolve(2), { onWait }), 2);
    }
  })));

test('A holder that lives, here or perhaps elsewhere, is waited for, which is told once.', () => (
  withFolder(async (folder, file) => {
    for (const [owner, note] of [
      [{}, `test: process ${process.pid} works on it since 2026-01-01T00:00:00.000Z; mend: wait for it, or stop it`],
      [{ host: 'elsewhere' }, `test: process ${process.pid} on elsewhere took it at 2026-01-01T00:00:00.000Z, and ` +
        `whether that still runs cannot be seen from ${os.hostname()}; mend: stop it there, or delete ${file} if it is gone`],
    ] as const) {
      hold(file, owner);
      assert.throws(() => lockFolder(folder, 'test'), { message: note });
      const notes: string[] = [];
      const onWait = (words: string) => {
        notes.push(words);
        setTimeout(() => fs.rmSync(file), 30);
      };
      assert.equal(await withFolderLock(folder, 'test', () => Promise.resolve(3), { poll: 5, onWait }), 3);
      assert.deepEqual(notes, [note]);
    }
  })));

test('A lock file that is none of ours is refused with what to do.', () => (
  withFolder(async (folder, file) => {
    hold(file, { pid: 'x' });
    const work = () => assert.fail('must not run');
    await assert.rejects(withFolderLock(folder, 'test', work), /\.lock; mend: delete it if nothing uses the folder: pid/);
    fs.rmSync(file);
  })));

test('Waiting ends when it is aborted, and the other\'s lock stays.', () => (
  withFolder(async (folder, file) => {
    hold(file, {});
    const controller = new AbortController();
    const onWait = () => setTimeout(() => controller.abort(new Error('enough')), 10);
    const work = () => assert.fail('must not run');
    const options = { signal: controller.signal, onWait, poll: 1e8 };
    await assert.rejects(withFolderLock(folder, 'test', work, options), { message: 'enough' });
    assert.ok(fs.existsSync(file));
    fs.rmSync(file);
  })));
