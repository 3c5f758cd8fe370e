import assert from 'node:assert/strict';
import * as path from 'node:path';
import test, { before } from 'node:test';

import { startBackend } from '../lib/backend';
import { readJson } from '../lib/files';
import {
  countPromptNeighbours, meanCounts, neighboursOfPrompts, taskCounts, type EmbeddingSpace,
} from '../lib/neighbour-statistics';
import { neighbourhoodCurves, taskMatrix } from '../lib/figures-neighbours';
import { pointsFrom, type PromptLabel } from '../lib/points';
import { readGrid } from '../lib/runs';
import {
  CURVE_EPSILONS, gridSettings, promptNeighbourCurve, readSpace, selectWords, taskCountCurve,
} from '../lib/space';

// Made by tests/reference/geometry.py.
interface Fixture {
  readonly space: { readonly dModel: number; readonly vocabulary: number[]; readonly prompts: number[];
    readonly labels: PromptLabel[]; readonly initRows: number[]; readonly tasks: string[] };
}
const fixture = readJson(path.join(__dirname, 'reference/fixtures/geometry.json')) as Fixture;
const { labels, tasks, initRows, dModel } = fixture.space;
const space: EmbeddingSpace = {
  vocabulary: pointsFrom(Float32Array.from(fixture.space.vocabulary), dModel),
  prompts: { points: pointsFrom(Float32Array.from(fixture.space.prompts), dModel), labels },
  initRows,
};
const grid = readGrid('published');

before(() => startBackend());

test('The slider has the twenty ε from 0.05 to 1.', () => {
  assert.equal(CURVE_EPSILONS.length, 20);
  assert.deepEqual(CURVE_EPSILONS.map(String).slice(0, 4), ['0.05', '0.1', '0.15', '0.2']);
  assert.equal(CURVE_EPSILONS[19], 1);
});

test("What the curve's slider shows at each ε are the counts that findNeighbours gives at that ε.", () => {
  const { slider } = neighbourhoodCurves(promptNeighbourCurve(space), { marked: 0.7 });
  const shown = (count: number): string => (
    Number.isInteger(count) ? String(count) : count < 0.005 ? count.toExponential(1) : count.toFixed(2));
  CURVE_EPSILONS.forEach((epsilon, k) => {
    const found = neighboursOfPrompts(space, epsilon);
    const mean = meanCounts(countPromptNeighbours(space, found, 'corrected'));
    assert.equal(slider?.steps[k].layout['annotations[1].text'], [
      `vocabulary tokens: ${shown(mean.vocabulary)}`, `prompts: ${shown(mean.prompts)}`,
      `same word: ${shown(mean.sameWord)}`, `same task: ${shown(mean.sameTask)}`,
      `same position: ${shown(mean.samePosition)}`,
    ].join('<br>'), `ε = ${epsilon}`);
  });
});

test("What the task matrix's slider shows at each ε is Table 3 from findNeighbours at that ε.", () => {
  for (const convention of ['published', 'corrected'] as const) {
    const counts = taskCountCurve(space.prompts, tasks, convention);
    const byEpsilon = { marked: 0.5, epsilon: CURVE_EPSILONS, counts };
    const { slider } = taskMatrix(tasks, counts[9], { byEpsilon });
    CURVE_EPSILONS.forEach((epsilon, k) => {
      const expected = taskCounts(space.prompts, neighboursOfPrompts(space, epsilon), tasks, convention);
      assert.deepEqual(counts[k], expected, `${convention}, ε = ${epsilon}`);
      assert.deepEqual(slider?.steps[k].traces.text, [expected.flat().map(String)]);
    });
  }
  assert.deepEqual(taskCountCurve(space.prompts, [], 'corrected', [0.5]), [[]]);
});

test('Some words of a run are a run of those words, in its own order; all keeps it as it is.', () => {
  const [first, second, third] = grid.experiment.words;
  const chosen = selectWords(grid, [third, first]);
  assert.deepEqual(chosen.experiment.words, [first, third]);
  assert.equal(chosen.runs.length, grid.runs.filter(({ word }) => word === first || word === third).length);
  assert.ok(chosen.runs.length > 0 && chosen.runs.every(({ word }) => word !== second));
  assert.equal(selectWords(grid, ['all']), grid);
  assert.equal(grid.experiment.words.length, new Set(grid.runs.map(({ word }) => word)).size);
});

test('The space of some words holds their prompts and their rows only, over the same vocabulary.', () => {
  const [first] = grid.experiment.words;
  const whole = readSpace(grid);
  const part = readSpace(selectWords(grid, [first]), grid.experiment.epochs, whole.vocabulary);
  assert.equal(part.vocabulary, whole.vocabulary);
  assert.deepEqual(part.initRows, [whole.initRows[0]]);
  const rows = whole.prompts.labels.flatMap(({ word }, i) => (word === first ? [i] : []));
  assert.deepEqual(part.prompts.labels, rows.map((row) => whole.prompts.labels[row]));
  const { data } = part.prompts.points;
  const last = rows[rows.length - 1] * whole.prompts.points.dModel;
  assert.deepEqual(data.slice(-whole.prompts.points.dModel),
    whole.prompts.points.data.slice(last, last + whole.prompts.points.dModel));
});

test('A word that the run lacks is refused with the words it has.', () => {
  assert.throws(() => selectWords(grid, ['cat', 'zebra']),
    /INIT_WORDS: "zebra", expected all or some of the words of published: cat, dog/);
  assert.throws(() => selectWords(grid, []), /INIT_WORDS: none, expected/);
});

test("The settings of a run stand beside those of the paper's text and of its authors' code.", () => {
  const table = gridSettings(grid);
  const cell = (setting: string, column: string) => table[column][table.setting.indexOf(setting)];
  // The paper, section 2.4 and its authors' code.
  assert.equal(cell('weight decay', "the paper's text"), '0');
  assert.equal(cell('weight decay', "its authors' code"), '0.01');
  assert.equal(cell('batch size', "the paper's text"), '8');
  assert.equal(cell('dropout', "its authors' code"), '0.1');
  assert.equal(cell('model', 'this run'), 'embedded');
  assert.match(String(cell('words', "the paper's text")), /^cat, dog, bird, .*, water$/);
});
