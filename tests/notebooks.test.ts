import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

interface Cell {
  readonly cell_type: string;
  readonly source: string | readonly string[];
  readonly metadata: { readonly tags?: readonly string[] };
  readonly outputs?: readonly unknown[];
}

const folder = join(__dirname, '..', 'notebooks');
const notebooks = readdirSync(folder).filter((name) => name.endsWith('.ipynb')).map((name) => {
  const { cells } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { cells: Cell[] };
  return { name, code: cells.filter(({ cell_type: type }) => type === 'code') };
});
const sourceOf = ({ source }: Cell) => (typeof source === 'string' ? source : source.join(''));

test('There are the six notebooks of the paper and one of further questions, in order.', () => {
  assert.deepEqual(notebooks.map(({ name }) => name.slice(0, 2)), ['01', '02', '03', '04', '05', '06', '07']);
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

test("A notebook's committed outputs name no folder of the machine that made them.", () => {
  for (const { name, code } of notebooks) {
    const outputs = JSON.stringify(code.map((cell) => cell.outputs ?? []));
    assert.doesNotMatch(outputs, /\/(root|home|tmp|work|Users)\//, name);
  }
});
