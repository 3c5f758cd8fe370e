import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bandCurvePanels, bandOfIntervals, explainedShareBars, groupIntervalPanels, type BandCurve,
} from '../lib/figures-further';
import { columnWidth } from '../lib/figure-style';
import type { Figure, PlotlyObject } from '../lib/figure-style';

const named = (figure: Figure, name: string, xaxis?: string): PlotlyObject => {
  const found = figure.data.filter((trace) => (
    trace.name === name && trace.fill === undefined && (xaxis === undefined || trace.xaxis === xaxis)));
  assert.equal(found.length, 1, name);
  return found[0];
};
const layoutOf = (figure: Figure, key: string): PlotlyObject => figure.layout[key] as PlotlyObject;

test('Each factor has its share, interval, chance and the paper’s share where there is one.', () => {
  const figure = explainedShareBars([
    { factor: 'word', estimate: 0.3, low: 0.25, high: 0.4, chance: 0.07, paper: 0.24 },
    { factor: 'task', estimate: 0.1, low: 0.05, high: 0.12, chance: 0.02 },
  ]);
  const bars = named(figure, 'this run');
  assert.deepEqual([bars.y, bars.x], [['word', 'task'], [0.3, 0.1]]);
  const error = bars.error_x as PlotlyObject;
  assert.deepEqual([error.array, error.arrayminus], [[0.1, 0.02], [0.05, 0.05]]);
  assert.deepEqual(named(figure, 'chance').x, [0.07, 0.02]);
  assert.deepEqual(named(figure, 'paper, GPT-2 XL').x, [0.24, null]);
  const [, right] = layoutOf(figure, 'xaxis').range as number[];
  assert.ok(right > 0.4, 'the longest interval fits');
});

test('Without values of the paper there is no entry for it.', () => {
  const own = { estimate: 0.5, low: 0.4, high: 0.6 };
  const bars = explainedShareBars([{ factor: 'word', ...own, chance: 0.1 }]);
  const panels = groupIntervalPanels({ words: [{ group: 'cat', ...own }], tasks: [], allPrompts: own });
  for (const figure of [bars, panels]) assert.ok(!figure.data.some(({ name }) => name === 'paper, GPT-2 XL'));
});

test('Words and tasks have a panel each, with intervals, and all prompts a band behind both.', () => {
  const figure = groupIntervalPanels({
    words: [
      { group: 'cat', estimate: 0.5, low: 0.4, high: 0.65, paper: 0.55 },
      { group: 'dog', estimate: 0.6, low: 0.5, high: 0.7 },
    ],
    tasks: [{ group: 'present_past', estimate: 0.8, low: 0.7, high: 0.9, paper: 0.7 }],
    allPrompts: { estimate: 0.85, low: 0.8, high: 1 },
  });
  const words = named(figure, 'this run', 'x');
  assert.deepEqual(words.y, [0.5, 0.6]);
  assert.deepEqual((words.error_y as PlotlyObject).array, [0.15, 0.1]);
  assert.deepEqual(named(figure, 'paper, GPT-2 XL', 'x').y, [0.55, null]);
  assert.deepEqual(named(figure, 'paper, GPT-2 XL', 'x2').y, [0.7]);
  assert.deepEqual(layoutOf(figure, 'xaxis2').ticktext, ['past']);
  const shapes = figure.layout.shapes as PlotlyObject[];
  assert.deepEqual(shapes.map(({ yref, y0, y1 }) => [yref, y0, y1]),
    [['y', 0.8, 1], ['y', 0.85, 0.85], ['y2', 0.8, 1], ['y2', 0.85, 0.85]]);
  assert.ok((layoutOf(figure, 'yaxis').range as number[])[1] > 1);
});

const curve = (name: string, height: number): BandCurve => (
  { name, low: [height, height], middle: [height + 1, height + 2], high: [height + 3, height + 4] });

test('A curve has one look and one legend entry in all panels, and a band from high back to low.', () => {
  const figure = bandCurvePanels([0, 50], [
    { title: 'left', yTitle: 'a', curves: [curve('prompts', 0), curve('walks', 10)] },
    { title: 'right', yTitle: 'b', curves: [curve('walks', 20)] },
  ], { xTitle: 'epoch' });
  const [left, right] = ['x', 'x2'].map((xaxis) => named(figure, 'walks', xaxis));
  assert.deepEqual([left.x, left.y, right.y], [[0, 50], [11, 12], [21, 22]]);
  assert.deepEqual(left.marker, right.marker);
  assert.notDeepEqual(left.marker, named(figure, 'prompts').marker);
  assert.deepEqual([left.showlegend, right.showlegend], [true, false]);
  const band = figure.data.find(({ name, fill, xaxis }) => name === 'walks' && fill === 'toself' && xaxis === 'x2');
  assert.deepEqual([band?.x, band?.y], [[0, 50, 50, 0], [23, 24, 20, 20]]);
  assert.equal(band?.showlegend, false);
  assert.equal(figure.layout.width, columnWidth(2));
});

test('A vertical axis begins at zero despite rounding, but shows what is really below.', () => {
  const rangeOf = (low: number): unknown => layoutOf(bandCurvePanels([0, 1],
    [{ title: '', yTitle: '', curves: [{ ...curve('a', 0), low: [low, 0] }] }], { xTitle: '' }), 'yaxis').range;
  assert.deepEqual(rangeOf(-1e-16), [0, 4.24]);
  assert.deepEqual(rangeOf(-0.5), [-0.53, 4.24]);
});

test('Ticks with text are evenly spaced.', () => {
  const figure = bandCurvePanels([0, 10, 100], [{ title: '', yTitle: '', curves: [curve('a', 0)] }],
    { xTitle: 'removed', ticks: ['nothing', 'mean', '< 2'], columns: 1 });
  assert.deepEqual(named(figure, 'a').x, [0, 1, 2]);
  const { tickvals, ticktext } = layoutOf(figure, 'xaxis');
  assert.deepEqual([tickvals, ticktext], [[0, 1, 2], ['nothing', 'mean', '&lt; 2']]);
});

test('A band of intervals goes through their estimates.', () => {
  assert.deepEqual(bandOfIntervals('word', [{ estimate: 2, low: 1, high: 4 }, { estimate: 3, low: 2, high: 5 }]),
    { name: 'word', middle: [2, 3], low: [1, 2], high: [4, 5] });
});

test('Figures are plain JSON with vector traces only.', () => {
  const figures = [
    explainedShareBars([{ factor: 'word', estimate: 0.3, low: 0.25, high: 0.4, chance: 0.07 }]),
    bandCurvePanels([0, 1], [{ title: '', yTitle: '', curves: [curve('a', 0)] }], { xTitle: '' }),
  ];
  for (const figure of figures) {
    assert.deepEqual(JSON.parse(JSON.stringify(figure)), figure);
    for (const { type } of figure.data) assert.match(String(type), /^(scatter|bar)$/);
  }
});
