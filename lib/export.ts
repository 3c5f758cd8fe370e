/**
 * Figures and tables as files for a paper: SVG, PDF and PNG (300 dpi); CSV, LaTeX and Markdown.
 *
 * All exported figures use the same font, Inter, from the npm package inter-ui, whatever the machine has.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { DataFrame } from 'danfojs-node';
import type { Browser, Page } from 'puppeteer-core';
import { closeBrowser, withBrowser } from './browser';
import { columnWidth } from './figure-style';
import type { ColumnCount, Figure } from './figure-style';
import { projectFolder, writeFileAtomic } from './files';
import { escapeHtml, toCsv, toLatex, toMarkdown, unescapeHtml } from './tables';
import type { TableOptions } from './tables';

export { closeBrowser };

export interface ExportOptions {
  /** default: the environment variable SOFT_PROMPTS_FIGURES, else figures/ of the project */
  readonly folder?: string;
}

export interface FigureExportOptions extends ExportOptions {
  /** one sentence; goes into the SVG as its description, from where the page of all figures takes it */
  readonly caption?: string;
  /** 1 = 88 mm, 2 = 180 mm wide; default as the figure was made */
  readonly columns?: ColumnCount;
  /** CSS pixels, 96 an inch; default as the figure was made */
  readonly height?: number;
}

const load = createRequire(__filename);
const PNG_DOTS_PER_INCH = 300;

/** Where figures and tables go unless a call says otherwise. */
export function figuresFolder(): string {
  const chosen = process.env.SOFT_PROMPTS_FIGURES;
  return chosen !== undefined && chosen !== '' ? chosen : join(projectFolder, 'figures');
}

/**
 * Write `<name>.svg`, `<name>.pdf` (vector, fonts embedded) and `<name>.png` (300 dpi).
 * Returns their paths. Throws where the name is no plain file name or no browser can be started.
 */
export async function exportFigure(
  figure: Figure, name: string, options: FigureExportOptions = {},
): Promise<string[]> {
  const base = outputBase(name, options.folder);
  const sized = resizeFigure(figure, options);
  const svg = await figureSvg(sized);
  const { pdf, png } = await printSvg(svg, size(sized));
  writeFileAtomic(`${base}.svg`, withFont(withCaption(svg, options.caption)));
  writeFileAtomic(`${base}.pdf`, withoutDates(pdf));
  writeFileAtomic(`${base}.png`, withResolution(png));
  return [`${base}.svg`, `${base}.pdf`, `${base}.png`];
}

/** Write `<name>.csv` (numbers in full), `<name>.tex` (booktabs) and `<name>.md`. Returns their paths. */
export function exportTable(
  data: DataFrame, name: string, options: ExportOptions & TableOptions = {},
): string[] {
  const base = outputBase(name, options.folder);
  writeFileAtomic(`${base}.csv`, toCsv(data));
  writeFileAtomic(`${base}.tex`, toLatex(data, { label: `tab:${name}`, ...options }));
  writeFileAtomic(`${base}.md`, toMarkdown(data, options));
  return [`${base}.csv`, `${base}.tex`, `${base}.md`];
}

function outputBase(name: string, folder: string = figuresFolder()): string {
  if (!/^[\w][\w.-]*$/.test(name)) {
    throw new Error(
      `export: name '${name}' is no plain file name (letters, digits, '.', '_' and '-' without a folder)`,
    );
  }
  return join(folder, name);
}

function resizeFigure(figure: Figure, options: FigureExportOptions): Figure {
  const width = options.columns === undefined ? size(figure).width : columnWidth(options.columns);
  const height = options.height ?? size(figure).height;
  return { data: figure.data, layout: { ...figure.layout, width, height } };
}

interface Size {
  readonly width: number;
  readonly height: number;
}

function size(figure: Figure): Size {
  const side = (key: string, standard: number): number => {
    const value = figure.layout[key];
    return typeof value === 'number' && value > 0 ? value : standard;
  };
  return { width: side('width', columnWidth(2)), height: side('height', 360) };
}

/**
 * The figure as an SVG document, without embedded fonts: small enough for a notebook.
 * The same figure gives the same bytes. Throws where no browser can be started.
 */
export async function figureSvg(figure: Figure): Promise<string> {
  const drawing = JSON.stringify({ data: figure.data, layout: figure.layout, config: { staticPlot: true } });
  const options = JSON.stringify({ format: 'svg', ...size(figure) });
  const uri = await withBrowser(async (browser) => {
    const page = await plotlyPage(browser);
    return page.evaluate(`Plotly.toImage(${drawing}, ${options})`) as Promise<string>;
  });
  return compactSvg(decodeURIComponent(uri.slice(uri.indexOf(',') + 1)));
}

// Loading Plotly takes a second, so its page stays open as long as the browser.
const plotlyPages = new WeakMap<Browser, Promise<Page>>();

function plotlyPage(browser: Browser): Promise<Page> {
  const known = plotlyPages.get(browser);
  if (known !== undefined) return known;
  const page = openPlotlyPage(browser);
  plotlyPages.set(browser, page);
  page.catch(() => plotlyPages.delete(browser));
  return page;
}

