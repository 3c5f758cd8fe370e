import { titleCase } from './inflection';
import type { Pools } from './pools';
import type { Random } from './random';
import type { Relation } from './relations';

const upper = (word: string): string => word.toUpperCase();

/** The two letter tasks, and what else can be asked about how a word is written. */
export function letterRelations(pools: Pools, random: Random): Relation[] {
  const anyCase = (word: string): string => random.pick([word, word, upper(word), titleCase(word)]);
  return [
    {
      name: 'first letter in upper case',
      weight: 1.7,
      unasked: 0.2,
      titles: [
        'First letter, upper case',
        'capital letter',
        'Capital initial',
        'first letter capitalized',
        'Initial in capitals',
        'It begins with the capital letter',
      ],
      keys: [
        ['Word', 'Capital'],
        ['word', 'initial'],
        ['Term', 'Letter'],
      ],
      sentences: [
        (x, y) => `The word ${x} begins with the letter ${y}.`,
        (x, y) => `${y} is for ${x}.`,
        (x, y) => `${y} as in ${x}.`,
        (x, y) => `"${x}" starts with "${y}".`,
        (x, y) => `Which letter begins ${x}? ${y}.`,
      ],
      draw: () => {
        const word = pools.letterWord();
        return [random.next() < 0.85 ? word : upper(word), upper(word[0])];
      },
    },
    {
      name: 'first letter in lower case',
      weight: 1.7,
      unasked: 0.2,
      titles: [
        'First letter, lower case',
        'small letter',
        'Lowercase initial',
        'first letter in lowercase',
        'Initial, small',
        'It begins with the small letter',
      ],
      keys: [
        ['WORD', 'small'],
        ['Word', 'lowercase'],
        ['Sign', 'letter'],
      ],
      sentences: [
        (x, y) => `${x} begins with a small ${y}.`,
        (x, y) => `${x} in lower case starts with ${y}.`,
        (x, y) => `"${x}" - "${y}"`,
        (x, y) => `In small letters, ${x} begins with ${y}.`,
      ],
      draw: () => {
        const word = pools.letterWord();
        return [random.next() < 0.85 ? upper(word) : word, word[0]];
      },
    },
    {
      name: 'last letter',
      weight: 0.6,
      unasked: 0.8,
      titles: ['Last letter', 'final letter', 'ends with'],
      keys: [['Word', 'Last']],
      sentences: [(x, y) => `The word ${x} ends with ${y}.`],
      draw: () => {
        const word = anyCase(pools.word());
        return [word, word[word.length - 1]];
      },
    },
    {
      name: 'upper case',
      weight: 0.8,
      unasked: 0.8,
      titles: ['Upper case', 'ALL CAPITALS', 'capitals'],
      keys: [['lower', 'UPPER']],
      sentences: [(x, y) => `${x}, or ${y} in capitals.`, (x, y) => `"${x}" "${y}"`],
      draw: () => {
        const word = pools.word();
        return [word, upper(word)];
      },
    },
    {
      name: 'lower case',
      weight: 1,
      unasked: 1.2,
      titles: ['Lower case', 'all small letters', 'lowercase'],
      keys: [['UPPER', 'lower']],
      sentences: [(x, y) => `${x} means ${y}.`, (x, y) => `"${x}" "${y}"`],
      draw: () => {
        const word = pools.word();
        return [upper(word), word];
      },
    },
    {
      name: 'title case',
      weight: 1,
      unasked: 0.8,
      titles: ['Title', 'Capitalized word', 'Title case'],
      keys: [['word', 'Title']],
      sentences: [(x, y) => `${y}, ${x}.`, (x, y) => `"${y}" ${x}`],
      draw: () => {
        const word = pools.word();
        return [random.next() < 0.5 ? word : upper(word), titleCase(word)];
      },
    },
  ];
}
