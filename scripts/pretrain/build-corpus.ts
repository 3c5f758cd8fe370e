/**
 * Builds the corpus of the embedded model in build/: rows of 256 token ids, the same bytes every time.
 * Run: npm run corpus [-- FOLDER], where FOLDER holds another set of the six task lists.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode, encode } from 'gpt-tokenizer/encoding/r50k_base';
import { createDocumentMaker } from './documents';
import type { Document, DocumentMaker } from './documents';
import { createHeldOut, findLeakedForm, findLeakedLetter } from './held-out';
import type { HeldOut } from './held-out';
import { readMorphology } from './lemmas';
import { readTaskLists } from './lists';
import { readBrown, readNaturalTexts } from './natural-text';
import { buildFolder } from './paths';
import { createPools } from './pools';
import type { Sources } from './pools';
import { createRandom } from './random';
import { createRelations } from './relations';
import { createRules, readNouns, readVerbs } from './words';
import { readWordCounts } from './wordnet';

const ROW = 256; // tokens, the model's n_positions
const SYNTHETIC_ROWS = 72_000;
const END_OF_TEXT = 50256;
const SEED = 2026;

function main(): void {
  mkdirSync(buildFolder, { recursive: true });
  const sources = readSources(process.argv[2]);
  writeNaturalRows(sources.heldOut);
  // Never trained on: the text that the model's perplexity is measured on.
  write('brown.bin', Buffer.from(Uint16Array.from(readBrown().flatMap((text) => encode(`${text}\n`))).buffer));
  writeSyntheticRows(sources);
}

function readSources(otherFolder: string | undefined): Sources {
  const lists = readTaskLists(otherFolder);
  const morphology = readMorphology();
  const rules = createRules(morphology);
  const counts = readWordCounts();
  const verbs = readVerbs(lists, morphology, rules, counts);
  const nouns = readNouns(lists, morphology, rules, counts);
  const heldOut = createHeldOut(lists, rules.past, rules.plural);
  console.log(
    `verbs ${verbs.listed.length} + ${verbs.others.length}, nouns ${nouns.listed.length} + ${nouns.others.length};`,
    `held out: ${heldOut.forms.size} forms, ${heldOut.letters.size} first letters`,
  );
  return { lists, heldOut, counts, verbs, nouns };
}

function writeNaturalRows(heldOut: HeldOut): void {
  const rows: number[][] = [];
  const counts: Record<string, number> = {};
  let dropped = 0;
  for (const { name, paragraphs, isDictionary } of readNaturalTexts(createRandom(SEED))) {
    const kept = isDictionary
      ? paragraphs.filter((text) => findLeakedForm(text, heldOut) === undefined)
      : paragraphs;
    dropped += paragraphs.length - kept.length;
    const tokens = kept.flatMap((text) => encode(`${text}\n`));
    counts[name] = tokens.length;
    for (let start = 0; start + ROW <= tokens.length; start += ROW)
      rows.push(tokens.slice(start, start + ROW));
  }
  console.log(
    'natural tokens:',
    JSON.stringify(counts),
    `rows: ${rows.length}, dictionary entries dropped: ${dropped}`,
  );
  write('natural.bin', Buffer.from(Uint16Array.from(rows.flat()).buffer));
}

function writeSyntheticRows(sources: Sources): void {
  const { heldOut } = sources;
  const random = createRandom(SEED + 1);
  const pools = createPools(sources, random);
  const makeDocument = withoutLeaks(
    createDocumentMaker(createRelations(pools, random), pools, random),
    heldOut,
  );
  const ids = new Uint16Array(SYNTHETIC_ROWS * ROW).fill(END_OF_TEXT);
  const answers = new Uint8Array(SYNTHETIC_ROWS * ROW);
  const samples: string[] = [];
  for (let row = 0; row < SYNTHETIC_ROWS; row++) {
    const { tokens, isAnswer } = packRow(makeDocument);
    ids.set(tokens, row * ROW);
    answers.set(isAnswer.map(Number), row * ROW);
    if (row < 20) samples.push(decode(tokens));
  }
  verifyNoLeak(ids, heldOut);
  write('synthetic.bin', Buffer.from(ids.buffer));
  write('synthetic-answers.bin', Buffer.from(answers.buffer));
  writeFileSync(join(buildFolder, 'synthetic-sample.txt'), samples.join('\n\n=====\n\n'));
}

function withoutLeaks(makeDocument: DocumentMaker, heldOut: HeldOut): DocumentMaker {
  return () => {
    for (;;) {
      const document = makeDocument();
      if (!findLeak(decode(document.tokens), heldOut)) return document;
    }
  };
}

const findLeak = (text: string, heldOut: HeldOut): string | undefined =>
  findLeakedForm(text, heldOut) ?? findLeakedLetter(text, heldOut);

/** Documents one after the other, parted by the end-of-text token; the last one may be cut. */
function packRow(makeDocument: DocumentMaker): Document {
  const row: Document = { tokens: [], isAnswer: [] };
  while (row.tokens.length < ROW - 12) {
    const { tokens, isAnswer } = makeDocument();
    const isTooLong = row.tokens.length > 0 && row.tokens.length + 1 + tokens.length > ROW;
    if (isTooLong) break;
    if (row.tokens.length > 0) {
      row.tokens.push(END_OF_TEXT);
      row.isAnswer.push(false);
    }
    row.tokens.push(...tokens);
    row.isAnswer.push(...isAnswer);
  }
  return { tokens: row.tokens.slice(0, ROW), isAnswer: row.isAnswer.slice(0, ROW) };
}

/** Reads the finished rows once more: no document may hold a test item of a rule beside its answer. */
function verifyNoLeak(ids: Uint16Array, heldOut: HeldOut): void {
  let documents = 0;
  let start = 0;
  for (let end = 0; end <= ids.length; end++) {
    const isBorder = end === ids.length || ids[end] === END_OF_TEXT || end % ROW === 0;
    if (!isBorder) continue;
    const text = decode([...ids.subarray(start, end)]).replaceAll('<|endoftext|>', '');
    const leak = findLeak(text, heldOut);
    if (leak !== undefined) throw new Error(`the answer for the test item '${leak}' stands in: ${text}`);
    if (/Input\W+\w[^\n;,|]*\W+Label\W/.test(text))
      throw new Error(`the held-out template stands in: ${text}`);
    if (end > start + 1) documents++;
    start = end;
  }
  console.log(`verified ${documents} documents: no test item beside its answer, no template`);
}

function write(name: string, bytes: Buffer): void {
  writeFileSync(join(buildFolder, name), bytes);
  console.log(`${name}: ${bytes.length} bytes, SHA-256 ${createHash('sha256').update(bytes).digest('hex')}`);
}

main();
