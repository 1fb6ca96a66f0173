// What it costs two pixels of a kernel to carry labels l and m: mu[l][m], added to the energy. L labels.

import { UsageError } from '@maskrank/torch/errors';

/**
 * - a number w: Potts. Equal labels lower the energy by w: mu = -w on the diagonal, 0 elsewhere
 * - L numbers: mu's diagonal as it is, 0 elsewhere. Signs as in the reference: a positive number sets equal labels apart
 * - L rows of L numbers: mu, made symmetric by the mean with its transpose, as the reference does
 */
export type Compatibility = number | readonly number[] | readonly (readonly number[])[];

/** mu as [L, L], row-major. */
export function compatibilityMatrix(compatibility: Compatibility, labels: number): Float64Array {
  const mu = new Float64Array(labels * labels);
  if (typeof compatibility === 'number') {
    for (let l = 0; l < labels; l++) mu[l * labels + l] = -compatibility;
  } else {
    const sizes = [
      compatibility.length,
      ...compatibility.map((row) => (typeof row === 'number' ? labels : row.length)),
    ];
    const kinds = new Set(compatibility.map((row) => typeof row));
    if (sizes.some((size) => size !== labels) || kinds.size !== 1) {
      throw new UsageError(
        `compatibility: ${JSON.stringify(compatibility)} with ${labels} labels; allowed: a number, ${labels} numbers, or ${labels} rows of ${labels} numbers.`,
      );
    }
    for (let l = 0; l < labels; l++) {
      for (let m = 0; m < labels; m++) {
        const [row, column] = [compatibility[l]!, compatibility[m]!];
        if (typeof row === 'number') mu[l * labels + m] = l === m ? row : 0;
        else mu[l * labels + m] = (row[m]! + (column as readonly number[])[l]!) / 2;
      }
    }
  }
  if (!mu.every(Number.isFinite)) {
    throw new UsageError(`compatibility: ${JSON.stringify(compatibility)}; allowed: finite numbers.`);
  }
  return mu;
}
