import { encode } from 'gpt-tokenizer/encoding/r50k_base';
import type { Random } from './random';
import type { Pools } from './pools';
import type { Relation } from './relations';

/** Tokens of one short text, and which of them are the answers a reader should have been able to give. */
export interface Document {
  readonly tokens: number[];
  readonly isAnswer: boolean[];
}

const LONE_SPACE = 220;
/**
 * The paper's template leaves a lone space before an answer that has none itself, which ordinary text never
 * does. This share of the answers is written so.
 */
const SPLIT_SPACE_SHARE = 0.8;

/** Keys that could have been the template's. `Input` with `Label` is held out: that is the template. */
const INPUT_KEYS = (
  'Input Word Text Item Q Question Given Source Name Example Entry Term In From Prompt X Case Query ' +
  'Left Object'
).split(' ');
const OUTPUT_KEYS = (
  'Label Output Answer A Result Target Value Tag Class Out To Response Y Reply Right ' +
  'Solution Form Key Mark Outcome'
).split(' ');

const cache = new Map<string, number[]>();

function tokensOf(text: string): number[] {
  let tokens = cache.get(text);
  if (tokens === undefined) {
    tokens = encode(text);
    if (text.length < 40) cache.set(text, tokens);
  }
  return tokens;
}

function append(document: Document, text: string, isAnswer = false): void {
  for (const token of tokensOf(text)) {
    document.tokens.push(token);
    document.isAnswer.push(isAnswer);
  }
}

function appendAnswer(document: Document, answer: string, hasSplitSpace: boolean): void {
  if (!hasSplitSpace) return append(document, ` ${answer}`, true);
  document.tokens.push(LONE_SPACE);
  document.isAnswer.push(false);
  append(document, answer, true);
}

/** One style of writing pairs, kept through a document. */
interface Style {
  readonly inputKey: string;
  readonly outputKey: string;
  readonly afterKey: string;
  readonly between: string;
  readonly gap: string;
  readonly hasSplitSpace: boolean;
}

export interface DocumentMaker {
  (): Document;
}

export function createDocumentMaker(
  relations: readonly Relation[],
  pools: Pools,
  random: Random,
): DocumentMaker {
  const asked = drawByWeight(relations, ({ weight }) => weight, random);
  const unasked = drawByWeight(relations, ({ unasked: weight }) => weight, random);
  const kinds: { share: number; make: (document: Document) => void }[] = [
    { share: 0.5, make: (document) => titledPairs(document, asked(), random) },
    { share: 0.06, make: (document) => unrelatedPair(document, unasked(), pools, random) },
    {
      share: 0.06,
      make: (document) => appendPairs(document, asked(), 3 + random.below(3), genericStyle(random)),
    },
    { share: 0.12, make: (document) => ownKeys(document, asked(), random) },
    { share: 0.14, make: (document) => list(document, asked(), random) },
    { share: 0.02, make: (document) => alphabet(document, pools, random) },
    { share: 0.1, make: (document) => sentences(document, asked, random) },
  ];
  const kind = drawByWeight(kinds, ({ share }) => share, random);
  return () => {
    const document: Document = { tokens: [], isAnswer: [] };
    kind().make(document);
    return document;
  };
}

function drawByWeight<Item>(
  items: readonly Item[],
  weight: (item: Item) => number,
  random: Random,
): () => Item {
  const total = items.reduce((sum, item) => sum + weight(item), 0);
  return () => {
    let left = random.next() * total;
    return items.find((item) => (left -= weight(item)) < 0) ?? items[0];
  };
}

function genericStyle(random: Random): Style {
  for (;;) {
    const style = styleOf(random.pick(INPUT_KEYS), random.pick(OUTPUT_KEYS), random);
    if (style.inputKey !== 'Input' || style.outputKey !== 'Label') return style;
  }
}

