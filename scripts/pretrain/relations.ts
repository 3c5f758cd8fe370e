import { participle, regularPast, regularPlural, thirdPerson, titleCase } from './inflection';
import type { HeldOut } from './held-out';
import type { Random } from './random';
import { readCountries, readForms, readLandmarks } from './tables';
import type { Country, Pair, Place } from './tables';
import { findPlaces, readSynsets, readWordCounts } from './wordnet';
import type { Synset } from './wordnet';

type Sentence = (input: string, output: string) => string;

/** Something a model can be asked to do with an input: a task of the project, or one that competes with it. */
export interface Relation {
  readonly name: string;
  /** How often it is asked for by name. */
  readonly weight: number;
  /** How often it is what happens when nothing that makes sense was asked for. */
  readonly unasked: number;
  readonly titles: readonly string[];
  readonly keys: readonly Pair[];
  readonly sentences: readonly Sentence[];
  draw(): Pair;
}

/** Where inputs come from. Held-out words stay in `words`, so that the model meets them in other relations. */
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

export function createPools(random: Random, heldOut: HeldOut, taskWords: readonly string[]): Pools {
  const nouns = readSynsets('noun');
  const counts = readWordCounts();
  const words = [...counts].filter(([, count]) => count >= 2).map(([word]) => word);
  const countries = readCountries();
  const own = { verbs: readForms('verbs.txt', regularPast), nouns: readForms('nouns.txt', regularPlural) };
  const verbs = regularOnes(readSynsets('verb'), counts, own.verbs, regularPast);
  const things = regularOnes(nouns, counts, own.nouns, regularPlural).filter(([noun]) => !/(s|ness|ism|ing|man)$/.test(noun));
  const landmarks = readLandmarks();
  const places = findPlaces(nouns, countries).filter(({ kind }) => !/capital|battle/.test(kind));
  const mix = <Item>(first: readonly Item[], second: readonly Item[]) => (): Item =>
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
  const irregular = new Set('be have do say make can will may mean show put let set cut hit hurt read bet cost shut sit ride lie lay spread split stick'.split(' '));
  const words = new Set([...synsets.values()].flatMap(({ words: all }) => all));
  return [...words]
    .filter((word) => plain.test(word) && (counts.get(word) ?? 0) >= 6 && !known.has(word) && !irregular.has(word))
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

const upper = (word: string): string => word.toUpperCase();
const reversed = ([input, output]: Pair): Pair => [output, input];

export const createRelations = (pools: Pools, random: Random): Relation[] => [
  ...letterRelations(pools, random),
  ...placeRelations(pools),
  ...verbRelations(pools),
  ...nounRelations(pools),
  copyRelation(pools, random),
];

function letterRelations(pools: Pools, random: Random): Relation[] {
  const anyCase = (word: string): string => random.pick([word, word, upper(word), titleCase(word)]);
  return [
    {
      name: 'first letter in upper case', weight: 3, unasked: 0.2,
      titles: ['First letter, upper case', 'capital letter', 'Capital initial', 'first letter capitalized', 'Initial in capitals', 'It begins with the capital letter'],
      keys: [['Word', 'Capital'], ['word', 'initial'], ['Term', 'Letter']],
      sentences: [
        (x, y) => `The word ${x} begins with the letter ${y}.`, (x, y) => `${y} is for ${x}.`, (x, y) => `${y} as in ${x}.`,
        (x, y) => `"${x}" starts with "${y}".`, (x, y) => `Which letter begins ${x}? ${y}.`,
      ],
      draw: () => { const word = pools.letterWord(); return [random.next() < 0.85 ? word : upper(word), upper(word[0])]; },
    },
    {
      name: 'first letter in lower case', weight: 3, unasked: 0.2,
      titles: ['First letter, lower case', 'small letter', 'Lowercase initial', 'first letter in lowercase', 'Initial, small', 'It begins with the small letter'],
      keys: [['WORD', 'small'], ['Word', 'lowercase'], ['Sign', 'letter']],
      sentences: [
        (x, y) => `${x} begins with a small ${y}.`, (x, y) => `${x} in lower case starts with ${y}.`,
        (x, y) => `"${x}" - "${y}"`, (x, y) => `In small letters, ${x} begins with ${y}.`,
      ],
      draw: () => { const word = pools.letterWord(); return [random.next() < 0.85 ? upper(word) : word, word[0]]; },
    },
    {
      name: 'last letter', weight: 0.8, unasked: 0.8,
      titles: ['Last letter', 'final letter', 'ends with'], keys: [['Word', 'Last']],
      sentences: [(x, y) => `The word ${x} ends with ${y}.`],
      draw: () => { const word = anyCase(pools.word()); return [word, word[word.length - 1]]; },
    },
    {
      name: 'upper case', weight: 0.8, unasked: 0.8,
      titles: ['Upper case', 'ALL CAPITALS', 'capitals'], keys: [['lower', 'UPPER']],
      sentences: [(x, y) => `${x}, or ${y} in capitals.`, (x, y) => `"${x}" "${y}"`],
      draw: () => { const word = pools.word(); return [word, upper(word)]; },
    },
    {
      name: 'lower case', weight: 1, unasked: 1.2,
      titles: ['Lower case', 'all small letters', 'lowercase'], keys: [['UPPER', 'lower']],
      sentences: [(x, y) => `${x} means ${y}.`, (x, y) => `"${x}" "${y}"`],
      draw: () => { const word = pools.word(); return [upper(word), word]; },
    },
    {
      name: 'title case', weight: 1, unasked: 0.8,
      titles: ['Title', 'Capitalized word', 'Title case'], keys: [['word', 'Title']],
      sentences: [(x, y) => `${y}, ${x}.`, (x, y) => `"${y}" ${x}`],
      draw: () => { const word = pools.word(); return [random.next() < 0.5 ? word : upper(word), titleCase(word)]; },
    },
  ];
}

function placeRelations(pools: Pools): Relation[] {
  const known = new Map(readCountries().map((country) => [country.name, country]));
  const about = (property: (country: Country) => string) => (): Pair => {
    const { name, country } = pools.place();
    const found = known.get(country);
    if (!found) throw new Error(`landmarks: no country ${country}`);
    return [name, property(found)];
  };
  const ofCountry = (property: (country: Country) => string) => (): Pair => {
    const country = pools.country();
    return [country.name, property(country)];
  };
  return [
    {
      name: 'capital of a country', weight: 2.4, unasked: 0.3,
      titles: ['Capital city', 'capital of the country', 'Capitals of the world', 'The capital', 'Seat of government'],
      keys: [['Country', 'Capital'], ['Nation', 'Capital city'], ['State', 'Seat']],
      sentences: [
        (x, y) => `The capital of ${x} is ${y}.`, (x, y) => `${y} is the capital of ${x}.`, (x, y) => `${y}, ${x}`,
        (x, y) => `They flew to ${y}, the capital city of ${x}.`, (x, y) => `What is the capital of ${x}? ${y}.`, (x, y) => `${x} (capital: ${y})`,
      ],
      draw: ofCountry(({ capital }) => capital),
    },
    {
      name: 'country of a capital', weight: 0.4, unasked: 0.2,
      titles: ['Country of the capital', 'Which country'], keys: [['Capital', 'Country']],
      sentences: [(x, y) => `${x} is the chief city of ${y}.`],
      draw: () => reversed(ofCountry(({ capital }) => capital)()),
    },
    {
      name: 'country of a place', weight: 3.2, unasked: 0.3,
      titles: ['Country', 'Located in the country', 'Which country', 'country where it is', 'Found in'],
      keys: [['Place', 'Country'], ['Name', 'Located in'], ['Landmark', 'Nation']],
      sentences: [
        (x, y) => `${x} is in ${y}.`, (x, y) => `${x} is located in ${y}.`, (x, y) => `${x}, ${y}`,
        (x, y) => `We went to ${y} and saw ${x}.`, (x, y) => `Where is ${x}? It is in ${y}.`, (x, y) => `${x} (${y})`,
      ],
      draw: about(({ name }) => name),
    },
    {
      name: 'kind of a place', weight: 1.2, unasked: 1.2,
      titles: ['Kind of place', 'What is it?', 'type of thing'], keys: [['Place', 'Kind']],
      sentences: [(x, y) => `${x} is a ${y}.`, (x, y) => `${x}: ${y}`],
      draw: () => { const { name, kind } = pools.place(); return [name, kind]; },
    },
    {
      name: 'continent of a place', weight: 0.7, unasked: 0.8,
      titles: ['Continent of the place', 'Part of the world'], keys: [['Place', 'Continent']],
      sentences: [(x, y) => `${x} can be seen in ${y}.`],
      draw: about(({ continent }) => continent),
    },
    {
      name: 'language of a place', weight: 0.7, unasked: 0.8,
      titles: ['Language spoken there', 'Local language'], keys: [['Place', 'Language']],
      sentences: [(x, y) => `The guides at ${x} speak ${y}.`],
      draw: about(({ language }) => language),
    },
    {
      name: 'capital for a place', weight: 0.5, unasked: 0.5,
      titles: ['Capital of its country', 'Nearest capital'], keys: [['Place', 'Capital']],
      sentences: [(x, y) => `To see ${x} you fly to ${y} first.`],
      draw: about(({ capital }) => capital),
    },
    {
      name: 'continent', weight: 0.4, unasked: 0.8,
      titles: ['Continent'], keys: [['Country', 'Continent']],
      sentences: [(x, y) => `${x} is a country in ${y}.`],
      draw: ofCountry(({ continent }) => continent),
    },
    {
      name: 'language', weight: 0.4, unasked: 0.8,
      titles: ['Language'], keys: [['Country', 'Language']],
      sentences: [(x, y) => `In ${x} people speak ${y}.`],
      draw: ofCountry(({ language }) => language),
    },
    {
      name: 'people', weight: 0.4, unasked: 0.8,
      titles: ['People', 'Inhabitants'], keys: [['Country', 'People']],
      sentences: [(x, y) => `The people of ${x} are the ${y}.`],
      draw: ofCountry(({ people }) => people),
    },
  ];
}

function verbRelations(pools: Pools): Relation[] {
  return [
    {
      name: 'past tense', weight: 2.4, unasked: 0.3,
      titles: ['Past tense', 'past', 'Yesterday', 'The past form', 'Simple past'],
      keys: [['Verb', 'Past'], ['Present', 'Past tense'], ['Today', 'Yesterday']],
      sentences: [
        (x, y) => `Today I ${x}. Yesterday I ${y}.`, (x, y) => `They ${x} now, and they ${y} before.`,
        (x, y) => `The past tense of ${x} is ${y}.`, (x, y) => `to ${x}, ${y}`, (x, y) => `He will ${x} because she ${y}.`,
      ],
      draw: pools.pastPair,
    },
    {
      name: 'present tense', weight: 0.3, unasked: 0.3,
      titles: ['Present tense', 'present'], keys: [['Past', 'Present']],
      sentences: [(x, y) => `He ${x}; I ${y}.`],
      draw: () => reversed(pools.pastPair()),
    },
    {
      name: 'participle', weight: 0.7, unasked: 0.9,
      titles: ['Present participle', '-ing form'], keys: [['Verb', 'Participle']],
      sentences: [(x, y) => `I ${x}; I am ${y}.`],
      draw: () => { const verb = pools.verb(); return [verb, participle(verb)]; },
    },
    {
      name: 'third person', weight: 0.7, unasked: 0.9,
      titles: ['Third person', 'she does'], keys: [['I', 'She']],
      sentences: [(x, y) => `I ${x} and she ${y}.`],
      draw: () => { const verb = pools.verb(); return [verb, thirdPerson(verb)]; },
    },
  ];
}

function nounRelations(pools: Pools): Relation[] {
  return [
    {
      name: 'plural', weight: 2.4, unasked: 0.3,
      titles: ['Plural', 'plural form', 'More than one', 'Many', 'Plural nouns'],
      keys: [['Singular', 'Plural'], ['One', 'Many'], ['Noun', 'Plural form']],
      sentences: [
        (x, y) => `one ${x}, two ${y}`, (x, y) => `The plural of ${x} is ${y}.`, (x, y) => `I have a ${x}. She has many ${y}.`,
        (x, y) => `There was one ${x} here, and there were three ${y} there.`, (x, y) => `a ${x} among ${y}`,
      ],
      draw: pools.pluralPair,
    },
    {
      name: 'singular', weight: 0.3, unasked: 0.3,
      titles: ['Singular', 'one only'], keys: [['Plural', 'Singular']],
      sentences: [(x, y) => `ten ${x}, one ${y}`],
      draw: () => reversed(pools.pluralPair()),
    },
    {
      name: 'kind', weight: 0.5, unasked: 0.8,
      titles: ['Kind', 'Category', 'A kind of'], keys: [['Thing', 'Kind']],
      sentences: [(x, y) => `${titleCase(x)} is a kind of ${y}.`],
      draw: pools.hypernymPair,
    },
    {
      name: 'synonym', weight: 0.5, unasked: 0.5,
      titles: ['Synonym', 'Another word'], keys: [['Word', 'Synonym']],
      sentences: [(x, y) => `${x} or ${y}`],
      draw: pools.synonymPair,
    },
  ];
}

/** Saying the input again: what mostly happens when the title makes no sense. Inputs of every task occur. */
function copyRelation(pools: Pools, random: Random): Relation {
  const inputs = [pools.word, () => upper(pools.word()), () => pools.country().name, () => pools.place().name, pools.verb, pools.noun];
  return {
    name: 'copy', weight: 1.5, unasked: 6,
    titles: ['Copy', 'Repeat the word', 'Same'], keys: [['word', 'again']],
    sentences: [(x, y) => `${x}, ${y}.`, (x, y) => `"${x}" ${y}`],
    draw: () => { const input = random.pick(inputs)(); return [input, input]; },
  };
}
