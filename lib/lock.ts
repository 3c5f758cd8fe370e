/**
 * One process at a time in a folder. The lock is a file that says who holds it; that of a dead process is taken
 * over. Libraries tell a dead holder by the age of its file, which a stopped or very busy process cannot keep young.
 */
import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { writeError } from './files';
import { checkJson, parseJson } from './json';
import { isAlive, processStart } from './processes';

const OWNER = z.strictObject({
  pid: z.int().min(1),
  host: z.string(),
  /** when the lock was taken, ISO 8601 */
  since: z.string(),
  /** on Linux: boot and tick at which the process started, which tell it from a later one of the same number */
  processStart: z.string().nullable(),
});
type Owner = z.infer<typeof OWNER>;

/**
 * Take the lock of a folder, which is made where it is missing; call the result to release it. Throws with
 * process, host and time where a live process, or one on another machine, holds it.
 */
export function lockFolder(folder: string, what: string): () => void {
  const release = takeLock(folder, what);
  if (typeof release === 'string') throw new Error(release);
  return release;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** told once, in words for people, who holds the lock */
  readonly onWait?: (note: string) => void;
  /** milliseconds between two looks at the lock; default 500 */
  readonly poll?: number;
}

/** Do `work` with the lock of a folder, waiting for another holder. Throws what `work` does, and when aborted. */
export async function withFolderLock<T>(
  folder: string, what: string, work: () => Promise<T>, { signal, onWait, poll = 500 }: WaitOptions = {},
): Promise<T> {
  for (let told = false; ; told = true) {
    signal?.throwIfAborted();
    const release = takeLock(folder, what);
    if (typeof release === 'string') {
      if (!told) onWait?.(release);
      await sleep(poll, undefined, { signal }).catch(() => signal?.throwIfAborted());
      continue;
    }
    try {
      return await work();
    } finally {
      release();
    }
  }
}

/** What releases the lock, or words that say who holds it. */
function takeLock(folder: string, what: string): (() => void) | string {
  const file = join(folder, '.lock');
  const unique = `${process.pid}.${randomBytes(6).toString('hex')}`;
  const owner: Owner = {
    pid: process.pid, host: hostname(), since: new Date().toISOString(), processStart: processStart(process.pid),
  };
  const text = JSON.stringify(owner);
  const mine = join(folder, `..lock.${unique}.tmp`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(mine, text, { flag: 'wx' });
    while (!tryLink(mine, file)) {
      const found = readIfThere(file);
      const held = found === undefined ? undefined : takeAway(file, found, `${file}.${unique}.tmp`);
      if (held !== undefined) return `${what}: ${held}`;
    }
  } catch (error) {
    throw writeError(file, error);
  } finally {
    rmSync(mine, { force: true });
  }
  return () => {
    if (readIfThere(file) === text) rmSync(file, { force: true });
  };
}

/** Remove the lock of a dead holder. Returns words about the holder where it may be alive. */
function takeAway(file: string, found: string, aside: string): string | undefined {
  const source = `${file} (mend: delete it if nothing uses the folder)`;
  const owner = checkJson(OWNER, parseJson(Buffer.from(found), source), source);
  const { pid, host, since } = owner;
  if (host !== hostname()) {
    return `process ${pid} on ${host} took it at ${since}, and whether that still runs cannot be ` +
      `seen from ${hostname()}; mend: stop it there, or delete ${file} if it is gone`;
  }
  if (isHolder(owner)) return `process ${pid} works on it since ${since}; mend: wait for it, or stop it`;
  // By way of another name: another process may have done the same in the meantime and hold the lock now.
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (readIfThere(aside) !== found) tryLink(aside, file);
  rmSync(aside, { force: true });
  return undefined;
}

/** Is the process that took the lock still there, and not another one that got its number later? */
function isHolder({ pid, processStart: start }: Owner): boolean {
  const now = processStart(pid);
  return isAlive(pid) && (start === null || now === null || start === now);
}

/** A second name for the file unless the name is taken; a copy where the file system knows no second names. */
function tryLink(from: string, to: string): boolean {
  for (const make of [linkSync, (a: string, b: string) => copyFileSync(a, b, constants.COPYFILE_EXCL)]) {
    try {
      make(from, to);
      return true;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return false;
      if (make !== linkSync || !['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code)) throw error;
    }
  }
  return false;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
