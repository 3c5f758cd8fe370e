/** A GPT-2 from the Hugging Face hub into its cache: what is fetched, in which order, and what is refused. */
import { existsSync, mkdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { downloadFile, partialFile, type Expected } from './download';
import { readConfig } from './gpt2-config';
import { request, type Patience, type Source } from './http';
import {
  isCommit, linkBlob, repositoryFolder, writeReference, type HubSettings, type Repository, type Snapshot,
} from './hub-cache';
import { parseJson } from './json';
import { indexName, shardNames, weightsName } from './safetensors';

/** How far the download of a model is. */
export interface DownloadProgress {
  /** bytes of its files: there now, of which before this start, and in the end */
  readonly done: number;
  readonly resumed: number;
  readonly total: number;
  /** since this start; null before anything came */
  readonly bytesPerSecond: number | null;
  readonly secondsLeft: number | null;
  /** what happens, for people */
  readonly note: string;
}

export interface FetchOptions extends Pick<Patience, 'signal' | 'seconds' | 'wait'> {
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** free bytes of the disk that a folder is on; default: what the system says */
  readonly freeBytes?: (folder: string) => number;
}

/** How to get the same with other tools. */
export const downloadByHand = ({ id, revision }: Repository): string =>
  `hf download ${id} --revision ${revision} --include config.json --include '*.safetensors*' (pip install huggingface_hub)`;

/** One file of a repository as the hub describes it. */
interface RemoteFile extends Expected { readonly name: string; readonly blob: string; readonly source: Source }

type Report = ReturnType<typeof reporter>;

/** Download what a model is made of; the caller holds the lock. Throws as resolveModel says. */
export async function fetchSnapshot(
  repository: Repository, settings: HubSettings, options: FetchOptions, report: Report,
): Promise<Snapshot> {
  const patience = {
    ...options, onNote: report.note,
    mend: `check the network; or set HF_ENDPOINT to a mirror; or, where there is a network, ${downloadByHand(repository)}`,
  };
  const { commit, names } = await listFiles(repository, settings, patience);
  const folder = repositoryFolder(settings.cache, repository.id);
  const snapshot = join(folder, 'snapshots', commit);
  const describe = (name: string) => describeFile(name, commit, repository, settings, patience);
  const fetchFile = async (file: RemoteFile) => {
    if (bytesThere(file.blob) !== file.bytes || !existsSync(file.blob)) {
      await downloadFile(file.source, file.blob, file, { ...patience, onBytes: (bytes) => report.bytes(file.name, bytes) });
    }
    linkBlob(file.blob, snapshot, file.name);
  };
  const small = ['config.json', ...(names.includes(weightsName) ? [] : [indexName])];
  for (const name of small) await fetchFile(await describe(name));
  checkConfig(repository, join(snapshot, 'config.json'));

  const weights = names.includes(weightsName) ? [weightsName] : shardNames(join(snapshot, indexName));
  const files: RemoteFile[] = [];
  for (const name of weights) files.push(await describe(name));
  report.start(files.map(({ name, bytes, blob }) => ({ name, bytes, there: bytesThere(blob) })));
  checkSpace(repository, files, folder, options.freeBytes ?? freeBytesOf);
  for (const file of files) await fetchFile(file);
  writeReference(folder, repository.revision, commit);
  return { folder: snapshot, commit };
}

/** The commit that the revision stands at, and its files' names, among them a model that can be read. */
async function listFiles(
  repository: Repository, { endpoint, token }: HubSettings, patience: Patience,
): Promise<{ commit: string; names: string[] }> {
  const { id, revision } = repository;
  const url = `${endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`;
  const response = await request({ url, token }, 'GET', patience);
  if (response.status !== 200) throw refusal(repository, url, response, endpoint);
  const { sha, siblings } = parseJson(new Uint8Array(await response.arrayBuffer()), url) as {
    sha?: unknown; siblings?: readonly { rfilename?: unknown }[];
  };
  if (typeof sha !== 'string' || !isCommit(sha)) throw new Error(`${url}: sha: expected a commit, found ${String(sha)}`);
  const names = Array.isArray(siblings) ? siblings.map(({ rfilename }) => String(rfilename)) : [];
  const lacks = (what: string) => new Error(`model ${id}: revision ${revision}: ${what}`);
  if (!names.includes('config.json')) throw lacks('config.json: expected, but the repository has none');
  if (!names.includes(weightsName) && !names.includes(indexName)) {
    const pickled = names.find((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
    if (pickled === undefined) throw lacks(`expected ${weightsName} or ${indexName}, found neither`);
    throw lacks(`expected weights as safetensors, found only ${pickled}, a pickle, which may run code when it is ` +
      'read; mend: choose a repository or revision with safetensors, or convert it with transformers: ' +
      'save_pretrained writes safetensors into a folder; then --model FOLDER');
  }
  return { commit: sha, names };
}

async function describeFile(
  name: string, commit: string, repository: Repository, settings: HubSettings, patience: Patience,
): Promise<RemoteFile> {
  const { cache, endpoint, token } = settings;
  const source = { url: `${endpoint}/${repository.id}/resolve/${commit}/${encodeURIComponent(name)}`, token };
  // The hub's own answer describes the file; one that it redirects to knows less.
  const described = ({ headers }: Response) => headers.has('x-linked-etag') && headers.has('x-linked-size');
  const response = await request(source, 'HEAD', patience, described);
  const { status, headers } = response;
  if (!described(response) && status !== 200) throw refusal(repository, source.url, response, endpoint);
  const tag = headers.get('x-linked-etag') ?? headers.get('etag') ?? '';
  const hash = tag.replace(/^W\//, '').replace(/^"|"$/g, '');
  const bytes = headers.get('x-linked-size') ?? headers.get('content-length') ?? '';
  if (!/^([0-9a-f]{64}|[0-9a-f]{40})$/.test(hash) || !/^\d+$/.test(bytes)) {
    throw new Error(`${source.url}: expected etag and length to check the file by, found ${tag || 'no etag'} and ` +
      `${bytes || 'no length'}; mend: unset HF_ENDPOINT, or ${downloadByHand(repository)}`);
  }
  const blob = join(repositoryFolder(cache, repository.id), 'blobs', hash);
  return { name, bytes: Number(bytes), hash, blob, source };
}

/** What the hub's refusal means to the user. */
function refusal({ id, revision }: Repository, url: string, { status, headers }: Response, endpoint: string): Error {
  const code = headers.get('x-error-code');
  const token = 'set HF_TOKEN to a token that may read it (hf auth login keeps one)';
  const words = code === 'GatedRepo' || status === 403
    ? `its owner wants terms accepted; mend: accept them at ${endpoint}/${id}, then ${token}`
    : code === 'RevisionNotFound' ? `revision ${revision}: expected a branch, tag or commit of it, found none`
    : code === 'EntryNotFound' ? 'the file is missing'
    : status === 401 || status === 404
      ? `there is no such repository, or it is private; mend: check the name, or ${token}`
      : 'expected status 200';
  return new Error(`model ${id}: ${words} (${url}: ${status}${code === null ? '' : ` ${code}`})`);
}

function checkConfig({ id }: Repository, file: string): void {
  try {
    readConfig(file);
  } catch (error) {
    throw new Error(`model ${id}: not a GPT-2 that can be read: ${(error as Error).message}`, { cause: error });
  }
}

function bytesThere(blob: string): number {
  const file = [blob, partialFile(blob)].find(existsSync);
  return file === undefined ? 0 : statSync(file).size;
}

function freeBytesOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

function checkSpace(
  { id }: Repository, files: readonly RemoteFile[], folder: string, freeBytes: (folder: string) => number,
): void {
  mkdirSync(folder, { recursive: true });
  const needed = files.reduce((sum, { bytes, blob }) => sum + Math.max(0, bytes - bytesThere(blob)), 0);
  const free = freeBytes(folder);
  if (needed <= free) return;
  throw new Error(`model ${id}: expected ${size(needed)} free on the disk of ${folder}, found ${size(free)}; ` +
    'mend: free some, or set HF_HOME to a folder on another disk');
}

/** Bytes for people, in decimal units. */
function size(bytes: number): string {
  const [unit, name] = bytes >= 1e9 ? [1e9, 'GB'] : bytes >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB'];
  return `${(bytes / unit).toFixed(bytes >= 1e9 ? 2 : 1)} ${name}`;
}

interface Extent { readonly name: string; readonly bytes: number; readonly there: number }

/** Turns the bytes of single files into the progress of all. */
export function reporter({ onProgress }: FetchOptions) {
  const there = new Map<string, number>();
  let [total, resumed, since] = [0, 0, Date.now()];
  const tell = (words?: string) => {
    const done = [...there.values()].reduce((sum, bytes) => sum + bytes, 0);
    const rate = (done - resumed) / ((Date.now() - since) / 1000);
    const bytesPerSecond = Number.isFinite(rate) && rate > 0 ? rate : null;
    const secondsLeft = bytesPerSecond === null ? null : (total - done) / bytesPerSecond;
    const note = words ?? `${size(done)} of ${size(total)}${bytesPerSecond === null ? '' : `, ${size(bytesPerSecond)}/s`}`;
    onProgress?.({ done, resumed, total, bytesPerSecond, secondsLeft, note });
  };
  return {
    note: (words: string) => tell(words),
    start(files: readonly Extent[]) {
      for (const { name, bytes, there: before } of files) there.set(name, Math.min(bytes, before));
      total = files.reduce((sum, { bytes }) => sum + bytes, 0);
      resumed = [...there.values()].reduce((sum, bytes) => sum + bytes, 0);
      since = Date.now();
      tell();
    },
    /** Files that come before the start are too small to tell of. */
    bytes(name: string, bytes: number) {
      if (!there.has(name)) return;
      there.set(name, bytes);
      tell();
    },
  };
}
