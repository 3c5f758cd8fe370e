/**
 * Figures of the embedding space: projection, neighbourhoods, Table 3 as a matrix, token categories.
 *
 * Pure functions from plain data, SVG traces only.
 */
import {
  axis, axisKey, axisName, axisTitle, baseLayout, columnWidth, distinct, fontPoints, legendBelow,
  legendHeight, panelDomains, panelTitle, plotlyText, round, seriesStyle, taskShortTitle, taskTitle,
  TEXT_COLOR,
} from './figure-style';
import type { ColumnCount, Figure, PlotlyObject } from './figure-style';

/** A prompt vector in the plane. */
export interface ProjectedPrompt {
  readonly x: number;
  readonly y: number;
  readonly task: string;
  readonly word: string;
  readonly position: number;
  readonly seed?: number;
  /** vocabulary tokens nearest to the vector, for the hover text */
  readonly nearest?: readonly string[];
}

export interface ProjectionOptions {
  /** axis titles; default 't-SNE 1' and 't-SNE 2' */
  readonly axes?: readonly [string, string];
  readonly height?: number;
}

/** Paper, figure 4: all prompt vectors in the plane, coloured by initial word (left) and by task (right). */
export function projectionPanels(
  prompts: readonly ProjectedPrompt[], options: ProjectionOptions = {},
): Figure {
  const height = options.height ?? 360;
  const margins = { left: 24, right: 8, top: 22, bottom: 20 + legendHeight(3) };
  const width = columnWidth(2);
  const domains = panelDomains([1, 1], 0.06);
  const titles = options.axes ?? ['t-SNE 1', 't-SNE 2'];
  const layout: Record<string, unknown> = {
    ...baseLayout(width, height, margins),
    annotations: [panelTitle('By initial word', 0), panelTitle('By task', 1)],
  };
  for (const panel of [0, 1]) {
    layout[axisKey('x', panel)] = axis({
      domain: domains[panel], anchor: axisName('y', panel), title: axisTitle(titles[0], 4),
      showticklabels: false, ticks: '', mirror: true, showgrid: false,
      ...(panel === 1 ? { matches: 'x' } : {}),
    });
    layout[axisKey('y', panel)] = axis({
      anchor: axisName('x', panel), title: axisTitle(titles[1], 4),
      showticklabels: false, ticks: '', mirror: true, showgrid: false,
      ...(panel === 1 ? { matches: 'y' } : {}),
    });
    layout[panel === 0 ? 'legend' : 'legend2'] = {
      ...legendBelow(height, margins, 3, (domains[panel][0] + domains[panel][1]) / 2),
      traceorder: 'grouped', tracegroupgap: 0, itemclick: 'toggleothers', itemdoubleclick: 'toggle',
    };
  }
  const data = [...projectionTraces(prompts, 'word', 0), ...projectionTraces(prompts, 'task', 1)];
  return { data, layout };
}

function projectionTraces(
  prompts: readonly ProjectedPrompt[], key: 'word' | 'task', panel: number,
): PlotlyObject[] {
  const names = distinct(prompts.map((prompt) => prompt[key]));
  return names.map((name, i) => {
    const own = prompts.filter((prompt) => prompt[key] === name);
    const style = seriesStyle(i, names.length);
    return {
      type: 'scatter',
      mode: 'markers',
      name: plotlyText(key === 'task' ? taskTitle(name) : name),
      legend: panel === 0 ? 'legend' : 'legend2',
      // Plotly sets legend groups side by side, so groups make columns: of two words, of three tasks.
      legendgroup: `${key} ${Math.floor(i / (key === 'word' ? 2 : 3))}`,
      x: own.map((prompt) => round(prompt.x)),
      y: own.map((prompt) => round(prompt.y)),
      text: own.map(hoverText),
      hovertemplate: '%{text}<extra></extra>',
      xaxis: axisName('x', panel),
      yaxis: axisName('y', panel),
      marker: { color: style.color, symbol: style.marker, size: 5.5, line: { color: '#ffffff', width: 0.3 } },
    };
  });
}

