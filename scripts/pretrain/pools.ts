import type { HeldOut } from './held-out';
import type { TaskLists } from './lists';
import type { Random } from './random';
import { readCountries, readLandmarks } from './tables';
import type { Country, Pair, Place } from './tables';
import type { Verb } from './words';
import { findPlaces, readSynsets } from './wordnet';
import type { Synset } from './wordnet';

/** Where inputs come from. Held-out words stay in all but the pairs that would give their answers away. */
export interface Pools {
  /** Any common word, inflected forms among them. */
  word(): string;
  letterWord(): string;
  verb(): Verb;
  noun(): Pair;
  /** Whether the pair of this verb or noun and its past tense or plural may be told. */
  isTold(word: string): boolean;
  capital(): Pair;
  landmark(): Pair;
  country(): Country;
  place(): Place;
  hypernymPair(): Pair;
  synonymPair(): Pair;
}

/** What the pools are filled from. */
export interface Sources {
  readonly lists: TaskLists;
  readonly heldOut: HeldOut;
  readonly counts: ReadonlyMap<string, number>;
  readonly verbs: { readonly listed: readonly Verb[]; readonly others: readonly Verb[] };
  readonly nouns: { readonly listed: readonly Pair[]; readonly others: readonly Pair[] };
}

const LISTED_SHARE = 0.45; // share of draws from the task lists, the rest from WordNet
const LISTED_PLACES_SHARE = 0.9;
const LEAST_COUNT = 2; // of a word in WordNet's tagged texts
const plain = /^[a-z]{3,12}$/;

export function createPools({ lists, heldOut, counts, verbs, nouns }: Sources, random: Random): Pools {
  const synsets = readSynsets('noun');
  const countries = readCountries();
  const mix =
    <Item>(first: readonly Item[], second: readonly Item[], share = LISTED_SHARE) =>
    (): Item =>
      random.pick(random.next() < share ? first : second);
  const letterTasks = ['capitalize_first_letter', 'lowercase_first_letter'];
  const listed = [...new Set(letterTasks.flatMap((task) => lists.pairs(task)).map(([word]) => word.toLowerCase()))];
  const words = [...counts].filter(([, count]) => count >= LEAST_COUNT).map(([word]) => word);
  const isFree = (word: string): boolean => !heldOut.letters.has(word);
  const verb = mix(verbs.listed, verbs.others);
  const noun = mix(nouns.listed, nouns.others);
  const plainWord = mix(listed, words);
  const anyWord = [
    plainWord, plainWord, () => verb().past, () => noun()[1], () => verb().base, () => noun()[0],
  ];
  const places = findPlaces(synsets, countries).filter(({ kind }) => !/capital|battle/.test(kind));
  const landmarks = lists.pairs('landmark_country');
  const hypernyms = findHypernyms(synsets);
  const synonyms = findSynonyms(synsets);
  const capitals = lists.pairs('country_capital');
  return {
    word: () => random.pick(anyWord)(),
    letterWord: mix(listed.filter(isFree), words.filter(isFree)),
    verb,
    noun,
    isTold: (word) => !heldOut.forms.has(word),
    capital: () => random.pick(capitals),
    landmark: mix(landmarks, places.map(({ name, country }): Pair => [name, country]), LISTED_PLACES_SHARE),
    country: () => random.pick(countries),
    place: mix(readLandmarks(), places),
    hypernymPair: () => random.pick(hypernyms),
    synonymPair: () => random.pick(synonyms),
  };
}

function findHypernyms(nouns: Map<string, Synset>): Pair[] {
  return [...nouns.values()].flatMap((synset) => {
    const wider = synset.pointers.find(([symbol]) => symbol === '@');
    const name = wider && nouns.get(wider[1])?.words[0];
    return name && plain.test(name) && plain.test(synset.words[0]) ? [[synset.words[0], name] as Pair] : [];
  });
}

const findSynonyms = (nouns: Map<string, Synset>): Pair[] =>
  [...nouns.values()]
    .filter(({ words }) => words.length > 1 && plain.test(words[0]) && plain.test(words[1]))
    .map(({ words }) => [words[0], words[1]]);
