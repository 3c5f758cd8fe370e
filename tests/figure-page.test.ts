import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { exportTable, svgCaption } from '../lib/export';
import { figurePage, writeFigurePage } from '../lib/figure-page';
import { PAPER_COLUMN } from '../lib/paper';
import { frame } from '../lib/tables';

let folder: string;
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'soft-prompts-page-')); });
afterEach(() => { rmSync(folder, { recursive: true }); });

const drawing = (name: string, caption?: string, endings = ['svg', 'pdf', 'png']): void => {
  const description = caption === undefined ? '' : `<desc>${caption}</desc>`;
  for (const ending of endings) {
    const svg = `<svg width="1"><style>a{}</style>${description}<g/></svg>`;
    writeFileSync(join(folder, `${name}.${ending}`), ending === 'svg' ? svg : '');
  }
};

test("the paper's figures come first and in its order, then all others by name, each with its caption", () => {
  for (const name of ['zebra', 'figure-10-x', 'figure-2-loss', 'attention', 'figure-1-accuracy', 'table-3']) {
    drawing(name, `About ${name}`);
  }
  const titles = figurePage(folder).split('\n').filter((line) => line.startsWith('## '));
  assert.deepEqual(titles, [
    'figure-1-accuracy', 'figure-2-loss', 'figure-10-x', 'table-3', 'attention', 'zebra',
  ].map((name) => `## About ${name}`));
});

test('a figure is shown as PNG with links to the files there are; without a caption it has its name', () => {
  drawing('a_b');
  drawing('c', 'C &lt; D', ['svg', 'pdf']);
  const page = figurePage(folder);
  assert.match(page, /## a\\_b\n\n!\[a\\_b\]\(a_b\.png\)\n\n\[SVG\]\(a_b\.svg\) · \[PDF\]\(a_b\.pdf\) · \[PNG\]\(a_b\.png\)/);
  assert.match(page, /## C &lt; D\n\n!\[C &lt; D\]\(c\.svg\)\n\n\[SVG\]\(c\.svg\) · \[PDF\]\(c\.pdf\)\n/);
});

test("every table with the paper's values is in the table of comparisons, row by row", () => {
  exportTable(frame({
    word: ['cat', 'a|b'], published: [0.5, 2], corrected: [0.51239, 1e-9], [PAPER_COLUMN]: [0.546034, null],
  }), 'table-1', { folder, caption: 'Table 1. Distances' });
  exportTable(frame({ word: ['cat'], published: [1], corrected: [2] }), 'other', { folder });
  const lines = figurePage(folder).split('\n');
  assert.ok(lines.includes('| [Table 1. Distances](table-1.md) | cat | 0.546 | 0.500 | 0.512 |'));
  assert.ok(lines.includes('|  | a\\|b | – | 2 | 1.0e-9 |'));
  assert.equal(lines.filter((line) => line.startsWith('| ') && line.includes('cat')).length, 1);
  assert.ok(lines.includes('- other: [Markdown](other.md) · [CSV](other.csv) · [LaTeX](other.tex)'));
});

test("the run's settings stand at the top, in full", () => {
  drawing('figure-1', 'One');
  exportTable(frame({ setting: ['epochs'], 'this run': ['7'] }), 'run-settings', { folder, caption: 'The settings.' });
  const page = figurePage(folder);
  assert.ok(page.indexOf('| epochs | 7 |') > 0 && page.indexOf('| epochs | 7 |') < page.indexOf('## One'));
});

test('the page is written into the folder, is the same each time, and does not contain itself', () => {
  drawing('figure-1', 'One');
  const file = writeFigurePage(folder);
  const first = readFileSync(file, 'utf8');
  assert.equal(file, join(folder, 'README.md'));
  writeFigurePage(folder);
  assert.equal(readFileSync(file, 'utf8'), first);
  assert.doesNotMatch(first, /README/);
});

test('a folder without figures is refused, and one that is not there', () => {
  assert.throws(() => figurePage(folder), /no exported figure or table/);
  assert.throws(() => figurePage(join(folder, 'missing')), /missing: no exported figure or table/);
});

test('the caption of an SVG is read with its special characters', () => {
  assert.equal(svgCaption('<svg width="2"><style>b{}</style><desc>a &lt; &amp;b</desc>'), 'a < &b');
  assert.equal(svgCaption('<svg><g><desc>not the figure</desc></g></svg>'), undefined);
});
