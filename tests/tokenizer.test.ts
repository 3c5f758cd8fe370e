import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as path from 'node:path';
import test from 'node:test';

import { readJson } from '../lib/files';
import { decode, encode, endOfText, singleToken, tokenText, vocabularySize } from '../lib/tokenizer';

// Made by tests/reference/tokenizer.py with Hugging Face's GPT2TokenizerFast and OpenAI's GPT-2 vocabulary.
interface Fixture {
  readonly encode: readonly { readonly text: string; readonly ids: readonly number[] }[];
  readonly special: { readonly text: string; readonly ids: readonly number[] };
  readonly decode: readonly { readonly ids: readonly number[]; readonly text: string }[];
  readonly tokenTextsSha256: string;
}
const fixture = readJson(path.join(__dirname, 'reference/fixtures/tokenizer.json')) as Fixture;

test('Every text of the fixture has the token ids that Hugging Face gives it.', () => {
  assert.ok(fixture.encode.length >= 300);
  for (const { text, ids } of fixture.encode) assert.deepEqual(encode(text), ids, JSON.stringify(text));
});

test('The text of every token of the vocabulary is the one that Hugging Face decodes.', () => {
  const hash = createHash('sha256');
  const separator = Buffer.from([0xff]);
  for (let id = 0; id < vocabularySize; id++) hash.update(tokenText(id)).update(separator);
  assert.equal(hash.digest('hex'), fixture.tokenTextsSha256);
});

test('Ids that split characters decode as in Hugging Face, whatever was decoded before.', () => {
  assert.ok(fixture.decode.some(({ text }) => text.includes('\ufffd')));
  for (const { ids, text } of [...fixture.decode, ...fixture.decode]) {
    assert.equal(decode(ids), text, String(ids));
  }
});

test('Texts come back unchanged from their token ids.', () => {
  for (const { text } of fixture.encode) assert.equal(decode(encode(text)), text);
});

test('The end-of-text word is plain text unless its id is asked for.', () => {
  const { text, ids } = fixture.special;
  assert.ok(ids.includes(endOfText));
  assert.deepEqual(encode(text, true), ids);
  assert.ok(!encode(text).includes(endOfText));
  assert.equal(decode(encode(text)), text);
  assert.ok(encode('<|im_start|><|fim_prefix|>', true).every((id) => id < endOfText));
});

test('Each of the paper\'s ten words is one token, without and with a leading space.', () => {
  // Ids by Hugging Face; the fixture has each of these texts.
  const idsOf = new Map(fixture.encode.map(({ text, ids }) => [text, ids]));
  for (const word of ['cat', 'dog', 'bird', 'book', 'house', 'chair', 'table', 'pen', 'paper', 'water']) {
    assert.deepEqual([singleToken(word)], idsOf.get(word));
    assert.deepEqual([singleToken(` ${word}`)], idsOf.get(` ${word}`));
    const [id] = encode(word);
    assert.deepEqual(encode(word.repeat(4)), [id, id, id, id]);
  }
});

test('A word of several tokens, or of none, is refused with its tokens.', () => {
  const message = 'word \'xyzzy\' is 2 tokens ("xy" "zzy"), expected 1';
  assert.throws(() => singleToken('xyzzy'), { message });
  assert.throws(() => singleToken(''), /word '' is 0 tokens \(\), expected 1/);
});

test('What is no token id is refused.', () => {
  for (const id of [-1, 50257, 1.5, NaN, Infinity]) {
    assert.throws(() => decode([0, id]), { message: `token id: expected 0 to 50256, found ${id}` });
  }
});