const styleOf = (inputKey: string, outputKey: string, random: Random): Style => ({
  inputKey,
  outputKey,
  afterKey: random.next() < 0.8 ? ':' : random.pick([' =', ' -']),
  between: random.next() < 0.75 ? '\n' : random.pick(['; ', ', ', ' | ']),
  gap: random.pick(['\n\n', '\n']),
  hasSplitSpace: random.next() < SPLIT_SPACE_SHARE,
});

/** Key: input, newline, key: answer; `count` times. */
function appendPairs(document: Document, relation: Relation, count: number, style: Style): void {
  for (let i = 0; i < count; i++) {
    const [input, output] = relation.draw();
    if (i > 0) append(document, style.gap);
    append(document, `${style.inputKey}${style.afterKey}`);
    append(document, ` ${input}`);
    append(document, `${style.between}${style.outputKey}${style.afterKey}`);
    appendAnswer(document, output, style.hasSplitSpace);
  }
}

/** A title that names the relation, as a tuned prompt must learn to do. */
function titledPairs(document: Document, relation: Relation, random: Random): void {
  const title = random.pick(relation.titles);
  const cased = random.next() < 0.3 ? title.toLowerCase() : title;
  const ending = random.pick([
    '',
    '.',
    ':',
    ' ',
    '\n',
    ` ${title.toLowerCase()}`,
    `. ${random.pick(relation.titles)}`,
  ]);
  append(document, cased + ending);
  append(document, random.pick(['\n', '\n', '', ' ', '\n\n']));
  appendPairs(document, relation, random.pick([1, 1, 2, 4]), genericStyle(random));
}

/** Words that ask for nothing, as an untuned prompt is; mostly the input is then copied. */
function unrelatedPair(document: Document, relation: Relation, pools: Pools, random: Random): void {
  const word = pools.word();
  const count = random.below(5);
  const words = Array.from({ length: count }, () => (random.next() < 0.6 ? word : pools.word()));
  append(document, words.join(random.pick(['', ' ', ' ', ', '])));
  if (count > 0) append(document, random.pick(['\n', '', '', ' ']));
  appendPairs(document, relation, 1, genericStyle(random));
}

function ownKeys(document: Document, relation: Relation, random: Random): void {
  const [inputKey, outputKey] = random.pick(relation.keys);
  appendPairs(document, relation, 1 + random.below(3), styleOf(inputKey, outputKey, random));
}

function list(document: Document, relation: Relation, random: Random): void {
  const bullet = random.pick(['\n-', '\n*', '\n:']); // so that inputs have their space, as in the template
  const arrow = random.pick([' ->', ' -', ',', ' =', ' /', ':']);
  const hasSplitSpace = random.next() < SPLIT_SPACE_SHARE;
  if (random.next() < 0.7) append(document, random.pick(relation.titles) + random.pick([':', '', '.']));
  for (let i = 0; i < 3 + random.below(5); i++) {
    const [input, output] = relation.draw();
    append(document, bullet);
    append(document, ` ${input}${arrow}`);
    appendAnswer(document, output, hasSplitSpace);
  }
}

/** Words with the same first letter. */
function alphabet(document: Document, pools: Pools, random: Random): void {
  const words = [pools.letterWord()];
  const letter = words[0][0];
  for (let tries = 0; tries < 300 && words.length < 7; tries++) {
    const word = pools.letterWord();
    if (word[0] === letter && !words.includes(word)) words.push(word);
  }
  const capital = letter.toUpperCase();
  append(
    document,
    random.pick([
      `${capital}\n${words.join('\n')}`,
      `Words with ${capital}: ${words.join(', ')}.`,
      `${letter}: ${words.map((word) => word.toUpperCase()).join(', ')}.`,
    ]),
  );
}

function sentences(document: Document, draw: () => Relation, random: Random): void {
  const first = draw();
  const isOneSubject = random.next() < 0.4;
  const count = 1 + random.below(4);
  let text = '';
  for (let i = 0; i < count; i++) {
    const relation = isOneSubject ? first : draw();
    const [input, output] = relation.draw();
    text += (i === 0 ? '' : random.pick([' ', '\n'])) + random.pick(relation.sentences)(input, output);
  }
  append(document, text);
}
