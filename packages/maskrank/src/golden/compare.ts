// Comparing numbers with a reference, by the rules the fixtures state. Nothing here chooses a tolerance.

import type { TensorData } from '@maskrank/torch/io';
import { toFloat32 } from '@maskrank/torch/io';
import type { CheckResult, Fixture } from './types.ts';

export type Numbers = ArrayLike<number>;

/** |got - ref| <= absolute + relative * |ref| at every element. */
export type ElementTolerance = { readonly absolute: number; readonly relative: number };

/** The fixtures' default for forward values of networks. */
export const FORWARD: ElementTolerance = { absolute: 2e-5, relative: 1e-4 };

const format = (x: number): string => (Number.isInteger(x) ? String(x) : x.toExponential(2));

/** Elementwise comparison of equally long lists; equal infinities and NaN against NaN count as equal. */
export function compareElements(
  what: string,
  got: Numbers,
  ref: Numbers,
  tolerance: ElementTolerance,
): CheckResult {
  const text = `${format(tolerance.absolute)} + ${format(tolerance.relative)} |ref|`;
  if (got.length !== ref.length)
    return failed(what, text, `${got.length} elements, reference has ${ref.length}`);
  let maxError = 0;
  let worst = -1;
  for (let i = 0; i < ref.length; i++) {
    const g = got[i] as number;
    const r = ref[i] as number;
    if (Object.is(g, r) || g === r) continue;
    const error = Math.abs(g - r);
    if (!(error <= tolerance.absolute + tolerance.relative * Math.abs(r)) && worst < 0) worst = i;
    if (!(error <= maxError)) maxError = error;
  }
  const detail = worst < 0 ? {} : { detail: `element ${worst}: ${got[worst]}, reference ${ref[worst]}` };
  return { what, ok: worst < 0, maxError, tolerance: text, ...detail };
}

/** max|got - ref| <= 1e-4 max|ref| + 1e-5 over the tensor: the fixtures' rule for gradients. */
export function compareGradient(what: string, got: Numbers, ref: Numbers): CheckResult {
  let largest = 0;
  for (let i = 0; i < ref.length; i++) largest = Math.max(largest, Math.abs(ref[i] as number));
  const result = compareElements(what, got, ref, { absolute: 1e-4 * largest + 1e-5, relative: 0 });
  return { ...result, tolerance: '1e-4 max|ref| + 1e-5' };
}

/** |got| < bound: for gradients that are zero in exact arithmetic. */
export function compareNoise(what: string, got: Numbers, bound = 1e-4): CheckResult {
  return {
    ...compareElements(what, got, new Float64Array(got.length), { absolute: bound, relative: 0 }),
    tolerance: `|got| < ${bound}`,
  };
}

/** Equal in every element. */
export function compareExact(
  what: string,
  got: ArrayLike<number | bigint>,
  ref: ArrayLike<number | bigint>,
): CheckResult {
  return {
    ...compareElements(what, Array.from(got, Number), Array.from(ref, Number), { absolute: 0, relative: 0 }),
    tolerance: 'exact',
  };
}

/** A plain fact: `ok` or not. */
export function checkFact(what: string, ok: boolean, detail?: string): CheckResult {
  return {
    what,
    ok,
    maxError: ok ? 0 : Number.POSITIVE_INFINITY,
    tolerance: 'exact',
    ...(ok || detail === undefined ? {} : { detail }),
  };
}

export function failed(what: string, tolerance: string, detail: string): CheckResult {
  return { what, ok: false, maxError: Number.POSITIVE_INFINITY, tolerance, detail };
}

/** A fixture's tensor; throws when the fixture lacks it, naming both. */
export function need(fixture: Fixture, name: string): TensorData {
  const tensor = fixture.tensors.get(name);
  if (tensor === undefined) throw new Error(`fixture ${fixture.name} has no tensor '${name}'`);
  return tensor;
}

/** A fixture's tensor as plain numbers. */
export function numbers(fixture: Fixture, name: string): Numbers {
  const data = need(fixture, name);
  if (data.data instanceof BigInt64Array) return Array.from(data.data, Number);
  return data.data instanceof Float64Array ? data.data : toFloat32(data);
}

/** All tensors whose name starts with `prefix`, with the prefix cut off. */
export function under(fixture: Fixture, prefix: string): Map<string, TensorData> {
  const found = [...fixture.tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(found.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
