/**
 * Figures of the further questions: shares explained, tables 1 and 2 with intervals, drift, anisotropy.
 *
 * Pure functions from plain data, SVG traces only.
 */
import type { Interval } from './bootstrap';
import {
  axis, axisKey, axisName, axisTitle, legendLayout, OKABE_ITO, panelDomains, panelTitle, plotlyText, round,
  seriesStyle, taskShortTitle, taskTitle, TEXT_COLOR,
} from './figure-style';
import type { ColumnCount, Figure, PlotlyObject } from './figure-style';

/** What one factor explains. All are shares of the total, 0–1. */
export interface ExplainedShare extends Interval {
  /** 'word', 'task', 'position' */
  readonly factor: string;
  /** what as many groups explain by chance */
  readonly chance: number;
  /** the paper's, where its tables tell */
  readonly paper?: number;
}

export interface FurtherOptions {
  readonly columns?: ColumnCount;
  readonly height?: number;
}

/** R² of each factor as a bar with its interval, beside chance and the paper's value. */
export function explainedShareBars(shares: readonly ExplainedShare[], options: FurtherOptions = {}): Figure {
  const height = options.height ?? 190;
  const y = shares.map(({ factor }) => plotlyText(factor));
  const largest = Math.max(...shares.flatMap(({ high, chance, paper }) => [high, chance, paper ?? 0]));
  const layout = {
    ...legendLayout(options.columns ?? 1, height, { left: 58, right: 12, top: 8, bottom: 36 }, 2),
    bargap: 0.45,
    xaxis: axis({ title: axisTitle('share explained, R² (0–1)', 4), range: [0, 1.06 * largest], nticks: 7 }),
    yaxis: axis({ autorange: 'reversed', type: 'category', showgrid: false, ticks: '' }),
  };
  const bars = {
    type: 'bar', orientation: 'h', name: 'this run', y, x: shares.map(({ estimate }) => round(estimate)),
    error_x: errorBars(shares), marker: { color: '#9ecae1', line: { color: TEXT_COLOR, width: 0.5 } },
    hovertemplate: '%{y}: R² = %{x:.3f}<extra></extra>',
  };
  const points = (name: string, x: readonly (number | undefined)[], marker: PlotlyObject): PlotlyObject => ({
    type: 'scatter', mode: 'markers', name, y, x: x.map((value) => (value === undefined ? null : round(value))),
    marker: { size: 8, ...marker }, hovertemplate: `%{y}, ${name}: R² = %{x:.3f}<extra></extra>`,
  });
  const data = [
    bars,
    points('chance', shares.map(({ chance }) => chance), {
      symbol: 'line-ns', size: 13, line: { color: '#D55E00', width: 2 },
    }),
    ...(shares.some(({ paper }) => paper !== undefined)
      ? [points('paper, GPT-2 XL', shares.map(({ paper }) => paper), {
        symbol: 'diamond', color: '#ffffff', line: { color: TEXT_COLOR, width: 1.2 },
      })]
      : []),
  ];
  return { data, layout };
}

/** Mean distance of one word's or one task's prompts. */
export interface GroupEstimate extends Interval {
  readonly group: string;
  readonly paper?: number;
}

export interface GroupEstimates {
  readonly words: readonly GroupEstimate[];
  readonly tasks: readonly GroupEstimate[];
  readonly allPrompts: Interval;
}