async function openPlotlyPage(browser: Browser): Promise<Page> {
  const page = await browser.newPage();
  await page.setContent(document(''));
  await page.addScriptTag({ path: load.resolve('plotly.js-dist-min') });
  // Plotly measures text, so its font has to be there first.
  await page.evaluate("document.fonts.load('11px Inter').then(() => undefined)");
  return page;
}

async function printSvg(svg: string, { width, height }: Size): Promise<{ pdf: Uint8Array; png: Uint8Array }> {
  return withBrowser(async (browser) => {
    const page = await browser.newPage();
    try {
      await page.setViewport({
        width: Math.ceil(width), height: Math.ceil(height), deviceScaleFactor: PNG_DOTS_PER_INCH / 96,
      });
      await page.setContent(document(svg));
      await page.evaluate('document.fonts.ready.then(() => undefined)');
      const png = await page.screenshot({ type: 'png', clip: { x: 0, y: 0, width, height } });
      const paper = { width: `${width}px`, height: `${height}px`, printBackground: true, pageRanges: '1' };
      const pdf = await page.pdf(paper);
      return { pdf, png };
    } finally {
      await page.close().catch(() => undefined);
    }
  });
}

function document(body: string): string {
  const style = `${fontFace('web/Inter-Regular.woff2')}`
    + 'html,body{margin:0;padding:0;background:#fff;font-family:Inter}svg{display:block}';
  return `<!doctype html><html><head><meta charset="utf-8"><style>${style}</style></head>`
    + `<body>${body}</body></html>`;
}

function fontFace(file: string): string {
  const font = readFileSync(join(load.resolve('inter-ui/package.json'), '..', file)).toString('base64');
  const source = `url(data:font/woff2;base64,${font}) format("woff2")`;
  return `@font-face{font-family:Inter;font-weight:400;src:${source}}`;
}

/**
 * Every browser draws the SVG with the same letters; the Latin part of the font is enough where the text is
 * Latin.
 */
function withFont(svg: string): string {
  const latin = /^[\n -\u00ff\u2013\u2014\u2018-\u201d\u2026\u2212]*$/.test(svg);
  const face = fontFace(latin ? 'web-latin/Inter-Regular-subset.woff2' : 'web/Inter-Regular.woff2');
  return svg.replace(/<svg[^>]*>/, (start) => `${start}<style>${face}</style>`);
}

function withCaption(svg: string, caption: string | undefined): string {
  if (caption === undefined) return svg;
  return svg.replace(/<svg[^>]*>/, (start) => `${start}<desc>${escapeHtml(caption)}</desc>`);
}

/** The caption of an exported SVG; undefined where it has none. */
export function svgCaption(svg: string): string | undefined {
  const written = /^<svg[^>]*>(?:<style>[^<]*<\/style>)?<desc>([^<]*)<\/desc>/.exec(svg)?.[1];
  return written === undefined ? undefined : unescapeHtml(written);
}

/**
 * Drop what Plotly repeats on every element, and make its random element names a matter of the figure alone.
 */
export function compactSvg(svg: string): string {
  const random = /id="defs-([0-9a-f]{6})"/.exec(svg)?.[1];
  const standIn = '\u0001'; // no XML text can hold it
  const compact = (random === undefined ? svg : svg.replaceAll(random, standIn))
    .replace(/ trace[0-9a-f]{6}(?=[" ])/g, '')
    .replace(/(?<![-\w]) ?(?:opacity|fill-opacity|stroke-opacity): 1;/g, '')
    .replace(/(?<=[ =](?:d|transform|points|width|height|x|y)="[^"]*)-?\d+\.\d{2,}/g, tenths)
    .replace(/ style=" *"/g, '')
    // A page's first drawing has another order of attributes than its later ones.
    .replace(/(?<=<\w+)(?: [\w:-]+="[^"]*")+/g, sortAttributes);
  return compact.replaceAll(standIn, createHash('sha256').update(compact).digest('hex').slice(0, 6));
}

/** A tenth of a pixel is 0.03 mm in print. */
function tenths(number: string): string {
  return String(Number(Number(number).toFixed(1)));
}

function sortAttributes(attributes: string): string {
  return (attributes.match(/ [\w:-]+="[^"]*"/g) ?? []).sort().join('');
}

/**
 * Take the time of printing out of a PDF, so that the same figure gives the same bytes. Lengths stay, so
 * offsets hold.
 */
function withoutDates(pdf: Uint8Array): Uint8Array {
  const text = Buffer.from(pdf).toString('latin1');
  const blank = (entry: string): string => ' '.repeat(entry.length);
  return Buffer.from(text.replace(/\/(?:CreationDate|ModDate) \([^)]*\)/g, blank), 'latin1');
}

/** The PNG chunk that says 11 811 dots a metre, which is 300 dpi, with its checksum. */
const RESOLUTION_CHUNK = Buffer.from('000000097048597300002e2300002e230178a53f76', 'hex');

function withResolution(png: Uint8Array): Uint8Array {
  const headerEnd = 8 + 25; // signature, then the IHDR chunk
  return Buffer.concat([png.subarray(0, headerEnd), RESOLUTION_CHUNK, png.subarray(headerEnd)]);
}
