import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { withBrowser } from '../lib/browser';
import { closeBrowser, compactSvg, exportFigure, exportTable, figuresFolder, figureSvg } from '../lib/export';
import { learningCurves } from '../lib/figures';
import { taskMatrix } from '../lib/figures-neighbours';
import { frame } from '../lib/tables';

const folder = mkdtempSync(join(tmpdir(), 'soft-prompts-export-'));
const figure = learningCurves(
  ['country_capital', 'my <&> task'].map((task) => ({ task, word: 'cat', values: [0.25, 0.5, 0.75] })),
  { measure: 'accuracy' },
);

before(() => exportFigure(figure, 'curves', { folder }));
after(async () => {
  await closeBrowser();
  rmSync(folder, { recursive: true });
});

test('a figure is written as SVG, PDF and PNG and nothing else', () => {
  assert.deepEqual(readdirSync(folder).sort(), ['curves.pdf', 'curves.png', 'curves.svg']);
});

test('the SVG is well-formed, holds every line and label, and brings its font', async () => {
  const svg = readFileSync(join(folder, 'curves.svg'), 'utf8');
  const found = await withBrowser(async (browser) => {
    const page = await browser.newPage();
    const parsed = (await page.evaluate(`(() => {
      const root = new DOMParser().parseFromString(${JSON.stringify(svg)}, 'image/svg+xml');
      return {
        error: [...root.querySelectorAll('parsererror')].map((error) => error.textContent).join(),
        lines: root.querySelectorAll('.js-line').length,
        texts: [...root.querySelectorAll('text')].map((text) => text.textContent),
      };
    })()`)) as { error: string; lines: number; texts: string[] };
    await page.close();
    return parsed;
  });
  assert.equal(found.error, '');
  assert.equal(found.lines, 3); // two panels and the legend's
  for (const text of ['Country → capital', 'my <&> task', 'test accuracy (0–1)', 'cat']) {
    assert.ok(found.texts.includes(text), `${text} among ${found.texts.join(', ')}`);
  }
  assert.match(svg, /@font-face\{font-family:Inter;[^}]*data:font\/woff2;base64,/);
  assert.doesNotMatch(svg, /<(?:image|script)|https?:\/\/(?!www\.w3\.org\/)/);
});

test('the PDF is one vector page of the right size with its font inside', () => {
  const pdf = readFileSync(join(folder, 'curves.pdf'), 'latin1');
  assert.match(pdf, /^%PDF-1\./);
  assert.match(pdf, /\/FontFile2/);
  assert.match(pdf, /\/BaseFont \/[A-Z]{6}\+Inter/);
  assert.doesNotMatch(pdf, /\/Subtype \/Image/);
  assert.equal(pdf.match(/\/Type \/Page\b/g)?.length, 1);
  const [, width, height] = (/\/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]/.exec(pdf) ?? []).map(Number);
  // 680 pixels of 1/96 inch are 510 points; Chromium rounds the page up to the next pixel.
  assert.ok(Math.abs(width - 510) < 1, `${width} points`);
  assert.ok(Math.abs(height - Number(figure.layout.height) * 0.75) < 1, `${height} points`);
});

test('the PNG has 300 dots an inch and says so', () => {
  const png = readFileSync(join(folder, 'curves.png'));
  assert.equal(png.toString('latin1', 1, 4), 'PNG');
  assert.equal(png.readUInt32BE(16), 2125); // 680 / 96 * 300
  assert.equal(png.readUInt32BE(20), Math.round((Number(figure.layout.height) / 96) * 300));
  const chunk = png.indexOf('pHYs');
  assert.deepEqual(
    [png.readUInt32BE(chunk + 4), png.readUInt32BE(chunk + 8), png[chunk + 12]],
    [11_811, 11_811, 1],
  );
});