/** Tables 1 and 2 with intervals: same word (left), same task (right), and all prompts as a band behind both. */
export function groupIntervalPanels(means: GroupEstimates, options: FurtherOptions = {}): Figure {
  const { words, tasks, allPrompts } = means;
  const height = options.height ?? 265;
  const domains = panelDomains([words.length + 1, tasks.length + 1], 0.04);
  const withPaper = [...words, ...tasks].some(({ paper }) => paper !== undefined);
  const highest = Math.max(allPrompts.high, ...[...words, ...tasks].flatMap(({ high, paper }) => [high, paper ?? 0]));
  const layout: Record<string, unknown> = {
    ...legendLayout(options.columns ?? 2, height, { left: 50, right: 8, top: 22, bottom: 64 }, 1),
    annotations: [panelTitle('Same word', 0), panelTitle('Same task', 1)],
    shapes: [0, 1].flatMap((panel) => estimateBand(panel, allPrompts)),
  };
  const data = [words, tasks].flatMap((groups, panel) => {
    layout[axisKey('x', panel)] = axis({
      domain: domains[panel], anchor: axisName('y', panel), showgrid: false, tickangle: -45, automargin: false,
      range: [-0.5, groups.length - 0.5], tickvals: groups.map((_, i) => i),
      ticktext: groups.map(({ group }) => plotlyText(taskShortTitle(group))),
    });
    layout[axisKey('y', panel)] = axis({
      anchor: axisName('x', panel), range: [0, 1.08 * highest], nticks: 7, showticklabels: panel === 0,
      ...(panel === 0 ? { title: axisTitle('mean cosine distance (0–2)') } : { matches: 'y' }),
    });
    const paper = groups.map(({ paper: value }) => (value === undefined ? null : round(value)));
    // Beside each other, so that neither hides the other.
    const shift = withPaper ? 0.13 : 0;
    const trace = (
      name: string, y: readonly (number | null)[], place: number, more: PlotlyObject,
    ): PlotlyObject => ({
      type: 'scatter', mode: 'markers', name, x: groups.map((_, i) => i + place), y,
      xaxis: axisName('x', panel), yaxis: axisName('y', panel),
      showlegend: panel === 0, legendgroup: name,
      text: groups.map(({ group }) => plotlyText(taskTitle(group))),
      hovertemplate: `%{text}, ${name}: %{y:.3f}<extra></extra>`, ...more,
    });
    return [
      trace('this run', groups.map(({ estimate }) => round(estimate)), -shift, {
        error_y: errorBars(groups), marker: { color: OKABE_ITO[0], symbol: 'circle', size: 6 },
      }),
      ...(withPaper
        ? [trace('paper, GPT-2 XL', paper, shift, {
          marker: { color: '#ffffff', symbol: 'diamond', size: 6, line: { color: TEXT_COLOR, width: 1.2 } },
        })]
        : []),
    ];
  });
  return { data: [...data, bandKey('all prompts')], layout };
}

/** A legend entry for the grey band, which is a shape and so has none. */
function bandKey(name: string): PlotlyObject {
  return {
    type: 'scatter', mode: 'lines', name, x: [null], y: [null],
    line: { color: TEXT_COLOR, width: 1, dash: '4px,3px' },
  };
}

function estimateBand(panel: number, { estimate, low, high }: Interval): PlotlyObject[] {
  const place = { xref: `${axisName('x', panel)} domain`, yref: axisName('y', panel), x0: 0, x1: 1, layer: 'below' };
  return [
    { ...place, type: 'rect', y0: low, y1: high, fillcolor: '#e9e9e9', line: { width: 0 } },
    { ...place, type: 'line', y0: estimate, y1: estimate, line: { color: TEXT_COLOR, width: 1, dash: '4px,3px' } },
  ];
}

function errorBars(estimates: readonly Interval[]): PlotlyObject {
  return {
    type: 'data', symmetric: false, thickness: 1, width: 3, color: TEXT_COLOR,
    array: estimates.map(({ estimate, high }) => round(high - estimate)),
    arrayminus: estimates.map(({ estimate, low }) => round(estimate - low)),
  };
}

/** A curve with a band around it, one number for each x. */
export interface BandCurve {
  readonly name: string;
  readonly middle: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}

