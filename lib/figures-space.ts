/** The paper's figure 4 as a Plotly figure: a pure function from plain data, SVG traces only. */
import {
  axis, axisKey, axisName, axisTitle, baseLayout, columnWidth, distinct, legendBelow, legendHeight,
  panelDomains, panelTitle, plotlyText, round, seriesStyle, taskShortTitle, taskTitle,
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
  /** 2 (default): both panels side by side; 1: one below the other */
  readonly columns?: ColumnCount;
  readonly height?: number;
}

/** Paper, figure 4: all prompt vectors in the plane, coloured by initial word (first panel) and by task. */
export function projectionPanels(
  prompts: readonly ProjectedPrompt[], options: ProjectionOptions = {},
): Figure {
  const stacked = options.columns === 1;
  const height = options.height ?? (stacked ? 700 : 360);
  const margins = { left: 24, right: 8, top: 22, bottom: AXIS_ROOM + legendHeight(3) };
  const domains = projectionDomains(stacked, height - margins.top - margins.bottom);
  const titles = options.axes ?? ['t-SNE 1', 't-SNE 2'];
  const layout: Record<string, unknown> = {
    ...baseLayout(columnWidth(options.columns ?? 2), height, margins),
    annotations: [panelTitle('By initial word', 0), panelTitle('By task', 1)],
  };
  for (const panel of [0, 1]) {
    const { x, y } = domains[panel];
    const plain = { showticklabels: false, ticks: '', mirror: true, showgrid: false };
    layout[axisKey('x', panel)] = axis({
      ...plain, domain: x, anchor: axisName('y', panel), title: axisTitle(titles[0], 4),
      ...(panel === 1 ? { matches: 'x' } : {}),
    });
    layout[axisKey('y', panel)] = axis({
      ...plain, domain: y, anchor: axisName('x', panel), title: axisTitle(titles[1], 4),
      ...(panel === 1 ? { matches: 'y' } : {}),
    });
    layout[panel === 0 ? 'legend' : 'legend2'] = {
      ...legendBelow(height, margins, 3, (x[0] + x[1]) / 2), traceorder: 'grouped', tracegroupgap: 0,
      ...(stacked ? { y: y[0] - AXIS_ROOM / (height - margins.top - margins.bottom) } : {}),
    };
  }
  const data = [...projectionTraces(prompts, 'word', stacked), ...projectionTraces(prompts, 'task', stacked)];
  return { data, layout };
}

/** CSS pixels for the title of a horizontal axis without numbers. */
const AXIS_ROOM = 20;

function projectionDomains(
  stacked: boolean, plotHeight: number,
): { x: [number, number]; y: [number, number] }[] {
  if (!stacked) return panelDomains([1, 1], 0.06).map((x) => ({ x, y: [0, 1] }));
  const gap = (AXIS_ROOM + legendHeight(3) + 22) / plotHeight;
  return panelDomains([1, 1], gap).reverse().map((y) => ({ x: [0, 1], y }));
}

function projectionTraces(
  prompts: readonly ProjectedPrompt[], key: 'word' | 'task', stacked: boolean,
): PlotlyObject[] {
  const names = distinct(prompts.map((prompt) => prompt[key]));
  const panel = key === 'word' ? 0 : 1;
  const titleOf = stacked ? taskShortTitle : taskTitle;
  // Plotly sets legend groups side by side, so groups make columns: as many as fit.
  const rows = key === 'word' && !stacked ? 2 : 3;
  return names.map((name, i) => {
    const own = prompts.filter((prompt) => prompt[key] === name);
    const style = seriesStyle(i, names.length);
    return {
      type: 'scatter',
      mode: 'markers',
      name: plotlyText(key === 'task' ? titleOf(name) : name),
      showlegend: true, // of a single word too
      legend: panel === 0 ? 'legend' : 'legend2',
      legendgroup: `${key} ${Math.floor(i / rows)}`,
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
