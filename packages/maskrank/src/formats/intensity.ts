// From 16-bit and float samples to 8 bit, by a stated rule. 8-bit samples never pass through here.
// Not here: CT windows in Hounsfield units (formats of volumes), normalisation for a network (imaging/normalise.ts).

import { UsageError } from '@maskrank/torch/errors';

/**
 * - `min-max`: the image's smallest value becomes 0, its largest 255. What SAM-Med2D's training data went through, and what
 *   people expect of a 12-bit scan in a 16-bit file, which `full-range` would show almost black.
 * - `percentile`: the same between two percentiles, values beyond are cut: for images with burnt-in markers or hot pixels.
 * - `full-range`: the sample type's range (16 bit: 0..65535; signed: -32768..32767; float: 0..1) becomes 0..255: the only
 *   rule under which equal values of different images stay equal.
 */
export type IntensityRule = 'min-max' | 'percentile' | 'full-range';

export type IntensityOptions = {
  /** Default `min-max`. */
  readonly rule?: IntensityRule;
  /** For `percentile`: lower and upper, 0..100, nearest rank. Default 0.5 and 99.5. */
  readonly percentiles?: readonly [number, number];
};

/** What was done: value `low` became 0 and `high` 255, in between linearly, rounded to the nearest. */
export type IntensityConversion = {
  readonly rule: IntensityRule;
  readonly low: number;
  readonly high: number;
};

type Samples = Uint16Array | Float32Array;
type Range = readonly [low: number, high: number];

const RANGES: Record<IntensityRule, (samples: Samples, full: Range, percentiles: Range) => Range> = {
  'min-max': (samples) => finiteRange(samples),
  percentile: (samples, _, [lower, upper]) => {
    const sorted = finite(samples).slice().sort();
    if (sorted.length === 0) return [0, 0];
    const rank = (p: number): number => sorted[Math.round((p / 100) * (sorted.length - 1))]!;
    return [rank(lower), rank(upper)];
  },
  'full-range': (_, full) => full,
};

/**
 * All channels share one range, so colours keep their ratio. NaN becomes 0, infinities the ends; an image of one value
 * becomes 0 everywhere.
 * @param fullRange of the sample type, for the rule `full-range`
 */
export function toBytes(
  samples: Samples,
  fullRange: Range,
  { rule = 'min-max', percentiles = [0.5, 99.5] }: IntensityOptions = {},
): { data: Uint8Array; conversion: IntensityConversion } {
  const [lower, upper] = percentiles;
  if (!(lower >= 0 && lower < upper && upper <= 100)) {
    throw new UsageError(`toBytes: percentiles = [${percentiles}]; allowed: 0 <= lower < upper <= 100.`);
  }
  const [low, high] = RANGES[rule](samples, fullRange, percentiles);
  const scale = high > low ? 255 / (high - low) : 0;
  const data = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    const value = (samples[i]! - low) * scale;
    data[i] = value >= 255 ? 255 : value > 0 ? Math.floor(value + 0.5) : 0;
  }
  return { data, conversion: { rule, low, high } };
}

function finiteRange(samples: Samples): Range {
  let [low, high] = [Infinity, -Infinity];
  for (const value of samples) {
    if (value < low && value !== -Infinity) low = value;
    if (value > high && value !== Infinity) high = value;
  }
  return low <= high ? [low, high] : [0, 0];
}

const finite = (samples: Samples): Samples =>
  samples instanceof Uint16Array ? samples : samples.filter(Number.isFinite);
