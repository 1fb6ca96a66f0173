// How shapes stand out and what the scanner does, drawn at random over ranges wider than any modality's, as SynthSeg does
// (Billot et al. 2023): what is learnt here must not depend on contrast, texture or resolution. Brightness is 0..1.
// n: pixels a side. Not here: outlines (outlines.ts).

import type { Random } from '../../../util/random.ts';
import { blur } from '../draw/blur.ts';
import { clamp, type Field } from '../draw/field.ts';
import { enlarge } from '../draw/finish.ts';
import { stroke, type Vertex } from '../draw/lines.ts';
import { Noise, whiteField } from '../draw/noise.ts';
import { lend } from '../draw/scratch.ts';

/** How a shape differs from what is around it. */
export type Look = 'mean' | 'texture' | 'edge' | 'mean and texture' | 'shading';
export const LOOKS: readonly Look[] = ['mean', 'mean', 'texture', 'edge', 'mean and texture', 'shading'];

/** A ground of one to three noise layers: from clouds to fine grain. */
export function ground(random: Random, n: number): Field {
  const base = random.uniform(0.2, 0.8);
  const out = lend(n * n).fill(base);
  const layers = random.int(1, 4);
  for (let k = 0; k < layers; k++) {
    const grain = random.logUniform(0.008, 0.25) * n;
    const lengthened = random.chance(0.3) ? random.uniform(1.5, 5) : 1;
    const noise = new Noise(random, grain * lengthened, grain, random.uniform(0, Math.PI));
    const layer = noise.paint(n, n, random.uniform(0.015, 0.1));
    for (let i = 0; i < out.length; i++) out[i]! += layer[i]!;
  }
  return out;
}

/** Lines, bars and specks that are no labelled kind. */
export function distract(field: Field, random: Random, n: number): void {
  const lines = random.chance(0.5) ? random.int(1, 5) : 0;
  for (let k = 0; k < lines; k++) {
    const at = (): Vertex => ({ x: random.uniform(-0.1, 1.1) * n, y: random.uniform(-0.1, 1.1) * n });
    stroke(field, n, n, [at(), at()], random.uniform(0.4, 1.6) * (n / 256), random.uniform(-0.3, 0.3));
  }
  if (random.chance(0.3)) {
    const angle = random.uniform(0, 2 * Math.PI);
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const offset = random.uniform(0.25, 0.6) * n;
    const soft = random.uniform(0.5, 12);
    const amount = random.uniform(-0.3, 0.3);
    for (let y = 0, i = 0; y < n; y++) {
      for (let x = 0; x < n; x++, i++) {
        const d = (x - n / 2) * c + (y - n / 2) * s - offset;
        field[i]! += amount * clamp(d / soft + 0.5, 0, 1);
      }
    }
  }
  if (random.chance(0.3)) {
    const specks = random.int(3, 30);
    const amount = random.uniform(-0.35, 0.35);
    for (let k = 0; k < specks; k++) {
      const [x, y] = [random.int(1, n - 1), random.int(1, n - 1)];
      for (const step of [0, 1, -1, n, -n]) field[y * n + x + step]! += amount * (step === 0 ? 1 : 0.5);
    }
  }
}

/** Paints a shape into the field by its look. */
export function paintShape(field: Field, mask: Uint8Array, look: Look, random: Random, n: number): void {
  const soft = ((random.chance(0.6) ? random.uniform(0.3, 0.8) : random.uniform(0.8, 2.2)) * n) / 256;
  const sign = random.chance(0.5) ? 1 : -1;
  const delta = sign * random.uniform(0.1, 0.4);
  const grain = random.logUniform(0.006, 0.05) * n;
  const noise = new Noise(random, grain, grain * random.uniform(0.4, 1), random.uniform(0, Math.PI));
  const texture = random.uniform(0.06, 0.16);
  const angle = random.uniform(0, 2 * Math.PI);
  const [gx, gy] = [Math.cos(angle) / n, Math.sin(angle) / n];
  // Only the window that the shape's soft edge reaches is touched.
  const { x0, y0, x1, y1 } = windowOf(mask, n, Math.ceil(4 * soft) + 2);
  const [width, height] = [x1 - x0, y1 - y0];
  const cover = lend(width * height);
  const around = lend(width * height);
  for (let y = 0, c = 0; y < height; y++) {
    for (let x = 0, i = (y + y0) * n + x0; x < width; x++, i++, c++) {
      cover[c] = mask[i]!;
      around[c] = field[i]!;
    }
  }
  const alpha = blur(cover, width, height, soft);
  // A texture with the brightness of what it replaces.
  const flat = look === 'texture' ? blur(around, width, height, (9 * n) / 256) : around;
  for (let y = y0, c = 0; y < y1; y++) {
    for (let x = x0, i = y * n + x0; x < x1; x++, i++, c++) {
      const a = alpha[c]!;
      if (a <= 0.002) continue;
      const here = field[i]!;
      if (look === 'mean') field[i] = here + a * delta;
      else if (look === 'texture') field[i] = here + a * (flat[c]! + 1.4 * texture * noise.at(x, y) - here);
      else if (look === 'edge') field[i] = here + 4 * a * (1 - a) * delta * 1.3;
      else if (look === 'mean and texture') field[i] = here + a * (delta + texture * noise.at(x, y));
      else field[i] = here + a * (delta + 0.9 * ((x - n / 2) * gx + (y - n / 2) * gy));
    }
  }
}

