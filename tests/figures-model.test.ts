import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Figure, PlotlyObject } from '../lib/figure-style';
import { accuracyDots, entropyByLayer, swapChanges, transferMatrix } from '../lib/figures-model';

const layoutOf = (figure: Figure, key: string): PlotlyObject => figure.layout[key] as PlotlyObject;
const named = (figure: Figure, name: string, mode: string): PlotlyObject[] => (
  figure.data.filter((trace) => trace.name === name && trace.mode === mode));

test('the transfer matrix writes every accuracy into its cell, and keeps the baseline apart', () => {
  const tasks = ['country_capital', 'own_task'];
  const rows = [{ name: tasks[0], accuracies: [0.9, 0.25] }, { name: tasks[1], accuracies: [0, NaN] }];
  const figure = transferMatrix(tasks, rows, { name: 'initial word', accuracies: [0.1, 0.2] });
  const [{ x, y, text }] = figure.data as { x: number[]; y: number[]; text: string[] }[];
  assert.deepEqual(x, [0, 1, 0, 1, 0, 1]);
  assert.deepEqual(text, ['0.90', '0.25', '0.00', '–', '0.10', '0.20']);
  assert.deepEqual(y.slice(0, 4), [0, 0, 1, 1]);
  assert.ok(y[4] > 2 && y[5] > 2, 'a gap before the baseline');
  assert.deepEqual(layoutOf(figure, 'yaxis').ticktext, ['capital', 'own_task', 'initial word']);
  const fills = (figure.layout.shapes as { fillcolor: string }[]).map(({ fillcolor }) => (
    Number(/,([\d.]+)\)$/.exec(fillcolor)![1])));
  assert.equal(fills.length, 6);
  assert.ok(fills[0] > fills[1] && fills[1] > fills[2] && fills[2] === fills[3]);
});

test('the swaps have a mean and the middle half of the runs for each kind and position', () => {
  const values = [-0.4, -0.2, 0, 0, 0.1];
  const figure = swapChanges([
    ...values.map((change) => ({ kind: 'first', position: 1, change })),
    { kind: 'first', position: 0, change: 0.5 },
    { kind: 'second', position: 0, change: -0.5 },
  ]);
  const [means] = named(figure, 'first', 'markers');
  assert.deepEqual(means.y, [0.5, -0.1]);
  const [lines] = named(figure, 'first', 'lines');
  // numpy.quantile([-0.4, -0.2, 0, 0, 0.1], [0.25, 0.75]) = -0.2, 0
  assert.deepEqual(lines.y, [0.5, 0.5, null, -0.2, 0, null]);
  const [second] = named(figure, 'second', 'markers');
  assert.deepEqual(second.y, [-0.5, null]);
  const [a, b] = [means.x, second.x] as number[][];
  assert.ok(a[0] < b[0] && b[0] < a[1], 'side by side, within their position');
  assert.deepEqual(layoutOf(figure, 'xaxis').tickvals, [1, 2]);
});

test('the accuracy dots stand in the row of their task, kinds one above the other', () => {
  const figure = accuracyDots(['singular_plural', 'present_past'].flatMap((task, i) => (
    [{ task, kind: 'trained', accuracy: 0.5 + i / 4 }, { task, kind: 'tokens', accuracy: NaN }])));
  const [trained, tokens] = figure.data as { x: number[]; y: number[]; marker: { symbol: string; color: string } }[];
  assert.deepEqual([trained.x, tokens.x], [[0.5, 0.75], [null, null]]);
  trained.y.forEach((y, row) => {
    assert.ok(y < tokens.y[row] && Math.abs(y - row) < 0.5 && Math.abs(tokens.y[row] - row) < 0.5);
  });
  assert.notEqual(trained.marker.symbol, tokens.marker.symbol);
  assert.notEqual(trained.marker.color, tokens.marker.color);
});

test('the entropies have a panel a position, a line of means a kind, and a legend entry once', () => {
  const curves = [0, 1].flatMap((position) => [
    { kind: 'trained', position, entropy: [1 + position, 2, 3] },
    { kind: 'trained', position, entropy: [3 + position, 2, 1] },
    { kind: 'random', position, entropy: [4, 4, 4] },
  ]);
  const figure = entropyByLayer(curves, 100);
  const lines = named(figure, 'trained', 'lines+markers');
  assert.deepEqual(lines.map(({ x, y, xaxis }) => [x, y, xaxis]), [
    [[0, 1, 2], [2, 2, 2], 'x'], [[0, 1, 2], [3, 2, 2], 'x2'],
  ]);
  assert.deepEqual(named(figure, 'trained', 'lines').slice(0, 2).map(({ y }) => y), [[1.5, 2, 1.5], [2.5, 2, 2.5]]);
  const inLegend = figure.data.filter(({ showlegend }) => showlegend !== false).map(({ name }) => name);
  assert.deepEqual(inLegend, ['trained', 'random']);
  const dashes = ['trained', 'random'].map((kind) => (
    (named(figure, kind, 'lines+markers')[0].line as PlotlyObject).dash));
  assert.notEqual(dashes[0], dashes[1]);
  const [first, second] = (figure.layout.shapes as { y0: number }[]).map(({ y0 }) => y0);
  assert.ok(Math.abs(first - Math.log(100)) < 1e-4 && first === second);
});

test('six positions make two rows of panels that do not overlap, and many layers few ticks', () => {
  const curves = [...Array(6).keys()].map((position) => (
    { kind: 'trained', position, entropy: Array.from({ length: 49 }, () => 5) }));
  const figure = entropyByLayer(curves, 50257);
  const domain = (key: string) => layoutOf(figure, key).domain as [number, number];
  assert.deepEqual(domain('xaxis'), domain('xaxis5'));
  assert.ok(domain('xaxis')[1] < domain('xaxis2')[0] && domain('yaxis5')[1] < domain('yaxis')[0]);
  assert.equal(layoutOf(figure, 'xaxis').dtick, 8);
  assert.equal((figure.layout.annotations as PlotlyObject[])[5].text, 'Position 6');
});
