/**
 * Figures of what prompts do to the model: transfer between tasks, swapped vectors, tokens in their place, the
 * logit lens.
 *
 * Pure functions from plain data, SVG traces only.
 */
import {
  axis, axisKey, axisName, axisTitle, baseLayout, columnWidth, DASHES, distinct, fontPoints, legendHeight,
  legendLayout, panelDomains, panelTitle, plotlyText, round, seriesStyle, taskShortTitle, taskTitle,
  TEXT_COLOR,
} from './figure-style';
import type { ColumnCount, Figure, PlotlyObject } from './figure-style';

/** Mean accuracies of prompts on every task. */
export interface TransferRow {
  /** what the prompts were trained for, or what they are */
  readonly name: string;
  /** [task] 0–1 */
  readonly accuracies: readonly number[];
}

export interface ModelFigureOptions {
  readonly columns?: ColumnCount;
  readonly height?: number;
}

/**
 * Accuracy of prompts (rows) on tasks (columns) as coloured cells with their numbers; the `baseline` stands
 * apart below. Drawn as rectangles, because Plotly's heat map would be a bitmap in print.
 * @param rows one for each task, in the order of `tasks`
 */
export function transferMatrix(
  tasks: readonly string[], rows: readonly TransferRow[], baseline: TransferRow,
  options: ModelFigureOptions = {},
): Figure {
  const all = [...rows, baseline];
  const places = all.map((_, i) => (i < rows.length ? i : i + 0.2));
  const cells = all.flatMap(({ accuracies }, i) => (
    accuracies.map((value, j) => ({ x: j, y: places[i], value, i, j }))));
  const plain = { showgrid: false, ticks: '', showline: false };
  const height = options.height ?? 285;
  const names = tasks.map((task) => plotlyText(taskShortTitle(task)));
  const layout = {
    ...baseLayout(columnWidth(options.columns ?? 1), height, { left: 84, right: 8, top: 8, bottom: 74 }),
    xaxis: axis({
      ...plain, tickvals: tasks.map((_, i) => i), ticktext: names, tickangle: -45,
      range: [-0.5, tasks.length - 0.5], title: axisTitle('tested on', 4),
    }),
    yaxis: axis({
      ...plain, tickvals: places, ticktext: all.map(({ name }) => plotlyText(taskShortTitle(name))),
      range: [places[rows.length] + 0.5, -0.5], title: axisTitle('prompts trained for', 4),
    }),
    shapes: cells.map(({ x, y, value }) => ({
      type: 'rect', x0: x - 0.5, x1: x + 0.5, y0: y - 0.5, y1: y + 0.5, layer: 'below',
      fillcolor: `rgba(8,64,129,${round(0.03 + 0.97 * (value || 0))})`, line: { color: '#ffffff', width: 1 },
    })),
  };
  const data = [{
    type: 'scatter', mode: 'text', showlegend: false,
    x: cells.map(({ x }) => x),
    y: cells.map(({ y }) => y),
    text: cells.map(({ value }) => (Number.isFinite(value) ? value.toFixed(2) : '–')),
    textfont: {
      size: fontPoints(8), color: cells.map(({ value }) => (value > 0.55 ? '#ffffff' : TEXT_COLOR)),
    },
    customdata: cells.map(({ i, j }) => [plotlyText(taskTitle(all[i].name)), plotlyText(taskTitle(tasks[j]))]),
    hovertemplate: '%{customdata[0]} on %{customdata[1]}: accuracy %{text}<extra></extra>',
  }];
  return { data, layout };
}

/** What one swap did to a run. */
export interface SwapChange {
  /** where the new vector comes from */
  readonly kind: string;
  /** 0 … promptTokens − 1 */
  readonly position: number;
  /** accuracy after minus accuracy before, −1 … 1 */
  readonly change: number;
}

