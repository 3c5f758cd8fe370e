/**
 * The paper's figures 3 and 5 as Plotly figures: pure functions from plain data, SVG traces only.
 *
 * Tasks and words keep the order in which they first appear in the data.
 */
import {
  axis, axisKey, axisName, axisTitle, baseLayout, columnWidth, distinct, fontPoints, legendBelow,
  legendHeight, orderedColor, ORDERED_BLUES, panelDomains, panelTitle, plotlyText, showEachNameOnce,
  taskShortTitle, taskTitle, TEXT_COLOR, VIRIDIS_6,
} from './figure-style';
import type { ColumnCount, Figure, Margins, PlotlyObject } from './figure-style';

/** Mean distance of one group of prompt vectors; of task, word and position the two that name the group. */
export interface GroupDistance {
  readonly task?: string;
  readonly word?: string;
  readonly position?: number;
  readonly mean: number;
  /** standard deviation over seeds, drawn as an error bar where it is a number */
  readonly deviation?: number;
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
  /** 2 (default): three panels side by side; 1: one below the other */
  readonly columns?: ColumnCount;
  readonly height?: number;
}

/**
 * Paper, figures 3 and 5: mean distances between positions, between tasks and between words. Several seeds: the
 * bar is their mean, the error bar ± 1 standard deviation.
 */
export function groupDistanceBars(distances: GroupDistances, options: GroupDistanceOptions): Figure {
  const panels = [
    barPanel('Between positions', distances.betweenPositions, 'word', 'task'),
    barPanel('Between tasks', distances.betweenTasks, 'word', 'position'),
    barPanel('Between words', distances.betweenWords, 'task', 'position'),
  ];
  const stacked = options.columns === 1;
  const height = options.height ?? (stacked ? 580 : 300);
  const margins = { left: 50, right: 8, top: 22, bottom: TICK_ROOM + legendHeight(stacked ? 4 : 3) };
  const domains = barDomains(panels, stacked, height - margins.top - margins.bottom);
  const highest = Math.max(distances.vocabulary, ...panels.map((panel) => panel.highest));
  const least = options.measure === 'cosine' ? 1 : 0;
  const range = options.range ?? [0, Math.max(least, 1.12 * highest)];
  const layout: Record<string, unknown> = {
    ...baseLayout(columnWidth(options.columns ?? 2), height, margins),
    barmode: 'group', bargap: 0.18, bargroupgap: 0,
    annotations: [
      ...panels.map(({ title }, i) => panelTitle(title, i)),
      vocabularyLabel(distances, panels),
    ],
    shapes: panels.map((_, i) => dashedLine(i, distances.vocabulary)),
    ...barLegends(height, margins, domains, stacked),
  };
  panels.forEach((_, i) => Object.assign(layout, barAxes(i, domains[i], range, options)));
  const data = panels.flatMap((panel, i) => barTraces(panel, i, stacked ? taskShortTitle : taskTitle));
  return { data: showEachNameOnce(data), layout };
}

/** CSS pixels for the slanted names below a panel. */
const TICK_ROOM = 54;

