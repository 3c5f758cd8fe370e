/**
 * The paper's figures as Plotly figures: pure functions from plain data, SVG traces only.
 *
 * Tasks and words keep the order in which they first appear in the data.
 */
import {
  axis, axisKey, axisName, axisTitle, baseLayout, columnWidth, distinct, fontPoints, legendBelow,
  legendHeight, orderedColor, ORDERED_BLUES, panelDomains, panelTitle, plotlyText, round, seriesStyle,
  taskShortTitle, taskTitle, TEXT_COLOR, VIRIDIS_6,
} from './figure-style';
import type { ColumnCount, Figure, PlotlyObject } from './figure-style';

/** One run's metric after every epoch. */
export interface LearningCurve {
  readonly task: string;
  readonly word: string;
  /** runs of other seeds are averaged into one line */
  readonly seed?: number;
  /** [epoch], the first is after epoch 1 */
  readonly values: readonly number[];
}

export interface LearningCurveOptions {
  readonly measure: 'accuracy' | 'loss';
  /** loss on a logarithmic axis; default false */
  readonly logarithmic?: boolean;
  readonly columns?: ColumnCount;
  readonly height?: number;
}

/** Paper, figures 1 and 2: test accuracy (0–1) or test loss by epoch, one panel a task, one line a word. */
export function learningCurves(curves: readonly LearningCurve[], options: LearningCurveOptions): Figure {
  const tasks = distinct(curves.map((curve) => curve.task));
  const words = distinct(curves.map((curve) => curve.word));
  const perRow = Math.min(options.columns === 1 ? 2 : 3, Math.max(1, tasks.length));
  const rows = Math.max(1, Math.ceil(tasks.length / perRow));
  const width = columnWidth(options.columns ?? 2);
  const height = options.height ?? 100 + 145 * rows;
  const entriesPerRow = options.columns === 1 ? 3 : Math.ceil(words.length / Math.ceil(words.length / 7));
  const legendRows = Math.ceil(words.length / entriesPerRow);
  const margins = { left: 50, right: 8, top: 22, bottom: 34 + legendHeight(legendRows) };
  const epochs = Math.max(1, ...curves.map((curve) => curve.values.length));
  const layout = {
    ...baseLayout(width, height, margins),
    ...curveAxes(tasks.length, perRow, rows, epochs, options),
    annotations: tasks.map((task, panel) => panelTitle(plotlyText(taskTitle(task)), panel)),
    legend: {
      ...legendBelow(height, margins, legendRows), groupclick: 'togglegroup',
      entrywidth: Math.min(90, Math.floor((width - margins.left - margins.right) / entriesPerRow) - 48),
    },
  };
  const data = tasks.flatMap((task, panel) => words.flatMap((word, i) => {
    const own = curves.filter((curve) => curve.task === task && curve.word === word);
    return own.length === 0 ? [] : [curveTrace(own, word, panel, i, words.length, options.measure)];
  }));
  return { data: showEachNameOnce(data), layout };
}

function curveTrace(
  curves: readonly LearningCurve[], word: string, panel: number, index: number, count: number,
  measure: string,
): PlotlyObject {
  const style = seriesStyle(index, count);
  const epochs = Math.max(...curves.map((curve) => curve.values.length));
  const y = Array.from({ length: epochs }, (_, epoch) => {
    const known = curves.map((curve) => curve.values[epoch]).filter((value) => Number.isFinite(value));
    return known.length === 0 ? null : round(known.reduce((sum, value) => sum + value, 0) / known.length);
  });
  return {
    type: 'scatter',
    mode: 'lines+markers',
    name: plotlyText(word),
    legendgroup: word,
    x: y.map((_, epoch) => epoch + 1),
    y,
    xaxis: axisName('x', panel),
    yaxis: axisName('y', panel),
    line: { color: style.color, width: 1.2, dash: style.dash },
    marker: { color: style.color, symbol: style.marker, size: 4.5, maxdisplayed: 6 },
    hovertemplate: `${plotlyText(word)}, epoch %{x}: ${measure} %{y:.3f}<extra></extra>`,
  };
}

