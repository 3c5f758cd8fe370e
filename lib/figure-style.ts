/**
 * How every figure looks: the figure type, print sizes, palettes and readable names.
 *
 * Sizes are those of print: 96 CSS pixels an inch, 8 pt text, journal columns of 88 and 180 mm.
 */

/** A JSON object as Plotly takes it. */
export interface PlotlyObject {
  readonly [key: string]: unknown;
}

/** A Plotly figure: plain data, so it can be changed, stored as JSON or handed to any Plotly. */
export interface Figure {
  readonly data: readonly PlotlyObject[];
  readonly layout: PlotlyObject;
  /** only on screen; print shows the figure as it is without */
  readonly slider?: FigureSlider;
}

/** A slider that changes a figure in the browser, without a kernel. */
export interface FigureSlider {
  /** before the step's label, such as 'ε = ' */
  readonly prefix: string;
  /** the step that the figure begins with */
  readonly active: number;
  readonly steps: readonly SliderStep[];
}

/** What one position of a slider sets, by Plotly's attribute strings such as 'annotations[0].text'. */
export interface SliderStep {
  readonly label: string;
  /** one value a trace */
  readonly traces: Readonly<Record<string, readonly unknown[]>>;
  readonly layout: PlotlyObject;
}

/** Width in journal columns: 1 = 88 mm, 2 = 180 mm. */
export type ColumnCount = 1 | 2;

/** CSS pixels of this many millimetres in print. */
export function millimetres(length: number): number {
  return (length / 25.4) * 96;
}

/** Width of a figure in CSS pixels. */
export function columnWidth(columns: ColumnCount): number {
  return Math.round(millimetres(columns === 1 ? 88 : 180));
}

/** CSS pixels of this many typographic points. */
export function fontPoints(size: number): number {
  return (size * 96) / 72;
}

export const FONT_FAMILY = 'Inter, Helvetica, Arial, sans-serif';
export const TEXT_COLOR = '#222222';
const RULE_COLOR = '#555555';
const GRID_COLOR = '#e6e6e6';

/** Okabe and Ito's colours (2008) without yellow, which white paper swallows: for up to seven series. */
export const OKABE_ITO = [
  '#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#000000',
] as const;

/** Petroff's ten colours (2021, arXiv:2107.02270), tested for colour-vision deficiency. */
export const PETROFF_10 = [
  '#3f90da', '#ffa90e', '#bd1f01', '#94a4a2', '#832db6', '#a96b59', '#e76300', '#b9ac70',
  '#717581', '#92dadd',
] as const;

/** Light to dark in even steps, for ordered keys such as token positions. */
export const ORDERED_BLUES = ['#b3cde3', '#7ba6cf', '#3f78b5', '#08306b'] as const;

/** Six steps of viridis: bars in these colours stay apart in grey print too. */
export const VIRIDIS_6 = ['#440154', '#414487', '#2a788e', '#22a884', '#7ad151', '#d2e21b'] as const;

/** Marker shapes and dash patterns keep series apart where colours are lost, as in grey print. */
export const MARKERS = [
  'circle', 'square', 'diamond', 'triangle-up', 'triangle-down', 'cross', 'x', 'star', 'bowtie', 'hourglass',
] as const;
export const DASHES = ['solid', '5px,1.5px', '1.5px,1.5px', '6px,1.5px,1.5px,1.5px'] as const;

/** Colour, marker and dash of series number `index` out of `count`. */
export function seriesStyle(index: number, count: number): { color: string; marker: string; dash: string } {
  const palette: readonly string[] = count <= OKABE_ITO.length ? OKABE_ITO : PETROFF_10;
  return {
    color: palette[index % palette.length],
    marker: MARKERS[index % MARKERS.length],
    dash: DASHES[Math.floor(index / 3) % DASHES.length],
  };
}

/** Colour `index` of `count` taken evenly from a palette of ordered colours. */
export function orderedColor(palette: readonly string[], index: number, count: number): string {
  return palette[Math.round((index * (palette.length - 1)) / Math.max(1, count - 1))];
}

const TASK_TITLES: Readonly<Record<string, string>> = {
  country_capital: 'Country → capital',
  landmark_country: 'Landmark → country',
  present_past: 'Present → past',
  singular_plural: 'Singular → plural',
  capitalize_first_letter: 'Capitalize first letter',
  lowercase_first_letter: 'Lowercase first letter',
};

const TASK_SHORT_TITLES: Readonly<Record<string, string>> = {
  country_capital: 'capital',
  landmark_country: 'country',
  present_past: 'past',
  singular_plural: 'plural',
  capitalize_first_letter: 'capitalize',
  lowercase_first_letter: 'lowercase',
};

/** A task's name as one would read it out; a task of your own keeps its name. */
export function taskTitle(task: string): string {
  return Object.hasOwn(TASK_TITLES, task) ? TASK_TITLES[task] : task;
}

/** One word for a task, where an axis has room for no more. */
export function taskShortTitle(task: string): string {
  return Object.hasOwn(TASK_SHORT_TITLES, task) ? TASK_SHORT_TITLES[task] : task;
}

/** Text that Plotly would otherwise read as HTML. */
export function plotlyText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Six significant digits: more would only make notebooks larger. */
export function round(value: number): number {
  return Number(value.toPrecision(6));
}

/** The keys in order of first appearance. */
export function distinct<Key>(keys: readonly Key[]): Key[] {
  return [...new Set(keys)];
}

