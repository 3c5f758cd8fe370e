/**
 * Tables: danfojs data frames from plain columns, and the same frame as HTML, LaTeX, CSV, Markdown or text.
 *
 * Cells are token strings as often as numbers, so every format escapes what it cannot carry.
 */
import { createRequire } from 'node:module';
import type { DataFrame } from 'danfojs-node';

/** A table cell; null is a missing value. */
export type Cell = string | number | null;

/** Columns by name, all of one length. */
export type Columns = Readonly<Record<string, readonly Cell[]>>;

export interface TableOptions {
  /** what the table shows, one sentence */
  readonly caption?: string;
  /** LaTeX label, such as 'tab:same-word' */
  readonly label?: string;
  /** digits after the decimal point: for every column, or by column name; whole-number columns have none */
  readonly digits?: number | Readonly<Record<string, number>>;
  /** column headings where the column's name will not do */
  readonly headings?: Readonly<Record<string, string>>;
  /** LaTeX: 'name' (default) writes characters pdfLaTeX lacks as U+0416, 'keep' leaves them for XeLaTeX */
  readonly unicode?: 'name' | 'keep';
}

/** Digits after the decimal point where nothing else is said: those of the paper's tables. */
export const DEFAULT_DIGITS = 3;

const load = createRequire(__filename);

/**
 * A danfojs data frame from named columns.
 * danfojs takes 2 s to load, so it is loaded at the first call. Throws where columns differ in length.
 * @example frame({ word: ['cat', 'dog'], distance: [0.546, 0.547] })
 */
export function frame(columns: Columns): DataFrame {
  const names = Object.keys(columns);
  const length = names.length === 0 ? 0 : columns[names[0]].length;
  for (const name of names) {
    if (columns[name].length !== length) {
      const found = columns[name].length;
      throw new Error(`frame: column '${name}' has ${found} rows, expected ${length} as in '${names[0]}'`);
    }
  }
  const danfo = load('danfojs-node') as typeof import('danfojs-node');
  const rows = Array.from({ length }, (_, row) => names.map((name) => columns[name][row]));
  return new danfo.DataFrame(rows, { columns: names });
}

/** Rows of a frame as plain objects' cells: [row][column]. */
export function frameRows(data: DataFrame): Cell[][] {
  return (data.values as Cell[][]).map((row) => [...row]);
}

/** What every output format starts from: rounded text and which columns hold numbers. */
interface TextTable {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly numeric: readonly boolean[];
}

function textTable(data: DataFrame, options: TableOptions): TextTable {
  const names = data.columns as string[];
  const cells = frameRows(data);
  const numeric = names.map((_, column) => isNumeric(cells.map((row) => row[column])));
  const digits = names.map((name, column) => columnDigits(name, cells.map((row) => row[column]), options));
  return {
    headings: names.map((name) => options.headings?.[name] ?? name),
    rows: cells.map((row) => row.map((cell, column) => cellText(cell, digits[column]))),
    numeric,
  };
}

function isNumeric(cells: readonly Cell[]): boolean {
  return cells.some((cell) => typeof cell === 'number') && !cells.some((cell) => typeof cell === 'string');
}

function columnDigits(name: string, cells: readonly Cell[], options: TableOptions): number {
  const chosen = typeof options.digits === 'number' ? options.digits : options.digits?.[name];
  const whole = cells.every((cell) => typeof cell !== 'number' || Number.isInteger(cell));
  if (whole && typeof options.digits !== 'object') return 0;
  return chosen ?? (whole ? 0 : DEFAULT_DIGITS);
}

/** A number with these digits; one that would round to zero keeps two figures as in 4.4e-102. */
export function formatNumber(value: number, digits: number): string {
  if (!Number.isFinite(value)) return String(value);
  const tooSmall = value !== 0 && Math.abs(value) < 0.5 * 10 ** -digits;
  return tooSmall ? value.toExponential(1) : value.toFixed(digits);
}

function cellText(cell: Cell | undefined, digits: number): string {
  if (cell === null || cell === undefined) return '–';
  return typeof cell === 'number' ? formatNumber(cell, digits) : String(cell);
}

