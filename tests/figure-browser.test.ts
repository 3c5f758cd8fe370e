import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Page } from 'puppeteer-core';
import { closeBrowser, withBrowser } from '../lib/browser';
import { learningCurves } from '../lib/figures';
import { neighbourhoodCurves, taskMatrix } from '../lib/figures-neighbours';
import { withSlider } from '../lib/figure-slider';
import { projectionPanels } from '../lib/figures-space';
import type { Figure } from '../lib/figure-style';

const plotly = createRequire(__filename).resolve('plotly.js-dist-min');
after(closeBrowser);

/** The figure as a page of its own, without a kernel. */
async function onPage(figure: Figure, job: (page: Page) => Promise<void>): Promise<void> {
  await withBrowser(async (browser) => {
    const page = await browser.newPage();
    try {
      await page.setViewport({ width: 900, height: 900 });
      await page.setContent('<div id="figure"></div>');
      await page.addScriptTag({ path: plotly });
      const { data, layout } = figure;
      await page.evaluate(`Plotly.newPlot('figure', ${JSON.stringify(data)}, ${JSON.stringify(layout)}).then(() => undefined)`);
      await job(page);
    } finally {
      await page.close();
    }
  });
}

const texts = (page: Page, selector: string): Promise<unknown> => page.evaluate(
  `[...document.querySelectorAll('${selector}')].map((item) => item.textContent)`);

/** Click on a slider's rail at a share of its length, and wait until these texts are there. Plotly draws a little later. */
async function slideTo(page: Page, share: number, selector: string, expected: readonly string[]): Promise<void> {
  const rail = await (await page.$('.slider-rail-touch-rect'))?.boundingBox();
  assert.ok(rail);
  await page.mouse.click(rail.x + share * rail.width, rail.y + rail.height / 2);
  for (let tries = 0; tries < 100 && !isDeepStrictEqual(await texts(page, selector), expected); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(await texts(page, selector), expected);
}

/** Which traces are seen after a click on the legend's entry with this name. */
async function afterClick(page: Page, name: string): Promise<string[]> {
  const entries = await page.$$('.legendtoggle');
  const names = (await texts(page, '.legendtext')) as string[];
  const box = await entries[names.indexOf(name)].boundingBox();
  assert.ok(box);
  await page.evaluate("window.clicked = new Promise((done) => document.getElementById('figure').once('plotly_restyle', done)); 0");
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await page.evaluate('window.clicked.then(() => undefined)');
  return page.evaluate(`document.getElementById('figure')._fullData
    .filter((trace) => trace.visible === true).map((trace) => trace.name + ' ' + trace.xaxis)`) as Promise<string[]>;
}

test("the curve's slider moves the line and tells the counts there, in the browser alone", async () => {
  const counts = { all: [1, 2, 40.5], vocabulary: [0, 1, 15.6875] };
  const figure = withSlider(neighbourhoodCurves({ epsilon: [0.5, 0.6, 0.7], counts }, { marked: 0.5 }));
  await onPage(figure, async (page) => {
    assert.deepEqual(await texts(page, '.annotation-text'), ['ε = 0.5', 'all: 1vocabulary: 0']);
    await slideTo(page, 0.97, '.annotation-text', ['ε = 0.7', 'all: 40.50vocabulary: 15.69']);
    assert.equal(await page.evaluate("document.getElementById('figure').layout.shapes[0].x0"), 0.7);
    await slideTo(page, 0.5, '.annotation-text', ['ε = 0.6', 'all: 2vocabulary: 1']);
  });
});

test("the task matrix's slider writes the counts and colours of its epsilon into the cells", async () => {
  const counts = [[[1, 0], [0, 8]], [[9, 3], [3, 1]]];
  const figure = withSlider(taskMatrix(['a', 'b'], counts[0], { byEpsilon: { marked: 0.5, epsilon: [0.5, 0.7], counts } }));
  const fills = "[...document.querySelectorAll('.shapelayer path')].map((cell) => cell.style.fill)";
  await onPage(figure, async (page) => {
    assert.deepEqual(await texts(page, '.textpoint text'), ['1', '0', '0', '8']);
    const before = (await page.evaluate(fills)) as string[];
    await slideTo(page, 0.97, '.textpoint text', ['9', '3', '3', '1']);
    const after = (await page.evaluate(fills)) as string[];
    assert.equal(after[0], before[3]);
    assert.notEqual(after[3], before[3]);
  });
});

const words = ['cat', 'dog', 'bird'];
const tasks = ['country_capital', 'present_past'];

test('a click on a word in the legend shows it alone in all panels, with its band; another one all', async () => {
  const curves = tasks.flatMap((task) => words.flatMap((word) => [0, 1].map((seed) => (
    { task, word, seed, values: [0.1 + seed / 10, 0.5] }))));
  await onPage(learningCurves(curves, { measure: 'accuracy' }), async (page) => {
    assert.deepEqual(await afterClick(page, 'dog'), ['seeds x', 'dog x', 'seeds x2', 'dog x2']);
    assert.equal((await afterClick(page, 'dog')).length, 12);
  });
});

test('in the t-SNE a click isolates a word in its panel and leaves the other panel alone', async () => {
  const prompts = tasks.flatMap((task, t) => words.map((word, w) => (
    { task, word, position: 2, x: w, y: t, nearest: [`near${w}`, `far${t}`] })));
  await onPage(projectionPanels(prompts), async (page) => {
    assert.deepEqual(await afterClick(page, 'bird'), ['bird x', 'Country → capital x2', 'Present → past x2']);
    await page.evaluate("Plotly.Fx.hover('figure', [{ curveNumber: 2, pointNumber: 1 }])");
    await page.waitForSelector('.hovertext');
    const [hover] = (await texts(page, '.hovertext')) as string[];
    for (const part of ['Present → past', 'bird', 'position 3', 'near2', 'far1']) assert.ok(hover.includes(part), hover);
  });
});
