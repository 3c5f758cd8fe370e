import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learningCurves } from '../lib/figures';
import { groupDistanceBars } from '../lib/figures-distances';
import { categoryBars, neighbourhoodCurves, taskMatrix } from '../lib/figures-neighbours';
import { projectionPanels } from '../lib/figures-space';
import {
  columnWidth,
  MARKERS,
  OKABE_ITO,
  PETROFF_10,
  scaleFigure,
  seriesStyle,
  taskTitle,
} from '../lib/figure-style';
import type { Figure, PlotlyObject } from '../lib/figure-style';

const tasks = [
  'country_capital',
  'landmark_country',
  'present_past',
  'singular_plural',
  'capitalize_first_letter',
  'lowercase_first_letter',
];
const words = ['cat', 'dog', 'bird', 'book', 'house', 'chair', 'table', 'pen', 'paper', 'water'];
const positions = [0, 1, 2, 3];

/** Another value for every group, so that a swapped task, word or position shows. */
const mark = (task: string, word: string, position = 0): number =>
  (tasks.indexOf(task) + 1) / 10 + words.indexOf(word) / 1000 + position / 100_000;

const layoutOf = (figure: Figure, key: string): PlotlyObject => figure.layout[key] as PlotlyObject;
const trace = (figure: Figure, xaxis: string, name: string): PlotlyObject => {
  const found = figure.data.filter((item) => item.xaxis === xaxis && item.name === name);
  assert.equal(found.length, 1, `traces '${name}' on ${xaxis}`);
  return found[0];
};

const curves = tasks.flatMap((task) =>
  words.map((word) => ({
    task,
    word,
    values: Array.from({ length: 50 }, (_, epoch) => mark(task, word) + epoch / 1000),
  })),
);

test('learning curves have one panel a task and one line a word, each with its own values', () => {
  const figure = learningCurves(curves, { measure: 'accuracy' });
  assert.equal(figure.data.length, 60);
  const line = trace(figure, 'x3', 'dog');
  assert.deepEqual(
    line.x,
    Array.from({ length: 50 }, (_, epoch) => epoch + 1),
  );
  assert.equal((line.y as number[])[0], 0.301);
  assert.equal((line.y as number[])[49], 0.35);
  const titles = (figure.layout.annotations as PlotlyObject[]).map((annotation) => annotation.text);
  assert.deepEqual(titles, tasks.map(taskTitle));
});

test('accuracy panels share the axis 0 to 1, loss panels may be logarithmic', () => {
  const accuracy = learningCurves(curves, { measure: 'accuracy' });
  const [low, high] = layoutOf(accuracy, 'yaxis').range as number[];
  assert.ok(low === 0 && high >= 1 && high < 1.1);
  assert.equal(layoutOf(accuracy, 'yaxis4').matches, 'y');
  assert.equal(layoutOf(learningCurves(curves, { measure: 'loss', logarithmic: true }), 'yaxis').type, 'log');
  assert.equal(
    layoutOf(learningCurves(curves, { measure: 'accuracy', logarithmic: true }), 'yaxis').type,
    undefined,
  );
});

test('six tasks make two rows of three panels that do not overlap', () => {
  const { layout } = learningCurves(curves, { measure: 'accuracy' });
  const domain = (key: string): number[] => (layout[key] as { domain: number[] }).domain;
  assert.deepEqual(domain('xaxis'), domain('xaxis4'));
  assert.ok(domain('xaxis')[1] < domain('xaxis2')[0] && domain('xaxis2')[1] < domain('xaxis3')[0]);
  assert.ok(domain('yaxis4')[1] < domain('yaxis')[0]);
});

test('each word is in the legend once', () => {
  const figure = learningCurves(curves, { measure: 'accuracy' });
  assert.deepEqual(
    figure.data.filter((item) => item.showlegend).map((item) => item.name),
    words,
  );
});

test('several seeds of a run become one line of means', () => {
  const figure = learningCurves(
    [
      { task: 'a', word: 'cat', seed: 1, values: [0, 1] },
      { task: 'a', word: 'cat', seed: 2, values: [1, 0.5] },
    ],
    { measure: 'accuracy' },
  );
  assert.equal(figure.data.length, 1);
  assert.deepEqual(figure.data[0].y, [0.5, 0.75]);
});

test('a run that stopped early or lost a value leaves a gap, not a zero', () => {
  const figure = learningCurves([{ task: 'a', word: 'cat', values: [0.5, NaN] }], { measure: 'loss' });
  assert.deepEqual(figure.data[0].y, [0.5, null]);
});

