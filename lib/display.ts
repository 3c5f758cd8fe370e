/**
 * Showing things in a notebook cell, and as plain text anywhere else.
 *
 * tslab's own display takes one MIME type an output; a figure needs several in one, so that JupyterLab shows
 * the interactive one and GitHub or nbviewer the static image.
 */
import { randomBytes } from 'node:crypto';
import type { DataFrame } from 'danfojs-node';
import { figureSvg } from './export';
import { withSlider } from './figure-slider';
import { scaleFigure } from './figure-style';
import type { Figure } from './figure-style';
import { toHtml, toLatex, toText } from './tables';
import type { TableOptions } from './tables';

/** One output in several formats, by MIME type. */
export type Bundle = Readonly<Record<string, unknown>>;

export interface ShowOptions extends TableOptions {
  /** how much larger than in print a figure is shown; default 1.25 */
  readonly scale?: number;
  /** also put the static image into the output, for GitHub and nbviewer; default true */
  readonly staticImage?: boolean;
  /** what a string is; default 'html' where it starts with '<', else 'markdown' */
  readonly as?: 'html' | 'markdown' | 'text';
}

/**
 * Show a figure, a data frame, or HTML, Markdown or plain text in the notebook cell; outside one, print it
 * as text.
 * A figure without a browser for its static image is still shown, after one line that says what to do.
 */
export async function show(value: Figure | DataFrame | string, options: ShowOptions = {}): Promise<void> {
  const write = notebookWriter();
  const bundle = await bundleOf(value, options, write !== undefined);
  if (write === undefined) process.stdout.write(`${String(bundle['text/plain'])}\n`);
  else write(bundle);
}

async function bundleOf(
  value: Figure | DataFrame | string, options: ShowOptions, notebook: boolean,
): Promise<Bundle> {
  if (typeof value === 'string') return textBundle(value, options);
  if (!isFigure(value)) return tableBundle(value, options);
  return notebook ? figureBundle(value, options) : { 'text/plain': figureText(value, options) };
}

function isFigure(value: Figure | DataFrame): value is Figure {
  return Array.isArray(value.data) && typeof value.layout === 'object';
}

/** A data frame as HTML, LaTeX and aligned text. */
export function tableBundle(data: DataFrame, options: TableOptions = {}): Bundle {
  return {
    'text/html': toHtml(data, options),
    'text/latex': toLatex(data, options),
    'text/plain': toText(data, options),
  };
}

function textBundle(text: string, options: ShowOptions): Bundle {
  const kind = options.as ?? (text.trimStart().startsWith('<') ? 'html' : 'markdown');
  const plain = kind === 'html' ? text.replace(/<[^>]*>/g, '').trim() : text;
  return kind === 'text' ? { 'text/plain': text } : { [`text/${kind}`]: text, 'text/plain': plain };
}

/** A figure as Plotly JSON and, where a browser can draw it, SVG. */
async function figureBundle(figure: Figure, options: ShowOptions): Promise<Bundle> {
  const scale = options.scale ?? 1.25;
  const { data, layout } = scaleFigure(withSlider(figure), scale);
  const bundle = {
    'application/vnd.plotly.v1+json': { data, layout, config: { displaylogo: false } },
    'text/plain': figureText(figure, options),
  };
  if (options.staticImage === false) return bundle;
  try {
    return { ...bundle, 'image/svg+xml': enlarge(await figureSvg(figure), scale) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`static image left out: ${reason}\n`);
    return bundle;
  }
}

function figureText(figure: Figure, options: ShowOptions): string {
  const caption = options.caption === undefined ? '' : `: ${options.caption}`;
  return `[figure${caption}, ${figure.data.length} traces]`;
}

/** The same drawing, shown larger. */
function enlarge(svg: string, scale: number): string {
  const larger = (_: string, side: string, value: string): string => (
    ` ${side}="${Math.round(Number(value) * scale)}"`);
  return svg.replace(/<svg[^>]*>/, (start) => start.replace(/ (width|height)="([\d.]+)"/g, larger));
}

type NotebookWriter = (bundle: Bundle, displayId?: string, update?: boolean) => void;

interface TslabJupyter {
  readonly lastWriteDisplayData?: ((data: unknown, update: boolean) => void) | null;
}

/**
 * Writes outputs of the cell that is running now; undefined outside a tslab kernel.
 * Found among the loaded modules, because it has to be the very tslab that runs this kernel, wherever it is
 * installed.
 */