function curveAxes(
  count: number, perRow: number, rows: number, epochs: number, options: LearningCurveOptions,
): PlotlyObject {
  const across = panelDomains(Array<number>(perRow).fill(1), options.columns === 1 ? 0.08 : 0.05);
  const down = panelDomains(Array<number>(rows).fill(1), rows > 1 ? 0.42 / (rows + 0.8) : 0).reverse();
  const accuracy = options.measure === 'accuracy';
  const title = accuracy ? 'test accuracy (0–1)' : 'test loss (nats a token)';
  const axes: Record<string, PlotlyObject> = {};
  for (let panel = 0; panel < count; panel += 1) {
    const first = panel % perRow === 0;
    const bottom = panel + perRow >= count;
    axes[axisKey('x', panel)] = axis({
      domain: across[panel % perRow], anchor: axisName('y', panel), range: [0, epochs + 1], nticks: 6,
      ...(bottom ? { title: axisTitle('epoch', 4) } : {}),
    });
    axes[axisKey('y', panel)] = axis({
      domain: down[Math.floor(panel / perRow)], anchor: axisName('x', panel), showticklabels: first,
      ...(first ? { title: axisTitle(title) } : {}),
      ...(accuracy ? { range: [0, 1.03], dtick: 0.25 } : { rangemode: 'tozero', nticks: 6 }),
      ...(options.logarithmic === true && !accuracy ? { type: 'log', dtick: 1 } : {}),
      ...(panel > 0 ? { matches: 'y' } : {}),
    });
  }
  return axes;
}

/** Mean distance of one group of prompt vectors; of task, word and position the two that name the group. */
export interface GroupDistance {
  readonly task?: string;
  readonly word?: string;
  readonly position?: number;
  readonly mean: number;
}

/** What figures 3 and 5 show. */
export interface GroupDistances {
  /** each (task, word): between token positions */
  readonly betweenPositions: readonly GroupDistance[];
  /** each (word, position): between tasks */
  readonly betweenTasks: readonly GroupDistance[];
  /** each (task, position): between initial words */
  readonly betweenWords: readonly GroupDistance[];
  /** between random vocabulary tokens: the dashed line */
  readonly vocabulary: number;
  /** how many tokens the dashed line stands for; default 100 */
  readonly vocabularySize?: number;
}

export interface GroupDistanceOptions {
  readonly measure: 'cosine' | 'euclidean';
  /** y range; default 0–1 (cosine) or from 0 (euclidean) */
  readonly range?: readonly [number, number];
  readonly height?: number;
}

/** Paper, figures 3 and 5: mean distances between positions, between tasks and between words. */
export function groupDistanceBars(distances: GroupDistances, options: GroupDistanceOptions): Figure {
  const panels = [
    barPanel('Between positions', distances.betweenPositions, 'word', 'task'),
    barPanel('Between tasks', distances.betweenTasks, 'word', 'position'),
    barPanel('Between words', distances.betweenWords, 'task', 'position'),
  ];
  const weights = panels.map((panel) => Math.max(4, panel.groups.length * (panel.colors.length + 1.2)));
  const domains = panelDomains(weights, 0.035);
  const top = 1.12 * Math.max(distances.vocabulary, ...panels.flatMap((panel) => panel.values));
  const range = options.range ?? [0, options.measure === 'cosine' ? Math.max(1, top) : top];
  const height = options.height ?? 300;
  const margins = { left: 50, right: 8, top: 22, bottom: 54 + legendHeight(3) };
  const layout: Record<string, unknown> = {
    ...baseLayout(columnWidth(2), height, margins),
    barmode: 'group', bargap: 0.18, bargroupgap: 0,
    annotations: [
      ...panels.map(({ title }, i) => panelTitle(title, i)),
      vocabularyLabel(distances, panels[0].values),
    ],
    shapes: panels.map((_, i) => dashedLine(i, distances.vocabulary)),
    legend: {
      ...legendBelow(height, margins, 3, (domains[0][0] + domains[0][1]) / 2),
      traceorder: 'grouped', tracegroupgap: 0,
    },
    legend2: {
      ...legendBelow(height, margins, 3, (domains[1][0] + domains[2][1]) / 2), groupclick: 'togglegroup',
      title: { text: 'position ', side: 'left', font: { size: fontPoints(8) } },
    },
  };
  panels.forEach((_, i) => Object.assign(layout, barAxes(i, domains[i], range, options.measure)));
  const data = panels.flatMap((panel, i) => barTraces(panel, i));
  return { data: showEachNameOnce(data), layout };
}

