/** Where the task lists are: the embedded ones, the paper's own, or a folder of the user's. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { projectFolder, sha256File, writeFileAtomic } from './files';

const functionVectorsFolder = join(projectFolder, 'data', 'function-vectors');

/** Todd et al. 2024, "Function Vectors in Large Language Models"; MIT licence. */
const functionVectorsUrl = 'https://raw.githubusercontent.com/ericwtodd/function_vectors/' +
  'fb9eac7b6dc707ea1475a717379916007fe448d5/dataset_files/abstractive';

/** The lists that the paper used, with their SHA-256 at that commit. */
const functionVectorsFiles: ReadonlyMap<string, string> = new Map([
  ['country-capital.json', '5748cbfb789c2d671f8a88bf8eaa8a800ead77299e34e1d0cafae11b0409782b'],
  ['landmark-country.json', 'c96fb4514a4b93426150ec499064bcc5988ac11b440af88bde2196a7b474e240'],
  ['present-past.json', 'bd6f7d484a967646aa5854740c70803568225f47a5630e1555c39e827ba9c78b'],
  ['singular-plural.json', 'beac51d02481a63115f0f7879e0dfc8d70244aeaea4d0a8d5193a5b2dfc07b9b'],
  ['capitalize_first_letter.json', '147c3a091f000c21b2512ab8461029881ef05600414a0633078b460da7b9f5b3'],
  ['lowercase_first_letter.json', '7c30a855decdacb5ca108f112dae630f4cca84dbdf13f34deb3f26cb4f85cee9'],
]);

export interface FetchOptions {
  /** where the files go; default: data/function-vectors */
  readonly folder?: string;
  /** address of a folder with the six files; default: SOFT_PROMPTS_DATA_URL, else the authors' on GitHub */
  readonly url?: string;
  /** most seconds for one file; default 60 */
  readonly seconds?: number;
}

/** The folder behind the setting `data`. Throws, with what to do, where it or one of its files is missing. */
export function findData(data: string): string {
  if (data === 'embedded') return join(projectFolder, 'data', 'tasks');
  if (data !== 'function-vectors') {
    const folder = resolve(data);
    if (!existsSync(folder)) throw new Error(`data ${data}: folder ${folder} is missing`);
    return folder;
  }
  const missing = [...functionVectorsFiles.keys()]
    .filter((name) => !existsSync(join(functionVectorsFolder, name)));
  if (missing.length > 0) {
    throw new Error(
      `data function-vectors: ${functionVectorsFolder} lacks ${missing.join(', ')}; mend: run notebook ` +
      `01-data-prep with DATA = 'function-vectors', which downloads them, or put them there from ` +
      functionVectorsUrl);
  }
  return functionVectorsFolder;
}

/** findData, but the paper's lists are downloaded where they are not there yet. Throws as both functions do. */
export async function resolveData(data: string): Promise<string> {
  return data === 'function-vectors' ? fetchFunctionVectors() : findData(data);
}

/**
 * Download the paper's six lists from ericwtodd/function_vectors and return their folder. Throws as
 * fetchFiles does.
 */
export async function fetchFunctionVectors(options: FetchOptions = {}): Promise<string> {
  const { folder = functionVectorsFolder, seconds = 60 } = options;
  const url = options.url ?? (process.env.SOFT_PROMPTS_DATA_URL || functionVectorsUrl);
  await fetchFiles(url, functionVectorsFiles, folder, seconds);
  return folder;
}

/**
 * Download files, named with their SHA-256, from the address of a folder into a folder. What is there already
 * with the right hash is not fetched again; each file appears whole and checked or not at all. Throws with the
 * address, expected and found: no answer within `seconds`, another status than 200, other bytes.
 */
export async function fetchFiles(
  url: string, files: ReadonlyMap<string, string>, folder: string, seconds: number,
): Promise<void> {
  for (const [name, expected] of files) {
    const file = join(folder, name);
    if (existsSync(file) && sha256File(file) === expected) continue;
    const address = `${url.replace(/\/+$/, '')}/${name}`;
    const bytes = await download(address, seconds);
    const found = createHash('sha256').update(bytes).digest('hex');
    if (found !== expected) throw new Error(`${address}: SHA-256: expected ${expected}, found ${found}`);
    writeFileAtomic(file, bytes);
  }
}

async function download(address: string, seconds: number): Promise<Uint8Array> {
  let status: string;
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(seconds * 1000) });
    if (response.status === 200) return new Uint8Array(await response.arrayBuffer());
    await response.body?.cancel();
    status = `${response.status} ${response.statusText}`;
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
    throw new Error(
      `${address}: no answer (${why}); mend: check the network, or put the file into place yourself, ` +
      'or set SOFT_PROMPTS_DATA_URL to a mirror', { cause: error });
  }
  throw new Error(`${address}: expected status 200, found ${status}`);
}
