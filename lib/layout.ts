/**
 * How the tokens of one step lie in memory.
 *
 * Many runs train in one step, and within a run every sequence of the batch begins with the same tokens
 * `[prompt][shared text]`. Attention is causal, so this prefix is computed once per run and its keys and values
 * serve the whole batch. What follows, the suffixes, differ in length: matrix products work on packed rows
 * without padding, `[all prefixes; all suffixes]`, and attention on a padded rectangle [run, example, position].
 * The last label token is never an input.
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
  /** B: most examples of a run */
  readonly examples: number;
  /** S: longest suffix */
  readonly suffixTokens: number;
  /** [P − promptTokens] ids of the shared text */
  readonly sharedTokens: readonly number[];
  /** N ids and positions of the packed suffix rows, in order run, example, position */
  readonly suffixIds: tf.Tensor1D;
  readonly suffixPositions: tf.Tensor1D;
  /** [R·B·S] packed row (of prefixes and suffixes) for each place of the rectangle; padding points at row 0 */
  readonly rowOfPlace: tf.Tensor1D;
  readonly suffixes: Selection;
  readonly labels: Selection;
  /** [labels] row of the packed matrix whose output predicts the label token */
  readonly labelRows: tf.Tensor1D;
  /** [R·P + N] which label a packed row predicts, `labels` where none */
  readonly labelOfRow: tf.Tensor1D;
  /** [labels] the token to be predicted */
  readonly labelIds: tf.Tensor1D;
  /** [labels] run and example of each label token */
  readonly labelOwners: readonly { readonly run: number; readonly example: number }[];
  /** [P, P] and [S, P + S]: 0 where a query may look, −1e9 where not */
  readonly prefixMask: tf.Tensor2D;
  readonly suffixMask: tf.Tensor2D;
}

/** Some places of the rectangle, in packed order, with the way there and back. */
export interface Selection {
  readonly count: number;
  /** [count] place in the rectangle */
  readonly places: tf.Tensor1D;
  /** [R·B·S] index of the place in the selection, `count` where it is not selected */
  readonly indexOfPlace: tf.Tensor1D;
}

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
  const suffixTokens = Math.max(...batches.flatMap((batch) => batch.map(lengthOf)));
  const prefixTokens = promptTokens + sharedText;
  const places = runs * examples * suffixTokens;

  const ids: number[] = [];
  const positions: number[] = [];
  const suffixPlaces: number[] = [];
  const labelPlaces: number[] = [];
  const labelRows: number[] = [];
  const labelIds: number[] = [];
  const labelOwners: { run: number; example: number }[] = [];
  const rowOfPlace = new Int32Array(places);
  batches.forEach((batch, run) => {
    batch.forEach((sequence, example) => {
      const tokens = [...sequence.textTokens.slice(sharedText), ...sequence.labelTokens.slice(0, -1)];
      const firstLabel = sequence.textTokens.length - sharedText - 1;
      tokens.forEach((id, position) => {
        const place = (run * examples + example) * suffixTokens + position;
        rowOfPlace[place] = runs * prefixTokens + ids.length;
        if (position >= firstLabel) {
          labelRows.push(rowOfPlace[place]);
          labelPlaces.push(place);
          labelIds.push(sequence.labelTokens[position - firstLabel]);
          labelOwners.push({ run, example });
        }
        ids.push(id);
        positions.push(prefixTokens + position);
        suffixPlaces.push(place);
      });
    });
  });

  const int = (values: readonly number[] | Int32Array) => tf.tensor1d(values as number[], 'int32');
  return {
    runs, promptTokens, prefixTokens, examples, suffixTokens,
    sharedTokens: batches[0][0].textTokens.slice(0, sharedText),
    suffixIds: int(ids),
    suffixPositions: int(positions),
    rowOfPlace: int(rowOfPlace),
    suffixes: selection(suffixPlaces, places),
    labels: selection(labelPlaces, places),
    labelRows: int(labelRows),
    labelOfRow: int(inverse(labelRows, runs * prefixTokens + ids.length)),
    labelIds: int(labelIds),
    labelOwners,
    prefixMask: causalMask(prefixTokens, 0),
    suffixMask: causalMask(suffixTokens, prefixTokens),
  };
}

export function disposeLayout(layout: Layout): void {
  const { suffixes, labels } = layout;
  tf.dispose([
    layout.suffixIds, layout.suffixPositions, layout.rowOfPlace, layout.labelRows, layout.labelOfRow,
    layout.labelIds, layout.prefixMask, layout.suffixMask,
    suffixes.places, suffixes.indexOfPlace, labels.places, labels.indexOfPlace,
  ]);
}

function selection(places: readonly number[], rectangle: number): Selection {
  return {
    count: places.length,
    places: tf.tensor1d(places as number[], 'int32'),
    indexOfPlace: tf.tensor1d(inverse(places, rectangle), 'int32'),
  };
}

/** indexOf as an array: inverse[values[i]] = i, values.length elsewhere. */
function inverse(values: readonly number[], size: number): Int32Array {
  const result = new Int32Array(size).fill(values.length);
  values.forEach((value, index) => (result[value] = index));
  return result;
}

/** [queries, before + queries]: query i sees all keys before and its own up to i. */
function causalMask(queries: number, before: number): tf.Tensor2D {
  const keys = before + queries;
  const mask = new Float32Array(queries * keys);
  for (let q = 0; q < queries; q++) mask.fill(-1e9, q * keys + before + q + 1, (q + 1) * keys);
  return tf.tensor2d(mask, [queries, keys]);
}
