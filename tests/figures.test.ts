import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learningCurves } from '../lib/figures';
import { groupDistanceBars } from '../lib/figures-distances';
import { categoryBars, neighbourhoodCurves, taskMatrix } from '../lib/figures-neighbours';
import { projectionPanels } from '../lib/figures-space';
import { withSlider } from '../lib/figure-slider';
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

const twoSeeds = [
  { task: 'a', word: 'cat', seed: 1, values: [0, 1] },
  { task: 'a', word: 'cat', seed: 2, values: [1, 0.5] },
];

test('several seeds of a run become one line of means in a band of one standard deviation', () => {
  const figure = learningCurves(twoSeeds, { measure: 'accuracy' });
  assert.equal(figure.data.length, 2);
  const [band, line] = figure.data as { x: number[]; y: number[]; fill?: string; showlegend: boolean }[];
  assert.deepEqual(line.y, [0.5, 0.75]);
  // Two values that are d apart have the sample standard deviation d / √2: 0.707107 and 0.353553.
  assert.deepEqual(band.x, [1, 2, 2, 1]);
  assert.deepEqual(band.y, [1.20711, 1.10355, 0.396447, -0.207107]);
  assert.deepEqual([band.fill, band.showlegend, line.showlegend], ['toself', false, true]);
});

test('on a logarithmic axis a band that would reach zero ends at a tenth of its mean', () => {
  const [band] = learningCurves(twoSeeds, { measure: 'loss', logarithmic: true }).data as { y: number[] }[];
  assert.deepEqual(band.y, [1.20711, 1.10355, 0.396447, 0.05]);
});

