import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { closeBrowser, withBrowser } from '../lib/browser';
import { neighbourhoodCurves } from '../lib/figures-neighbours';
import { withSlider } from '../lib/figure-slider';

const root = join(__dirname, '..');
const nbconvert = join(root, '.venv', 'bin', 'jupyter-nbconvert');
const folder = mkdtempSync(join(tmpdir(), 'soft-prompts-html-'));
after(async () => {
  await closeBrowser();
  rmSync(folder, { recursive: true });
});

interface HtmlExport {
  readonly htmlExportIsDone: (prefix: string) => boolean;
  readonly makeHtmlExport: (prefix: string) => void;
}
const set = import(pathToFileURL(join(root, 'scripts', 'lib', 'html-export.mjs')).href) as Promise<HtmlExport>;

test('Set-up of the HTML export knows when it is done, and when a file of it was changed.', async () => {
  const { htmlExportIsDone, makeHtmlExport } = await set;
  const prefix = join(folder, 'env');
  assert.equal(htmlExportIsDone(prefix), false);
  makeHtmlExport(prefix);
  assert.equal(htmlExportIsDone(prefix), true);
  writeFileSync(join(prefix, 'etc', 'jupyter', 'jupyter_nbconvert_config.json'), '{}');
  assert.equal(htmlExportIsDone(prefix), false);
});

const figure = withSlider(neighbourhoodCurves(
  { epsilon: [0.5, 0.7], counts: { 'a </script> & <b>': [1, 2] } }, { marked: 0.5 }));
const output = (data: Record<string, unknown>) => (
  { output_type: 'display_data', metadata: {}, data: { 'text/plain': 'as text', ...data } });
const bundle = { 'application/vnd.plotly.v1+json': { ...figure, config: {} } };
const svg = { 'image/svg+xml': '<svg class="still"/>' };
const notebook = {
  nbformat: 4, nbformat_minor: 5, metadata: {},
  cells: [{
    id: 'one', cell_type: 'code', execution_count: 1, metadata: {}, source: '1',
    outputs: [output({ ...bundle, ...svg }), output(bundle), output(svg), output({})],
  }],
};

test('A notebook exported as HTML has live figures, offline and without a kernel.', {
  skip: existsSync(nbconvert) ? false : 'no .venv here',
}, async () => {
  const { makeHtmlExport } = await set;
  const prefix = join(folder, 'prefix');
  makeHtmlExport(prefix);
  writeFileSync(join(folder, 'note.ipynb'), JSON.stringify(notebook));
  execFileSync(nbconvert, ['--to', 'html', '--log-level', 'ERROR', join(folder, 'note.ipynb')], {
    env: {
      ...process.env,
      JUPYTER_PATH: join(prefix, 'share', 'jupyter'),
      JUPYTER_CONFIG_PATH: join(prefix, 'etc', 'jupyter'),
    },
  });
  const file = join(folder, 'note.html');
  // the library once, however many figures
  assert.equal(readFileSync(file, 'utf8').split('amdDefine = window.define').length, 2);
  await withBrowser(async (browser) => {
    const page = await browser.newPage();
    await page.goto(pathToFileURL(file).href, { waitUntil: 'domcontentloaded' });
    await page.waitForFunction("document.querySelectorAll('.js-plotly-plot .slider-group').length === 2");
    const rail = await (await page.$('.slider-rail-touch-rect'))?.boundingBox();
    assert.ok(rail);
    await page.mouse.click(rail.x + 0.9 * rail.width, rail.y + rail.height / 2);
    await page.waitForFunction("document.querySelector('.annotation-text').textContent === 'ε = 0.7'");
    const texts = await page.evaluate("[...document.querySelectorAll('.annotation-text')].map((item) => item.textContent)");
    assert.deepEqual(texts, ['ε = 0.7', 'a </script> & <b>: 2', 'ε = 0.5', 'a </script> & <b>: 1']);
    // An output without a figure is shown as ever.
    const shown = await page.evaluate(`[...document.querySelectorAll('.jp-OutputArea-output')].map((output) => (
      output.querySelector('.js-plotly-plot') ? 'figure'
        : output.querySelector('img[src^="data:image/svg"], svg.still') ? 'image' : output.textContent.trim()))`);
    assert.deepEqual(shown, ['figure', 'figure', 'image', 'as text']);
    await page.close();
  });
});
