/** Writes build/vocabulary.json: each token's text, the word that it is a form of, and what that is a kind of. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from 'gpt-tokenizer/encoding/r50k_base';
import { createKinds } from './kinds';
import { readMorphology } from './lemmas';
import { buildFolder, tablesFolder } from './paths';

const END_OF_TEXT = 50256;

/** The words whose neighbours are looked at afterwards: what they are kinds of is left for the training to find. */
const heldWords = readFileSync(join(tablesFolder, 'neighbour-words.txt'), 'utf8')
  .split('\n').filter((line) => !line.startsWith('#')).flatMap((line) => line.split(' '));

mkdirSync(buildFolder, { recursive: true });
const { lemma } = readMorphology();
const held = new Set(heldWords.map(lemma));
const kindsOf = createKinds();
const tokens = Array.from({ length: END_OF_TEXT + 1 }, (_, id) => {
  const text = id === END_OF_TEXT ? '' : decode([id]);
  const word = text.trim().toLowerCase();
  if (!/^[a-z]+$/.test(word)) return { text, lemma: '', kinds: [] };
  const isHeld = held.has(word) || held.has(lemma(word));
  return { text, lemma: lemma(word), kinds: word.length < 3 || isHeld ? [] : kindsOf(lemma(word)) };
});
writeFileSync(join(buildFolder, 'vocabulary.json'), JSON.stringify(tokens));