export interface Margins {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** White page, thin rules, one font: what all layouts share. Sizes in CSS pixels. */
export function baseLayout(width: number, height: number, margins: Margins): PlotlyObject {
  return {
    width,
    height,
    autosize: false,
    margin: { l: margins.left, r: margins.right, t: margins.top, b: margins.bottom, pad: 0 },
    paper_bgcolor: '#ffffff',
    plot_bgcolor: '#ffffff',
    font: { family: FONT_FAMILY, size: fontPoints(8), color: TEXT_COLOR },
    hoverlabel: { font: { family: FONT_FAMILY, size: fontPoints(8) }, align: 'left', namelength: -1 },
    hovermode: 'closest',
  };
}

/** An axis with a thin line, outside ticks and a faint grid. `overrides` wins. */
export function axis(overrides: PlotlyObject): PlotlyObject {
  return {
    showline: true,
    linecolor: RULE_COLOR,
    linewidth: 0.75,
    ticks: 'outside',
    ticklen: 3,
    tickwidth: 0.75,
    tickcolor: RULE_COLOR,
    tickfont: { size: fontPoints(7.5) },
    gridcolor: GRID_COLOR,
    gridwidth: 0.5,
    zeroline: false,
    ...overrides,
  };
}

/** An axis title at 8 pt, this many pixels from the tick labels. */
export function axisTitle(text: string, standoff = 6): PlotlyObject {
  return { text, font: { size: fontPoints(8) }, standoff };
}

/** 'x', 'x2', 'x3' … for panel 0, 1, 2 …: how traces name their axes. */
export function axisName(letter: 'x' | 'y', panel: number): string {
  return panel === 0 ? letter : `${letter}${panel + 1}`;
}

/** 'xaxis', 'xaxis2' …: how the layout names them. */
export function axisKey(letter: 'x' | 'y', panel: number): string {
  return `${letter}axis${panel === 0 ? '' : panel + 1}`;
}

/** A panel's title: above its top left corner. */
export function panelTitle(text: string, panel: number): PlotlyObject {
  return {
    text,
    xref: `${axisName('x', panel)} domain`,
    yref: `${axisName('y', panel)} domain`,
    x: 0,
    y: 1,
    xanchor: 'left',
    yanchor: 'bottom',
    yshift: 2,
    showarrow: false,
    font: { size: fontPoints(8.5) },
  };
}

/** Height of a legend with this many rows of entries, in CSS pixels. */
export function legendHeight(rows: number): number {
  return 19 * rows + 10;
}

/**
 * A horizontal legend that ends at the lower edge of the page, in a bottom margin that has room for it.
 * `x` is its centre as a share of the plotting width.
 */
export function legendBelow(height: number, margins: Margins, rows: number, x = 0.5): PlotlyObject {
  const plot = height - margins.top - margins.bottom;
  return {
    orientation: 'h', x, xanchor: 'center', xref: 'paper',
    y: -(margins.bottom - legendHeight(rows)) / plot, yanchor: 'top', yref: 'paper',
    font: { size: fontPoints(8) }, bgcolor: 'rgba(255,255,255,0)', traceorder: 'normal',
    // A click isolates, a double click hides or shows.
    groupclick: 'toggleitem', itemclick: 'toggleothers', itemdoubleclick: 'toggle',
  };
}

/** A layout with a legend of so many rows below; `margins.bottom` is the room between panels and legend. */
export function legendLayout(
  columns: ColumnCount, height: number, margins: Margins, rows: number,
): PlotlyObject {
  const whole = { ...margins, bottom: margins.bottom + legendHeight(rows) };
  return { ...baseLayout(columnWidth(columns), height, whole), legend: legendBelow(height, whole, rows) };
}

/** Stretches of [0, 1] for panels of these relative widths with `gap` (a share of the whole) between them. */
export function panelDomains(weights: readonly number[], gap: number): [number, number][] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const room = 1 - gap * (weights.length - 1);
  let start = 0;
  return weights.map((weight) => {
    const domain: [number, number] = [start, start + (weight / total) * room];
    start = domain[1] + gap;
    return domain;
  });
}

/** Traces of one name share a legend entry: only the first shows it; those that want none keep none. */
export function showEachNameOnce(traces: readonly PlotlyObject[]): PlotlyObject[] {
  const seen = new Set<unknown>();
  return traces.map((trace) => {
    if (trace.showlegend === false) return trace;
    const first = !seen.has(trace.name);
    seen.add(trace.name);
    return { ...trace, showlegend: first };
  });
}

/** Layout and trace entries that are lengths in CSS pixels. */
const LENGTHS = new Set([
  'size', 'standoff', 'ticklen', 'tickwidth', 'linewidth', 'gridwidth', 'l', 'r', 't', 'b',
  'xshift', 'yshift', 'borderpad', 'entrywidth', 'itemwidth', 'height', 'width',
]);

/**
 * The figure with every length multiplied, as a print shop enlarges: text, lines and margins alike.
 * @example scaleFigure(figure, 1.25) // for a screen
 */
export function scaleFigure(figure: Figure, factor: number): Figure {
  const scaled = (value: unknown, key: string): unknown => {
    if (typeof value === 'number') return LENGTHS.has(key) ? Math.round(value * factor * 1000) / 1000 : value;
    if (key === 'dash' && typeof value === 'string') return scaleDash(value, factor);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) {
      return typeof value[0] === 'object' ? value.map((item) => scaled(item, '')) : value as unknown;
    }
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, scaled(item, name)]));
  };
  return scaled({ data: figure.data, layout: figure.layout }, '') as Figure;
}

function scaleDash(dash: string, factor: number): string {
  return dash.replace(/[\d.]+(?=px)/g, (length) => String(Math.round(Number(length) * factor * 100) / 100));
}