type GroupKey = 'task' | 'word' | 'position';

interface BarPanel {
  readonly title: string;
  readonly groups: readonly string[];
  readonly colors: readonly string[];
  readonly colorKey: GroupKey;
  readonly values: readonly number[];
  value(group: string, color: string): number | null;
}

function barPanel(
  title: string, rows: readonly GroupDistance[], groupKey: GroupKey, colorKey: GroupKey,
): BarPanel {
  const table = new Map(rows.map((row) => [`${String(row[groupKey])}\n${String(row[colorKey])}`, row.mean]));
  return {
    title,
    groups: distinct(rows.map((row) => String(row[groupKey]))),
    colors: distinct(rows.map((row) => String(row[colorKey]))),
    colorKey,
    values: rows.map((row) => row.mean).filter(Number.isFinite),
    value: (group, color) => table.get(`${group}\n${color}`) ?? null,
  };
}

function barTraces(panel: BarPanel, index: number): PlotlyObject[] {
  return panel.colors.map((color, i) => {
    const byTask = panel.colorKey === 'task';
    const name = byTask ? plotlyText(taskTitle(color)) : String(Number(color) + 1);
    const fill = orderedColor(byTask ? VIRIDIS_6 : ORDERED_BLUES, i, panel.colors.length);
    return {
      type: 'bar',
      name,
      ...(byTask ? { legendgroup: String(Math.floor(i / 3)) } : { legend: 'legend2', legendgroup: name }),
      x: panel.groups.map((group) => plotlyText(taskShortTitle(group))),
      y: panel.groups.map((group) => panel.value(group, color)),
      xaxis: axisName('x', index),
      yaxis: axisName('y', index),
      marker: { color: fill, line: { color: '#ffffff', width: 0.3 } },
      hovertemplate: `%{x}, ${byTask ? name : `position ${name}`}: %{y:.3f}<extra></extra>`,
    };
  });
}

function barAxes(
  panel: number, domain: readonly number[], range: readonly number[], measure: 'cosine' | 'euclidean',
): PlotlyObject {
  const title = measure === 'cosine' ? 'mean cosine distance (0–2)' : 'mean Euclidean distance';
  return {
    [axisKey('x', panel)]: axis({
      domain, anchor: axisName('y', panel), tickangle: -60, type: 'category', showgrid: false,
      automargin: false,
    }),
    [axisKey('y', panel)]: axis({
      anchor: axisName('x', panel), range, showticklabels: panel === 0,
      ...(measure === 'cosine' ? { dtick: 0.25 } : {}),
      ...(panel === 0 ? { title: axisTitle(title) } : { matches: 'y' }),
    }),
  };
}

function dashedLine(panel: number, y: number): PlotlyObject {
  return {
    type: 'line', xref: `${axisName('x', panel)} domain`, yref: axisName('y', panel),
    x0: 0, x1: 1, y0: y, y1: y,
    line: { color: TEXT_COLOR, width: 1, dash: '4px,3px' },
  };
}

/** The dashed line's label in the first panel: on the line, or above the bars where they reach over it. */
function vocabularyLabel(distances: GroupDistances, bars: readonly number[]): PlotlyObject {
  const line = `${distances.vocabularySize ?? 100} random tokens: ${distances.vocabulary.toFixed(2)}`;
  const highest = Math.max(distances.vocabulary, ...bars);
  return {
    text: highest > distances.vocabulary ? `dashed: ${line}` : line,
    xref: 'x domain', yref: 'y', x: 1, y: highest, xanchor: 'right', yanchor: 'bottom', yshift: 1,
    showarrow: false, font: { size: fontPoints(7.5) },
  };
}

/** Traces of one name share a legend entry: only the first shows it. */
function showEachNameOnce(traces: readonly PlotlyObject[]): PlotlyObject[] {
  const seen = new Set<unknown>();
  return traces.map((trace) => {
    const first = !seen.has(trace.name);
    seen.add(trace.name);
    return { ...trace, showlegend: first };
  });
}
