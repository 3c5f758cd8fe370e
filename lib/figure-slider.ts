/** Sliders under figures: Plotly's own, so that they work in any browser, from a saved page too. */
import { fontPoints, TEXT_COLOR } from './figure-style';
import type { Figure, FigureSlider, PlotlyObject } from './figure-style';

/** CSS pixels that a slider needs below the figure. */
const SLIDER_HEIGHT = 58;

/**
 * The figure as it is shown on screen: with its slider, set to the step it begins with. Print and a figure
 * without a slider stay as they are.
 */
export function withSlider(figure: Figure): Figure {
  const { slider, data, layout } = figure;
  if (slider === undefined) return figure;
  const margin = layout.margin as { readonly t: number; readonly b: number };
  const height = Number(layout.height);
  const taller = {
    ...layout,
    height: height + SLIDER_HEIGHT,
    margin: { ...margin, b: margin.b + SLIDER_HEIGHT },
    sliders: [plotlySlider(slider, -margin.b / (height - margin.t - margin.b))],
  };
  const { traces, layout: changes } = slider.steps[slider.active];
  return {
    data: data.map((trace, i) => (
      Object.entries(traces).reduce((changed, [path, values]) => assign(changed, path, values[i]), trace))),
    layout: Object.entries(changes).reduce(
      (changed, [path, value]) => assign(changed, path, value), taller as PlotlyObject),
  };
}

function plotlySlider(slider: FigureSlider, y: number): PlotlyObject {
  return {
    active: slider.active,
    x: 0, xanchor: 'left', len: 1, y, yanchor: 'top', pad: { t: 14, b: 0, l: 0, r: 0 },
    currentvalue: { prefix: slider.prefix, font: { size: fontPoints(8), color: TEXT_COLOR } },
    font: { size: fontPoints(6.5) }, ticklen: 3, minorticklen: 0,
    steps: slider.steps.map(({ label, traces, layout }) => (
      { label, method: 'update', args: [traces, layout] })),
  };
}

/** A copy of plain data with the value at a path such as 'shapes[2].fillcolor' replaced. */
function assign(target: PlotlyObject, path: string, value: unknown): PlotlyObject {
  const keys = path.split(/[.[\]]+/).filter((key) => key !== '');
  const replaced = (inner: unknown, depth: number): unknown => {
    if (depth === keys.length) return value;
    const key = keys[depth];
    if (Array.isArray(inner)) {
      return inner.map((item, i) => (i === Number(key) ? replaced(item, depth + 1) : item as unknown));
    }
    const object = inner as PlotlyObject;
    return { ...object, [key]: replaced(object[key], depth + 1) };
  };
  return replaced(target, 0) as PlotlyObject;
}
