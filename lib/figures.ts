/**
 * The paper's figures 1 and 2 as Plotly figures: pure functions from plain data, SVG traces only.
 *
 * Tasks and words keep the order in which they first appear in the data.
 */
import {
  axis, axisKey, axisName, axisTitle, baseLayout, columnWidth, distinct, legendBelow, legendHeight,
  panelDomains, panelTitle, plotlyText, round, seriesStyle, showEachNameOnce, taskTitle,
} from './figure-style';
import type { ColumnCount, Figure, PlotlyObject } from './figure-style';
import { spreadOf, type Spread } from './spread';

/** One run's metric after every epoch. */
export interface LearningCurve {
  readonly task: string;
  readonly word: string;
  /** runs of other seeds are averaged into one line, with a band of ± 1 standard deviation */
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
    if (own.length === 0) return [];
    const spreads = epochSpreads(own);
    const style = seriesStyle(i, words.length);
    const place = { legendgroup: word, xaxis: axisName('x', panel), yaxis: axisName('y', panel) };
    return [
      ...seedBands(spreads, style.color, own.length, options).map((band) => ({ ...band, ...place })),
      { ...curveTrace(spreads, word, style, own.length, options.measure), ...place },
    ];
  }));
  return { data: showEachNameOnce(data), layout };
}

/** Mean over the seeds after every epoch, over those that know it; NaN where none does. */
function epochSpreads(curves: readonly LearningCurve[]): Spread[] {
  const epochs = Math.max(...curves.map((curve) => curve.values.length));
  return Array.from({ length: epochs }, (_, epoch) => (
    spreadOf(curves.map((curve) => curve.values[epoch]).filter((value) => Number.isFinite(value)))));
}

function curveTrace(
  spreads: readonly Spread[], word: string, style: ReturnType<typeof seriesStyle>, seeds: number,
  measure: string,
): PlotlyObject {
  const several = seeds > 1 ? ` ± %{customdata} (SD, ${seeds} seeds)` : '';
  return {
    type: 'scatter',
    mode: 'lines+markers',
    name: plotlyText(word),
    x: spreads.map((_, epoch) => epoch + 1),
    y: spreads.map(({ mean }) => (Number.isFinite(mean) ? round(mean) : null)),
    ...(seeds > 1 ? { customdata: spreads.map(({ deviation }) => deviation.toFixed(3)) } : {}),
    line: { color: style.color, width: 1.2, dash: style.dash },
    marker: { color: style.color, symbol: style.marker, size: 4.5, maxdisplayed: 6 },
    hovertemplate: `${plotlyText(word)}, epoch %{x}: ${measure} %{y:.3f}${several}<extra></extra>`,
  };
}

/**
 * Mean ± 1 standard deviation over the seeds as a shaded outline; none for a single seed. On a logarithmic axis
 * a band that would reach 0 ends at a tenth of its mean.
 */
function seedBands(
  spreads: readonly Spread[], color: string, seeds: number, options: LearningCurveOptions,
): PlotlyObject[] {
  const known = spreads.map((spread, i) => ({ ...spread, epoch: i + 1 }))
    .filter(({ deviation }) => Number.isFinite(deviation));
  if (seeds < 2 || known.length === 0) return [];
  const least = (mean: number): number => (
    options.logarithmic === true && options.measure === 'loss' ? mean / 10 : -Infinity);
  const upper = known.map(({ mean, deviation }) => round(mean + deviation));
  const lower = known.map(({ mean, deviation }) => round(Math.max(mean - deviation, least(mean))));
  const epochs = known.map(({ epoch }) => epoch);
  return [{
    type: 'scatter', mode: 'lines', name: 'seeds', showlegend: false, hoverinfo: 'skip',
    x: [...epochs, ...[...epochs].reverse()], y: [...upper, ...lower.reverse()],
    fill: 'toself', fillcolor: `${color}33`, line: { width: 0, color },
  }];
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
