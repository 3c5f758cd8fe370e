import { participle, regularPast, regularPlural, thirdPerson } from './inflection';
import type { Morphology } from './lemmas';
import type { TaskLists } from './lists';
import { readForms } from './tables';
import type { Pair } from './tables';
import { readLemmas } from './wordnet';

export interface Verb {
  readonly base: string;
  readonly past: string;
  readonly third: string;
  readonly participle: string;
}

/** By the rule of spelling; WordNet's exception lists say which verbs double their last letter. */
export interface Rules {
  past(verb: string): string;
  plural(noun: string): string;
  participle(verb: string): string;
}

export function createRules({ exceptions }: Morphology): Rules {
  const ending = (part: 'noun' | 'verb', pattern: RegExp): Map<string, string> =>
    new Map(exceptions[part].filter(([form]) => pattern.test(form)).map(([form, word]) => [word, form]));
  const [pasts, participles] = [ending('verb', /ed$/), ending('verb', /ing$/)];
  return {
    past: (verb) => pasts.get(verb) ?? regularPast(verb),
    plural: regularPlural,
    participle: (verb) => participles.get(verb) ?? participle(verb),
  };
}

/** The verbs of the lists, and those of WordNet that are met at all in its tagged texts. */
export function readVerbs(
  lists: TaskLists, morphology: Morphology, rules: Rules, counts: ReadonlyMap<string, number>,
): { listed: Verb[]; others: Verb[] } {
  const verbOf = ([base, past]: Pair): Verb =>
    ({ base, past, third: base === 'have' ? 'has' : thirdPerson(base), participle: rules.participle(base) });
  const listed = uniqueByFirst(lists.pairs('present_past'));
  const irregular = new Map(readForms('irregular-verbs.txt', rules.past));
  const isIrregular = new Set(
    morphology.exceptions.verb.filter(([form]) => !/(ed|ing|s)$/.test(form)).map(([, word]) => word),
  );
  const known = new Set(listed.map(([verb]) => verb));
  const others = commonWords('verb', counts)
    .filter((verb) => !known.has(verb) && (irregular.has(verb) || !isIrregular.has(verb)))
    .filter((verb) => verb !== 'be' && verb !== 'can')
    .map((verb): Pair => [verb, irregular.get(verb) ?? rules.past(verb)]);
  return { listed: listed.map(verbOf), others: others.map(verbOf) };
}

/** Nouns and their plurals, likewise. Words that are plurals already, and most that have none, are left out. */
export function readNouns(
  lists: TaskLists, morphology: Morphology, rules: Rules, counts: ReadonlyMap<string, number>,
): { listed: Pair[]; others: Pair[] } {
  const listed = uniqueByFirst(lists.pairs('singular_plural'));
  const irregular = new Map(morphology.exceptions.noun.map(([form, word]) => [word, form]));
  const isPlural = new Set(morphology.exceptions.noun.map(([form]) => form));
  const known = new Set(listed.map(([noun]) => noun));
  const others = commonWords('noun', counts)
    .filter((noun) => !known.has(noun) && !isPlural.has(noun) && !/(s|ness|ism|ing|men)$/.test(noun))
    .map((noun): Pair => [noun, irregular.get(noun) ?? rules.plural(noun)]);
  return { listed, others };
}

const uniqueByFirst = (pairs: readonly Pair[]): Pair[] => {
  const seen = new Set<string>();
  return pairs.filter(([first]) => !seen.has(first) && seen.add(first));
};

const commonWords = (part: 'noun' | 'verb', counts: ReadonlyMap<string, number>): string[] => {
  const lemmas = readLemmas(part);
  return [...counts].filter(([word, count]) => count >= 1 && lemmas.has(word)).map(([word]) => word);
};
