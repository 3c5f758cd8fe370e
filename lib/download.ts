/** Files over HTTP: resumed where they broke off, checked before they appear. */
import { createHash, type Hash } from 'node:crypto';
import { constants, mkdirSync, renameSync, rmSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ask, patiently, watchSilence, type Outcome, type Patience, type Source } from './http';

export interface DownloadOptions extends Patience {
  /** told the bytes of the file that are there, at the start and after each piece */
  readonly onBytes?: (bytes: number) => void;
}

/** What a file must be: its length, and its SHA-256 (64 digits) or git's hash of it as a blob (40 digits). */
export interface Expected { readonly bytes: number; readonly hash: string }

/** Where a partial download lies, as Python's huggingface_hub names it. */
export const partialFile = (file: string): string => `${file}.incomplete`;

/**
 * Download a file. What an interrupted download left in `<file>.incomplete` is not fetched again; the file itself
 * appears once its length and hash are right. A file that comes out wrong is thrown away and fetched anew, once.
 * Throws with the address: no answer, another status than 200, other bytes, or `signal` (what has come, stays).
 *
 * One process at a time should do this (withFolderLock). If two ever do, both write the same bytes to the same places.
 */
export async function downloadFile(
  source: Source, file: string, expected: Expected, options: DownloadOptions = {},
): Promise<void> {
  const partial = partialFile(file);
  mkdirSync(dirname(file), { recursive: true });
  for (let round = 1; ; round++) {
    const fault = await fill(source, partial, expected, options);
    if (fault === undefined) break;
    rmSync(partial, { force: true });
    if (round === 2) throw new Error(`${source.url}: ${fault}; fetched twice and thrown away`);
    options.onNote?.(`${source.url}: ${fault}; fetching it anew`);
  }
  renameSync(partial, file);
}

/** A partial download: `at` bytes are there and in `hash`; `furthest` is the most there have been. */
interface Part { readonly handle: FileHandle; at: number; furthest: number; hash: Hash }

/** Bring a partial file to its full length. Returns what is wrong with it then, if anything. */
async function fill(
  source: Source, partial: string, expected: Expected, options: DownloadOptions,
): Promise<string | undefined> {
  const handle = await open(partial, constants.O_RDWR | constants.O_CREAT, 0o644);
  try {
    const part = await openPart(handle, expected);
    options.onBytes?.(part.at);
    const fault = await patiently(() => fetchRest(source, part, expected, options), options);
    if (fault !== undefined) return fault;
    const found = part.hash.digest('hex');
    if (found !== expected.hash) return `${hashName(expected)}: expected ${expected.hash}, found ${found}`;
    await handle.sync();
    return undefined;
  } finally {
    await handle.close();
  }
}

async function openPart(handle: FileHandle, expected: Expected): Promise<Part> {
  const part: Part = { handle, at: 0, furthest: 0, hash: newHash(expected) };
  const { size } = await handle.stat();
  if (size > expected.bytes) {
    await handle.truncate(0);
    return part;
  }
  const piece = Buffer.alloc(4 * 1024 * 1024);
  while (part.at < size) {
    const { bytesRead } = await handle.read(piece, 0, Math.min(piece.length, size - part.at), part.at);
    if (bytesRead === 0) break;
    part.hash.update(piece.subarray(0, bytesRead));
    part.at += bytesRead;
  }
  part.furthest = part.at;
  return part;
}

const hashName = ({ hash }: Expected): string => (hash.length === 64 ? 'SHA-256' : 'git SHA-1');

function newHash(expected: Expected): Hash {
  if (expected.hash.length === 64) return createHash('sha256');
  return createHash('sha1').update(`blob ${expected.bytes}\0`);
}

/** Ask for the bytes that are missing. The value is what is wrong with the file, if anything. */
async function fetchRest(
  source: Source, part: Part, expected: Expected, options: DownloadOptions,
): Promise<Outcome<string | undefined>> {
  if (part.at === expected.bytes) return { value: undefined };
  const before = part.furthest;
  const silence = watchSilence(options);
  try {
    const headers = part.at > 0 ? { range: `bytes=${part.at}-` } : undefined;
    const outcome = await ask(source, { headers, signal: silence.signal });
    if ('failure' in outcome) return outcome;
    silence.heard();
    const fault = await begin(source, outcome.value, part, expected)
      ?? await receive(outcome.value, part, expected, (bytes) => {
        silence.heard();
        options.onBytes?.(bytes);
      });
    if (fault !== undefined || part.at === expected.bytes) return { value: fault };
    const failure = new Error(`${source.url}: the connection broke off after ${part.at} of ${expected.bytes} bytes`);
    return { failure, progressed: part.furthest > before };
  } finally {
    silence.end();
  }
}

/** Check that the answer begins where the part ends; an answer with the whole file begins it anew. */
async function begin(
  { url }: Source, response: Response, part: Part, { bytes, hash }: Expected,
): Promise<string | undefined> {
  const wrong = async (fault: string) => {
    await response.body?.cancel();
    return fault;
  };
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
    if (Number(range?.[1]) === part.at && (range?.[2] === '*' || Number(range?.[2]) === bytes)) return undefined;
    return wrong(`expected the bytes from ${part.at} of ${bytes}, found ${range?.[0] ?? 'no content-range'}`);
  }
  if (response.status === 416) return wrong(`expected ${bytes} bytes, found no byte ${part.at}`);
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`${url}: expected status 200, found ${response.status} ${response.statusText}`);
  }
  const length = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
  if (length !== null && Number(length) !== bytes) return wrong(`expected ${bytes} bytes, found ${length}`);
  if (part.at > 0) {
    await part.handle.truncate(0);
    part.at = 0;
    part.hash = newHash({ bytes, hash });
  }
  return undefined;
}

/** Write what comes until it ends or breaks off. Returns what is wrong with it, if anything. */
async function receive(
  { body }: Response, part: Part, { bytes }: Expected, onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const reader = body!.getReader();
  try {
    for (;;) {
      const piece = await reader.read().catch(() => undefined);
      if (piece?.value === undefined) return undefined;
      if (part.at + piece.value.length > bytes) return `expected ${bytes} bytes, found more`;
      await writeAt(part.handle, piece.value, part.at);
      part.hash.update(piece.value);
      part.at += piece.value.length;
      part.furthest = Math.max(part.furthest, part.at);
      onBytes(part.at);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}