/** HTML with every special character escaped: a token `<script>` stays text. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;').replaceAll("'", '&#39;');
}

/** What escapeHtml was given. */
export function unescapeHtml(text: string): string {
  return text.replaceAll('&#39;', "'").replaceAll('&quot;', '"')
    .replaceAll('&gt;', '>').replaceAll('&lt;', '<').replaceAll('&amp;', '&');
}

/** The frame as an HTML table with its caption on top. Spaces inside tokens survive. */
export function toHtml(data: DataFrame, options: TableOptions = {}): string {
  const { headings, rows, numeric } = textTable(data, options);
  const align = (column: number): string => `text-align:${numeric[column] ? 'right' : 'left'}`;
  const head = headings.map((heading, i) => `<th style="${align(i)}">${escapeHtml(heading)}</th>`).join('');
  const body = rows.map((row) => {
    const cells = row.map((cell, i) => (
      `<td style="${align(i)};white-space:pre-wrap">${escapeHtml(cell)}</td>`));
    return `<tr>${cells.join('')}</tr>`;
  });
  const caption = options.caption === undefined
    ? ''
    : `<caption style="caption-side:top;text-align:left">${escapeHtml(options.caption)}</caption>\n`;
  return `<table class="dataframe">\n${caption}<thead><tr>${head}</tr></thead>\n`
    + `<tbody>\n${body.join('\n')}\n</tbody>\n</table>`;
}

/** RFC 4180 CSV: CRLF line ends, quotes only where needed, numbers in full unless `digits` is given. */
export function toCsv(data: DataFrame, options: TableOptions = {}): string {
  const field = (text: string): string => (
    /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const full = (cell: Cell): string => (cell === null || cell === undefined ? '' : String(cell));
  const rows = options.digits === undefined
    ? frameRows(data).map((row) => row.map(full))
    : textTable(data, options).rows;
  return [data.columns as string[], ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

/** The cells of RFC 4180 CSV, heading row first. */
export function fromCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    rows[rows.length - 1].push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === '') break;
    if (end !== ',') rows.push([]);
  }
  return rows.filter((row) => row.length > 1 || row[0] !== '');
}

