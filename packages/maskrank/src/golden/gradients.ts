// Gradients of a module's parameters against a fixture's: whole tensors (grad/NAME) or three sums over them (gradsum/NAME).

import type { nn, Tensor } from '@maskrank/torch';
import { checkFact, compareGradient, compareNoise, type Numbers, numbers, under } from './compare.ts';
import type { CheckResult, Fixture } from './types.ts';

/** Shifting all keys alike changes no softmax: without relative positions this gradient is zero but for rounding. */
const NOISE_ONLY = /(^|\.)k_proj\.bias$/;

/** [sum g, |g|, sum g (index mod 7)] in double precision. */
export function gradientSums(g: Float32Array): number[] {
  let [sum, square, weighted] = [0, 0, 0];
  for (let i = 0; i < g.length; i++) {
    const value = g[i] as number;
    sum += value;
    square += value * value;
    weighted += value * (i % 7);
  }
  return [sum, Math.sqrt(square), weighted];
}

function valuesOf(gradient: Tensor | null, count: number): Float32Array {
  return gradient === null ? new Float32Array(count) : gradient.toFloat32Array();
}

export type GradientOptions = {
  /** Put before grad/NAME: what follows `grad` in the fixture, e.g. `/points`. */
  readonly suffix?: string;
  /** Further gradients by their names, e.g. `input.image`. */
  readonly inputs?: Readonly<Record<string, Tensor>>;
};

/** Every gradient that the fixture holds. A parameter that got none counts as zero. */
export function compareGradients(
  fixture: Fixture,
  module: nn.Module,
  options: GradientOptions = {},
): CheckResult[] {
  const { suffix = '', inputs = {} } = options;
  const tensors = new Map<string, Tensor>([...module.namedParameters(), ...Object.entries(inputs)]);
  const compareAll = (
    prefix: string,
    compare: (what: string, g: Float32Array, ref: Numbers) => CheckResult,
  ) =>
    [...under(fixture, prefix).keys()].map((name) => {
      const tensor = tensors.get(name);
      if (tensor === undefined) return checkFact(prefix + name, false, 'the model has no such parameter');
      return compare(prefix + name, valuesOf(tensor.grad, tensor.numel), numbers(fixture, prefix + name));
    });
  return [
    ...compareAll(`grad${suffix}/`, (what, g, ref) =>
      NOISE_ONLY.test(what) ? compareNoise(what, g) : compareGradient(what, g, ref),
    ),
    ...compareAll(`gradsum${suffix}/`, (what, g, ref) =>
      compareGradient(what, gradientSums(g).slice(0, ref.length), ref),
    ),
  ];
}

/** The named parameters must have no gradient, or one of zeros. */
export function checkWithoutGradient(what: string, module: nn.Module, names: readonly string[]): CheckResult {
  const parameters = new Map(module.namedParameters());
  const wrong = names.filter((name) => {
    const parameter = parameters.get(name);
    return parameter === undefined || parameter.grad?.toFloat32Array().some((g) => g !== 0);
  });
  return checkFact(what, wrong.length === 0, `unexpected gradient of ${wrong.join(', ')}`);
}
