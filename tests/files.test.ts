import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { mock } from 'node:test';

import {
  projectFolder, readJson, sha256File, writeFileAtomic, writeJsonAtomic, writePiecesAtomic,
} from '../lib/files';
import { lockFolder } from '../lib/lock';

function inTemporaryFolder(work: (folder: string) => void): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-files-'));
  try {
    work(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

test('The project folder is the one with the project\'s package.json, not lib with its own.', () => {
  assert.equal(projectFolder, path.resolve(__dirname, '..'));
});

test('A file is written whole, its parent folders are made, and nothing else stays.', () => {
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'a', 'b', 'ü.txt');
    writeFileAtomic(file, 'first é\n');
    assert.equal(fs.readFileSync(file, 'utf8'), 'first é\n');
    writeFileAtomic(file, new Uint8Array([1, 2, 255]));
    assert.deepEqual([...fs.readFileSync(file)], [1, 2, 255]);
    writeFileAtomic(file, '');
    assert.equal(fs.statSync(file).size, 0);
    assert.deepEqual(fs.readdirSync(path.dirname(file)), ['ü.txt']);
  });
});

test('A write that fails on the way leaves the old file and no temporary file.', () => {
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'kept.txt');
    writeFileAtomic(file, 'old');
    const pieces = function* (): Generator<Uint8Array> {
      yield Buffer.from('new');
      assert.equal(fs.readdirSync(folder).length, 2); // the temporary file is beside the old one
      throw new Error('no more');
    };
    assert.throws(() => writePiecesAtomic(file, pieces()), { message: 'no more' });
    assert.throws(() => writeJsonAtomic(file, undefined), /kept\.txt: expected a value with JSON form/);
    const circle: { self?: unknown } = {};
    circle.self = circle;
    assert.throws(() => writeJsonAtomic(file, circle), /circular/);
    assert.equal(fs.readFileSync(file, 'utf8'), 'old');
    assert.deepEqual(fs.readdirSync(folder), ['kept.txt']);
  });
});

test('A write whose rename fails removes its temporary file.', () => {
  inTemporaryFolder((folder) => {
    fs.mkdirSync(path.join(folder, 'taken', 'inner'), { recursive: true });
    assert.throws(() => writeFileAtomic(path.join(folder, 'taken'), 'text')); // a folder is in the way
    assert.deepEqual(fs.readdirSync(folder), ['taken']);
  });
});

test('A reader during many writes sees whole contents only.', () => {
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'state.json');
    writeJsonAtomic(file, { count: 0 });
    const old = fs.openSync(file, 'r');
    writeJsonAtomic(file, { count: 1, more: 'x'.repeat(10000) });
    assert.equal(fs.readFileSync(old, 'utf8'), '{\n  "count": 0\n}\n'); // an open old file keeps its content
    fs.closeSync(old);
    assert.deepEqual(readJson(file), { count: 1, more: 'x'.repeat(10000) });
  });
});

test('A process killed in the middle of writing leaves a whole file.', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-files-'));
  const file = path.join(folder, 'state');
  const program = `
    const { writeFileAtomic } = require(${JSON.stringify(path.resolve(__dirname, '../lib/files.ts'))});
    for (let count = 0; ; count++) {
      writeFileAtomic(${JSON.stringify(file)}, String(count % 10).repeat(5_000_000));
      if (count === 2) console.log('ready');
    }`;
  const child = spawn(process.execPath, ['--import', 'tsx', '-e', program], {
    cwd: projectFolder, stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('exit', () => reject(new Error('the writer ended early')));
    });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    const text = fs.readFileSync(file, 'utf8');
    assert.equal(text, text[0].repeat(5_000_000));
  } finally {
    child.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

test('JSON is indented by two spaces and ends in a newline.', () => {
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'x.json');
    writeJsonAtomic(file, { a: [1], b: 'é' });
    assert.equal(fs.readFileSync(file, 'utf8'), '{\n  "a": [\n    1\n  ],\n  "b": "é"\n}\n');
    assert.deepEqual(readJson(file), { a: [1], b: 'é' });
  });
});

