/** Writes the six task lists of data/tasks, as data/README.md describes them. Run: npm run tasks */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { regularPast, regularPlural } from './inflection';
import { tasksFolder } from './paths';
import { readCountries, readExcludedPlaces, readForms, readLandmarks } from './tables';
import type { Country, Place } from './tables';
import { findPlaces, readSynsets, readWordCounts } from './wordnet';

const LANDMARKS = 836;
const CAPITALIZED_WORDS = 813;
const LOWERCASED_WORDS = 814;
const PLACES_OF_ONE_COUNTRY = 24;
const WORDS_WITH_ONE_LETTER = 60;
const LEAST_WORD_COUNT = 4;
const random = mulberry32(2026);

/** Words that are in WordNet but have no place in a demonstration. */
const UNWANTED = new RegExp(
  '^(abortion|breast|damn|diarrh|fascis|hell|homosexual|impotent|jew|killing|marxis|martian|menarche|murder' +
    '|nazi|negro|obscene' +
    '|oriental|rap(e|ed|ing)$|roman|rumanian|russian|sex|slave|suicid|virile|whore)',
);

function main(): void {
  const countries = readCountries();
  mkdirSync(tasksFolder, { recursive: true });
  write(
    'country-capital',
    countries.map(({ name, capital }) => [name, capital]),
  );
  write(
    'landmark-country',
    chooseLandmarks(countries).map(({ name, country }) => [name, country]),
  );
  write('present-past', readForms('verbs.txt', regularPast));
  write('singular-plural', random.shuffle(readForms('nouns.txt', regularPlural)));
  const words = commonWords();
  const capitalized = chooseWords(words, CAPITALIZED_WORDS);
  const lowercased = chooseWords(words, LOWERCASED_WORDS);
  write(
    'capitalize_first_letter',
    capitalized.map((word) => [word, word[0].toUpperCase()]),
  );
  write(
    'lowercase_first_letter',
    lowercased.map((word) => [word.toUpperCase(), word[0]]),
  );
}

/** All landmarks of the table, filled up with places that WordNet knows in exactly one country. */
function chooseLandmarks(countries: readonly Country[]): Place[] {
  const own = readLandmarks();
  const taken = new Set([
    ...own.map(({ name }) => name),
    ...countries.flatMap(({ name, capital }) => [name, capital]),
    ...readExcludedPlaces(),
  ]);
  const found = findPlaces(readSynsets('noun'), countries);
  const chosen: Place[] = [];
  const perCountry = new Map<string, number>();
  for (const place of random.shuffle(found)) {
    const count = perCountry.get(place.country) ?? 0;
    const isPlain = /^[A-Z][A-Za-z' -]+$/.test(place.name) && !/capital|battle|state$/.test(place.kind);
    const isUnique = found.filter(({ name }) => name === place.name).length === 1 && !taken.has(place.name);
    if (!isPlain || !isUnique || count >= PLACES_OF_ONE_COUNTRY) continue;
    perCountry.set(place.country, count + 1);
    chosen.push(place);
  }
  return random.shuffle([...own, ...chosen.slice(0, LANDMARKS - own.length)]);
}

/** Words met often enough, without those that are also names (august, seattle). */
function commonWords(): string[] {
  const names = new Set<string>();
  for (const { words } of readSynsets('noun').values()) {
    for (const word of words) if (/^[A-Z]/.test(word)) names.add(word.toLowerCase());
  }
  return [...readWordCounts()]
    .filter(([word, count]) => count >= LEAST_WORD_COUNT && !UNWANTED.test(word) && !names.has(word))
    .map(([word]) => word);
}

/** Draws words with no letter in the lead: real word lists have ten times more words with s than with j. */
function chooseWords(words: readonly string[], count: number): string[] {
  const perLetter = new Map<string, number>();
  const chosen: string[] = [];
  for (const word of random.shuffle(words)) {
    const used = perLetter.get(word[0]) ?? 0;
    if (used >= WORDS_WITH_ONE_LETTER || chosen.length === count) continue;
    perLetter.set(word[0], used + 1);
    chosen.push(word);
  }
  return chosen;
}

/** The generator that the lists were first drawn with; another one would draw other lists. */
function mulberry32(seed: number): { shuffle<Item>(items: readonly Item[]): Item[] } {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const shuffle = <Item>(items: readonly Item[]): Item[] => {
    const copy = [...items];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1));
      [copy[i], copy[j]] = [copy[j], copy[i]];
    }
    return copy;
  };
  return { shuffle };
}

function write(name: string, rows: readonly (readonly [string, string])[]): void {
  const inputs = new Set(rows.map(([input]) => input));
  if (inputs.size !== rows.length) throw new Error(`${name}: an input occurs twice`);
  const items = rows.map(([input, output]) => ({ input, output }));
  writeFileSync(join(tasksFolder, `${name}.json`), `${JSON.stringify(items, null, 2)}\n`);
  console.log(`${name}: ${items.length} items`);
}

main();
