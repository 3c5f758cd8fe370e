/** Mean and spread of the same measurement from several seeds. */
export interface Spread {
  readonly mean: number;
  /** sample standard deviation (n − 1); NaN where there are fewer than two values */
  readonly deviation: number;
}

/** Mean and standard deviation; NaN among the values makes both NaN. */
export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length < 2 ? NaN : Math.sqrt(squares / (values.length - 1)) };
}
