// Initial values of parameters, from a stream of random numbers that the caller passes.

import { noGrad } from '../autograd.ts';
import type { Generator } from '../random.ts';
import { op, type Tensor } from '../tensor.ts';
import type { Module } from './module.ts';

const erfinvInPlace = op('aten::erfinv_');
const clampInPlace = op('aten::clamp_');

/** Draws every parameter below `module` anew, in tree order: the same stream gives the same weights. */
export function initialise<M extends Module>(module: M, generator: Generator): M {
  for (const [, child] of module.namedModules()) child.resetParameters(generator);
  return module;
}

/** Inputs that reach one output: for weight [out, in, ...kernel], in * kernel size. */
export function fanIn(weight: Tensor): number {
  return weight.shape.slice(1).reduce((product, size) => product * size, 1);
}
/** Outputs that one input reaches: out * kernel size. */
export function fanOut(weight: Tensor): number {
  return weight.size(0) * weight.shape.slice(2).reduce((product, size) => product * size, 1);
}

export function uniform_(t: Tensor, low: number, high: number, generator: Generator): void {
  noGrad(() => t.uniform_(low, high, generator));
}
export function normal_(t: Tensor, mean: number, sd: number, generator: Generator): void {
  noGrad(() => t.normal_(mean, sd, generator));
}
export function constant_(t: Tensor, value: number): void {
  noGrad(() => t.fill_(value));
}

/** He et al. 2015, uniform, for a leaky rectifier of slope `a`. */
export function kaimingUniform_(
  t: Tensor,
  options: { readonly a?: number; readonly mode?: 'fanIn' | 'fanOut'; readonly generator: Generator },
): void {
  const { a = 0, mode = 'fanIn', generator } = options;
  const fan = mode === 'fanIn' ? fanIn(t) : fanOut(t);
  const bound = Math.sqrt(2 / (1 + a * a)) * Math.sqrt(3 / fan);
  uniform_(t, -bound, bound, generator);
}
/** He et al. 2015, normal. */
export function kaimingNormal_(
  t: Tensor,
  options: { readonly a?: number; readonly mode?: 'fanIn' | 'fanOut'; readonly generator: Generator },
): void {
  const { a = 0, mode = 'fanIn', generator } = options;
  const fan = mode === 'fanIn' ? fanIn(t) : fanOut(t);
  normal_(t, 0, Math.sqrt(2 / (1 + a * a) / fan), generator);
}
/** Glorot & Bengio 2010, uniform. */
export function xavierUniform_(
  t: Tensor,
  options: { readonly gain?: number; readonly generator: Generator },
): void {
  const bound = (options.gain ?? 1) * Math.sqrt(6 / (fanIn(t) + fanOut(t)));
  uniform_(t, -bound, bound, options.generator);
}
/** Normal, cut at `cut` standard deviations on both sides (by the inverse of the distribution function). */
export function truncatedNormal_(t: Tensor, sd: number, generator: Generator, cut = 2): void {
  const phi = normalCdf(cut);
  noGrad(() => {
    t.uniform_(1 - 2 * phi, 2 * phi - 1, generator);
    erfinvInPlace(t);
    t.mul_(sd * Math.SQRT2);
    clampInPlace(t, -cut * sd, cut * sd);
  });
}

/** Abramowitz & Stegun 7.1.26 is too coarse here; the series of erf converges quickly for the cuts in use (|x| < 4). */
function normalCdf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 100; n++) {
    term *= (x * x) / (2 * n + 1);
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}
