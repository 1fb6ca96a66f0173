// From log-odds against a last label, whose own are 0, to how much likelier than that label every other is: q_l - q_last.
// Two labels need one exponential a pixel, which is a fifth of a mean-field step: it is written out here, in half the time of
// Math.exp. N pixels, C = labels - 1 channels.

/** 2^k for k = -128..128 at index k + 128. */
const POWERS = Float64Array.from({ length: 257 }, (_, i) => 2 ** (i - 128));
/** Beyond this, probabilities of two labels differ by 1 in float32. */
const LARGEST_ODDS = 80;
/** Adding and subtracting it rounds to a whole number. */
const ROUNDING = 1.5 * 2 ** 52;

/** Leads of the softmax over the odds and a 0: q_l - q_last, in -1..1. Both [N, C]; `leads` may be `odds`. */
export function leadsOfOdds(leads: Float32Array, odds: Float32Array, channels: number): void {
  if (channels === 1) {
    leadOfOdds(leads, odds);
    return;
  }
  for (let i = 0; i < odds.length; i += channels) {
    let largest = 0;
    for (let l = 0; l < channels; l++) largest = Math.max(largest, odds[i + l]!);
    const last = Math.exp(-largest);
    let sum = last;
    for (let l = 0; l < channels; l++) {
      const e = Math.exp(odds[i + l]! - largest);
      leads[i + l] = e;
      sum += e;
    }
    for (let l = 0; l < channels; l++) leads[i + l] = (leads[i + l]! - last) / sum;
  }
}

/** Two labels: (1 - exp(-odds)) / (1 + exp(-odds)), exact to float32. */
function leadOfOdds(leads: Float32Array, odds: Float32Array): void {
  for (let i = 0; i < odds.length; i++) {
    const value = odds[i]!;
    const x = value > LARGEST_ODDS ? -LARGEST_ODDS : value < -LARGEST_ODDS ? LARGEST_ODDS : -value;
    // exp(x) = 2^k exp(r), |r| <= ln(2) / 2: eight terms of the series leave 5e-9.
    const k = x * Math.LOG2E + ROUNDING - ROUNDING;
    const r = x - k * Math.LN2;
    const high = 1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040)));
    const series = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * high)));
    leads[i] = 2 / (1 + POWERS[k + 128]! * series) - 1;
  }
}
