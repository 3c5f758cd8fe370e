import type { HeldOut } from './held-out';
import { regularPast, regularPlural } from './inflection';
import type { Random } from './random';
import { readCountries, readForms, readLandmarks } from './tables';
import type { Country, Pair, Place } from './tables';
import { findPlaces, readSynsets, readWordCounts } from './wordnet';
import type { Synset } from './wordnet';

/** Where inputs come from. Held-out words stay in `word`: the model meets them in other relations. */
export interface Pools {
  word(): string;
  letterWord(): string;
  verb(): string;
  pastPair(): Pair;
  noun(): string;
  pluralPair(): Pair;
  country(): Country;
  place(): Place;
  hypernymPair(): Pair;
  synonymPair(): Pair;
}

const OWN_SHARE = 0.45; // share of draws from our own lists, the rest from WordNet
const plain = /^[a-z]{3,12}$/;
/** WordNet verbs whose past tense the regular rule would get wrong. */
const irregular = new Set(
  (
    'be have do say make can will may mean show put let set cut hit hurt read bet cost shut sit ride lie ' +
    'lay spread split stick'
  ).split(' '),
);

export function createPools(random: Random, heldOut: HeldOut, taskWords: readonly string[]): Pools {
  const nouns = readSynsets('noun');
  const counts = readWordCounts();
  const words = [...counts].filter(([, count]) => count >= 2).map(([word]) => word);
  const countries = readCountries();
  const own = { verbs: readForms('verbs.txt', regularPast), nouns: readForms('nouns.txt', regularPlural) };
  const verbs = regularOnes(readSynsets('verb'), counts, own.verbs, regularPast);
  const things = regularOnes(nouns, counts, own.nouns, regularPlural).filter(
    ([noun]) => !/(s|ness|ism|ing|man)$/.test(noun),
  );
  const landmarks = readLandmarks();
  const places = findPlaces(nouns, countries).filter(({ kind }) => !/capital|battle/.test(kind));
  const mix =
    <Item>(first: readonly Item[], second: readonly Item[]) =>
    (): Item =>
      random.pick(random.next() < OWN_SHARE ? first : second);
  const isTold = ([word]: Pair): boolean => !heldOut.forms.has(word);
  const isFree = (word: string): boolean => !heldOut.letters.has(word);
  const verbPair = mix(own.verbs, verbs);
  const nounPair = mix(own.nouns, things);
  const hypernyms = findHypernyms(nouns);
  const synonyms = findSynonyms(nouns);
  return {
    word: mix(taskWords, words),
    letterWord: mix(taskWords.filter(isFree), words.filter(isFree)),
    verb: () => verbPair()[0],
    pastPair: mix(own.verbs.filter(isTold), verbs.filter(isTold)),
    noun: () => nounPair()[0],
    pluralPair: mix(own.nouns.filter(isTold), things.filter(isTold)),
    country: () => random.pick(countries),
    place: mix(landmarks, places),
    hypernymPair: () => random.pick(hypernyms),
    synonymPair: () => random.pick(synonyms),
  };
}

/** WordNet's commoner words that are not in our own table; their forms are made by the regular rule. */
function regularOnes(
  synsets: Map<string, Synset>,
  counts: Map<string, number>,
  own: readonly Pair[],
  form: (word: string) => string,
): Pair[] {
  const known = new Set(own.map(([word]) => word));
  const words = new Set([...synsets.values()].flatMap(({ words: all }) => all));
  return [...words]
    .filter(
      (word) => plain.test(word) && (counts.get(word) ?? 0) >= 6 && !known.has(word) && !irregular.has(word),
    )
    .map((word) => [word, form(word)]);
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
