/** Where a model's folder is: the embedded one, a local folder, or a checkpoint in the Hugging Face cache. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { projectFolder } from './files';

export const embeddedModelFolder = join(projectFolder, 'data', 'model');

/**
 * The folder of a model: 'embedded', a folder with a config.json, or a repository id ('gpt2',
 * 'openai-community/gpt2-xl') that Python's huggingface_hub has in its cache (HF_HUB_CACHE, HF_HOME).
 * Throws, saying where it looked, where there is none.
 */
export function findModel(model: string): string {
  if (model === 'embedded') return checkedFolder(embeddedModelFolder, 'embedded model');
  if (existsSync(join(model, 'config.json'))) return resolve(model);
  const cached = /^[\w.-]+(\/[\w.-]+)?$/.test(model) ? cachedSnapshot(model) : undefined;
  if (cached) return cached;
  throw new Error(
    `model ${model}: neither a folder with a config.json nor in the Hugging Face cache ${cacheFolder()}; ` +
    `mend: huggingface-cli download ${model} --include config.json '*.safetensors*'`);
}

/** The files that a model is made of, by name: config.json and the weights. */
export function modelFiles(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => name === 'config.json' || /\.safetensors(\.index\.json)?$/.test(name));
  return Object.fromEntries(names.sort().map((name) => [name, join(folder, name)]));
}

function checkedFolder(folder: string, what: string): string {
  if (!existsSync(join(folder, 'config.json'))) throw new Error(`${what}: ${folder}/config.json is missing`);
  return folder;
}

function cacheFolder(): string {
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const home = process.env.HF_HOME ?? join(caches, 'huggingface');
  return process.env.HF_HUB_CACHE ?? join(home, 'hub');
}

/** The snapshot that refs/main names: models--owner--name/{refs/main, snapshots/<commit>}. */
function cachedSnapshot(id: string): string | undefined {
  const repository = join(cacheFolder(), `models--${id.replace('/', '--')}`);
  const reference = join(repository, 'refs', 'main');
  if (!existsSync(reference)) return undefined;
  const commit = readFileSync(reference, 'utf8').trim();
  const folder = join(repository, 'snapshots', commit);
  return /^[0-9a-f]{40}$/.test(commit) && existsSync(join(folder, 'config.json')) ? folder : undefined;
}