test('A file that is not JSON is refused with its name, line and column.', () => {
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'bad.json');
    fs.writeFileSync(file, '{\n  "a": 1,\n  b: 2\n}\n');
    const message = `${file}: line 3 column 3: expected a name, found "b: 2\\n}\\n"`;
    assert.throws(() => readJson(file), { message });
    assert.throws(() => readJson(path.join(folder, 'none.json')), /ENOENT.*none\.json/);
  });
});

test('A hash is the SHA-256 of all bytes, also over more than one piece.', () => {
  inTemporaryFolder((folder) => {
    // Values by sha256sum (coreutils 9.1): of "abc", of nothing, and of 2 500 000 bytes "a".
    const file = path.join(folder, 'x');
    fs.writeFileSync(file, 'abc');
    assert.equal(sha256File(file), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    fs.writeFileSync(file, '');
    assert.equal(sha256File(file), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    fs.writeFileSync(file, 'a'.repeat(2500000));
    assert.equal(sha256File(file), '38a637965059125eeb67f54c30e7f48a61859a467a800ba09740ba48a924f2b9');
  });
});

/** A small file system in memory, where this process may mount one; why not, where it may not. */
function smallDisk(folder: string): string | undefined {
  if (process.platform !== 'linux') return 'tmpfs is Linux';
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder], { stdio: 'ignore' });
  return status === 0 ? undefined : 'mounting a file system needs root';
}

test('A full disk, and one that is read-only, are told in one line with what to do; the old file stays.', (t) => {
  inTemporaryFolder((folder) => {
    const problem = smallDisk(folder);
    if (problem) return t.skip(problem);
    try {
      const file = path.join(folder, 'state');
      writeFileAtomic(file, 'old');
      assert.throws(() => writeFileAtomic(file, 'x'.repeat(1_000_000)), {
        message: `${file}: could not be written (ENOSPC): the disk is full; mend: free some space; ` +
          'what was there before is unchanged',
      });
      assert.deepEqual(fs.readdirSync(folder), ['state']);
      assert.equal(fs.readFileSync(file, 'utf8'), 'old');
      writeFileAtomic(file, 'there is room for this');
      spawnSync('mount', ['-o', 'remount,ro', folder]);
      assert.throws(() => writeFileAtomic(file, 'new'), /state: could not be written \(EROFS\): .*read-only; mend: work in/);
      assert.throws(() => lockFolder(folder, 'run x'), /\.lock: could not be written \(EROFS\): .*mend: /);
      assert.equal(fs.readFileSync(file, 'utf8'), 'there is room for this');
    } finally {
      spawnSync('umount', [folder]);
    }
  });
});

test('Whatever the file system refuses at whatever moment, the file is as it was and nothing else is left.', () => {
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'state');
    writeFileAtomic(file, 'old');
    const library = require('node:fs') as typeof fs;
    for (const name of ['mkdirSync', 'openSync', 'writeFileSync', 'fsyncSync', 'closeSync', 'renameSync'] as const) {
      for (const code of ['EACCES', 'ENOSPC', 'EDQUOT', 'ENOENT', 'EIO']) {
        const refuse = () => { throw Object.assign(new Error(`${code}: no, ${name}`), { code, errno: -1 }); };
        const refused = mock.method(library, name, refuse);
        try {
          assert.throws(() => writeFileAtomic(file, 'new'), ({ message }: Error) => (
            message.startsWith(`${file}: could not be written (${code}): `) && !message.includes('\n') &&
            (code === 'EIO' || message.includes('; mend: '))));
        } finally {
          refused.mock.restore();
        }
        assert.equal(fs.readFileSync(file, 'utf8'), 'old');
        assert.deepEqual(fs.readdirSync(folder), ['state']);
      }
    }
  });
});
