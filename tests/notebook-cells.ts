/** The notebooks as plain programs: their cells one after another in this process, what they show kept in a list. */
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import * as path from 'node:path';
import * as ts from 'typescript';

export interface Cell {
  readonly cell_type: string;
  readonly source: string | readonly string[];
  readonly metadata: { readonly tags?: readonly string[] };
  readonly outputs?: readonly unknown[];
}

export interface Notebook {
  readonly name: string;
  /** cells of code only */
  readonly code: readonly Cell[];
}

const folder = path.join(__dirname, '..', 'notebooks');

export const notebooks: readonly Notebook[] = fs.readdirSync(folder).filter((name) => name.endsWith('.ipynb')).sort()
  .map((name) => {
    const { cells } = JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8')) as { cells: Cell[] };
    return { name, code: cells.filter(({ cell_type: type }) => type === 'code') };
  });

export const sourceOf = ({ source }: Cell): string => (typeof source === 'string' ? source : source.join(''));

/** What a cell shows or exports, progress bars left out. */
export type Output = Readonly<Record<string, unknown>>;

interface Exporting {
  figureSvg: (figure: unknown) => Promise<string>;
  exportFigure: (figure: unknown, name: string) => Promise<string[]>;
}

const load = createRequire(path.join(folder, 'x.js'));
const AsyncFunction = (async () => undefined).constructor as (
  new (...args: string[]) => (require: NodeJS.Require, exports: object) => Promise<void>);

/**
 * Run a notebook with the built lib, as its kernel does, but without the browser that draws static images. Resolves to
 * what it showed; rejects with what a cell throws.
 */
export async function runNotebook({ code }: Notebook): Promise<Output[]> {
  const outputs: Output[] = [];
  const kernel = '/somewhere/node_modules/tslab/dist/jupyter.js';
  const lastWriteDisplayData = ({ data, transient }: { data: Output; transient: { display_id?: string } }) => {
    if (transient.display_id === undefined) outputs.push(data);
  };
  require.cache[kernel] = { exports: { lastWriteDisplayData } } as unknown as NodeJS.Module;
  const exporting = load('../lib/dist/export.js') as Exporting;
  const original = { ...exporting };
  exporting.figureSvg = (figure) => Promise.resolve(JSON.stringify(figure));
  exporting.exportFigure = (figure, name) => {
    outputs.push({ exported: name, figure });
    return Promise.resolve([]);
  };
  try {
    await programOf(code)(load, {});
  } finally {
    Object.assign(exporting, { figureSvg: original.figureSvg, exportFigure: original.exportFigure });
    delete require.cache[kernel];
  }
  return outputs;
}

/** All cells as one function; a cell may declare anew what an earlier one has declared. */
function programOf(code: readonly Cell[]) {
  const source = code.map(sourceOf).join('\n').replace(/^(const|let) /gm, 'var ');
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS },
  });
  return new AsyncFunction('require', 'exports', outputText);
}
