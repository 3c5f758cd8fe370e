/** Where the task lists are: the embedded ones, the paper's own, or a folder of the user's. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { downloadFile, type Expected } from './download';
import { projectFolder, sha256File } from './files';
import type { Patience } from './http';
import { withFolderLock } from './lock';

const functionVectorsFolder = join(projectFolder, 'data', 'function-vectors');

/** Todd et al. 2024, "Function Vectors in Large Language Models"; MIT licence. */
const functionVectorsUrl = 'https://raw.githubusercontent.com/ericwtodd/function_vectors/' +
  'fb9eac7b6dc707ea1475a717379916007fe448d5/dataset_files/abstractive';

/** The lists that the paper used, with length and SHA-256 at that commit. */
const functionVectorsFiles: ReadonlyMap<string, Expected> = new Map(([
  ['country-capital.json', 11698, '5748cbfb789c2d671f8a88bf8eaa8a800ead77299e34e1d0cafae11b0409782b'],
  ['landmark-country.json', 63768, 'c96fb4514a4b93426150ec499064bcc5988ac11b440af88bde2196a7b474e240'],
  ['present-past.json', 16641, 'bd6f7d484a967646aa5854740c70803568225f47a5630e1555c39e827ba9c78b'],
  ['singular-plural.json', 11436, 'beac51d02481a63115f0f7879e0dfc8d70244aeaea4d0a8d5193a5b2dfc07b9b'],
  ['capitalize_first_letter.json', 50488, '147c3a091f000c21b2512ab8461029881ef05600414a0633078b460da7b9f5b3'],
  ['lowercase_first_letter.json', 50545, '7c30a855decdacb5ca108f112dae630f4cca84dbdf13f34deb3f26cb4f85cee9'],
] as const).map(([name, bytes, hash]) => [name, { bytes, hash }]));

export interface FetchOptions extends Patience {
  /** where the files go; default: data/function-vectors */
  readonly folder?: string;
  /** address of a folder with the six files; default: SOFT_PROMPTS_DATA_URL, else the authors' on GitHub */
  readonly url?: string;
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
  const { folder = functionVectorsFolder } = options;
  const url = options.url ?? (process.env.SOFT_PROMPTS_DATA_URL || functionVectorsUrl);
  await fetchFiles(url, functionVectorsFiles, folder, {
    mend: `check the network, or put the files into ${folder} yourself, or set SOFT_PROMPTS_DATA_URL to a mirror`,
    ...options,
  });
  return folder;
}

/**
 * Download files, named with their length and SHA-256, from the address of a folder into a folder. What is there
 * already with the right hash is not fetched again. Throws as downloadFile does; what was there then stays.
 */
export async function fetchFiles(
  url: string, files: ReadonlyMap<string, Expected>, folder: string, patience: Patience = {},
): Promise<void> {
  const missing = () => [...files].filter(([name, { hash }]) => {
    const file = join(folder, name);
    return !existsSync(file) || sha256File(file) !== hash;
  });
  if (missing().length === 0) return;
  await withFolderLock(folder, `download into ${folder}`, async () => {
    for (const [name, expected] of missing()) {
      await downloadFile({ url: `${url.replace(/\/+$/, '')}/${name}` }, join(folder, name), expected, patience);
    }
  }, { signal: patience.signal, onWait: patience.onNote });
}
