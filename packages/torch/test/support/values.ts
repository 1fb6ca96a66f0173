// Comparing tensors with plain numbers.

import { expect } from 'vitest';
import { memory, type Tensor } from '../../src/index.ts';

/** Elements as plain numbers, row-major. */
export function numbers(tensor: Tensor): number[] {
  return Array.from(tensor.toTypedArray() as ArrayLike<number | bigint>, Number);
}

export function expectClose(tensor: Tensor, expected: readonly number[], tolerance = 1e-6): void {
  const found = numbers(tensor);
  expect(found.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) {
    if (Number.isNaN(value)) expect(found[i], `element ${i}`).toBeNaN();
    else
      expect(
        Math.abs((found[i] as number) - value),
        `element ${i}: ${found[i]}, ${value}`,
      ).toBeLessThanOrEqual(tolerance);
  }
}

/** The most a pair of equal-shaped tensors differs. */
export function largestDifference(a: Tensor, b: Tensor): number {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [numbers(a), numbers(b)];
  return x.reduce((most, value, i) => Math.max(most, Math.abs(value - (y[i] as number))), 0);
}

/** Expects `body` to leave as many tensors alive as there were. */
export function expectNoLeak(body: () => void): void {
  const before = memory().tensors;
  body();
  expect(memory().tensors).toBe(before);
}

/** What a function throws. */
export function thrown(body: () => unknown): Error {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
