import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';

import { sha256File } from '../lib/files';
import { runFolder } from '../lib/run-names';
import { VARIABLES } from '../lib/variables';
import { notebooks, runNotebook, sourceOf, type Output } from './notebook-cells';

const run = `test-${process.pid}-notebooks`;
const figures = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-notebooks-'));
after(() => {
  fs.rmSync(figures, { recursive: true, force: true });
  fs.rmSync(runFolder(run), { recursive: true, force: true });
});

test('The notebooks are numbered without a gap, the six of the paper first.', () => {
  const numbers = notebooks.map(({ name }) => name.slice(0, 2));
  assert.deepEqual(numbers, numbers.map((_, i) => String(i + 1).padStart(2, '0')));
  assert.ok(numbers.length >= 6);
});

test('A notebook has one cell of parameters, and its cells are short; what is longer belongs in lib.', () => {
  for (const { name, code } of notebooks) {
    assert.equal(code.filter(({ metadata }) => metadata.tags?.includes('parameters')).length, 1, name);
    for (const cell of code) {
      const lines = sourceOf(cell).split('\n').filter((line) => line.trim() !== '').length;
      assert.ok(lines <= 15, `${name}: a cell of ${lines} lines: ${sourceOf(cell).slice(0, 60)}`);
    }
  }
});

test('Code of notebooks fits a printed page: lines of at most 110 columns.', () => {
  for (const { name, code } of notebooks) {
    for (const line of code.flatMap((cell) => sourceOf(cell).split('\n'))) {
      assert.ok(line.length <= 110, `${name}: ${line}`);
    }
  }
});

test("A notebook's parameters can be set in the environment: lib/variables.ts knows them all.", () => {
  const found = notebooks.flatMap(({ name, code }) => code.flatMap((cell) => (
    [...sourceOf(cell).matchAll(/\bparameter\('(\w+)'/g)].map(([, parameter]) => `${name}: SOFT_PROMPTS_${parameter}`))));
  assert.ok(found.length > 10);
  assert.deepEqual(found.filter((text) => !VARIABLES.includes(text.split(' ')[1])), []);
});

test("A notebook's committed outputs name no folder of the machine that made them.", () => {
  for (const { name, code } of notebooks) {
    const outputs = JSON.stringify(code.map((cell) => cell.outputs ?? []));
    assert.doesNotMatch(outputs, /\/(root|home|tmp|work|Users)\//, name);
  }
});

const TABLE_TAG = /<\/?(table|caption|thead|tbody|tr|th|td)( [^<>]*)?>/g;
const PLOTLY_TAG = /<\/?(b|i|br|sub|sup|extra)>/g;

/** No token or word of an output can be taken for markup. */
function assertEscaped(output: Output, where: string): void {
  const { 'text/html': html = '', 'text/markdown': markdown = '', 'application/vnd.plotly.v1+json': plotly, figure } = output;
  // groups of the legend have names that nobody sees
  const texts = JSON.stringify([plotly, figure], (key, value: unknown) => (key === 'legendgroup' ? undefined : value));
  const rest = [String(html).replace(TABLE_TAG, ''), String(markdown), texts.replace(PLOTLY_TAG, '')];
  assert.deepEqual(rest.map((text) => /.{0,20}<(?=\S).{0,20}/.exec(text)?.[0]), [undefined, undefined, undefined], where);
}

/** Every file of some folders with its SHA-256. */
function contents(...folders: readonly string[]): Record<string, string> {
  const files = folders.flatMap((folder) => fs.readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return Object.fromEntries(files.sort().map((file) => [file, sha256File(file)]));
}

test('Notebooks run in any order, and twice: each shows and writes the same, tokens as text, or names what to run first.', async () => {
  const settings = {
    SOFT_PROMPTS_PRESET: 'tiny', SOFT_PROMPTS_RUN: run, SOFT_PROMPTS_FIGURES: figures, SOFT_PROMPTS_EXAMPLES: '4',
    SOFT_PROMPTS_TASKS: 'country_capital,present_past,singular_plural', SOFT_PROMPTS_NEW_TOKENS: '1',
    SOFT_PROMPTS_WORDS: 'cat,</', // one token of GPT-2, and half a tag of HTML
    // for speed: few neighbours, few permutations
    SOFT_PROMPTS_EPSILON: '0.2', SOFT_PROMPTS_TABLE_EPSILONS: '0.1', SOFT_PROMPTS_PERMUTATIONS: '99', SOFT_PROMPTS_RESAMPLES: '99',
    SOFT_PROMPTS_TEST_EXAMPLES: '4',
  };
  const before = { ...process.env };
  Object.assign(process.env, settings);
  try {
    const early = new Map<string, Output[]>();
    const refused: string[] = [];
    const needing = notebooks.filter(({ name }) => !name.startsWith('02'));
    for (const notebook of needing) {
      await runNotebook(notebook).then((outputs) => early.set(notebook.name, outputs), (error: Error) => {
        assert.match(error.message, /; run notebook 02-prompt-tuning with this run name first/, notebook.name);
        refused.push(notebook.name);
      });
    }
    assert.deepEqual(refused.slice(0, 4), needing.slice(1, 5).map(({ name }) => name), 'the four of the paper need a run');
    assert.ok(!fs.existsSync(runFolder(run)), 'what is refused leaves nothing behind');

    const shown = new Map<string, Output[]>();
    for (const notebook of notebooks) shown.set(notebook.name, await runNotebook(notebook));
    for (const [name, outputs] of shown) outputs.forEach((output) => assertEscaped(output, name));
    const written = contents(runFolder(run), figures);
    for (const notebook of [...notebooks].reverse()) {
      assert.deepEqual(await runNotebook(notebook), shown.get(notebook.name), notebook.name);
    }
    assert.deepEqual(contents(runFolder(run), figures), written);
    for (const [name, outputs] of early) assert.deepEqual(outputs, shown.get(name), name);
  } finally {
    for (const name of Object.keys(settings)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});
