// The complementary error function, for tails of the normal distribution. Relative error about 1e-13.

const TERMS_MAX = 200;

/** `2 / sqrt(pi) * integral of exp(-t^2) from x to infinity`; P(|Z| > z) of a standard normal Z is `erfc(z / sqrt 2)`. */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  return x < 2 ? 1 - erfBySeries(x) : erfcByFraction(x);
}

/** Abramowitz and Stegun 7.1.6: all terms are positive, so nothing cancels. */
function erfBySeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < TERMS_MAX && term > sum * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** Abramowitz and Stegun 7.1.14, from the tail of the continued fraction forwards. */
function erfcByFraction(x: number): number {
  let value = x;
  for (let n = TERMS_MAX; n >= 1; n--) value = x + n / 2 / value;
  return Math.exp(-x * x) / (value * Math.sqrt(Math.PI));
}
