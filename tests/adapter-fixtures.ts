/** The adapters of reference/fixtures/adapters, which Python's PEFT loaded, as lib writes them. */
import { join } from 'node:path';

import { initialTextOf, writeAdapter } from '../lib/adapters';
import { readConfig } from '../lib/gpt2';
import { createRandom } from '../lib/random';

export const ADAPTERS_FOLDER = join(__dirname, 'reference', 'fixtures', 'adapters');

/** Single tokens among the fixture model's 131: 'Q' is 48, also four times; '/' is 14, but four times another token. */
export const ADAPTER_WORDS = { letter: 'Q', slash: '/' } as const;

const BASE = 'gpt2-odd-heads';

/** Write the adapters into folder/<name>. */
export function writeFixtureAdapters(folder: string): void {
  const config = readConfig(join(__dirname, 'reference', 'fixtures', BASE, 'config.json'));
  Object.entries(ADAPTER_WORDS).forEach(([name, word], seed) => {
    const random = createRandom(seed);
    const data = Float32Array.from({ length: 4 * config.dModel }, () => random.uniform() - 0.5);
    writeAdapter(join(folder, name), {
      prompt: { shape: [4, config.dModel], data }, baseModel: BASE, revision: null, tokenizer: 'openai-community/gpt2',
      initialText: initialTextOf(word, 4),
    }, config);
  });
}