test('one seed has no band, and an epoch that only one seed knows is not in it', () => {
  assert.equal(learningCurves(twoSeeds.slice(0, 1), { measure: 'accuracy' }).data.length, 1);
  const shorter = [twoSeeds[0], { ...twoSeeds[1], values: [1] }];
  const [band, line] = learningCurves(shorter, { measure: 'accuracy' }).data as { x: number[]; y: number[] }[];
  assert.deepEqual(band.x, [1, 1]);
  assert.deepEqual(line.y, [0.5, 1]);
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

test('bars of several seeds have error bars of one standard deviation, those of one seed none', () => {
  assert.ok(groupDistanceBars(distances, { measure: 'cosine' }).data.every((item) => !('error_y' in item)));
  const [first, ...rest] = distances.betweenTasks;
  const some = { ...distances, betweenTasks: [{ ...first, deviation: 0.03 }, ...rest.map((row) => (
    { ...row, deviation: NaN }))] };
  const errors = trace(groupDistanceBars(some, { measure: 'cosine' }), 'x2', 'position 1').error_y;
  assert.deepEqual((errors as { array: unknown[] }).array, [0.03, ...Array<null>(9).fill(null)]);
});

test('the range leaves room for the highest error bar', () => {
  const high = { ...distances, betweenTasks: [{ word: 'cat', position: 0, mean: 0.9, deviation: 0.4 }] };
  const [, top] = layoutOf(groupDistanceBars(high, { measure: 'cosine' }), 'yaxis').range as number[];
  assert.ok(top > 1.3);
});

test('in one column the panels of figures 3 to 5 stand below each other', () => {
  const bars = groupDistanceBars(distances, { measure: 'cosine', columns: 1 });
  const map = projectionPanels(prompts, { columns: 1 });
  for (const { layout } of [bars, map]) assert.equal(layout.width, 333);
  const domain = (figure: Figure, key: string): number[] => layoutOf(figure, key).domain as number[];
  for (const key of ['xaxis', 'xaxis2', 'xaxis3']) assert.deepEqual(domain(bars, key), [0, 1]);
  assert.ok(domain(bars, 'yaxis3')[1] < domain(bars, 'yaxis2')[0] && domain(bars, 'yaxis2')[1] < domain(bars, 'yaxis')[0]);
  assert.ok(domain(map, 'yaxis2')[1] < domain(map, 'yaxis')[0]);
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

test('with a single word every panel keeps room for its title, and the label stands in the widest', () => {
  const one = {
    ...distances,
    betweenPositions: distances.betweenPositions.filter(({ word }) => word === 'cat'),
    betweenTasks: distances.betweenTasks.filter(({ word }) => word === 'cat'),
  };
  const { layout } = groupDistanceBars(one, { measure: 'cosine' });
  for (const key of ['xaxis', 'xaxis2', 'xaxis3']) {
    const [from, to] = (layout[key] as { domain: number[] }).domain;
    assert.ok(to - from > 0.2, `${key} is ${to - from} wide`);
  }
  const label = (layout.annotations as PlotlyObject[]).find((item) => String(item.text).includes('random tokens'));
  assert.deepEqual([label?.xref, label?.yref], ['x3 domain', 'y3']);
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

test('the slider of a curve has a step for every epsilon, begins at the marked one, and tells the counts there', () => {
  const counts = { epsilon: [0.65, 0.7, 0.75], counts: { all: [80, 86.5, 90], vocabulary: [0, 15.6875, 20] } };
  const { slider } = neighbourhoodCurves(counts, { marked: 0.7 });
  assert.equal(slider?.active, 1);
  assert.deepEqual(slider?.steps.map(({ label }) => label), ['0.65', '0.7', '0.75']);
  assert.deepEqual(slider?.steps.map(({ layout }) => layout['annotations[1].text']), [
    'all: 80<br>vocabulary: 0', 'all: 86.50<br>vocabulary: 15.69', 'all: 90<br>vocabulary: 20',
  ]);
  assert.deepEqual(slider?.steps.map(({ layout }) => layout['shapes[0].x0']), counts.epsilon);
  assert.equal(neighbourhoodCurves(counts).slider, undefined);
});

test('the slider of the task matrix writes the counts of its epsilon into the cells, the largest darkest', () => {
  const byEpsilon = { marked: 0.5, epsilon: [0.5, 0.7], counts: [[[2, 0], [0, 8]], [[9, 3], [3, 1]]] };
  const { slider } = taskMatrix(['a', 'b'], byEpsilon.counts[0], { byEpsilon });
  assert.equal(slider?.active, 0);
  assert.deepEqual(slider?.steps.map(({ traces }) => traces.text), [[['2', '0', '0', '8']], [['9', '3', '3', '1']]]);
  const darkest = taskMatrix(['a'], [[5]]).layout.shapes as { fillcolor: string }[];
  assert.equal(slider?.steps[0].layout['shapes[3].fillcolor'], darkest[0].fillcolor);
  assert.equal(slider?.steps[1].layout['shapes[0].fillcolor'], darkest[0].fillcolor);
});

test('on screen a figure has its slider below and stands at the first step; in print it has none', () => {
  const counts = { epsilon: [0.5, 0.7], counts: { all: [1, 2] } };
  const figure = neighbourhoodCurves(counts, { marked: 0.7 });
  assert.equal(figure.layout.sliders, undefined);
  const shown = withSlider(figure);
  const [slider] = shown.layout.sliders as { active: number; steps: { method: string }[] }[];
  assert.deepEqual([slider.active, slider.steps.length, slider.steps[0].method], [1, 2, 'update']);
  assert.equal((shown.layout.annotations as PlotlyObject[])[1].text, 'all: 2');
  const plot = ({ layout }: Figure): number => {
    const { t, b } = layout.margin as { t: number; b: number };
    return Number(layout.height) - t - b;
  };
  assert.equal(plot(shown), plot(figure));
  const matrix = withSlider(taskMatrix(['a'], [[4]], { byEpsilon: { marked: 0.5, epsilon: [0.5], counts: [[[4]]] } }));
  assert.deepEqual((matrix.data[0].textfont as { color: string[] }).color, ['#ffffff']);
  assert.equal(withSlider(taskMatrix(['a'], [[4]])).layout.sliders, undefined);
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
