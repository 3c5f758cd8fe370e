/** GPT-2's byte-level byte-pair encoding, over the r50k_base tables of gpt-tokenizer. */

import bytesOfTokens from 'gpt-tokenizer/bpeRanks/r50k_base';
import { encode as encodeText } from 'gpt-tokenizer/encoding/r50k_base';

/** Tokens of GPT-2, ids 0 … 50 256. */
export const vocabularySize = 50257;

/** The id of `<|endoftext|>`. */
export const endOfText = 50256;

const endOfTextWord = '<|endoftext|>';

/**
 * Token ids of a text, as GPT-2's own tokenizer gives them, but for white space beside U+0085 or U+FEFF,
 * which JavaScript and Hugging Face divide differently. `<|endoftext|>` in the text is plain text (seven
 * tokens) unless `specialTokens` asks for its id.
 */
export function encode(text: string, specialTokens = false): number[] {
  if (!specialTokens) return encodePlain(text);
  // Split here: gpt-tokenizer 4.0.0 finds a special token at the start of a text only.
  return text.split(endOfTextWord)
    .flatMap((part, index) => index === 0 ? encodePlain(part) : [endOfText, ...encodePlain(part)]);
}

function encodePlain(text: string): number[] {
  return encodeText(text, { allowedSpecial: new Set(), disallowedSpecial: new Set() });
}

/**
 * The text of token ids. Bytes that are no valid UTF-8, such as a part of a character, become U+FFFD, as in
 * Python's `errors="replace"`. Throws for what is no token id.
 */
export function decode(ids: readonly number[]): string {
  // Not gpt-tokenizer's own decode: 4.0.0 keeps an incomplete character for the next call.
  return Buffer.concat(ids.map(bytesOf)).toString('utf8');
}

/** The text of one token, U+FFFD for bytes that are no whole character. Throws for what is no token id. */
export function tokenText(id: number): string {
  return decode([id]);
}

function bytesOf(id: number): Uint8Array {
  if (id === endOfText) return Buffer.from(endOfTextWord);
  const bytes = Number.isInteger(id) ? bytesOfTokens[id] : undefined;
  if (bytes === undefined) throw new Error(`token id: expected 0 to ${vocabularySize - 1}, found ${id}`);
  return Buffer.from(bytes as string);
}

/** The id of a word that is one token; throws with the word's tokens where it is none or several. */
export function singleToken(word: string): number {
  const ids = encode(word);
  if (ids.length !== 1) {
    const tokens = ids.map((id) => JSON.stringify(tokenText(id))).join(' ');
    throw new Error(`word '${word}' is ${ids.length} tokens (${tokens}), expected 1`);
  }
  return ids[0];
}