function notebookWriter(): NotebookWriter | undefined {
  const key = Object.keys(require.cache).find((file) => /[\\/]tslab[\\/]dist[\\/]jupyter\.js$/.test(file));
  const jupyter = key === undefined ? undefined : require.cache[key]?.exports as TslabJupyter | undefined;
  const write = jupyter?.lastWriteDisplayData;
  if (write === undefined || write === null) return undefined;
  return (bundle, displayId, update = false) => {
    const transient = displayId === undefined ? {} : { display_id: displayId };
    write({ data: bundle, metadata: {}, transient }, update);
  };
}

/** A progress bar that never throws and writes at most four times a second. */
export interface ProgressBar {
  /** `done` out of the total, with a short note such as the current loss */
  update(done: number, note?: string): void;
  /** write the last state and how long it took */
  finish(note?: string): void;
}

/**
 * A bar for a long job: updated in place in a notebook cell and on a terminal, a line every 10 s elsewhere.
 * `total` is in any unit; the time left assumes that the rest goes as fast as what is done.
 */
export function progressBar(label: string, total: number): ProgressBar {
  const start = Date.now();
  const output = progressOutput();
  let written = -Infinity;
  let state = { done: 0, note: '' };
  const seconds = (): number => (Date.now() - start) / 1000;
  const write = (ended: boolean): void => {
    written = Date.now();
    try {
      output.write(progressText(label, { ...state, total, seconds: seconds(), ended }), ended);
    } catch {
      // A closed pipe must not end the job that the bar is for.
    }
  };
  write(false);
  return {
    update: (done, note = state.note) => {
      state = { done, note };
      if (Date.now() - written >= output.interval) write(false);
    },
    finish: (note = state.note) => {
      state = { done: state.done, note };
      write(true);
    },
  };
}

/**
 * Shows the progress of a job that tells it now and then, such as a download: a bar from the first word on, finished
 * when all is done. What was there before counts in neither the share nor the time left.
 */
export function progressBarFor(label: string): (progress: JobProgress) => void {
  let bar: ProgressBar | undefined;
  let shown = NaN;
  return ({ done, resumed, total, note }) => {
    if (total !== shown) bar = progressBar(label, total - resumed);
    shown = total;
    bar?.update(done - resumed, note);
    if (total === 0 || done < total) return;
    bar?.finish(note);
    bar = undefined;
  };
}

/** Counts in any unit: now, of which before this start, and in the end, which is 0 until it is known. */
export interface JobProgress {
  readonly done: number;
  readonly resumed: number;
  readonly total: number;
  readonly note: string;
}

interface ProgressOutput {
  /** milliseconds between two writes */
  readonly interval: number;
  write(text: string, ended: boolean): void;
}

function progressOutput(): ProgressOutput {
  const notebook = notebookWriter();
  if (notebook !== undefined) {
    const displayId = randomBytes(8).toString('hex');
    let update = false;
    return {
      interval: 250,
      write: (text) => {
        notebook({ 'text/plain': text }, displayId, update);
        update = true;
      },
    };
  }
  if (process.stderr.isTTY) {
    return {
      interval: 250,
      write: (text, ended) => { process.stderr.write(`\r\u001b[K${text}${ended ? '\n' : ''}`); },
    };
  }
  return { interval: 10_000, write: (text) => { process.stderr.write(`${text}\n`); } };
}

/** What a progress bar knows at one moment. */
export interface ProgressState {
  readonly done: number;
  readonly total: number;
  readonly seconds: number;
  readonly note?: string;
  readonly ended?: boolean;
}

const BAR_WIDTH = 20;

/** One line such as `training ███████░░░░░░░░░░░░░ 34 %  12:31 left · loss 0.42`. */
export function progressText(label: string, state: ProgressState): string {
  const share = state.total > 0 ? Math.min(1, Math.max(0, state.done / state.total)) : 0;
  const part = Number.isFinite(share) ? share : 0;
  const filled = Math.floor(part * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  const left = state.ended === true
    ? `took ${clock(state.seconds)}`
    : part > 0 ? `${clock((state.seconds * (1 - part)) / part)} left` : '–:–– left';
  const note = state.note === undefined || state.note === '' ? '' : ` · ${state.note.replace(/\s+/g, ' ')}`;
  return `${label} ${bar} ${String(Math.floor(part * 100)).padStart(3)} %  ${left}${note}`;
}

/** Seconds as 0:07, 12:31 or 3:02:45. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(Number.isFinite(seconds) ? seconds : 0));
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
