/** Where a model's folder is: the embedded one, a local folder, or a checkpoint in the Hugging Face cache or hub. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { projectFolder } from './files';
import { cachedSnapshot, hubSettings, repositoryFolder, repositoryOf } from './hub-cache';
import { downloadByHand, fetchSnapshot, reporter, type FetchOptions } from './hub-download';
import { withFolderLock } from './lock';
import { untilInterrupted } from './processes';

export const embeddedModelFolder = join(projectFolder, 'data', 'model');

export interface ResolveOptions extends FetchOptions {
  /** branch, tag or commit of a repository; default main */
  readonly revision?: string | null;
  /** default process.env */
  readonly environment?: NodeJS.ProcessEnv;
}

export interface ResolvedModel {
  readonly folder: string;
  /** repository and commit that the folder holds; undefined for a folder of one's own and the embedded model */
  readonly repository?: string;
  readonly commit?: string;
}

/**
 * The folder of a model without asking the network: 'embedded', a folder with a config.json, or a repository id
 * ('gpt2', 'openai-community/gpt2-xl', with '@' and a branch, tag or commit for another one than main) that is in
 * the Hugging Face cache with all its files. Throws, saying where it looked, where there is none.
 */
export function findModel(
  model: string, { revision, environment = process.env }: Pick<ResolveOptions, 'revision' | 'environment'> = {},
): string {
  return localModel(model) ?? cachedModel(model, { environment, revision }).folder;
}

/**
 * The folder of a model as findModel finds it, else downloaded into the Hugging Face cache, where Python's
 * huggingface_hub finds it too. A revision in the cache is taken as it stands there; the commit is returned, to be
 * recorded. Only configuration and weights are fetched, each checked against its hash before it appears; what is
 * interrupted goes on where it stopped. Throws, naming model, cause and mend, for a repository that cannot be
 * read or is no GPT-2 in safetensors, a disk that is too full, and a network or server that stays silent.
 */
export async function resolveModel(model: string, options: ResolveOptions = {}): Promise<ResolvedModel> {
  const local = localModel(model);
  if (local !== undefined) return { folder: local };
  const { environment = process.env } = options;
  const settings = hubSettings(environment);
  const repository = repositoryOf(model, options.revision);
  const cached = repository && cachedSnapshot(settings.cache, repository);
  if (cached) return { ...cached, repository: repository.id };
  if (repository === undefined || settings.offline) {
    return cachedModel(model, { environment, revision: options.revision });
  }
  const locks = repositoryFolder(join(settings.cache, '.locks'), repository.id);
  const report = reporter(options);
  const interrupted = `model ${model}: download interrupted; run it again to go on where it stopped`;
  const snapshot = await untilInterrupted(options.signal, interrupted, (signal) => (
    withFolderLock(locks, `model ${model}`, async () => (
      cachedSnapshot(settings.cache, repository) ?? fetchSnapshot(repository, settings, { ...options, signal }, report)
    ), { signal, onWait: report.note })));
  return { ...snapshot, repository: repository.id };
}

/** The files that a model is made of, by name: config.json and the weights. */
export function modelFiles(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => name === 'config.json' || /\.safetensors(\.index\.json)?$/.test(name));
  return Object.fromEntries(names.sort().map((name) => [name, join(folder, name)]));
}

function localModel(model: string): string | undefined {
  if (model === 'embedded') {
    if (existsSync(join(embeddedModelFolder, 'config.json'))) return embeddedModelFolder;
    throw new Error(`embedded model: ${embeddedModelFolder}/config.json is missing`);
  }
  return existsSync(join(model, 'config.json')) ? resolve(model) : undefined;
}

function cachedModel(
  model: string, { environment, revision }: { environment: NodeJS.ProcessEnv; revision?: string | null },
): ResolvedModel {
  const { cache, offline } = hubSettings(environment);
  const repository = repositoryOf(model, revision);
  const cached = repository && cachedSnapshot(cache, repository);
  if (cached) return { ...cached, repository: repository.id };
  const where = `model ${model}: neither a folder with a config.json nor, whole, in the Hugging Face cache ${cache}`;
  if (repository === undefined) throw new Error(`${where}, and no name of a repository such as openai-community/gpt2`);
  throw new Error(`${where}; mend: ${offline ? 'unset HF_HUB_OFFLINE, which forbids the download, or ' : ''}` +
    downloadByHand(repository));
}
