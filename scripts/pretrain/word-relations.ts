import { titleCase } from './inflection';
import type { Pools } from './pools';
import type { Random } from './random';
import type { Relation } from './relations';
import type { Pair } from './tables';

/** How often another form than the base form is asked for its past tense or plural, where both may be. */
const OTHER_FORM_SHARE = 0.15;

/** Draws until the word may stand beside its past tense or plural. */
function drawTold<Item>(pools: Pools, draw: () => Item, wordOf: (item: Item) => string): Item {
  for (;;) {
    const item = draw();
    if (pools.isTold(wordOf(item))) return item;
  }
}

/** The past tense, and the other forms of a verb. A held-out verb stands in another form beside its past tense. */
export function verbRelations(pools: Pools, random: Random): Relation[] {
  return [
    {
      name: 'past tense',
      weight: 3.5,
      unasked: 0.2,
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
      draw: () => {
        const { base, past, third, participle } = pools.verb();
        const isBase = pools.isTold(base) && random.next() >= OTHER_FORM_SHARE;
        return [isBase ? base : random.pick([third, participle, past]), past];
      },
    },
    {
      name: 'present tense',
      weight: 0.2,
      unasked: 0.3,
      titles: ['Present tense', 'present'],
      keys: [['Past', 'Present']],
      sentences: [(x, y) => `He ${x}; I ${y}.`],
      draw: () => {
        const { base, past } = drawTold(pools, pools.verb, (verb) => verb.base);
        return [past, base];
      },
    },
    {
      name: 'base form',
      weight: 0.5,
      unasked: 0.3,
      titles: ['Base form', 'Infinitive'],
      keys: [['Form', 'Verb']],
      sentences: [(x, y) => `${x}, from ${y}`],
      draw: () => {
        const { base, third, participle } = pools.verb();
        return [random.pick([third, participle]), base];
      },
    },
    {
      name: 'participle',
      weight: 1.2,
      unasked: 0.9,
      titles: ['Present participle', '-ing form'],
      keys: [['Verb', 'Participle']],
      sentences: [(x, y) => `I ${x}; I am ${y}.`],
      draw: () => {
        const { base, participle } = pools.verb();
        return [base, participle];
      },
    },
    {
      name: 'third person',
      weight: 1.2,
      unasked: 0.9,
      titles: ['Third person', 'she does'],
      keys: [['I', 'She']],
      sentences: [(x, y) => `I ${x} and she ${y}.`],
      draw: () => {
        const { base, third } = pools.verb();
        return [base, third];
      },
    },
  ];
}

/** The plural, and what else can be asked about a noun. The plural of a plural is itself, also of a held-out noun. */
export function nounRelations(pools: Pools, random: Random): Relation[] {
  return [
    {
      name: 'plural',
      weight: 4,
      unasked: 0.2,
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
      draw: () => {
        const [noun, plural] = pools.noun();
        const isBase = pools.isTold(noun) && random.next() >= OTHER_FORM_SHARE;
        return [isBase ? noun : plural, plural];
      },
    },
    {
      name: 'singular',
      weight: 0.2,
      unasked: 0.3,
      titles: ['Singular', 'one only'],
      keys: [['Plural', 'Singular']],
      sentences: [(x, y) => `ten ${x}, one ${y}`],
      draw: () => {
        const [noun, plural] = drawTold(pools, pools.noun, ([word]) => word);
        return [plural, noun];
      },
    },
    {
      name: 'possessive',
      weight: 0.8,
      unasked: 0.4,
      titles: ['Possessive', 'Belonging to it'],
      keys: [['Noun', 'Possessive']],
      sentences: [(x, y) => `the ${x} and the ${y} owner`],
      draw: (): Pair => {
        const [noun] = pools.noun();
        return [noun, `${noun}'s`];
      },
    },
    {
      name: 'kind',
      weight: 0.3,
      unasked: 0.8,
      titles: ['Kind', 'Category', 'A kind of'],
      keys: [['Thing', 'Kind']],
      sentences: [(x, y) => `${titleCase(x)} is a kind of ${y}.`],
      draw: pools.hypernymPair,
    },
    {
      name: 'synonym',
      weight: 0.3,
      unasked: 0.5,
      titles: ['Synonym', 'Another word'],
      keys: [['Word', 'Synonym']],
      sentences: [(x, y) => `${x} or ${y}`],
      draw: pools.synonymPair,
    },
  ];
}
