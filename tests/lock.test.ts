import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { after, beforeEach, mock } from 'node:test';

import { projectFolder, readJson } from '../lib/files';
import { lockFolder, withFolderLock } from '../lib/lock';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-lock-'));
const file = path.join(folder, '.lock');
after(() => fs.rmSync(folder, { recursive: true, force: true }));
beforeEach(() => fs.rmSync(file, { force: true }));

const program = (rest: string) => `
  const { lockFolder } = require(${JSON.stringify(path.resolve(__dirname, '../lib/lock.ts'))});
  lockFolder(${JSON.stringify(folder)}, 'run x');
  ${rest}`;

/** What a lock would say, with some of it changed. */
function leaveLock(changes: Record<string, unknown>): void {
  fs.rmSync(file, { force: true });
  const release = lockFolder(folder, 'run x');
  const owner = readJson(file) as Record<string, unknown>;
  release();
  fs.writeFileSync(file, JSON.stringify({ ...owner, ...changes }));
}

test('A lock keeps out this very process, says since when, and is free after its release.', () => {
  const release = lockFolder(folder, 'run x');
  const { since } = readJson(file) as { since: string };
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000);
  assert.throws(() => lockFolder(folder, 'run x'), {
    message: `run x: process ${process.pid} works on it since ${since}; mend: wait for it, or stop it`,
  });
  release();
  assert.deepEqual(fs.readdirSync(folder), []);
  lockFolder(folder, 'run x')();
});

test('A lock keeps out another process while its holder lives; of one that was killed it is taken over.', async () => {
  const holder = spawn(process.execPath, ['--import', 'tsx', '-e', program('console.log(1); setInterval(() => 0, 1000);')], {
    cwd: projectFolder, stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = new Promise((resolve) => holder.once('exit', resolve));
  try {
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    assert.throws(() => lockFolder(folder, 'run x'), new RegExp(`run x: process ${holder.pid} works on it since 2`));
  } finally {
    holder.kill('SIGKILL');
  }
  await gone;
  const release = lockFolder(folder, 'run x');
  assert.equal((readJson(file) as { pid: number }).pid, process.pid);
  release();
  assert.deepEqual(fs.readdirSync(folder), []);
});

test('A lock whose process number now belongs to another process is taken over.', { skip: process.platform !== 'linux' }, () => {
  leaveLock({ pid: process.ppid });
  lockFolder(folder, 'run x')();
  leaveLock({ pid: process.ppid, processStart: null });
  assert.throws(() => lockFolder(folder, 'run x'), /works on it since/, 'without its start the number alone decides');
});

test('A lock of another machine is refused by name, since nobody can see whether its process lives.', () => {
  leaveLock({ host: 'elsewhere', pid: 2 ** 22 + 1 });
  assert.throws(
    () => lockFolder(folder, 'run x'), /run x: process 4194305 on elsewhere took it at .* mend: stop it there, or delete .*\.lock/);
});

test('A lock that cannot be read is refused with what to do, and a lock of someone else is not released.', () => {
  for (const text of ['', '{}', '{"pid": "1"}', 'null']) {
    fs.writeFileSync(file, text);
    assert.throws(() => lockFolder(folder, 'run x'), /\.lock \(mend: delete it/, text);
  }
  fs.rmSync(file);
  const release = lockFolder(folder, 'run x');
  leaveLockAs('other');
  release();
  assert.ok(fs.existsSync(file));
});

function leaveLockAs(host: string): void {
  fs.writeFileSync(file, JSON.stringify({ ...(readJson(file) as object), host }));
}

test('A lock that another process takes over first stays with that process.', () => {
  leaveLock({ pid: 2 ** 22 + 1 });
  const library = require('node:fs') as typeof fs;
  const real = fs.renameSync;
  const rename = mock.method(library, 'renameSync', (from: string, to: string) => {
    leaveLock({}); // of this process, alive, in the moment between reading the dead one and taking it away
    real(from, to);
  });
  try {
    assert.throws(() => lockFolder(folder, 'run x'), new RegExp(`process ${process.pid} works on it`));
  } finally {
    rename.mock.restore();
  }
  assert.equal((readJson(file) as { pid: number }).pid, process.pid);
  assert.deepEqual(fs.readdirSync(folder), ['.lock']);
});

test('Where a file system knows no second names the lock is a copy.', () => {
  const library = require('node:fs') as typeof fs;
  const refuse = () => { throw Object.assign(new Error('no links here'), { code: 'EPERM' }); };
  const link = mock.method(library, 'linkSync', refuse);
  try {
    const release = lockFolder(folder, 'run x');
    assert.throws(() => lockFolder(folder, 'run x'), /works on it since/);
    release();
    assert.deepEqual(fs.readdirSync(folder), []);
  } finally {
    link.mock.restore();
  }
});

/** A folder that is not there yet; nothing may be left in it. */
async function withNewFolder(work: (folder: string, file: string) => Promise<void> | void): Promise<void> {
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
  withNewFolder(async (folder) => {
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
  withNewFolder(async (folder) => {
    await assert.rejects(withFolderLock(folder, 'test', () => Promise.reject(new Error('no'))), { message: 'no' });
    assert.equal(await withFolderLock(folder, 'test', () => Promise.resolve(7)), 7);
    lockFolder(folder, 'test')();
  })));

test('The lock of a process that has died is taken over without waiting.', () => (
  withNewFolder(async (folder, file) => {
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
  withNewFolder(async (folder, file) => {
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
  withNewFolder(async (folder, file) => {
    hold(file, { pid: 'x' });
    const work = () => assert.fail('must not run');
    await assert.rejects(withFolderLock(folder, 'test', work), /\.lock \(mend: delete it if nothing uses the folder\): pid/);
    fs.rmSync(file);
  })));

test('Waiting ends when it is aborted, and the other\'s lock stays.', () => (
  withNewFolder(async (folder, file) => {
    hold(file, {});
    const controller = new AbortController();
    const onWait = () => setTimeout(() => controller.abort(new Error('enough')), 10);
    const work = () => assert.fail('must not run');
    const options = { signal: controller.signal, onWait, poll: 1e8 };
    await assert.rejects(withFolderLock(folder, 'test', work, options), { message: 'enough' });
    assert.ok(fs.existsSync(file));
    fs.rmSync(file);
  })));
