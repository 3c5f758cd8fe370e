/**
 * Figures of neighbourhoods: their size by ε, Table 3 as a matrix, token categories.
 *
 * Pure functions from plain data, SVG traces only.
 */
import {
  axis, axisTitle, baseLayout, columnWidth, distinct, fontPoints, legendBelow, legendHeight, legendLayout,
  plotlyText, round, seriesStyle, taskShortTitle, taskTitle, TEXT_COLOR,
} from './figure-style';
import type { ColumnCount, Figure, FigureSlider, PlotlyObject, SliderStep } from './figure-style';
import { formatNumber } from './tables';

/** How many neighbours a prompt has on average, by kind, for growing epsilon. */
export interface NeighbourCurve {
  /** cosine distances, ascending */
  readonly epsilon: readonly number[];
  /** mean count at each epsilon, by kind: 'all', 'vocabulary', 'prompts', 'same word' … */
  readonly counts: Readonly<Record<string, readonly number[]>>;
}

export interface NeighbourhoodOptions {
  /** the epsilon to mark, such as the paper's 0.7; on screen a slider moves it over those of the curve */
  readonly marked?: number;
  /** default true; a count of zero is then left out */
  readonly logarithmic?: boolean;
  readonly columns?: ColumnCount;
  readonly height?: number;
}

/** Paper, section 3.2.1: mean size of the epsilon-neighbourhood by kind of neighbour. */
export function neighbourhoodCurves(
  neighbourhoods: NeighbourCurve, options: NeighbourhoodOptions = {},
): Figure {
  const kinds = Object.keys(neighbourhoods.counts);
  const logarithmic = options.logarithmic ?? true;
  const height = options.height ?? 290;
  const rows = Math.ceil(kinds.length / (options.columns === 2 ? 6 : 2));
  const layout = {
    ...legendLayout(options.columns ?? 1, height, { left: 48, right: 10, top: 18, bottom: 34 }, rows),
    xaxis: axis({ title: axisTitle('ε, cosine distance (0–2)', 4), nticks: 9 }),
    yaxis: axis({
      title: axisTitle('mean number of neighbours'),
      ...(logarithmic ? { type: 'log', dtick: 1, exponentformat: 'power' } : { rangemode: 'tozero' }),
    }),
    shapes: options.marked === undefined ? [] : [markedLine(options.marked)],
    annotations: options.marked === undefined ? [] : [markedLabel(options.marked), countsBox()],
  };
  const slider = options.marked === undefined ? {} : { slider: curveSlider(neighbourhoods, options.marked) };
  const data = kinds.map((kind, i) => {
    const style = seriesStyle(i, kinds.length);
    return {
      type: 'scatter',
      mode: 'lines+markers',
      name: plotlyText(kind),
      x: neighbourhoods.epsilon,
      y: neighbourhoods.counts[kind].map((count) => (logarithmic && count <= 0 ? null : round(count))),
      line: { color: style.color, width: 1.4, dash: style.dash },
      marker: { color: style.color, symbol: style.marker, size: 4.5, maxdisplayed: 8 },
      hovertemplate: `${plotlyText(kind)}: %{y:.2f} at ε = %{x}<extra></extra>`,
    };
  });
  return { data, layout, ...slider };
}

/** Moves the marked ε and writes the counts there into the box. */
function curveSlider({ epsilon, counts }: NeighbourCurve, marked: number): FigureSlider {
  return epsilonSlider(epsilon, marked, (value, k) => ({
    traces: {},
    layout: {
      'shapes[0].x0': value, 'shapes[0].x1': value,
      'annotations[0].x': value, 'annotations[0].text': `ε = ${value}`,
      'annotations[1].visible': true,
      'annotations[1].text': Object.keys(counts)
        .map((kind) => `${plotlyText(kind)}: ${shownCount(counts[kind][k])}`).join('<br>'),
    },
  }));
}

/** Counts at the slider's ε, where growing curves leave room; not in print. */
function countsBox(): PlotlyObject {
  return {
    text: '', visible: false, xref: 'x domain', yref: 'y domain', x: 0.01, y: 1, xanchor: 'left', yanchor: 'top', align: 'left',
    showarrow: false, font: { size: fontPoints(7) }, bgcolor: 'rgba(255,255,255,0.8)', borderpad: 1,
  };
}