const distances = {
  betweenPositions: tasks.flatMap((task) => words.map((word) => ({ task, word, mean: mark(task, word) }))),
  betweenTasks: words.flatMap((word) =>
    positions.map((position) => ({ word, position, mean: mark('country_capital', word, position) })),
  ),
  betweenWords: tasks.flatMap((task) =>
    positions.map((position) => ({ task, position, mean: mark(task, 'cat', position) })),
  ),
  vocabulary: 0.874,
};

test('group distances show 60, 40 and 24 bars in three panels, each in its place', () => {
  const figure = groupDistanceBars(distances, { measure: 'cosine' });
  const bars = (axis: string): number =>
    figure.data
      .filter((item) => item.xaxis === axis)
      .reduce((sum, item) => sum + (item.y as unknown[]).length, 0);
  assert.deepEqual(['x', 'x2', 'x3'].map(bars), [60, 40, 24]);
  const left = trace(figure, 'x', 'Present → past');
  assert.equal((left.x as string[])[4], 'house');
  assert.equal((left.y as number[])[4], mark('present_past', 'house'));
  assert.equal((trace(figure, 'x2', '3').y as number[])[9], mark('country_capital', 'water', 2));
  assert.equal((trace(figure, 'x3', '4').y as number[])[5], mark('lowercase_first_letter', 'cat', 3));
});

test('the vocabulary sample is a dashed line at its distance in all panels, with its label', () => {
  const { layout } = groupDistanceBars(distances, { measure: 'cosine' });
  const lines = layout.shapes as PlotlyObject[];
  assert.deepEqual(
    lines.map((line) => [line.y0, line.y1, line.yref]),
    ['y', 'y2', 'y3'].map((axis) => [0.874, 0.874, axis]),
  );
  assert.ok(
    (layout.annotations as PlotlyObject[]).some(
      (annotation) => annotation.text === '100 random tokens: 0.87',
    ),
  );
});

test('the label of the vocabulary line never lies on a bar', () => {
  const { layout } = groupDistanceBars({ ...distances, vocabulary: 0.2 }, { measure: 'cosine' });
  const label = (layout.annotations as PlotlyObject[]).find((item) => String(item.text).includes('random tokens'));
  assert.equal(label?.text, 'dashed: 100 random tokens: 0.20');
  assert.equal(label?.y, mark('lowercase_first_letter', 'water')); // the highest of the 60 bars
});

test('cosine distances are drawn on 0 to 1, L2 from 0 to above the highest, or as asked', () => {
  assert.deepEqual(layoutOf(groupDistanceBars(distances, { measure: 'cosine' }), 'yaxis').range, [0, 1]);
  const long = { ...distances, vocabulary: 3 };
  const [low, high] = layoutOf(groupDistanceBars(long, { measure: 'euclidean' }), 'yaxis').range as number[];
  assert.ok(low === 0 && high > 3 && high < 4);
  assert.deepEqual(
    layoutOf(groupDistanceBars(long, { measure: 'euclidean', range: [1.5, 3.5] }), 'yaxis').range,
    [1.5, 3.5],
  );
  const [, wide] = layoutOf(
    groupDistanceBars({ ...distances, vocabulary: 1.2 }, { measure: 'cosine' }),
    'yaxis',
  ).range as number[];
  assert.ok(wide > 1.2, 'a distance above 1 is not cut off');
});

const prompts = words.flatMap((word, w) =>
  tasks.flatMap((task, t) =>
    positions.map((position) => ({
      task,
      word,
      position,
      x: w,
      y: t + position / 10,
      nearest: ['<script>', ' a&b'],
    })),
  ),
);

test('the projection shows all prompts twice: by word and by task', () => {
  const figure = projectionPanels(prompts);
  const count = (axis: string): number[] =>
    figure.data.filter((item) => item.xaxis === axis).map((item) => (item.x as []).length);
  assert.deepEqual(
    count('x'),
    words.map(() => 24),
  );
  assert.deepEqual(
    count('x2'),
    tasks.map(() => 40),
  );
  assert.deepEqual(new Set(trace(figure, 'x', 'bird').x as number[]), new Set([2]));
  assert.deepEqual(
    new Set((trace(figure, 'x2', 'Present → past').y as number[]).map(Math.floor)),
    new Set([2]),
  );
});

test('hover texts name the prompt and its nearest tokens, without letting a token make markup', () => {
  const [first] = trace(projectionPanels(prompts), 'x', 'cat').text as string[];
  assert.equal(first, 'Country → capital<br>cat, position 1<br>nearest: &lt;script&gt;,  a&amp;b');
});

