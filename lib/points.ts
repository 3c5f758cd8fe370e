/** Rows of the embedding space and what each of them is: the common currency of runs and geometry. */

/** Points of the embedding space, one row each. */
export interface Points {
  /** [count, dModel], row-major */
  readonly data: Float32Array;
  readonly count: number;
  readonly dModel: number;
}

/** Which prompt vector a point is. */
export interface PromptLabel {
  readonly task: string;
  readonly word: string;
  readonly seed: number;
  /** 0 … promptTokens − 1 */
  readonly position: number;
}

/** Prompt vectors with their labels: row i of `points` has `labels[i]`. */
export interface PromptSet {
  readonly points: Points;
  readonly labels: readonly PromptLabel[];
}

/** Wrap a row-major array as points. Throws where the length is not a multiple of dModel. */
export function pointsFrom(data: Float32Array, dModel: number): Points {
  if (!Number.isInteger(dModel) || dModel < 1 || data.length % dModel !== 0) {
    throw new Error(`points: ${data.length} numbers are no whole number of rows of ${dModel}`);
  }
  return { data, dModel, count: data.length / dModel };
}

/** The row with this index, a view without copying. */
export function pointAt(points: Points, row: number): Float32Array {
  if (!(row >= 0 && row < points.count)) throw new Error(`points: row ${row} of ${points.count}`);
  return points.data.subarray(row * points.dModel, (row + 1) * points.dModel);
}

/** Copies of the chosen rows, in the order given. */
export function selectPoints(points: Points, rows: readonly number[]): Points {
  const data = new Float32Array(rows.length * points.dModel);
  rows.forEach((row, i) => data.set(pointAt(points, row), i * points.dModel));
  return pointsFrom(data, points.dModel);
}

/** All rows of all parts, in order. Throws where the parts differ in dModel. */
export function concatPoints(...parts: readonly Points[]): Points {
  const dModel = parts[0].dModel;
  const data = new Float32Array(parts.reduce((length, part) => length + part.data.length, 0));
  let offset = 0;
  for (const part of parts) {
    if (part.dModel !== dModel) throw new Error(`points: dModel ${part.dModel} joined to dModel ${dModel}`);
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return pointsFrom(data, dModel);
}
