/** Writes build/vocabulary.json and build/lemmas.json: what each token looks like and which word it is a form of. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from 'gpt-tokenizer/encoding/r50k_base';
import { readMorphology } from './lemmas';
import { buildFolder } from './paths';

const END_OF_TEXT = 50256;

mkdirSync(buildFolder, { recursive: true });
const texts = Array.from({ length: END_OF_TEXT + 1 }, (_, id) => (id === END_OF_TEXT ? '' : decode([id])));
const { lemma } = readMorphology();
const lemmas = texts.map((text) => {
  const word = text.trim().toLowerCase();
  return /^[a-z]+$/.test(word) ? lemma(word) : '';
});
writeFileSync(join(buildFolder, 'vocabulary.json'), JSON.stringify(texts));
writeFileSync(join(buildFolder, 'lemmas.json'), JSON.stringify(lemmas));