function hoverText(prompt: ProjectedPrompt): string {
  const seed = prompt.seed === undefined ? '' : `, seed ${prompt.seed}`;
  const nearest = prompt.nearest === undefined || prompt.nearest.length === 0
    ? ''
    : `<br>nearest: ${prompt.nearest.map(plotlyText).join(', ')}`;
  const { task, word, position } = prompt;
  return `${plotlyText(taskTitle(task))}<br>${plotlyText(word)}, position ${position + 1}${seed}${nearest}`;
}

/** How many neighbours a prompt has on average, by kind, for growing epsilon. */
export interface NeighbourCurve {
  /** cosine distances, ascending */
  readonly epsilon: readonly number[];
  /** mean count at each epsilon, by kind: 'all', 'vocabulary', 'prompts', 'same word' … */
  readonly counts: Readonly<Record<string, readonly number[]>>;
}

export interface NeighbourhoodOptions {
  /** the epsilon to mark, such as the paper's 0.7 */
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
  const width = columnWidth(options.columns ?? 1);
  const rows = Math.ceil(kinds.length / (options.columns === 2 ? 6 : 2));
  const margins = { left: 48, right: 10, top: 18, bottom: 34 + legendHeight(rows) };
  const layout = {
    ...baseLayout(width, height, margins),
    xaxis: axis({ title: axisTitle('ε, cosine distance (0–2)', 4), nticks: 9 }),
    yaxis: axis({
      title: axisTitle('mean number of neighbours'),
      ...(logarithmic ? { type: 'log', dtick: 1, exponentformat: 'power' } : { rangemode: 'tozero' }),
    }),
    shapes: options.marked === undefined ? [] : [markedLine(options.marked)],
    annotations: options.marked === undefined ? [] : [markedLabel(options.marked)],
    legend: legendBelow(height, margins, rows),
  };
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
  return { data, layout };
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
  const largest = Math.max(1, ...counts.flat());
  const names = tasks.map((task) => plotlyText(taskShortTitle(task)));
  const cells = counts.flatMap((row, i) => row.map((count, j) => ({ i, j, count })));
  const ticks = {
    tickvals: tasks.map((_, i) => i), ticktext: names, showgrid: false, ticks: '', showline: false,
  };
  const height = options.height ?? 250;
  const range = [-0.5, tasks.length - 0.5];
  const layout = {
    ...baseLayout(columnWidth(options.columns ?? 1), height, { left: 80, right: 8, top: 8, bottom: 74 }),
    xaxis: axis({ ...ticks, range, tickangle: -45, title: axisTitle('neighbours trained for', 4) }),
    yaxis: axis({ ...ticks, range: [range[1], range[0]], title: axisTitle('prompts trained for', 4) }),
    shapes: cells.map(({ i, j, count }) => ({
      type: 'rect', x0: j - 0.5, x1: j + 0.5, y0: i - 0.5, y1: i + 0.5, layer: 'below',
      fillcolor: shade(count / largest), line: { color: '#ffffff', width: 1 },
    })),
  };
  const data = [{
    type: 'scatter', mode: 'text', showlegend: false,
    x: cells.map((cell) => cell.j),
    y: cells.map((cell) => cell.i),
    text: cells.map((cell) => (Number.isInteger(cell.count) ? String(cell.count) : cell.count.toFixed(2))),
    textfont: {
      size: fontPoints(8),
      color: cells.map((cell) => (cell.count / largest > 0.55 ? '#ffffff' : TEXT_COLOR)),
    },
    customdata: cells.map(({ i, j }) => [plotlyText(taskTitle(tasks[i])), plotlyText(taskTitle(tasks[j]))]),
    hovertemplate:
      `%{customdata[0]} has %{text} ${options.unit ?? 'neighbours'} of %{customdata[1]}<extra></extra>`,
  }];
  return { data, layout };
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
