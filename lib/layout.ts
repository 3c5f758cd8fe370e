/**
 * How the tokens of one step lie in memory.
 *
 * Many runs train in one step, and within a run every sequence of the batch begins with the same tokens
 * `[prompt][shared text]`. Attention is causal, so this prefix is computed once per run and its keys and values
 * serve the whole batch. What follows, the suffixes, differ in length: matrix products work on packed rows
 * without padding, `[all prefixes; all suffixes]`. Attention works on blocks of T places: each has the prefix of a
 * run and behind it as many of its suffixes as make a block large enough to be worth an operation; a mask keeps them
 * apart. The last label token is never an input.
 */
import { tf } from './backend';

/** One training or test sequence: the tokens of its text, then those of its label. */
export interface Sequence {
  readonly textTokens: readonly number[];
  readonly labelTokens: readonly number[];
}

export interface Layout {
  readonly runs: number;
  readonly promptTokens: number;
  /** P: prompt and shared text */
  readonly prefixTokens: number;
  /** examples of the run that has most */
  readonly examples: number;
  /** longest suffix */
  readonly suffixTokens: number;
  /** N: rows of the packed matrix, prefixes and suffixes */
  readonly rowCount: number;
  /** G: blocks a run */
  readonly blocks: number;
  /** T: places of a block */
  readonly blockTokens: number;
  /** [P − promptTokens] ids of the shared text */
  readonly sharedTokens: readonly number[];
  /** [N − R·P] ids and positions of the packed suffix rows, in order run, example, position */
  readonly suffixIds: tf.Tensor1D;
  readonly suffixPositions: tf.Tensor1D;
  /** [R·G·T] packed row of each place of the blocks; padding points at row 0 */
  readonly rowOfPlace: tf.Tensor1D;
  /** every row, prefixes in the first block of their run */
  readonly rows: Selection;
  readonly labels: Selection;
  /** [labels] row of the packed matrix whose output predicts the label token */
  readonly labelRows: tf.Tensor1D;
  /** [N] which label a packed row predicts, `labels` where none */
  readonly labelOfRow: tf.Tensor1D;
  /** [labels] the token to be predicted */
  readonly labelIds: tf.Tensor1D;
  /** [labels] run and example of each label token */
  readonly labelOwners: readonly { readonly run: number; readonly example: number }[];
  /** [R·G, 1, T, T]: 0 where a query may look, −1e9 where not */
  readonly mask: tf.Tensor4D;
}

/** Some rows of the packed matrix, in its order, with the way to the blocks and back. */
export interface Selection {
  readonly count: number;
  /** [count] place in the blocks */
  readonly places: tf.Tensor1D;
  /** [R·G·T] index of the place in the selection, `count` where it is not selected */
  readonly indexOfPlace: tf.Tensor1D;
}

/**
 * Places of a block where several suffixes are in one. Smaller blocks are more operations on less; in larger ones
 * more and more pairs of places have nothing to do with each other.
 */
export const BLOCK_TOKENS = 32;

/**
 * How many text tokens all sequences begin with, at most so many that the position that predicts the first
 * label token is left in the suffix.
 */
export function sharedTextLength(sequences: readonly Sequence[]): number {
  const first = sequences[0].textTokens;
  let length = first.length - 1;
  for (const { textTokens } of sequences) {
    length = Math.min(length, textTokens.length - 1);
    for (let i = 0; i < length; i++) if (textTokens[i] !== first[i]) length = i;
  }
  return length;
}

/**
 * Lay out one batch a run. `sharedText` is the number of text tokens that all these sequences share
 * (sharedTextLength of the whole task, so that every batch has the same prefix). The caller disposes with
 * disposeLayout.
 */
