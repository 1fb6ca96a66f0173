// One axial slice of a patient: the anatomy at two levels of the slice's thickness, averaged (partial volume), blurred
// as the kernel does, with noise and streaks. Rows run from anterior to posterior, columns from the patient's right to
// the patient's left, as radiologists look at it. Labels are those of the middle level, exact to the pixel.

import type { Random } from '../../../util/random.ts';
import { blur } from '../draw/blur.ts';
import { enlarge } from '../draw/finish.ts';
import { whiteField } from '../draw/noise.ts';
import { startPicture, withScratch } from '../draw/scratch.ts';
import { type Anatomy, heightMm } from './anatomy.ts';
import { Canvas } from './canvas.ts';
import { valueNoise } from './field.ts';
import { SLICE_MM } from './patient.ts';

export type AbdomenSlice = {
  readonly sizePx: number;
  /** Attenuation, HU, row-major. */
  readonly hu: Int16Array;
  /** AMOS ids, 0 background. */
  readonly labels: Uint8Array;
  /** 1 inside the skin. */
  readonly body: Uint8Array;
};

/** Partial volume: this level (as a part of the thickness) counts with this weight, drawn at half the resolution. */
const SIDE = { level: 0.36, weight: 0.35 } as const;
const HU_RANGE = [-1024, 3071] as const;

export function drawSlice(anatomy: Anatomy, slice: number, sizePx: number): AbdomenSlice {
  startPicture(sizePx * sizePx);
  const heightOf = (level: number) => heightMm(anatomy, slice) + level * SLICE_MM;
  const { hu: sum, labels, body } = new Canvas(anatomy, sizePx, heightOf(0));
  addSide(
    sum,
    sizePx,
    withScratch(() => sideOf(anatomy, sizePx, heightOf(SIDE.level))),
    Math.ceil(sizePx / 2),
  );
  const spacingMm = anatomy.patient.fieldOfViewMm / sizePx;
  addTable(sum, sizePx, anatomy, body);
  const smooth = blur(sum, sizePx, sizePx, anatomy.patient.blurMm / spacingMm);
  return {
    sizePx,
    hu: scan(smooth, sizePx, anatomy, anatomy.noise(slice), heightMm(anatomy, slice)),
    labels,
    body,
  };
}

function sideOf(anatomy: Anatomy, sizePx: number, height: number): Float32Array<ArrayBuffer> {
  return new Canvas(anatomy, Math.ceil(sizePx / 2), height).hu;
}

/** Mixes in an image of `m` pixels a side, enlarged to `n` (bilinear, as both cover the same field of view). */
function addSide(sum: Float32Array, n: number, side: Float32Array<ArrayBuffer>, m: number): void {
  const large = enlarge(side, m, m, n, n, n / m);
  const { weight } = SIDE;
  for (let p = 0; p < sum.length; p++) sum[p]! += weight * (large[p]! - sum[p]!);
}

/** Half the width of the table, mm; its middle is the lowest. */
const TABLE_MM = 205;

/** The table's shell under the patient, where there is only air. */
function addTable(hu: Float32Array, n: number, { patient }: Anatomy, body: Uint8Array): void {
  const mm = patient.fieldOfViewMm / n;
  const lowest = Math.floor(body.lastIndexOf(1) / n);
  const bottom = (lowest + 1.5) * mm + 5;
  const thick = 0.6 * mm + 0.8;
  const bow = (across: number) => (across * across) / 1500;
  const first = Math.max(0, Math.floor((bottom - bow(TABLE_MM) - thick) / mm));
  const end = Math.min(n, Math.ceil((bottom + thick) / mm) + 1);
  for (let row = first; row < end; row++) {
    for (let column = 0; column < n; column++) {
      const p = row * n + column;
      if (body[p] === 1) continue;
      const across = (column - patient.centre[0] * n) * mm;
      const away = Math.abs(row * mm - (bottom - bow(across)));
      if (Math.abs(across) < TABLE_MM && away < thick) hu[p] = 260 - 160 * Math.max(0, away - 0.3 * mm);
    }
  }
}

/** Columns between which streaks are blended. */
const STREAK_STEP = 8;

/** Noise that grows towards the middle, streaks along the widest absorption, and the scanner's range. */
function scan(hu: Float32Array, n: number, { patient }: Anatomy, random: Random, z: number): Int16Array {
  const sigma = 0.75 * Math.max(0.6, n / patient.fieldOfViewMm);
  const grain = blur(whiteField(random, n, n), n, n, sigma, sigma, 1);
  // So that `noiseHu` is the standard deviation of what is added.
  const gain = patient.noiseHu / deviation(grain);
  const streakHu = patient.streakHu * (z < -170 || z > 60 ? 1 : 0.25);
  const streak = valueNoise(random.uint32(), 1);
  const streaks = new Float32Array(Math.ceil(n / STREAK_STEP) + 1);
  const middles = Float64Array.from({ length: n }, (_, column) => {
    const u = (column / n - patient.centre[0]) * 2.2;
    return 1 + u * u;
  });
  const out = new Int16Array(n * n);
  const [low, high] = HU_RANGE;
  for (let row = 0, p = 0; row < n; row++) {
    const v = (row / n - patient.centre[1] + 0.1) * 3;
    if (streakHu > 1)
      for (let k = 0; k < streaks.length; k++) {
        const across = (k * STREAK_STEP) / n;
        streaks[k] = streakHu * streak(across * 14, (row * 150) / n + across * 6, 0);
      }
    for (let column = 0; column < n; column++, p++) {
      const level = hu[p]!;
      let added = grain[p]! * gain;
      if (streakHu > 1 && level > -500) {
        const k = (column / STREAK_STEP) | 0;
        added += streaks[k]! + (column / STREAK_STEP - k) * (streaks[k + 1]! - streaks[k]!);
      }
      const value = level + (1.25 * added) / (middles[column]! + v * v) + 0.5;
      out[p] = value < low ? low : value > high ? high : Math.floor(value);
    }
  }
  return out;
}

/** Of every seventh value. */
function deviation(field: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < field.length; i += 7) squares += field[i]! * field[i]!;
  return Math.sqrt(squares / Math.ceil(field.length / 7));
}