test('neighbourhood curves mark epsilon and leave zero out of a logarithmic axis', () => {
  const counts = { epsilon: [0.1, 0.7], counts: { all: [0, 86.5], vocabulary: [0, 15.7] } };
  const figure = neighbourhoodCurves(counts, { marked: 0.7 });
  assert.deepEqual(
    figure.data.map((item) => item.y),
    [
      [null, 86.5],
      [null, 15.7],
    ],
  );
  assert.equal((figure.layout.shapes as PlotlyObject[])[0].x0, 0.7);
  assert.deepEqual(neighbourhoodCurves(counts, { logarithmic: false }).data[0].y, [0, 86.5]);
});

test('the task matrix puts row i, column j at height i and place j, darker for more', () => {
  // Paper, table 3, first two tasks with an asymmetric cell to tell rows from columns.
  const figure = taskMatrix(tasks.slice(0, 2), [
    [242, 92],
    [7, 158],
  ]);
  const cells = figure.data[0] as { x: number[]; y: number[]; text: string[] };
  assert.deepEqual(
    cells.text.map((text, k) => [cells.y[k], cells.x[k], text]),
    [
      [0, 0, '242'],
      [0, 1, '92'],
      [1, 0, '7'],
      [1, 1, '158'],
    ],
  );
  const range = layoutOf(figure, 'yaxis').range as number[];
  assert.ok(range[0] > range[1], 'the first row is on top');
  const reds = (figure.layout.shapes as { fillcolor: string }[]).map((shape) =>
    Number(/\d+/.exec(shape.fillcolor)?.[0]),
  );
  assert.ok(reds[0] < reds[3] && reds[3] < reds[1] && reds[1] < reds[2]);
});

test('category bars stack counts, or shares that add up to 1', () => {
  const counts = [
    { task: 'present_past', category: 'letters', count: 3 },
    { task: 'present_past', category: 'other', count: 1 },
    { task: 'my_task', category: 'other', count: 0 },
  ];
  assert.deepEqual(
    categoryBars(counts).data.map((item) => item.x),
    [
      [3, 0],
      [1, 0],
    ],
  );
  assert.deepEqual(
    categoryBars(counts, { share: true }).data.map((item) => item.x),
    [
      [0.75, 0],
      [0.25, 0],
    ],
  );
  assert.deepEqual(categoryBars(counts).data[0].y, ['past', 'my_task']);
});

test('every figure is plain JSON, SVG traces only, and exactly as wide as its journal columns', () => {
  const figures = [
    learningCurves(curves, { measure: 'loss' }),
    groupDistanceBars(distances, { measure: 'euclidean' }),
    projectionPanels(prompts),
    neighbourhoodCurves({ epsilon: [0.7], counts: { all: [1] } }, { columns: 2 }),
  ];
  for (const figure of figures) {
    assert.deepEqual(JSON.parse(JSON.stringify(figure)), figure);
    assert.ok(figure.data.every((item) => item.type === 'scatter' || item.type === 'bar'));
    assert.equal(figure.layout.width, 680); // 180 mm at 96 pixels an inch = 680.3
  }
  assert.equal(columnWidth(1), 333); // 88 mm = 332.6
});

test('ten words differ in colour and in marker, so that they survive grey print', () => {
  const styles = words.map((_, i) => seriesStyle(i, words.length));
  assert.equal(new Set(styles.map((style) => style.color)).size, 10);
  assert.equal(new Set(styles.map((style) => style.marker)).size, 10);
  assert.equal(new Set(PETROFF_10).size + new Set(OKABE_ITO).size + new Set(MARKERS).size, 27);
});

test('a task of your own keeps its name, escaped', () => {
  assert.equal(taskTitle('my_task'), 'my_task');
  assert.equal(taskTitle('constructor'), 'constructor');
  const figure = learningCurves([{ task: '<b>', word: '<i>', values: [1] }], { measure: 'accuracy' });
  assert.equal((figure.layout.annotations as PlotlyObject[])[0].text, '&lt;b&gt;');
  assert.equal(figure.data[0].name, '&lt;i&gt;');
});

test('scaling a figure enlarges lengths and leaves data and ranges alone', () => {
  const figure = groupDistanceBars(distances, { measure: 'cosine' });
  const larger = scaleFigure(figure, 2);
  assert.equal(larger.layout.width, 1360);
  assert.equal(
    (layoutOf(larger, 'margin') as { l: number }).l,
    2 * (layoutOf(figure, 'margin') as { l: number }).l,
  );
  assert.deepEqual(layoutOf(larger, 'yaxis').range, [0, 1]);
  assert.deepEqual(
    larger.data.map((item) => [item.x, item.y]),
    figure.data.map((item) => [item.x, item.y]),
  );
  assert.equal((larger.layout.shapes as { line: PlotlyObject }[])[0].line.dash, '8px,6px');
});