export function layOut(batches: readonly (readonly Sequence[])[], promptTokens: number, sharedText: number): Layout {
  const runs = batches.length;
  const examples = Math.max(...batches.map((batch) => batch.length));
  const lengthOf = (s: Sequence) => s.textTokens.length - sharedText + s.labelTokens.length - 1;
  const lengths = batches.map((batch) => batch.map(lengthOf));
  const prefixTokens = promptTokens + sharedText;
  const { blocks, blockExamples, blockTokens } = blockShape(lengths, prefixTokens);
  const placeCount = runs * blocks * blockTokens;

  const ids: number[] = [];
  const positions: number[] = [];
  const places: number[] = [];
  const labelPlaces: number[] = [];
  const labelRows: number[] = [];
  const labelIds: number[] = [];
  const labelOwners: { run: number; example: number }[] = [];
  const rowOfPlace = new Int32Array(placeCount);
  const mask = new Float32Array(placeCount * blockTokens).fill(-1e9);
  /** Let a query see places of its block, from one to before another. */
  const open = (query: number, from: number, to: number) => (
    mask.fill(0, query * blockTokens + from, query * blockTokens + to));
  for (let run = 0; run < runs; run++) {
    for (let position = 0; position < prefixTokens; position++) {
      for (let block = 0; block < blocks; block++) {
        const place = (run * blocks + block) * blockTokens + position;
        rowOfPlace[place] = run * prefixTokens + position;
        open(place, 0, position + 1);
      }
      places.push(run * blocks * blockTokens + position);
    }
  }
  batches.forEach((batch, run) => {
    let start = 0;
    batch.forEach((sequence, example) => {
      if (example % blockExamples === 0) start = prefixTokens;
      const block = (run * blocks + Math.floor(example / blockExamples)) * blockTokens;
      const tokens = [...sequence.textTokens.slice(sharedText), ...sequence.labelTokens.slice(0, -1)];
      const firstLabel = sequence.textTokens.length - sharedText - 1;
      tokens.forEach((id, position) => {
        const place = block + start + position;
        rowOfPlace[place] = runs * prefixTokens + ids.length;
        open(place, 0, prefixTokens);
        open(place, start, start + position + 1);
        if (position >= firstLabel) {
          labelRows.push(rowOfPlace[place]);
          labelPlaces.push(place);
          labelIds.push(sequence.labelTokens[position - firstLabel]);
          labelOwners.push({ run, example });
        }
        ids.push(id);
        positions.push(prefixTokens + position);
        places.push(place);
      });
      start += tokens.length;
    });
  });

  const int = (values: readonly number[] | Int32Array) => tf.tensor1d(values as number[], 'int32');
  return {
    runs, promptTokens, prefixTokens, examples, blocks, blockTokens,
    suffixTokens: Math.max(...lengths.flat()),
    rowCount: places.length,
    sharedTokens: batches[0][0].textTokens.slice(0, sharedText),
    suffixIds: int(ids),
    suffixPositions: int(positions),
    rowOfPlace: int(rowOfPlace),
    rows: selection(places, placeCount),
    labels: selection(labelPlaces, placeCount),
    labelRows: int(labelRows),
    labelOfRow: int(inverse(labelRows, places.length)),
    labelIds: int(labelIds),
    labelOwners,
    mask: tf.tensor4d(mask, [runs * blocks, 1, blockTokens, blockTokens]),
  };
}

/** How many blocks a run has, with how many examples in each, and how long they are, for suffixes of these lengths. */
function blockShape(lengths: readonly (readonly number[])[], prefixTokens: number) {
  const examples = Math.max(...lengths.map((run) => run.length));
  const suffixTokens = Math.max(...lengths.flat());
  const fit = Math.max(1, Math.floor((BLOCK_TOKENS - prefixTokens) / suffixTokens));
  const blocks = Math.ceil(examples / fit);
  const blockExamples = Math.ceil(examples / blocks);
  const longest = Math.max(...lengths.flatMap((run) => Array.from({ length: blocks }, (_, block) => (
    run.slice(block * blockExamples, (block + 1) * blockExamples).reduce((sum, length) => sum + length, 0)))));
  return { blocks, blockExamples, blockTokens: prefixTokens + longest };
}

export function disposeLayout(layout: Layout): void {
  const { rows, labels } = layout;
  tf.dispose([
    layout.suffixIds, layout.suffixPositions, layout.rowOfPlace, layout.labelRows, layout.labelOfRow, layout.labelIds,
    layout.mask, rows.places, rows.indexOfPlace, labels.places, labels.indexOfPlace,
  ]);
}

function selection(places: readonly number[], placeCount: number): Selection {
  return {
    count: places.length,
    places: tf.tensor1d(places as number[], 'int32'),
    indexOfPlace: tf.tensor1d(inverse(places, placeCount), 'int32'),
  };
}

/** indexOf as an array: inverse[values[i]] = i, values.length elsewhere. */
function inverse(values: readonly number[], size: number): Int32Array {
  const result = new Int32Array(size).fill(values.length);
  values.forEach((value, index) => (result[value] = index));
  return result;
}
