/**
 * One page with everything in a folder of figures: the paper's values beside this run's, then all figures with
 * their captions, then all tables. Made from the exported files alone.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { svgCaption } from './export';
import { writeFileAtomic } from './files';
import { PAPER_COLUMN } from './paper';
import { escapeMarkdown, formatNumber, fromCsv } from './tables';

/** The table of a run's settings, shown in full. */
const SETTINGS = 'run-settings';

/** Write `README.md` into a folder of exported figures; returns its path. Throws where there is none. */
export function writeFigurePage(folder: string): string {
  const file = join(folder, 'README.md');
  writeFileAtomic(file, figurePage(folder));
  return file;
}

/** The page as Markdown. The same files give the same page. */
export function figurePage(folder: string): string {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  const figures = namesOf(files, '.svg');
  const tables = namesOf(files, '.csv');
  if (figures.length + tables.length === 0) throw new Error(`${folder}: no exported figure or table`);
  return `${[
    '# Figures and tables',
    'Made by `npm run figures` from the files in this folder, which notebooks export; any change here is lost.',
    ...settingsSection(folder, tables),
    ...paperSection(folder, tables),
    ...figures.flatMap((name) => figureSection(folder, name)),
    ...tableSection(folder, tables),
  ].join('\n\n')}\n`;
}

/** The paper's figures and tables first, in its order; all others by name. */
function namesOf(files: readonly string[], ending: string): string[] {
  const numbered = (name: string): number => (/^(figure|table)-\d/.test(name) ? 0 : 1);
  return files.filter((file) => file.endsWith(ending)).map((file) => file.slice(0, -ending.length))
    .sort((a, b) => numbered(a) - numbered(b) || a.localeCompare(b, 'en', { numeric: true }));
}

function settingsSection(folder: string, tables: readonly string[]): string[] {
  const file = join(folder, `${SETTINGS}.md`);
  if (!tables.includes(SETTINGS) || !existsSync(file)) return [];
  return ['## The run', readFileSync(file, 'utf8').trimEnd()];
}

/** All rows of all tables that have a value of the paper beside this run's. */
function paperSection(folder: string, tables: readonly string[]): string[] {
  const rows = tables.flatMap((name) => {
    const [columns = [], ...body] = fromCsv(readFileSync(join(folder, `${name}.csv`), 'utf8'));
    const places = [PAPER_COLUMN, 'published', 'corrected'].map((column) => columns.indexOf(column));
    if (places.includes(-1)) return [];
    return body.map((cells, i) => [
      i === 0 ? `[${captionOf(folder, name)}](${name}.md)` : '',
      escapeMarkdown(cells[0]),
      ...places.map((place) => shownNumber(cells[place])),
    ]);
  });
  if (rows.length === 0) return [];
  return [
    '## The paper beside this run',
    "The paper's values are GPT-2 XL's, as its authors computed them, to be compared with `published`; "
      + '`corrected` is the same without their questionable conventions (notebooks 04 and 05 say which).',
    [
      '| | | paper | published | corrected |', '| :--- | :--- | ---: | ---: | ---: |',
      ...rows.map((cells) => `| ${cells.join(' | ')} |`),
    ].join('\n'),
  ];
}

function shownNumber(cell: string): string {
  if (cell === '') return '–';
  const value = Number(cell);
  return Number.isInteger(value) ? cell : formatNumber(value, 3);
}

function figureSection(folder: string, name: string): string[] {
  const caption = svgCaption(readFileSync(join(folder, `${name}.svg`), 'utf8')) ?? name;
  const links = ['svg', 'pdf', 'png'].filter((ending) => existsSync(join(folder, `${name}.${ending}`)))
    .map((ending) => `[${ending.toUpperCase()}](${name}.${ending})`);
  const image = existsSync(join(folder, `${name}.png`)) ? 'png' : 'svg';
  return [
    `## ${escapeMarkdown(caption)}`,
    `![${escapeMarkdown(caption)}](${name}.${image})`,
    links.join(' · '),
  ];
}

function tableSection(folder: string, tables: readonly string[]): string[] {
  const lines = tables.map((name) => {
    const links = ['md', 'csv', 'tex'].filter((ending) => existsSync(join(folder, `${name}.${ending}`)))
      .map((ending) => `[${LINK_NAMES[ending]}](${name}.${ending})`);
    return `- ${captionOf(folder, name)}: ${links.join(' · ')}`;
  });
  return tables.length === 0 ? [] : ['## Tables', lines.join('\n')];
}

/** A table's caption as Markdown: the line above its Markdown form; its name where it has none. */
function captionOf(folder: string, name: string): string {
  const file = join(folder, `${name}.md`);
  const [line] = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : ['|'];
  return line.startsWith('|') ? escapeMarkdown(name) : line;
}

const LINK_NAMES: Readonly<Record<string, string>> = { md: 'Markdown', csv: 'CSV', tex: 'LaTeX' };