function epsilonSlider(
  epsilons: readonly number[], marked: number,
  stepAt: (epsilon: number, k: number) => Pick<SliderStep, 'traces' | 'layout'>,
): FigureSlider {
  const distances = epsilons.map((epsilon) => Math.abs(epsilon - marked));
  return {
    prefix: 'ε = ',
    active: distances.indexOf(Math.min(...distances)),
    steps: epsilons.map((epsilon, k) => ({ label: String(epsilon), ...stepAt(epsilon, k) })),
  };
}

/** A whole number as it is, a mean with two digits. */
function shownCount(count: number): string {
  return Number.isInteger(count) ? String(count) : formatNumber(count, 2);
}

function markedLine(epsilon: number): PlotlyObject {
  return {
    type: 'line', xref: 'x', yref: 'y domain', x0: epsilon, x1: epsilon, y0: 0, y1: 1,
    line: { color: TEXT_COLOR, width: 0.75, dash: '4px,3px' },
  };
}

function markedLabel(epsilon: number): PlotlyObject {
  return {
    text: `ε = ${epsilon}`, xref: 'x', yref: 'y domain', x: epsilon, y: 1,
    xanchor: 'center', yanchor: 'bottom', showarrow: false, font: { size: fontPoints(7.5) },
  };
}

export interface TaskMatrixOptions {
  /** what a cell counts, for the hover text; default 'neighbours' */
  readonly unit?: string;
  /** for a slider on screen: the ε of `counts`, and the counts at every ε, [epsilon, row, column] */
  readonly byEpsilon?: {
    readonly marked: number;
    readonly epsilon: readonly number[];
    readonly counts: readonly (readonly (readonly number[])[])[];
  };
  readonly columns?: ColumnCount;
  readonly height?: number;
}

/**
 * Paper, table 3: a task-by-task matrix as coloured cells with the numbers in them.
 * Drawn as rectangles, because Plotly's heat map would be a bitmap in print.
 * @param counts [row][column], rows and columns in the order of `tasks`
 */
export function taskMatrix(
  tasks: readonly string[], counts: readonly (readonly number[])[], options: TaskMatrixOptions = {},
): Figure {
  const names = tasks.map((task) => plotlyText(taskShortTitle(task)));
  const cells = tasks.flatMap((_, i) => tasks.map((__, j) => ({ i, j })));
  const shown = matrixCells(counts);
  const ticks = {
    tickvals: tasks.map((_, i) => i), ticktext: names, showgrid: false, ticks: '', showline: false,
  };
  const height = options.height ?? 250;
  const range = [-0.5, tasks.length - 0.5];
  const layout = {
    ...baseLayout(columnWidth(options.columns ?? 1), height, { left: 80, right: 8, top: 8, bottom: 74 }),
    xaxis: axis({ ...ticks, range, tickangle: -45, title: axisTitle('neighbours trained for', 4) }),
    yaxis: axis({ ...ticks, range: [range[1], range[0]], title: axisTitle('prompts trained for', 4) }),
    shapes: cells.map(({ i, j }, k) => ({
      type: 'rect', x0: j - 0.5, x1: j + 0.5, y0: i - 0.5, y1: i + 0.5, layer: 'below',
      fillcolor: shown[k].fill, line: { color: '#ffffff', width: 1 },
    })),
  };
  const data = [{
    type: 'scatter', mode: 'text', showlegend: false,
    x: cells.map((cell) => cell.j),
    y: cells.map((cell) => cell.i),
    text: shown.map((cell) => cell.text),
    textfont: { size: fontPoints(8), color: shown.map((cell) => cell.ink) },
    customdata: cells.map(({ i, j }) => [plotlyText(taskTitle(tasks[i])), plotlyText(taskTitle(tasks[j]))]),
    hovertemplate:
      `%{customdata[0]} has %{text} ${options.unit ?? 'neighbours'} of %{customdata[1]}<extra></extra>`,
  }];
  const slider = options.byEpsilon === undefined ? {} : { slider: matrixSlider(options.byEpsilon) };
  return { data, layout, ...slider };
}

