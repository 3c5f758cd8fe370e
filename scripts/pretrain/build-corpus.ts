/**
 * Builds the corpus of the embedded model in build/: rows of 256 token ids, the same bytes every time.
 * Run: python held_out.py && npm run corpus
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode, encode } from 'gpt-tokenizer/encoding/r50k_base';
import { createDocumentMaker } from './documents';
import type { Document, DocumentMaker } from './documents';
import { findLeakedForm, findLeakedLetter, readHeldOut } from './held-out';
import type { HeldOut } from './held-out';
import { readNaturalTexts } from './natural-text';
import { buildFolder, tasksFolder } from './paths';
import { createPools } from './pools';
import { createRandom } from './random';
import { createRelations } from './relations';

const ROW = 256; // tokens, the model's n_positions
const SYNTHETIC_ROWS = 41_000;
const END_OF_TEXT = 50256;
const VOCABULARY = 50257;
const SEED = 2026;

function main(): void {
  mkdirSync(buildFolder, { recursive: true });
  const heldOut = readHeldOut();
  writeNaturalRows(heldOut);
  writeSyntheticRows(heldOut);
  // What each token looks like: the trainer starts similar-looking tokens at similar places.
  const vocabulary = Array.from({ length: VOCABULARY }, (_, id) => (id === END_OF_TEXT ? '' : decode([id])));
  write('vocabulary.json', Buffer.from(JSON.stringify(vocabulary)));
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

function writeSyntheticRows(heldOut: HeldOut): void {
  const random = createRandom(SEED + 1);
  const pools = createPools(random, heldOut, readTaskWords());
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

function readTaskWords(): string[] {
  const inputs = (name: string): string[] =>
    (JSON.parse(readFileSync(join(tasksFolder, `${name}.json`), 'utf8')) as { input: string }[]).map(
      ({ input }) => input.toLowerCase(),
    );
  return [...new Set([...inputs('capitalize_first_letter'), ...inputs('lowercase_first_letter')])];
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
