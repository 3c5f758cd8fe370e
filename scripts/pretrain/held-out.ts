import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildFolder } from './paths';
import type { Pair } from './tables';

/**
 * The test items of the four rule-like tasks. No document may give their answers away, so that test accuracy
 * shows a rule and no memory. (Countries and landmarks are facts, which
 * a model that knows them must have met.)
 */
export interface HeldOut {
  /** A verb or noun, and the form that must not stand beside it. */
  readonly forms: ReadonlyMap<string, string>;
  /** Words, in lower case, whose first letter must not stand beside them. */
  readonly letters: ReadonlySet<string>;
}

export function readHeldOut(): HeldOut {
  const tasks = JSON.parse(readFileSync(join(buildFolder, 'held-out.json'), 'utf8')) as Record<
    string,
    { input: string; output: string }[]
  >;
  const pairs = (name: string): Pair[] =>
    tasks[name].map(({ input, output }) => [input.toLowerCase(), output]);
  const letters = [...pairs('capitalize_first_letter'), ...pairs('lowercase_first_letter')];
  return {
    forms: new Map([...pairs('present-past'), ...pairs('singular-plural')]),
    letters: new Set(letters.map(([word]) => word)),
  };
}

const wordsOf = (text: string): Set<string> => new Set(text.toLowerCase().match(/[a-z]+/g) ?? []);

/** The first held-out verb or noun that stands in the text together with its past tense or plural. */
export function findLeakedForm(text: string, heldOut: HeldOut): string | undefined {
  const words = wordsOf(text);
  return [...words].find((word) => {
    const form = heldOut.forms.get(word);
    // A form equal to the word (hit, hit) cannot be told from the word alone.
    return form !== undefined && form !== word && words.has(form);
  });
}

/** The first held-out word that stands in the text together with its own first letter, in whatever case. */
export function findLeakedLetter(text: string, heldOut: HeldOut): string | undefined {
  const words = wordsOf(text);
  return [...words].find((word) => heldOut.letters.has(word) && words.has(word[0]));
}
