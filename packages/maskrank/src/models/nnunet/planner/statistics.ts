// Numbers as nnU-Net's planner takes them, with NumPy's and Python's conventions, as plans depend on them.

/** Percentile of a list, 0..100, linear between the two nearest values. */
export function percentile(values: ArrayLike<number>, percent: number): number {
  const sorted = Float64Array.from(values).sort();
  const place = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(place);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? Number.NaN;
  return low + (high - low) * (place - below);
}

export const median = (values: ArrayLike<number>): number => percentile(values, 50);

/** A percentile of each column of a table. */
export const columnPercentiles = (rows: readonly (readonly number[])[], percent: number): number[] =>
  (rows[0] ?? []).map((_, column) =>
    percentile(
      rows.map((row) => row[column] as number),
      percent,
    ),
  );

/** To the nearest whole number, halves to the even one. */
export function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

export const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

/** Where the largest value is; of equal ones the first. */
export const indexOfLargest = (values: readonly number[]): number => values.indexOf(Math.max(...values));