/** A curve through estimates, with their intervals as its band. */
export function bandOfIntervals(name: string, intervals: readonly Interval[]): BandCurve {
  return {
    name, middle: intervals.map(({ estimate }) => estimate),
    low: intervals.map(({ low }) => low), high: intervals.map(({ high }) => high),
  };
}

/** A panel of curves over common x values. */
export interface CurvePanel {
  readonly title: string;
  readonly yTitle: string;
  readonly curves: readonly BandCurve[];
}

export interface CurvePanelsOptions extends FurtherOptions {
  readonly xTitle: string;
  /** text at the x values instead of the numbers; they are then evenly spaced */
  readonly ticks?: readonly string[];
}

/** Panels side by side; a curve's name has one colour, marker and legend entry in all of them. */
export function bandCurvePanels(
  x: readonly number[], panels: readonly CurvePanel[], options: CurvePanelsOptions,
): Figure {
  const names = [...new Set(panels.flatMap(({ curves }) => curves.map(({ name }) => name)))];
  const height = options.height ?? 235;
  const domains = panelDomains(panels.map(() => 1), panels.length > 1 ? 0.1 : 0);
  const places = options.ticks ? x.map((_, i) => i) : x;
  const layout: Record<string, unknown> = {
    ...legendLayout(options.columns ?? 2, height, { left: 46, right: 8, top: 22, bottom: 36 }, 1),
    annotations: panels.map(({ title }, panel) => panelTitle(plotlyText(title), panel)),
  };
  const seen = new Set<string>();
  const data = panels.flatMap(({ yTitle, curves }, panel) => {
    layout[axisKey('x', panel)] = axis({
      domain: domains[panel], anchor: axisName('y', panel), title: axisTitle(options.xTitle, 4),
      ...(options.ticks
        ? {
          tickvals: places, ticktext: options.ticks.map(plotlyText), tickangle: 0, range: [-0.4, x.length - 0.6],
        }
        : { nticks: 6, rangemode: 'tozero' }),
    });
    layout[axisKey('y', panel)] = axis({
      anchor: axisName('x', panel), title: axisTitle(yTitle, 4), nticks: 6, range: rangeOf(curves),
    });
    return curves.flatMap((curve) => {
      const first = !seen.has(curve.name);
      seen.add(curve.name);
      return curveTraces(places, curve, panel, seriesStyle(names.indexOf(curve.name), names.length), first);
    });
  });
  return { data, layout };
}

/** From 0, or below where a curve is below by more than rounding, to a little above the highest band. */
function rangeOf(curves: readonly BandCurve[]): [number, number] {
  const lowest = Math.min(...curves.flatMap(({ low }) => low));
  return [lowest < -1e-6 ? 1.06 * lowest : 0, 1.06 * Math.max(...curves.flatMap(({ high }) => high))];
}

function curveTraces(
  x: readonly number[], curve: BandCurve, panel: number, style: ReturnType<typeof seriesStyle>, legend: boolean,
): PlotlyObject[] {
  const axes = { xaxis: axisName('x', panel), yaxis: axisName('y', panel), legendgroup: curve.name };
  const name = plotlyText(curve.name);
  return [
    {
      type: 'scatter', mode: 'lines', name, ...axes, showlegend: false, hoverinfo: 'skip',
      x: [...x, ...[...x].reverse()], y: [...curve.high, ...[...curve.low].reverse()].map(round),
      fill: 'toself', fillcolor: transparent(style.color), line: { width: 0 },
    },
    {
      type: 'scatter', mode: 'lines+markers', name, ...axes, showlegend: legend, x, y: curve.middle.map(round),
      line: { color: style.color, width: 1.4, dash: style.dash },
      marker: { color: style.color, symbol: style.marker, size: 4.5 },
      hovertemplate: `${name}: %{y:.3f} at %{x}<extra></extra>`,
    },
  ];
}

/** The colour #rrggbb, nearly transparent. */
function transparent(color: string): string {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return `rgba(${red},${green},${blue},0.15)`;
}
