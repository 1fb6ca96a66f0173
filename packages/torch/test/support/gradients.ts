// Gradients against central differences in float64: one helper for every operator and layer.

import { expect } from 'vitest';
import { fromTypedArray, grad, noGrad, type Tensor, tidy } from '../../src/index.ts';

export type GradientCheckOptions = {
  /** Step of the differences. */
  readonly step?: number;
  /** Largest allowed difference, relative to 1 + |gradient|. */
  readonly tolerance?: number;
};

/** Float64 values of a fixed pattern without ties, signs mixed; `low` and `high` bound them. */
export function values(shape: readonly number[], low = -1, high = 1, phase = 0): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const data = Float64Array.from({ length: count }, (_, i) => {
    const unit = ((i * 0.6180339887498949 + 0.37 * (phase + 1)) % 1) * 0.97 + 0.015;
    return low + (high - low) * unit;
  });
  return fromTypedArray(data, shape);
}

/** Weights that turn any output into one number whose gradient sees every element differently. */
function contract(outputs: readonly Tensor[]): Tensor {
  const parts = outputs.map((out, i) => out.mul(values(out.shape, -1, 1, i + 5)).sum());
  return parts.reduce((total, part) => total.add(part));
}

/** Expects d(body)/d(input) to equal central differences, for every element of every input (float64). */
export function expectGradients(
  body: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradientCheckOptions = {},
): void {
  const { step = 1e-6, tolerance = 1e-6 } = options;
  const run = (leaves: readonly Tensor[]): Tensor => {
    const result = body(...leaves);
    return contract(Array.isArray(result) ? result : [result as Tensor]);
  };
  tidy(() => {
    const leaves = inputs.map((input) => input.detach().clone().requiresGrad_());
    const found = grad([run(leaves)], leaves, { allowUnused: true });
    for (const [k, input] of inputs.entries()) {
      const data = input.toTypedArray() as Float64Array<ArrayBuffer>;
      const analytic = found[k]?.toTypedArray() ?? new Float64Array(data.length);
      for (let i = 0; i < data.length; i++) {
        const at = (offset: number): number =>
          tidy(() => {
            const moved = data.slice();
            moved[i] = (moved[i] as number) + offset;
            const arguments_ = inputs.map((other, j) =>
              j === k ? fromTypedArray(moved, input.shape) : other,
            );
            return noGrad(() => run(arguments_).item());
          });
        const numeric = (at(step) - at(-step)) / (2 * step);
        const error = Math.abs(numeric - Number(analytic[i])) / (1 + Math.abs(numeric));
        expect(
          error,
          `input ${k}, element ${i}: found ${analytic[i]}, differences give ${numeric}`,
        ).toBeLessThan(tolerance);
      }
    }
  });
}
