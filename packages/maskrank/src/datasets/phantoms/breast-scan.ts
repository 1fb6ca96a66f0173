// The scanner of the breast phantoms: attenuation along each beam, speckle whose lateral grain widens with depth, depth
// gain and log compression, and the fan of curved probes. Not here: tissue (breast.ts), what scanners write on top.

import type { Random } from '../../util/random.ts';
import type { Tissue } from './breast-lesion.ts';
import { blur } from './draw/blur.ts';
import { type Field, quickLog } from './draw/field.ts';
import { specklePower } from './draw/noise.ts';
import { lend, lendZeros } from './draw/scratch.ts';

/** Attenuation along the beams, depth gain, speckle, compression: brightness in 0..1. */
export function scan(random: Random, { width, height, unit: u, echo, loss }: Tissue): Field {
  // Loss adds up along a beam and spreads sideways with depth.
  for (let i = width; i < loss.length; i++) {
    const db = loss[i - width]! + loss[i]!;
    loss[i] = db > 60 ? 60 : db;
  }
  const spread = blur(loss, width, height, random.uniform(1.5, 5) * u, 0, 1);

  const axial = random.uniform(0.35, 0.8) * u;
  const lateral = axial * random.uniform(1.2, 2.2);
  const widen = Math.hypot(1, random.uniform(0.6, 1.8));
  const power = specklePower(random, width, height, lateral, axial, widen);
  // Compounding and speckle reduction lower the contrast of speckle.
  const contrast = random.uniform(0.4, 1) * 4.343;
  // A second look: the same speckle from elsewhere.
  const elsewhere = random.int(5, 30) * width + random.int(20, 80);
  const second = random.chance(0.75) ? random.uniform(0.3, 1) : 0;
  const rangeDb = random.uniform(38, 62);
  const gainDb = random.uniform(-10, 3);
  const deepDb = random.chance(0.8) ? random.uniform(2, 32) : -random.uniform(0, 6);
  const power1 = random.uniform(1, 2.6);
  const gamma = random.uniform(0.8, 1.5);
  const white = random.uniform(0.62, 1);
  const noiseFloor = random.uniform(0, 0.06);
  const table = Float32Array.from({ length: 1025 }, (_, k) => noiseFloor + white * (k / 1024) ** gamma);
  const grey = lend(width * height);
  const scale = 1024 / rangeDb;
  const perLook = 1 / (1 + second);
  const shift = (elsewhere % grey.length) - grey.length;
  for (let y = 0, i = 0; y < height; y++) {
    const rowDb = gainDb - deepDb * (y / height) ** power1 + rangeDb;
    for (let x = 0; x < width; x++, i++) {
      const j = i + shift;
      const seen = (power[i]! + second * power[j < 0 ? j + grey.length : j]!) * perLook + 0.02;
      const k = (echo[i]! - spread[i]! + rowDb + contrast * quickLog(seen)) * scale;
      grey[i] = table[k <= 0 ? 0 : k >= 1024 ? 1024 : k | 0]!;
    }
  }
  const smoothing = random.uniform(0, 0.9) * u;
  return smoothing > 0.25 * u ? blur(grey, width, height, smoothing, 0.7 * smoothing) : grey;
}

/** From beams to a fan: a trapezoid or a sector, black outside. */
export function scanConvert(
  random: Random,
  grey: Field,
  mask: Uint8Array<ArrayBuffer>,
  width: number,
  height: number,
): { grey: Field; mask: Uint8Array<ArrayBuffer> } {
  const half = random.uniform(0.12, 0.6); // radians
  // The fan is as wide as the picture at its lower corners, so that lesions keep most of their pixels.
  const outer = (0.5 * width) / Math.sin(half);
  const inner = Math.max(0.1 * outer, outer - height * random.uniform(0.92, 1.02));
  const top = random.uniform(0, 0.04) * height;
  const outGrey = lendZeros(grey.length);
  const outMask = new Uint8Array(mask.length);
  const perBeam = (0.5 * (width - 1)) / half;
  const perDepth = (height - 1) / (outer - inner);
  for (let y = 0, i = 0; y < height; y++) {
    const py = y + inner * Math.cos(half) - top;
    for (let x = 0; x < width; x++, i++) {
      const px = x - width / 2 + 0.5;
      const beam = smallAtan(px / py) * perBeam + 0.5 * (width - 1);
      const depth = (Math.sqrt(px * px + py * py) - inner) * perDepth;
      if (py <= 0 || !(beam >= 0 && depth >= 0 && beam < width - 1 && depth < height - 1)) continue;
      const c = beam | 0;
      const r = depth | 0;
      const k = r * width + c;
      const a = grey[k]! + (beam - c) * (grey[k + 1]! - grey[k]!);
      const b = grey[k + width]! + (beam - c) * (grey[k + width + 1]! - grey[k + width]!);
      outGrey[i] = a + (depth - r) * (b - a);
      outMask[i] = mask[((depth + 0.5) | 0) * width + ((beam + 0.5) | 0)]!;
    }
  }
  return { grey: outGrey, mask: outMask };
}

/** Arc tangent for -1..1 to 0.00001 (Abramowitz and Stegun 1964, 4.4.49); beyond, something beyond. */
function smallAtan(t: number): number {
  const tt = t * t;
  if (tt > 1) return t;
  return t * (0.999866 + tt * (-0.3302995 + tt * (0.180141 + tt * (-0.085133 + tt * 0.0208351))));
}
