/** The points of tests/reference/geometry.py and what tests/reference/further.py makes of them. */
import * as path from 'node:path';
import { distanceMatrix } from '../lib/distances';
import { readJson } from '../lib/files';
import { pointsFrom, type PromptLabel } from '../lib/points';

interface Space {
  readonly dModel: number;
  readonly vocabulary: number[];
  readonly prompts: number[];
  readonly labels: PromptLabel[];
  readonly initRows: number[];
}

/** Terms in the order word, task, position, between runs, within runs, and for sums the total. */
interface SplitPlot {
  readonly sums: number[];
  readonly freedom: number[];
  readonly pseudoF: number[];
}

type PerFactor<Value> = Readonly<Record<'word' | 'task' | 'position', Value>>;

interface Further {
  readonly oneWay: Readonly<Record<'cosine' | 'chord', PerFactor<number>>>;
  readonly chord: SplitPlot;
  readonly cosine: SplitPlot;
  readonly exact: PerFactor<Readonly<{ permutations: number; p: number; chance: number; share: number }>> & {
    readonly rows: number[];
  };
  readonly resamples: Readonly<{
    words: number[]; tasks: number[]; sameWord: number; sameTask: number; all: number;
  }>[];
  readonly cleaned: Readonly<{
    shares: number[]; components: number[];
    variants: Readonly<{ removed: number; sameWord: number; sameTask: number; allPrompts: number; tokens: number }>[];
  }>;
}

const read = (name: string): unknown => readJson(path.join(__dirname, 'reference', 'fixtures', `${name}.json`));
const { space } = read('geometry') as { space: Space };

export const further = read('further') as Further;
export const { labels, dModel, initRows } = space;
export const prompts = pointsFrom(Float32Array.from(space.prompts), dModel);
export const vocabulary = pointsFrom(Float32Array.from(space.vocabulary), dModel);
export const cosine = distanceMatrix(prompts, 'cosine');