/** Change of accuracy by position and origin of the new vector: mean and quartiles over runs. */
export function swapChanges(changes: readonly SwapChange[], options: ModelFigureOptions = {}): Figure {
  const kinds = distinct(changes.map(({ kind }) => kind));
  const positions = distinct(changes.map(({ position }) => position)).sort((a, b) => a - b);
  const height = options.height ?? 270;
  const layout = {
    ...legendLayout(options.columns ?? 1, height, { left: 48, right: 8, top: 8, bottom: 34 }, kinds.length),
    xaxis: axis({
      tickvals: positions.map((position) => position + 1), range: [0.5, positions.length + 0.5],
      showgrid: false, title: axisTitle('position of the vector replaced', 4),
    }),
    yaxis: axis({
      title: axisTitle('change of test accuracy'), nticks: 7,
      zeroline: true, zerolinecolor: TEXT_COLOR, zerolinewidth: 0.75,
    }),
  };
  const data = kinds.flatMap((kind, i) => {
    const { color, marker } = seriesStyle(i, kinds.length);
    const spreads = positions.map((position) => spreadOf(
      changes.filter((row) => row.kind === kind && row.position === position).map(({ change }) => change)));
    const x = positions.map((position) => round(position + 1 + 0.2 * (i - (kinds.length - 1) / 2)));
    const shared = { type: 'scatter', legendgroup: kind, name: plotlyText(kind) };
    return [{
      ...shared, mode: 'lines', showlegend: false, hoverinfo: 'skip', line: { color, width: 1.4 },
      x: x.flatMap((value) => [value, value, null]),
      y: spreads.flatMap(({ low, high }) => [low, high, null]),
    }, {
      ...shared, mode: 'markers', x, y: spreads.map(({ mean }) => mean),
      marker: { color, symbol: marker, size: 6.5, line: { color: '#ffffff', width: 0.5 } },
      customdata: spreads.map(({ low, high }) => [low, high]),
      hovertemplate: `${plotlyText(kind)}: mean %{y:.3f}, `
        + 'quartiles %{customdata[0]:.3f} and %{customdata[1]:.3f}<extra></extra>',
    }];
  });
  return { data, layout };
}

/** Mean accuracy of a kind of prompt on a task. */
export interface TaskAccuracy {
  readonly task: string;
  readonly kind: string;
  /** 0–1 */
  readonly accuracy: number;
}

/** Accuracy by task, one marker a kind of prompt, such as trained, discretised and untrained. */
export function accuracyDots(rows: readonly TaskAccuracy[], options: ModelFigureOptions = {}): Figure {
  const tasks = distinct(rows.map(({ task }) => task));
  const kinds = distinct(rows.map(({ kind }) => kind));
  const legendRows = Math.ceil(kinds.length / 2);
  const height = options.height ?? 44 + 28 * tasks.length + legendHeight(legendRows);
  const layout = {
    ...legendLayout(options.columns ?? 1, height, { left: 66, right: 10, top: 8, bottom: 34 }, legendRows),
    xaxis: axis({ title: axisTitle('test accuracy (0–1)', 4), range: [-0.03, 1.03], dtick: 0.25 }),
    yaxis: axis({
      tickvals: tasks.map((_, i) => i), ticktext: tasks.map((task) => plotlyText(taskShortTitle(task))),
      range: [tasks.length - 0.5, -0.5], ticks: '',
    }),
  };
  const data = kinds.map((kind, i) => {
    const { color, marker } = seriesStyle(i, kinds.length);
    const own = rows.filter((row) => row.kind === kind);
    return {
      type: 'scatter', mode: 'markers', name: plotlyText(kind),
      x: own.map(({ accuracy }) => (Number.isFinite(accuracy) ? round(accuracy) : null)),
      y: own.map(({ task }) => round(tasks.indexOf(task) + 0.25 * (i - (kinds.length - 1) / 2))),
      customdata: own.map(({ task }) => plotlyText(taskTitle(task))),
      marker: { color, symbol: marker, size: 6.5, line: { color: '#ffffff', width: 0.5 } },
      hovertemplate: `%{customdata}, ${plotlyText(kind)}: %{x:.3f}<extra></extra>`,
    };
  });
  return { data, layout };
}

/** Entropy at one prompt position of one prompt, after each layer. */
export interface EntropyCurve {
  /** 'trained', 'random' … */
  readonly kind: string;
  /** 0 … promptTokens − 1 */
  readonly position: number;
  /** [layer] nats; the first is of the embedding */
  readonly entropy: readonly number[];
}

const PANELS_A_ROW = 4;

/**
 * Logit lens: entropy by layer, one panel a position; lines are means over prompts, bands lie between the
 * quartiles, the dotted line is a vocabulary of equally likely tokens.
 */
