import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tablesFolder } from './paths';

export interface Country {
  readonly name: string;
  readonly capital: string;
  readonly continent: string;
  readonly language: string;
  readonly people: string;
}

export interface Place {
  readonly name: string;
  readonly country: string;
  readonly kind: string;
}

/** [word, its other form], for instance [go, went]. */
export type Pair = readonly [string, string];

export const readCountries = (): Country[] =>
  readRows('countries.txt', 5).map(([name, capital, continent, language, people]) => ({
    name,
    capital,
    continent,
    language,
    people,
  }));

export const readLandmarks = (): Place[] =>
  readRows('landmarks.txt', 3).map(([name, country, kind]) => ({ name, country, kind }));

export const readExcludedPlaces = (): string[] => readLines('excluded-places.txt');

/** The words of a table in which an irregular word is written word:form; `regular` makes the others. */
export function readForms(file: string, regular: (word: string) => string): Pair[] {
  return readLines(file)
    .flatMap((line) => line.split(' '))
    .map((entry) => {
      const [word, form] = entry.split(':');
      return [word, form ?? regular(word)];
    });
}

function readRows(file: string, columns: number): string[][] {
  return readLines(file).map((line) => {
    const row = line.split('|');
    if (row.length !== columns) throw new Error(`${file}: expected ${columns} columns, found: ${line}`);
    return row;
  });
}

const readLines = (file: string): string[] =>
  readFileSync(join(tablesFolder, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
