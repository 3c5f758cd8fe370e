import type { Pools } from './pools';
import type { Relation } from './relations';
import { readCountries } from './tables';
import type { Country, Pair } from './tables';

/** Countries and their capitals, landmarks and their countries, and what else is known about them. */
export function placeRelations(pools: Pools): Relation[] {
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
      name: 'capital of a country',
      weight: 1.6,
      unasked: 0.3,
      titles: [
        'Capital city',
        'capital of the country',
        'Capitals of the world',
        'The capital',
        'Seat of government',
      ],
      keys: [
        ['Country', 'Capital'],
        ['Nation', 'Capital city'],
        ['State', 'Seat'],
      ],
      sentences: [
        (x, y) => `The capital of ${x} is ${y}.`,
        (x, y) => `${y} is the capital of ${x}.`,
        (x, y) => `${y}, ${x}`,
        (x, y) => `They flew to ${y}, the capital city of ${x}.`,
        (x, y) => `What is the capital of ${x}? ${y}.`,
        (x, y) => `${x} (capital: ${y})`,
      ],
      draw: pools.capital,
    },
    {
      name: 'country of a capital',
      weight: 0.2,
      unasked: 0.2,
      titles: ['Country of the capital', 'Which country'],
      keys: [['Capital', 'Country']],
      sentences: [(x, y) => `${x} is the chief city of ${y}.`],
      draw: () => {
        const [name, capital] = pools.capital();
        return [capital, name];
      },
    },
    {
      name: 'country of a place',
      weight: 4.5,
      unasked: 0.3,
      titles: ['Country', 'Located in the country', 'Which country', 'country where it is', 'Found in'],
      keys: [
        ['Place', 'Country'],
        ['Name', 'Located in'],
        ['Landmark', 'Nation'],
      ],
      sentences: [
        (x, y) => `${x} is in ${y}.`,
        (x, y) => `${x} is located in ${y}.`,
        (x, y) => `${x}, ${y}`,
        (x, y) => `We went to ${y} and saw ${x}.`,
        (x, y) => `Where is ${x}? It is in ${y}.`,
        (x, y) => `${x} (${y})`,
      ],
      draw: pools.landmark,
    },
    {
      name: 'kind of a place',
      weight: 0.4,
      unasked: 1.2,
      titles: ['Kind of place', 'What is it?', 'type of thing'],
      keys: [['Place', 'Kind']],
      sentences: [(x, y) => `${x} is a ${y}.`, (x, y) => `${x}: ${y}`],
      draw: () => {
        const { name, kind } = pools.place();
        return [name, kind];
      },
    },
    {
      name: 'continent of a place',
      weight: 0.3,
      unasked: 0.8,
      titles: ['Continent of the place', 'Part of the world'],
      keys: [['Place', 'Continent']],
      sentences: [(x, y) => `${x} can be seen in ${y}.`],
      draw: about(({ continent }) => continent),
    },
    {
      name: 'language of a place',
      weight: 0.2,
      unasked: 0.8,
      titles: ['Language spoken there', 'Local language'],
      keys: [['Place', 'Language']],
      sentences: [(x, y) => `The guides at ${x} speak ${y}.`],
      draw: about(({ language }) => language),
    },
    {
      name: 'capital for a place',
      weight: 0.2,
      unasked: 0.5,
      titles: ['Capital of its country', 'Nearest capital'],
      keys: [['Place', 'Capital']],
      sentences: [(x, y) => `To see ${x} you fly to ${y} first.`],
      draw: about(({ capital }) => capital),
    },
    {
      name: 'continent',
      weight: 0.2,
      unasked: 0.8,
      titles: ['Continent'],
      keys: [['Country', 'Continent']],
      sentences: [(x, y) => `${x} is a country in ${y}.`],
      draw: ofCountry(({ continent }) => continent),
    },
    {
      name: 'language',
      weight: 0.2,
      unasked: 0.8,
      titles: ['Language'],
      keys: [['Country', 'Language']],
      sentences: [(x, y) => `In ${x} people speak ${y}.`],
      draw: ofCountry(({ language }) => language),
    },
    {
      name: 'people',
      weight: 0.2,
      unasked: 0.8,
      titles: ['People', 'Inhabitants'],
      keys: [['Country', 'People']],
      sentences: [(x, y) => `The people of ${x} are the ${y}.`],
      draw: ofCountry(({ people }) => people),
    },
  ];
}
