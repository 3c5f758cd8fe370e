/**
 * The Hugging Face cache on disk, in the layout of Python's huggingface_hub:
 *
 *   models--<owner>--<name>/refs/<revision>              the commit that a branch or tag stood at
 *   models--<owner>--<name>/snapshots/<commit>/<file>    a link to its content
 *   models--<owner>--<name>/blobs/<hash>                 contents by SHA-256 (LFS) or git's SHA-1
 *
 * https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { writeFileAtomic } from './files';
import { indexName, shardNames, weightsName } from './safetensors';

/** What the environment variables of Hugging Face say, as huggingface_hub reads them. */
export interface HubSettings {
  /** folder of the cache: HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub */
  readonly cache: string;
  /** address of the hub: HF_ENDPOINT */
  readonly endpoint: string;
  /** HF_TOKEN, else what stands in HF_TOKEN_PATH or HF_HOME/token */
  readonly token?: string;
  /** HF_HUB_OFFLINE: never ask the network */
  readonly offline: boolean;
}

/** A repository at a revision: a branch, a tag or a commit. */
export interface Repository { readonly id: string; readonly revision: string }

/** A commit's files in the cache. */
export interface Snapshot { readonly folder: string; readonly commit: string }

/** Read the settings. Throws, without showing it, where the token cannot be one, or the address is none. */
export function hubSettings(environment: NodeJS.ProcessEnv): HubSettings {
  const home = homeFolder(environment);
  const cache = environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE;
  return {
    cache: cache ? fromHome(cache) : join(home, 'hub'),
    endpoint: endpointOf(environment.HF_ENDPOINT || 'https://huggingface.co'),
    token: tokenOf(environment, home),
    offline: isTrue(environment.HF_HUB_OFFLINE || environment.TRANSFORMERS_OFFLINE),
  };
}

function homeFolder({ HF_HOME, XDG_CACHE_HOME }: NodeJS.ProcessEnv): string {
  return fromHome(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'));
}

const fromHome = (path: string): string => path.replace(/^~(?=\/|$)/, homedir());
const isTrue = (text = ''): boolean => ['1', 'ON', 'YES', 'TRUE'].includes(text.toUpperCase());

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw new Error('HF_ENDPOINT: expected an http or https address without a password, found something else');
  }
  return text.replace(/\/+$/, '');
}

function tokenOf(environment: NodeJS.ProcessEnv, home: string): string | undefined {
  const file = fromHome(environment.HF_TOKEN_PATH || join(home, 'token'));
  const own = environment.HF_TOKEN || environment.HUGGING_FACE_HUB_TOKEN;
  const token = (own || (existsSync(file) ? readFileSync(file, 'utf8') : '')).trim();
  if (token === '') return undefined;
  // fetch would show the whole header in its error.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new Error(`${own ? 'HF_TOKEN' : file}: expected a token of letters and digits, found other characters`);
  }
  return token;
}

/**
 * The repository that a model's name means: 'gpt2', 'owner/name', with a revision after '@' or in `revision`
 * (default main). Undefined where the name can be no repository's. Throws where two different revisions are given.
 */
export function repositoryOf(model: string, revision?: string | null): Repository | undefined {
  const [, id, own] = /^((?:\w[\w.-]*\/)?\w[\w.-]*)(?:@(.+))?$/.exec(model) ?? [];
  if (id === undefined || /--|\.\./.test(id)) return undefined;
  if (own !== undefined && revision && own !== revision) {
    throw new Error(`model ${model}: revision: expected ${own} as in the name, found ${revision}`);
  }
  const wanted = own ?? (revision || 'main');
  if (!/^\w[\w.-]*(\/\w[\w.-]*)*$/.test(wanted) || wanted.includes('..')) {
    throw new Error(`model ${model}: revision: expected a branch, tag or commit, found ${JSON.stringify(wanted)}`);
  }
  return { id, revision: wanted };
}

export function repositoryFolder(cache: string, id: string): string {
  return join(cache, `models--${id.replace('/', '--')}`);
}

export const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);

/** The snapshot of a revision, where the cache has one with all files of a model; no network is asked. */
export function cachedSnapshot(cache: string, { id, revision }: Repository): Snapshot | undefined {
  const repository = repositoryFolder(cache, id);
  const reference = join(repository, 'refs', revision);
  const commit = isCommit(revision) || !existsSync(reference) ? revision : readFileSync(reference, 'utf8').trim();
  const folder = join(repository, 'snapshots', commit);
  return isCommit(commit) && missingFiles(folder).length === 0 ? { folder, commit } : undefined;
}

/** The files that a checkpoint folder lacks to be read: config.json, model.safetensors or the shards of its index. */
export function missingFiles(folder: string): string[] {
  const index = join(folder, indexName);
  const weights = existsSync(join(folder, weightsName)) || !existsSync(index) ? [weightsName] : shardNames(index);
  return ['config.json', ...weights].filter((name) => !existsSync(join(folder, name)));
}

/** Let a snapshot's file be a blob that is there and has been checked. */
export function linkBlob(blob: string, snapshot: string, name: string): void {
  const link = join(snapshot, name);
  if (existsSync(link)) return;
  mkdirSync(dirname(link), { recursive: true });
  // A link to nothing may be there already: a rename replaces it.
  const temporary = join(dirname(link), `.${basename(name)}.${randomUUID()}`);
  symlinkSync(relative(dirname(link), blob), temporary);
  renameSync(temporary, link);
}

/** Note that a branch or tag stands at this commit. */
export function writeReference(repository: string, revision: string, commit: string): void {
  if (revision !== commit) writeFileAtomic(join(repository, 'refs', revision), commit);
}
