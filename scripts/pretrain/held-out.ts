import type { TaskLists } from './lists';
import type { Pair } from './tables';

/**
 * The test items of the four rule-like tasks. No document may give their answers away, so that test accuracy
 * shows a rule and no memory. Irregular forms are no rule: as countries and landmarks they are facts, which a
 * model that knows them must have met.
 */
export interface HeldOut {
  /** A verb or noun, and the forms that must not stand beside it. */
  readonly forms: ReadonlyMap<string, readonly string[]>;
  /** Words, in lower case, whose first letter must not stand beside them. */
  readonly letters: ReadonlySet<string>;
}

export function createHeldOut(
  lists: TaskLists, pastByRule: (verb: string) => string, pluralByRule: (noun: string) => string,
): HeldOut {
  const regular = [
    ...lists.testPairs('present_past').filter(([verb, past]) => past === pastByRule(verb)),
    ...lists.testPairs('singular_plural').filter(([noun, plural]) => plural === pluralByRule(noun)),
  ];
  const forms = new Map<string, string[]>();
  for (const [word, form] of regular) forms.set(word, [...(forms.get(word) ?? []), form]);
  const letters = ['capitalize_first_letter', 'lowercase_first_letter'].flatMap((task) => lists.testPairs(task));
  return { forms, letters: new Set(letters.map(([word]: Pair) => word.toLowerCase())) };
}

const wordsOf = (text: string): Set<string> => new Set(text.toLowerCase().match(/[a-z]+/g) ?? []);

/** The first held-out verb or noun that stands in the text together with its past tense or plural. */
export function findLeakedForm(text: string, heldOut: HeldOut): string | undefined {
  const words = wordsOf(text);
  return [...words].find((word) => heldOut.forms.get(word)?.some((form) => words.has(form)));
}

/** The first held-out word that stands in the text together with its own first letter, in whatever case. */
export function findLeakedLetter(text: string, heldOut: HeldOut): string | undefined {
  const words = wordsOf(text);
  return [...words].find((word) => heldOut.letters.has(word) && words.has(word[0]));
}
