import { participle, thirdPerson, titleCase } from './inflection';
import type { Pools } from './pools';
import type { Relation } from './relations';
import type { Pair } from './tables';

const reversed = ([input, output]: Pair): Pair => [output, input];

/** The past tense, and the other forms of a verb. */
export function verbRelations(pools: Pools): Relation[] {
  return [
    {
      name: 'past tense',
      weight: 2.4,
      unasked: 0.3,
      titles: ['Past tense', 'past', 'Yesterday', 'The past form', 'Simple past'],
      keys: [
        ['Verb', 'Past'],
        ['Present', 'Past tense'],
        ['Today', 'Yesterday'],
      ],
      sentences: [
        (x, y) => `Today I ${x}. Yesterday I ${y}.`,
        (x, y) => `They ${x} now, and they ${y} before.`,
        (x, y) => `The past tense of ${x} is ${y}.`,
        (x, y) => `to ${x}, ${y}`,
        (x, y) => `He will ${x} because she ${y}.`,
      ],
      draw: pools.pastPair,
    },
    {
      name: 'present tense',
      weight: 0.3,
      unasked: 0.3,
      titles: ['Present tense', 'present'],
      keys: [['Past', 'Present']],
      sentences: [(x, y) => `He ${x}; I ${y}.`],
      draw: () => reversed(pools.pastPair()),
    },
    {
      name: 'participle',
      weight: 0.7,
      unasked: 0.9,
      titles: ['Present participle', '-ing form'],
      keys: [['Verb', 'Participle']],
      sentences: [(x, y) => `I ${x}; I am ${y}.`],
      draw: () => {
        const verb = pools.verb();
        return [verb, participle(verb)];
      },
    },
    {
      name: 'third person',
      weight: 0.7,
      unasked: 0.9,
      titles: ['Third person', 'she does'],
      keys: [['I', 'She']],
      sentences: [(x, y) => `I ${x} and she ${y}.`],
      draw: () => {
        const verb = pools.verb();
        return [verb, thirdPerson(verb)];
      },
    },
  ];
}

/** The plural, and what else can be asked about a noun. */
export function nounRelations(pools: Pools): Relation[] {
  return [
    {
      name: 'plural',
      weight: 2.4,
      unasked: 0.3,
      titles: ['Plural', 'plural form', 'More than one', 'Many', 'Plural nouns'],
      keys: [
        ['Singular', 'Plural'],
        ['One', 'Many'],
        ['Noun', 'Plural form'],
      ],
      sentences: [
        (x, y) => `one ${x}, two ${y}`,
        (x, y) => `The plural of ${x} is ${y}.`,
        (x, y) => `I have a ${x}. She has many ${y}.`,
        (x, y) => `There was one ${x} here, and there were three ${y} there.`,
        (x, y) => `a ${x} among ${y}`,
      ],
      draw: pools.pluralPair,
    },
    {
      name: 'singular',
      weight: 0.3,
      unasked: 0.3,
      titles: ['Singular', 'one only'],
      keys: [['Plural', 'Singular']],
      sentences: [(x, y) => `ten ${x}, one ${y}`],
      draw: () => reversed(pools.pluralPair()),
    },
    {
      name: 'kind',
      weight: 0.5,
      unasked: 0.8,
      titles: ['Kind', 'Category', 'A kind of'],
      keys: [['Thing', 'Kind']],
      sentences: [(x, y) => `${titleCase(x)} is a kind of ${y}.`],
      draw: pools.hypernymPair,
    },
    {
      name: 'synonym',
      weight: 0.5,
      unasked: 0.5,
      titles: ['Synonym', 'Another word'],
      keys: [['Word', 'Synonym']],
      sentences: [(x, y) => `${x} or ${y}`],
      draw: pools.synonymPair,
    },
  ];
}
