import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder, readJson, sha256File, writeFileAtomic, writeJsonAtomic } from '../../lib/files';

/** One thing that is asked of the model, and what was found. */
export interface Bar {
  readonly name: string;
  readonly asked: string;
  readonly found: string;
  readonly passes: boolean;
}

/** What a part of the card measured: its bars, and everything behind them. */
export interface Part {
  readonly bars: readonly Bar[];
  readonly details: unknown;
}

/** data/model/card.json: the parts measured so far on one model. */
export interface Card {
  readonly model: string;
  readonly parts: Readonly<Record<string, Part>>;
}

const BEGIN = '<!-- npm run model-card writes from here -->';
const END = '<!-- to here -->';

/** The card of a model, empty where another one was measured before. */
export function readCard(file: string, modelFile: string): Card {
  const model = sha256File(modelFile);
  const known = existsSync(file) ? (readJson(file) as Card) : undefined;
  return known?.model === model ? known : { model, parts: {} };
}

export function savePart(file: string, card: Card, name: string, part: Part): Card {
  const next = { ...card, parts: { ...card.parts, [name]: part } };
  writeJsonAtomic(file, next);
  return next;
}

/** The bars as a Markdown table, the failed ones as plain as the others. */
export function cardTable({ model, parts }: Card): string {
  const rows = Object.values(parts)
    .flatMap(({ bars }) => bars)
    .map(({ name, asked, found, passes }) => `| ${name} | ${asked} | ${found} | ${passes ? 'yes' : '**no**'} |`);
  return [
    `Of the weights with SHA-256 \`${model.slice(0, 16)}…\`:`, '',
    '| | asked | found | passes |', '|---|---|---|---|', ...rows,
  ].join('\n');
}

/** Puts the table between the two marks of data/model/README.md. */
export function writeTable(card: Card): void {
  const file = join(projectFolder, 'data', 'model', 'README.md');
  const text = readFileSync(file, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file}: expected the lines '${BEGIN}' and '${END}'`);
  writeFileAtomic(file, `${text.slice(0, begin)}${BEGIN}\n${cardTable(card)}\n${text.slice(end)}`);
}

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
export const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