/** The mask's box with a margin, inside the image; x1 and y1 are exclusive. */
function windowOf(mask: Uint8Array, n: number, margin: number) {
  let [x0, y0, x1, y1] = [n, n, 0, 0];
  for (let y = 0; y < n; y++) {
    const first = mask.subarray(y * n, (y + 1) * n).indexOf(1);
    if (first < 0) continue;
    x0 = Math.min(x0, first);
    x1 = Math.max(x1, mask.subarray(y * n, (y + 1) * n).lastIndexOf(1) + 1);
    y0 = Math.min(y0, y);
    y1 = y + 1;
  }
  return {
    x0: Math.max(0, x0 - margin),
    y0: Math.max(0, y0 - margin),
    x1: Math.min(n, x1 + margin),
    y1: Math.min(n, y1 + margin),
  };
}

type Artefact = {
  readonly chance: number;
  readonly apply: (field: Field, random: Random, n: number) => Field;
};

/** In the order of the physics: the field's inhomogeneity, blur, sampling, then what the receiver adds. */
const ARTEFACTS: readonly Artefact[] = [
  {
    chance: 0.5, // bias field
    apply: (field, random, n) => {
      const noise = new Noise(random, n * random.uniform(0.25, 0.6));
      const bias = noise.paint(n, n, random.uniform(0.05, 0.3));
      for (let i = 0; i < field.length; i++) field[i]! *= Math.max(0.2, 1 + bias[i]!);
      return field;
    },
  },
  {
    chance: 0.5, // blur, sometimes along one axis more than the other
    apply: (field, random, n) => {
      const sigma = (random.logUniform(0.3, 2) * n) / 256;
      return blur(field, n, n, sigma, sigma * (random.chance(0.3) ? random.uniform(0.3, 1) : 1));
    },
  },
  {
    chance: 0.3,
    apply: (field, random, n) => coarse(field, n, random.uniform(1.5, 4) * Math.max(1, n / 256)),
  },
  {
    chance: 0.4, // speckle: multiplicative, with the grain of a beam
    apply: (field, random, n) => {
      const scale = n / 256;
      const white = whiteField(random, n, n);
      const [across, along] = [random.uniform(0.5, 1.6) * scale, random.uniform(0.4, 1) * scale];
      const speckle = blur(white, n, n, across, along, 1);
      const amount = random.uniform(0.08, 0.28) * (1 + scale);
      for (let i = 0; i < field.length; i++) field[i]! *= Math.max(0, 1 + amount * speckle[i]!);
      return field;
    },
  },
  {
    chance: 0.25, // streaks
    apply: (field, random, n) => {
      const grain = n * random.uniform(0.005, 0.02);
      const streaks = new Noise(random, n * 0.5, grain, random.uniform(0, Math.PI));
      const layer = streaks.paint(n, n, random.uniform(0.01, 0.06));
      for (let i = 0; i < field.length; i++) field[i]! += layer[i]!;
      return field;
    },
  },
  {
    chance: 0.8, // noise
    apply: (field, random, n) => {
      const white = whiteField(random, n, n);
      const amount = random.uniform(0.005, 0.05);
      for (let i = 0; i < field.length; i++) field[i]! += amount * white[i]!;
      return field;
    },
  },
];

/** Changes `field`. */
export function scan(field: Field, random: Random, n: number): Uint8Array {
  let out = field;
  for (const { chance, apply } of ARTEFACTS) if (random.chance(chance)) out = apply(out, random, n);
  return display(out, random);
}

/** Means of cells of `cell` pixels, blended between. */
function coarse(field: Field, n: number, cell: number): Field {
  const m = Math.max(8, Math.round(n / cell));
  const sums = lend(m * m).fill(0);
  const counts = new Int32Array(m);
  const cells = Int32Array.from({ length: n }, (_, x) => Math.floor((x * m) / n));
  for (const c of cells) counts[c]!++;
  for (let y = 0, i = 0; y < n; y++) {
    const row = cells[y]! * m;
    for (let x = 0; x < n; x++, i++) sums[row + cells[x]!]! += field[i]!;
  }
  for (let r = 0, i = 0; r < m; r++) for (let c = 0; c < m; c++, i++) sums[i]! /= counts[r]! * counts[c]!;
  return enlarge(sums, m, m, n, n, n / m);
}

/** A random window over the range of brightness, gamma, and sometimes the negative. */
function display(field: Field, random: Random): Uint8Array {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < field.length; i += 7) {
    const v = field[i]!;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  const range = Math.max(1e-6, high - low);
  const [cutLow, cutHigh] = [random.uniform(0, 0.12), random.uniform(0, 0.12)];
  const gamma = random.logUniform(0.6, 1.7);
  const [black, white] = [random.uniform(0, 0.12), random.uniform(0.85, 1)];
  const negative = random.chance(0.3);
  const table = Uint8Array.from({ length: 1024 }, (_, k) => {
    const v = black + (white - black) * (k / 1023) ** gamma;
    return Math.round(255 * (negative ? 1 - v : v));
  });
  const scale = 1023 / (range * (1 - cutLow - cutHigh));
  const start = low + range * cutLow;
  const out = new Uint8Array(field.length);
  for (let i = 0; i < out.length; i++) {
    const k = (field[i]! - start) * scale + 0.5;
    out[i] = table[k <= 0 ? 0 : k >= 1023 ? 1023 : k | 0]!;
  }
  return out;
}
