// Grey values of a volume to 8 bit: a window in the volume's own unit (HU for CT), or percentiles for scans whose numbers mean
// nothing by themselves (MR). One window for all slices of a volume, so that tissue looks alike in each.
// Not here: single images (intensity.ts), normalisation for a network (imaging/normalise.ts).

import { UsageError } from '@maskrank/torch/errors';

/** From black to white, or `percentile`: between the 0.5th and 99.5th of the values that are not 0. */
export type WindowRule = readonly [low: number, high: number] | 'percentile';

/** Soft tissue: level 40 HU, width 400 HU, as MedSAM and most abdominal work have it. */
export const SOFT_TISSUE_HU: WindowRule = [-160, 240];

const PERCENTILES = [0.5, 99.5] as const;
/** Values of a volume that percentiles are taken from, at most. */
const SAMPLE = 1 << 20;

/** `-160,240` or `percentile`. Throws UsageError for anything else. */
export function parseWindow(text: string): WindowRule {
  if (text === 'percentile') return text;
  const [low, high, ...rest] = text
    .split(',')
    .map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (rest.length === 0 && low !== undefined && high !== undefined && low < high) return [low, high];
  throw new UsageError(
    `'${text}' is no window; allowed: LOW,HIGH in the unit of the scan with LOW < HIGH (CT: -160,240), or percentile.`,
  );
}

/** The rule's two ends for these voxels. */
export function windowOf(rule: WindowRule, voxels: ArrayLike<number>): readonly [low: number, high: number] {
  if (rule !== 'percentile') return rule;
  const step = Math.max(1, Math.floor(voxels.length / SAMPLE));
  const values: number[] = [];
  for (let i = 0; i < voxels.length; i += step) {
    const value = voxels[i]!;
    if (value !== 0 && Number.isFinite(value)) values.push(value);
  }
  if (values.length === 0) return [0, 1];
  const sorted = Float64Array.from(values).sort();
  const at = (percent: number) => sorted[Math.round((percent / 100) * (sorted.length - 1))]!;
  const [low, high] = [at(PERCENTILES[0]), at(PERCENTILES[1])];
  return low < high ? [low, high] : [low, low + 1];
}

/** Low and below becomes 0, high and above 255, linear in between, rounded; NaN becomes 0. */
export function windowToBytes(
  values: ArrayLike<number>,
  [low, high]: readonly [low: number, high: number],
): Uint8Array {
  const width = high - low;
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < bytes.length; i++) {
    const value = ((values[i]! - low) * 255) / width;
    bytes[i] = value >= 255 ? 255 : value > 0 ? Math.floor(value + 0.5) : 0;
  }
  return bytes;
}