interface BarDomain {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

/** Width that a panel's bars want, in bars. */
function barRoom(panel: BarPanel): number {
  return Math.max(4, panel.groups.length * (panel.colors.length + 1.2));
}

/** Side by side, as wide as they have bars but with room for a title; or one below the other. */
function barDomains(panels: readonly BarPanel[], stacked: boolean, plotHeight: number): BarDomain[] {
  const bars = panels.map(barRoom);
  const across = panelDomains(bars.map((room) => Math.max(room, 0.4 * Math.max(...bars))), 0.035);
  const down = panelDomains(panels.map(() => 1), (TICK_ROOM + 24) / plotHeight).reverse();
  return panels.map((_, i) => (stacked ? { x: [0, 1], y: down[i] } : { x: across[i], y: [0, 1] }));
}

function barLegends(
  height: number, margins: Margins, domains: readonly BarDomain[], stacked: boolean,
): PlotlyObject {
  const centre = (first: number, last: number): number => (
    stacked ? 0.45 : (domains[first].x[0] + domains[last].x[1]) / 2);
  return {
    legend: {
      ...legendBelow(height, margins, stacked ? 4 : 3, centre(0, 0)), traceorder: 'grouped', tracegroupgap: 0,
    },
    legend2: {
      ...legendBelow(height, margins, stacked ? 1 : 3, centre(1, 2)), groupclick: 'togglegroup',
    },
  };
}

type GroupKey = 'task' | 'word' | 'position';

interface BarPanel {
  readonly title: string;
  readonly groups: readonly string[];
  readonly colors: readonly string[];
  readonly colorKey: GroupKey;
  /** the top of the highest bar with its error bar */
  readonly highest: number;
  bar(group: string, color: string): GroupDistance | undefined;
}

function barPanel(
  title: string, rows: readonly GroupDistance[], groupKey: GroupKey, colorKey: GroupKey,
): BarPanel {
  const table = new Map(rows.map((row) => [`${String(row[groupKey])}\n${String(row[colorKey])}`, row]));
  return {
    title,
    groups: distinct(rows.map((row) => String(row[groupKey]))),
    colors: distinct(rows.map((row) => String(row[colorKey]))),
    colorKey,
    highest: Math.max(0, ...rows.map((row) => row.mean + (row.deviation || 0)).filter(Number.isFinite)),
    bar: (group, color) => table.get(`${group}\n${color}`),
  };
}

function barTraces(panel: BarPanel, index: number, titleOf: (task: string) => string): PlotlyObject[] {
  return panel.colors.map((color, i) => {
    const byTask = panel.colorKey === 'task';
    const key = byTask ? plotlyText(titleOf(color)) : `position ${Number(color) + 1}`;
    // The legend says the word once.
    const name = byTask || i === 0 ? key : String(Number(color) + 1);
    const fill = orderedColor(byTask ? VIRIDIS_6 : ORDERED_BLUES, i, panel.colors.length);
    const bars = panel.groups.map((group) => panel.bar(group, color));
    const seeds = bars.some((bar) => Number.isFinite(bar?.deviation));
    return {
      type: 'bar',
      name,
      ...(byTask ? { legendgroup: String(Math.floor(i / 3)) } : { legend: 'legend2', legendgroup: name }),
      x: panel.groups.map((group) => plotlyText(taskShortTitle(group))),
      y: bars.map((bar) => (Number.isFinite(bar?.mean) ? bar?.mean : null)),
      ...(seeds ? { error_y: errorBars(bars) } : {}),
      xaxis: axisName('x', index),
      yaxis: axisName('y', index),
      marker: { color: fill, line: { color: '#ffffff', width: 0.3 } },
      hovertemplate: `%{x}, ${key}: %{y:.3f}${seeds ? ' ± %{error_y.array:.3f}' : ''}<extra></extra>`,
    };
  });
}

function errorBars(bars: readonly (GroupDistance | undefined)[]): PlotlyObject {
  const array = bars.map((bar) => (Number.isFinite(bar?.deviation) ? bar?.deviation : null));
  return { type: 'data', array, color: TEXT_COLOR, thickness: 0.6, width: 1.2 };
}

function barAxes(
  panel: number, domain: BarDomain, range: readonly number[], options: GroupDistanceOptions,
): PlotlyObject {
  const title = options.measure === 'cosine' ? 'mean cosine distance (0–2)' : 'mean Euclidean distance';
  const stacked = options.columns === 1;
  return {
    [axisKey('x', panel)]: axis({
      domain: domain.x, anchor: axisName('y', panel), tickangle: -60, type: 'category', showgrid: false,
      automargin: false,
    }),
    [axisKey('y', panel)]: axis({
      domain: domain.y, anchor: axisName('x', panel), range, showticklabels: stacked || panel === 0,
      ...(options.measure === 'cosine' ? { dtick: 0.25 } : {}),
      ...(panel === (stacked ? 1 : 0) ? { title: axisTitle(title) } : {}),
      ...(panel > 0 ? { matches: 'y' } : {}),
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

/** The dashed line's label in the widest panel: on the line, or above the bars where they reach over it. */
function vocabularyLabel(distances: GroupDistances, panels: readonly BarPanel[]): PlotlyObject {
  const rooms = panels.map(barRoom);
  const widest = rooms.indexOf(Math.max(...rooms));
  const line = `${distances.vocabularySize ?? 100} random tokens: ${distances.vocabulary.toFixed(2)}`;
  const highest = Math.max(distances.vocabulary, panels[widest].highest);
  return {
    text: highest > distances.vocabulary ? `dashed: ${line}` : line,
    xref: `${axisName('x', widest)} domain`, yref: axisName('y', widest), x: 1, y: highest,
    xanchor: 'right', yanchor: 'bottom', yshift: 1,
    showarrow: false, font: { size: fontPoints(7.5) },
  };
}