test('the same figure gives the same bytes', async () => {
  const again = mkdtempSync(join(tmpdir(), 'soft-prompts-export-'));
  try {
    await exportFigure(figure, 'curves', { folder: again });
    for (const name of readdirSync(folder)) {
      assert.ok(readFileSync(join(folder, name)).equals(readFileSync(join(again, name))), name);
    }
  } finally {
    rmSync(again, { recursive: true });
  }
});

test('the SVG for notebooks has no font inside and stays below 150 kB for sixty curves', async () => {
  const words = Array.from({ length: 10 }, (_, i) => `word${i}`);
  const tasks = Array.from({ length: 6 }, (_, i) => `task${i}`);
  const curves = tasks.flatMap((task, t) =>
    words.map((word, w) => ({
      task,
      word,
      values: Array.from({ length: 50 }, (_, e) => 0.5 + 0.4 * Math.sin((e * (w + 2) * (t + 3)) / 7)),
    })),
  );
  const svg = await figureSvg(learningCurves(curves, { measure: 'accuracy' }));
  assert.doesNotMatch(svg, /@font-face/);
  assert.match(svg, /font-family: Inter, Helvetica, Arial, sans-serif/);
  assert.ok(svg.length < 160_000 && svg.length > 20_000, `${svg.length} characters`);
});

test('another width can be asked for', async () => {
  const svg = await figureSvg({ ...figure, layout: { ...figure.layout, width: 333 } });
  assert.match(svg, /^<svg[^>]* width="333"/);
});

test('the browser starts again after it was closed, and closing twice is no error', async () => {
  await closeBrowser();
  await closeBrowser();
  assert.match(await figureSvg(taskMatrix(['a'], [[1]])), /^<svg/);
});

test('names that lead out of the folder are refused before anything is drawn', async () => {
  for (const name of ['../x', 'a/b', '', '.hidden', 'a b']) {
    await assert.rejects(exportFigure(figure, name, { folder }), /is no plain file name/);
    assert.throws(() => exportTable(frame({ a: [1] }), name, { folder }), /is no plain file name/);
  }
});

test('a table is written as CSV, LaTeX with its label, and Markdown', () => {
  const paths = exportTable(frame({ word: ['cat'], distance: [0.5460339] }), 'table-1', {
    folder,
    caption: 'Distances',
  });
  assert.deepEqual(
    paths,
    ['csv', 'tex', 'md'].map((end) => join(folder, `table-1.${end}`)),
  );
  assert.equal(readFileSync(paths[0], 'utf8'), 'word,distance\r\ncat,0.5460339\r\n');
  assert.match(
    readFileSync(paths[1], 'utf8'),
    /\\caption\{Distances\}\n {2}\\label\{tab:table-1\}[^]*cat & 0\.546/,
  );
  assert.match(readFileSync(paths[2], 'utf8'), /\| cat \| 0\.546 \|/);
});

test('figures go to the folder that SOFT_PROMPTS_FIGURES names, else to the project', () => {
  const before = process.env.SOFT_PROMPTS_FIGURES;
  try {
    process.env.SOFT_PROMPTS_FIGURES = '/somewhere/else';
    assert.equal(figuresFolder(), '/somewhere/else');
    delete process.env.SOFT_PROMPTS_FIGURES;
    assert.equal(figuresFolder(), join(__dirname, '..', 'figures'));
  } finally {
    if (before !== undefined) process.env.SOFT_PROMPTS_FIGURES = before;
  }
});

test('the SVG loses Plotly’s random names and the decimals nobody sees', () => {
  const svg = (id: string): string =>
    `<svg><defs id="defs-${id}"/><g class="trace trace${id}" clip-path="url(#clip${id}x)">` +
    '<path transform="translate(1.23456,2)" d="M1.23456,-7.999L2,3" style="opacity: 1; fill: red;"/>' +
    '</g></svg>';
  assert.equal(compactSvg(svg('a1b2c3')), compactSvg(svg('0f0f0f')));
  assert.match(
    compactSvg(svg('a1b2c3')),
    /<path d="M1\.2,-8L2,3" style=" ?fill: red;" transform="translate\(1\.2,2\)"/,
  );
});