export function entropyByLayer(
  curves: readonly EntropyCurve[], vocabularySize: number, options: ModelFigureOptions = {},
): Figure {
  const kinds = distinct(curves.map(({ kind }) => kind));
  const positions = distinct(curves.map(({ position }) => position)).sort((a, b) => a - b);
  const rows = Math.ceil(positions.length / PANELS_A_ROW);
  const height = options.height ?? 80 + 140 * rows;
  const layers = Math.max(...curves.map(({ entropy }) => entropy.length)) - 1;
  const uniform = round(Math.log(vocabularySize));
  const layout = {
    ...legendLayout(options.columns ?? 2, height, { left: 44, right: 8, top: 20, bottom: 34 }, 1),
    ...entropyAxes(positions.length, rows, layers, uniform),
    annotations: positions.map((position, panel) => panelTitle(`Position ${position + 1}`, panel)),
    shapes: positions.map((_, panel) => ({
      type: 'line', xref: `${axisName('x', panel)} domain`, yref: axisName('y', panel),
      x0: 0, x1: 1, y0: uniform, y1: uniform, line: { color: TEXT_COLOR, width: 0.75, dash: '1.5px,2px' },
    })),
  };
  const data = positions.flatMap((position, panel) => kinds.flatMap((kind, i) => {
    const own = curves.filter((curve) => curve.kind === kind && curve.position === position);
    return own.length === 0 ? [] : entropyTraces(own, panel, i, kinds.length);
  }));
  return { data, layout };
}

function entropyAxes(count: number, rows: number, layers: number, uniform: number): PlotlyObject {
  const across = panelDomains(Array<number>(Math.min(count, PANELS_A_ROW)).fill(1), 0.03);
  const down = panelDomains(Array<number>(rows).fill(1), rows > 1 ? 0.42 / (rows + 0.8) : 0).reverse();
  const axes: Record<string, PlotlyObject> = {};
  for (let panel = 0; panel < count; panel++) {
    const first = panel % PANELS_A_ROW === 0;
    axes[axisKey('x', panel)] = axis({
      domain: across[panel % PANELS_A_ROW], anchor: axisName('y', panel), range: [-0.3, layers + 0.3],
      tick0: 0, dtick: Math.max(1, Math.ceil(layers / 6)),
      ...(panel + PANELS_A_ROW >= count ? { title: axisTitle('layer (0: embedding)', 4) } : {}),
    });
    axes[axisKey('y', panel)] = axis({
      domain: down[Math.floor(panel / PANELS_A_ROW)], anchor: axisName('x', panel),
      range: [0, 1.05 * uniform], nticks: 6, showticklabels: first,
      ...(first ? { title: axisTitle('entropy (nats)') } : {}),
      ...(panel > 0 ? { matches: 'y' } : {}),
    });
  }
  return axes;
}

/** The band of the middle half, its lower edge first, and the line of means. */
function entropyTraces(
  curves: readonly EntropyCurve[], panel: number, index: number, count: number,
): PlotlyObject[] {
  const { color, marker } = seriesStyle(index, count);
  const [{ kind, entropy: { length } }] = curves;
  const spreads = Array.from({ length }, (_, layer) => spreadOf(curves.map(({ entropy }) => entropy[layer])));
  const shared = {
    type: 'scatter', xaxis: axisName('x', panel), yaxis: axisName('y', panel),
    legendgroup: kind, name: plotlyText(kind), x: spreads.map((_, layer) => layer),
  };
  const edge = { ...shared, mode: 'lines', showlegend: false, hoverinfo: 'skip', line: { width: 0 } };
  return [
    { ...edge, y: spreads.map(({ low }) => low) },
    { ...edge, y: spreads.map(({ high }) => high), fill: 'tonexty', fillcolor: `${color}33` },
    {
      ...shared, mode: 'lines+markers', showlegend: panel === 0, y: spreads.map(({ mean }) => mean),
      line: { color, width: 1.4, dash: DASHES[index % DASHES.length] },
      marker: { color, symbol: marker, size: 5, maxdisplayed: 6 },
      hovertemplate: `${plotlyText(kind)}, layer %{x}: %{y:.2f} nats<extra></extra>`,
    },
  ];
}

interface Spread {
  readonly mean: number | null;
  /** quartiles */
  readonly low: number | null;
  readonly high: number | null;
}

/** Mean and quartiles of the numbers among the values; null where there is none. */
function spreadOf(values: readonly number[]): Spread {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return { mean: null, low: null, high: null };
  const quantile = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = sorted[Math.floor(place)];
    return round(below + (place % 1) * (sorted[Math.ceil(place)] - below));
  };
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  return { mean: round(mean), low: quantile(0.25), high: quantile(0.75) };
}
