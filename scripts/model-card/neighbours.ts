/** Bar 3: whether the nearest tokens of common words are their forms, synonyms or WordNet sisters. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  findModel, findNeighbours, readVocabulary, selectPoints, singleToken, startBackend, tokenText,
} from '../../lib';
import { readMorphology } from '../pretrain/lemmas';
import { tablesFolder } from '../pretrain/paths';
import { readSynsets, type PartOfSpeech } from '../pretrain/wordnet';
import { percent, type Part } from './card';

const NEAREST = 5;
const PARTS: readonly PartOfSpeech[] = ['noun', 'verb', 'adj', 'adv'];
/** Pointers to what a synset is a kind of; for adjectives, to the one it is similar to. */
const WIDER = new Set(['@', '@i', '&']);

type Kin = 'form' | 'synonym' | 'sister' | undefined;

export async function measureNeighbours(model: string): Promise<Part> {
  await startBackend();
  const vocabulary = readVocabulary(findModel(model));
  const words = readWords();
  const rows = words.map((word) => singleToken(` ${word}`));
  const found = findNeighbours(selectPoints(vocabulary, rows), vocabulary, { epsilon: 1, ownRows: rows });
  const kinOf = createKinship();
  const results = words.map((word, i) => {
    const tokens = [...found.rows[i].subarray(0, NEAREST)].map(tokenText);
    return { word, nearest: tokens.map((token) => ({ token, kin: kinOf(word, token.trim().toLowerCase()) })) };
  });
  const share = (...kinds: Kin[]): number =>
    results.filter(({ nearest }) => nearest.some(({ kin }) => kin && kinds.includes(kin))).length / words.length;
  const any = share('form', 'synonym', 'sister');
  return {
    bars: [{
      name: `of ${words.length} held words, one of the five nearest tokens is a form, synonym or sister`, asked: '≥ 60 %',
      found: `${percent(any)} (forms ${percent(share('form'))}, others ${percent(share('synonym', 'sister'))})`,
      passes: any >= 0.6,
    }],
    details: results.map(({ word, nearest }) => ({
      word, nearest: nearest.map(({ token, kin }) => (kin ? `${token} (${kin})` : token)),
    })),
  };
}

const readWords = (): string[] =>
  readFileSync(join(tablesFolder, 'neighbour-words.txt'), 'utf8')
    .split('\n').filter((line) => !line.startsWith('#')).flatMap((line) => line.split(' ')).filter((word) => word !== '');

/**
 * How another word is related. The same word in other letters (`Cat`) is no hit; a sister is a kind of the
 * same thing, for adjectives similar to the same one.
 */
function createKinship(): (word: string, other: string) => Kin {
  const { lemma } = readMorphology();
  const synsetsOf = new Map<string, Set<string>>();
  const widerOf = new Map<string, Set<string>>();
  const add = (map: Map<string, Set<string>>, key: string, value: string): void => {
    map.set(key, (map.get(key) ?? new Set()).add(value));
  };
  for (const part of PARTS) {
    for (const { offset, words, pointers } of readSynsets(part).values()) {
      for (const word of words.map((text) => text.toLowerCase())) {
        add(synsetsOf, word, part + offset);
        for (const [symbol, to] of pointers) if (WIDER.has(symbol)) add(widerOf, word, part + to);
      }
    }
  }
  const share = (map: Map<string, Set<string>>, a: string, b: string): boolean =>
    [...(map.get(a) ?? [])].some((value) => map.get(b)?.has(value) ?? false);
  return (word, other) => {
    if (!/^[a-z]+$/.test(other) || other === word) return undefined;
    const pairs = [[word, other], [lemma(word), lemma(other)]];
    if (lemma(word) === lemma(other)) return 'form';
    if (pairs.some(([a, b]) => share(synsetsOf, a, b))) return 'synonym';
    return pairs.some(([a, b]) => share(widerOf, a, b)) ? 'sister' : undefined;
  };
}
