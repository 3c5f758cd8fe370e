/** Files that appear whole or not at all, JSON files, and hashes. */

import * as crypto from 'crypto';
import * as fs from 'fs';
import * as path from 'path';

import { parseJson } from './json';
import { isAlive } from './processes';

/** Absolute path of the project: the folder above this file whose package.json is the project's own. */
export const projectFolder: string = findProjectFolder(__dirname);

/** Bytes handed to the operating system in one call; Node refuses more than 2 GiB. */
const pieceBytes = 64 * 1024 * 1024;

function findProjectFolder(start: string): string {
  for (let folder = start; ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    // lib/ has a package.json of its own, so the name decides.
    if (fs.existsSync(file)) {
      const { name } = JSON.parse(fs.readFileSync(file, 'utf8')) as { name?: string };
      if (name === 'soft-prompts') return folder;
    }
    if (folder === path.dirname(folder)) {
      throw new Error(`${start}: found no folder above it with the package.json of soft-prompts`);
    }
  }
}

/** What the usual reasons mean for people, and what they can do. */
const MENDS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; mend: free some space',
  EDQUOT: 'the disk quota is used up; mend: free some space',
  EROFS: 'the file system is read-only; mend: work in a folder that can be written',
  EACCES: 'no permission; mend: make the folder writable for this user',
  EPERM: 'no permission; mend: make the folder writable for this user',
  ENOENT: 'its folder vanished meanwhile; mend: do not remove it while it is in use',
  EMFILE: 'too many open files; mend: raise the limit (ulimit -n)',
};

/** The error of a failed write in one line: file, what, and what to do; other errors as they are. */
export function writeError(file: string, error: unknown): unknown {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  if (errno === undefined || code === undefined) return error;
  const reason = Object.hasOwn(MENDS, code) ? `${MENDS[code]}; what was there before is unchanged` : message;
  return new Error(`${file}: could not be written (${code}): ${reason}`, { cause: error });
}

/** Add to an error what the user can do. */
export function orMend<T>(mend: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${(error as Error).message}; mend: ${mend}`, { cause: error });
  }
}

/**
 * Write a file so that a reader, or a restart after a crash, sees the old content or the new one, never a
 * part: a temporary file in the same folder, fsync, rename, fsync of the folder. Creates missing parent
 * folders. Throws, saying what to do, where the file system refuses; the old file is then untouched and the
 * temporary file removed.
 */
export function writeFileAtomic(file: string, data: string | Uint8Array): void {
  writePiecesAtomic(file, [typeof data === 'string' ? Buffer.from(data, 'utf8') : data]);
}

/**
 * `writeFileAtomic` for content that is made piece by piece; an error thrown while making it leaves the old
 * file.
 */
export function writePiecesAtomic(file: string, pieces: Iterable<Uint8Array>): void {
  const folder = path.dirname(file);
  const unique = `${process.pid}.${crypto.randomBytes(6).toString('hex')}`;
  const temporary = path.join(folder, `.${path.basename(file)}.${unique}.tmp`);
  try {
    fs.mkdirSync(folder, { recursive: true });
    writeSynced(temporary, pieces);
    fs.renameSync(temporary, file);
  } catch (error) {
    try {
      fs.rmSync(temporary, { force: true });
    } catch {
      // Where nothing can be removed either, the reason is the first error.
    }
    throw writeError(file, error);
  }
  syncFolder(folder);
}

function writeSynced(file: string, pieces: Iterable<Uint8Array>): void {
  const descriptor = fs.openSync(file, 'wx');
  try {
    for (const piece of pieces) {
      for (let start = 0; start < piece.length; start += pieceBytes) {
        fs.writeFileSync(descriptor, piece.subarray(start, start + pieceBytes));
      }
    }
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Remove temporary files of writers that are gone from a folder and all folders in it. A live process of the same
 * number keeps them for later.
 */
export function removeLeftovers(folder: string): void {
  if (!fs.existsSync(folder)) return;
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const writer = /^\..+\.(\d+)\.[0-9a-f]{12}\.tmp$/.exec(path.basename(name))?.[1];
    if (writer === undefined) continue;
    // A write ends before its call returns, so a file of this very process is of an earlier one with its number.
    if (Number(writer) === process.pid || !isAlive(Number(writer))) fs.rmSync(path.join(folder, name), { force: true });
  }
}

/** Make a rename durable. Windows cannot open folders and needs no such step. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const descriptor = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Write a value as JSON, indented by 2 spaces, with a final newline, by `writeFileAtomic`. Throws where the
 * value has no JSON form (undefined, a function) instead of writing nothing.
 */
export function writeJsonAtomic(file: string, value: unknown): void {
  const text = JSON.stringify(value, null, 2) as string | undefined;
  if (text === undefined) throw new Error(`${file}: expected a value with JSON form, found ${typeof value}`);
  writeFileAtomic(file, text + '\n');
}

/**
 * Read a UTF-8 JSON file. Throws an error with the file, line and column where it is not JSON, or where an
 * object has a name twice, which `JSON.parse` alone would pass over. The result is unchecked: the caller
 * validates it.
 */
export function readJson(file: string): unknown {
  return parseJson(fs.readFileSync(file), file);
}

/** SHA-256 of a file's bytes as lower-case hexadecimal, read in pieces. */
export function sha256File(file: string): string {
  const hash = crypto.createHash('sha256');
  const piece = Buffer.alloc(1024 * 1024);
  const descriptor = fs.openSync(file, 'r');
  try {
    for (let length; (length = fs.readSync(descriptor, piece, 0, piece.length, null)) > 0;) {
      hash.update(piece.subarray(0, length));
    }
  } finally {
    fs.closeSync(descriptor);
  }
  return hash.digest('hex');
}