/** A GitHub-flavoured Markdown table, the caption as a line above it. */
export function toMarkdown(data: DataFrame, options: TableOptions = {}): string {
  const { headings, rows, numeric } = textTable(data, options);
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeMarkdown).join(' | ')} |`;
  const rule = `| ${numeric.map((right) => (right ? '---:' : ':---')).join(' | ')} |`;
  const caption = options.caption === undefined ? [] : [escapeMarkdown(options.caption), ''];
  return `${[...caption, line(headings), rule, ...rows.map(line)].join('\n')}\n`;
}

/** Text that Markdown shows as it is, on one line. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_[\]{}#|~$]/g, '\\$&')
    .replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    .replace(/\r\n|\r|\n/g, '<br>');
}

/** Aligned columns of plain text, for a terminal and for `text/plain` outputs. */
export function toText(data: DataFrame, options: TableOptions = {}): string {
  const { headings, rows, numeric } = textTable(data, options);
  const shown = [headings, ...rows].map((row) => row.map((cell) => cell.replace(/\s/g, ' ')));
  const widths = headings.map((_, i) => Math.max(...shown.map((row) => [...row[i]].length)));
  const lines = shown.map((row) => (
    row.map((cell, i) => pad(cell, widths[i], numeric[i])).join('  ').trimEnd()));
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  const caption = options.caption === undefined ? [] : [options.caption];
  return [...caption, lines[0], rule, ...lines.slice(1)].join('\n');
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(0, width - [...text].length));
  return right ? space + text : text + space;
}

/** A booktabs table environment (needs \usepackage{booktabs}). */
export function toLatex(data: DataFrame, options: TableOptions = {}): string {
  const { headings, rows, numeric } = textTable(data, options);
  const escape = (text: string): string => escapeLatex(text, options.unicode);
  const line = (cells: readonly string[]): string => `    ${cells.map(escape).join(' & ')} \\\\`;
  const numbers = rows.map((row) => `    ${row.map((cell, i) => (
    numeric[i] ? latexNumber(cell) : escape(cell))).join(' & ')} \\\\`);
  return [
    '\\begin{table}[htbp]',
    '  \\centering',
    ...(options.caption === undefined ? [] : [`  \\caption{${escape(options.caption)}}`]),
    ...(options.label === undefined ? [] : [`  \\label{${options.label}}`]),
    `  \\begin{tabular}{${numeric.map((right) => (right ? 'r' : 'l')).join('')}}`,
    '    \\toprule', line(headings), '    \\midrule', ...numbers, '    \\bottomrule',
    '  \\end{tabular}', '\\end{table}', '',
  ].join('\n');
}

/** A formatted number in LaTeX: a real minus sign, powers of ten written out. */
function latexNumber(text: string): string {
  const power = /^(-?[\d.]+)e([+-]?\d+)$/.exec(text);
  if (power !== null) return `$${power[1]} \\times 10^{${Number(power[2])}}$`;
  return text.startsWith('-') ? `$${text}$` : escapeLatex(text);
}

const LATEX_CHARACTERS: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}', '{': '\\{', '}': '\\}', _: '\\_', '%': '\\%', '&': '\\&', '#': '\\#', $: '\\$',
  '~': '\\textasciitilde{}', '^': '\\textasciicircum{}', '<': '\\textless{}', '>': '\\textgreater{}',
  '|': '\\textbar{}', '"': '\\char34{}', '`': '\\textasciigrave{}', '\n': ' ', '\r': ' ', '\t': ' ',
  '–': '\\textendash{}', '—': '\\textemdash{}', '…': '\\ldots{}', '\u00a0': '~', '␣': '\\textvisiblespace{}',
  '“': '\\textquotedblleft{}', '”': '\\textquotedblright{}',
  '‘': '\\textquoteleft{}', '’': '\\textquoteright{}',
  '→': '$\\rightarrow$', '×': '$\\times$', '±': '$\\pm$',
  '≤': '$\\leq$', '≥': '$\\geq$', '≠': '$\\neq$', '−': '$-$',
  ε: '$\\varepsilon$', ϵ: '$\\epsilon$', α: '$\\alpha$', β: '$\\beta$', γ: '$\\gamma$', δ: '$\\delta$',
  λ: '$\\lambda$', μ: '$\\mu$', µ: '$\\mu$', π: '$\\pi$', ρ: '$\\rho$', σ: '$\\sigma$', θ: '$\\theta$',
  ß: '\\ss{}', æ: '\\ae{}', Æ: '\\AE{}', ø: '\\o{}', Ø: '\\O{}', ł: '\\l{}', Ł: '\\L{}',
};

/** LaTeX commands of the combining accents that pdfLaTeX sets in every text font. */
const LATEX_ACCENTS: Readonly<Record<string, string>> = {
  '\u0300': '`', '\u0301': "'", '\u0302': '^', '\u0303': '~', '\u0304': '=', '\u0306': 'u',
  '\u0307': '.', '\u0308': '"',
  '\u030a': 'r', '\u030b': 'H', '\u030c': 'v', '\u0327': 'c',
};

/**
 * Text that LaTeX sets as it is written.
 * With `unicode` 'name' a character that pdfLaTeX cannot set becomes its code point, as \texttt{U+0416}.
 */
export function escapeLatex(text: string, unicode: 'name' | 'keep' = 'name'): string {
  return Array.from(text, (character) => {
    if (Object.hasOwn(LATEX_CHARACTERS, character)) return LATEX_CHARACTERS[character];
    if (character >= ' ' && character <= '~') return character;
    if (unicode === 'keep' && character >= '\u00a1') return character;
    const [letter, accent, ...more] = character.normalize('NFD');
    if (more.length === 0 && Object.hasOwn(LATEX_ACCENTS, accent) && /^[A-Za-z]$/.test(letter)) {
      return `\\${LATEX_ACCENTS[accent]}{${letter}}`;
    }
    const code = (character.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0');
    return `\\texttt{U+${code}}`;
  }).join('').replace(/-(?=-)|'(?=')|[?!](?=`)/g, '$&{}'); // or TeX would join -- and '' to one sign
}