/** Text and colours of every cell, row by row; the largest count is the darkest. */
function matrixCells(counts: readonly (readonly number[])[]): { text: string; fill: string; ink: string }[] {
  const largest = Math.max(1, ...counts.flat());
  return counts.flat().map((count) => ({
    text: shownCount(count),
    fill: shade(count / largest),
    ink: count / largest > 0.55 ? '#ffffff' : TEXT_COLOR,
  }));
}

function matrixSlider({ marked, epsilon, counts }: NonNullable<TaskMatrixOptions['byEpsilon']>): FigureSlider {
  return epsilonSlider(epsilon, marked, (_, k) => {
    const cells = matrixCells(counts[k]);
    return {
      traces: { text: [cells.map((cell) => cell.text)], 'textfont.color': [cells.map((cell) => cell.ink)] },
      layout: Object.fromEntries(cells.map((cell, i) => [`shapes[${i}].fillcolor`, cell.fill])),
    };
  });
}

/** White to dark blue for 0 … 1; the lightness falls evenly, so grey print keeps the order. */
function shade(share: number): string {
  const part = Math.min(1, Math.max(0, share));
  const mix = (light: number, dark: number): number => Math.round(light + (dark - light) * part);
  return `rgb(${mix(247, 8)},${mix(251, 64)},${mix(255, 129)})`;
}

/** How many neighbour tokens of a task's prompts fall into a category. */
export interface CategoryCount {
  readonly task: string;
  readonly category: string;
  readonly count: number;
}

export interface CategoryOptions {
  /** each task's shares instead of counts; default false */
  readonly share?: boolean;
  readonly columns?: ColumnCount;
  readonly height?: number;
}

/** Tol's high-contrast set and a light grey: apart in colour, in grey print and for colour-blind readers. */
const STACK_COLORS = ['#004488', '#BB5566', '#DDAA33', '#D9D9D9'] as const;

/** Paper, section 3.2.2: tokens near the prompts by category, one stacked bar a task. */
export function categoryBars(counts: readonly CategoryCount[], options: CategoryOptions = {}): Figure {
  const tasks = distinct(counts.map((row) => row.task));
  const categories = distinct(counts.map((row) => row.category));
  const count = (task: string, category: string): number => counts
    .filter((row) => row.task === task && row.category === category)
    .reduce((sum, row) => sum + row.count, 0);
  const totals = tasks.map((task) => categories.reduce((sum, category) => sum + count(task, category), 0));
  const value = (i: number, category: string): number => (options.share === true
    ? round(count(tasks[i], category) / (totals[i] || 1))
    : count(tasks[i], category));
  const height = options.height ?? 270;
  const margins = { left: 62, right: 10, top: 8, bottom: 34 + legendHeight(categories.length) };
  const layout = {
    ...baseLayout(columnWidth(options.columns ?? 1), height, margins),
    barmode: 'stack', bargap: 0.3,
    xaxis: axis({
      title: axisTitle(options.share === true ? 'share of tokens (0–1)' : 'number of tokens', 4),
      ...(options.share === true ? { range: [0, 1] } : { rangemode: 'tozero', nticks: 6 }),
    }),
    yaxis: axis({ autorange: 'reversed', type: 'category', showgrid: false, ticks: '' }),
    legend: {
      ...legendBelow(height, margins, categories.length),
      ...(options.columns === 2 ? {} : { entrywidth: 200 }),
    },
  };
  const data = categories.map((category, i) => ({
    type: 'bar', orientation: 'h', name: plotlyText(category),
    x: tasks.map((_, task) => value(task, category)),
    y: tasks.map((task) => plotlyText(taskShortTitle(task))),
    customdata: tasks.map((task) => count(task, category)),
    marker: {
      color: STACK_COLORS[categories.length <= STACK_COLORS.length ? i : -1]
        ?? seriesStyle(i, categories.length).color,
      line: { color: '#ffffff', width: 0.5 },
    },
    hovertemplate: `%{y}, ${plotlyText(category)}: %{customdata}<extra></extra>`,
  }));
  return { data, layout };
}
