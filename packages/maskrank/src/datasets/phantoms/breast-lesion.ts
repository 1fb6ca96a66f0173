// Lesions of the breast phantoms: how each kind is outlined, how it echoes, what it does to the beam behind it.
// Outlines are radii over the angle; the mask is the inside of the outline, halo and spicules beyond it are not.
// Not here: tissue, scanner and words (breast.ts).

import type { Random } from '../../util/random.ts';
import { clamp, diamondAngle, type Field, ramp } from './draw/field.ts';
import { windowAround } from './draw/lines.ts';
import { Noise } from './draw/noise.ts';

/** Echo strength and attenuation in beam coordinates. */
export type Tissue = {
  readonly width: number;
  readonly height: number;
  /** Pixels per 1/256 of the longer side. */
  readonly unit: number;
  /** dB. */
  readonly echo: Field;
  /** dB per pixel of depth; negative brightens what lies behind. */
  readonly loss: Field;
};

export type LesionKind =
  | 'cyst'
  | 'fibroadenoma'
  | 'lipoma'
  | 'carcinoma'
  | 'round carcinoma'
  | 'complicated cyst';
export type Margin = 'smooth' | 'lobulated' | 'irregular' | 'spiculated';

export type BreastLesion = {
  readonly kind: LesionKind;
  readonly margin: Margin;
  readonly x: number;
  readonly y: number;
  /** Mean half axes, px; the first along `tilt`. */
  readonly a: number;
  readonly b: number;
  readonly tilt: number;
  /** Radius by angle, ANGLES values, 1 on the ellipse. */
  readonly radius: Float32Array;
  /** Spicules beyond the outline: how far, by angle, in shares of the radius. */
  readonly spikes: Float32Array;
  /** Echo inside relative to gland, dB. */
  readonly levelDb: number;
  readonly textureDb: number;
  readonly texture: Noise;
  /** Moves the outline's inside a little, in shares of the radius, as tissue does. */
  readonly warp: Noise;
  readonly warpShare: number;
  /** Width of the border, px. */
  readonly softPx: number;
  /** Echo of capsule (thin, on the border) and halo (wide, outside), dB. */
  readonly capsuleDb: number;
  readonly haloDb: number;
  /** Total change of what lies behind the middle, dB; positive is shadow. */
  readonly castDb: number;
  /** Shadow behind the tangential edges, dB. */
  readonly edgeDb: number;
  /** Bright spots inside: places in shares of the half axes. */
  readonly spots: readonly { readonly x: number; readonly y: number; readonly db: number }[];
};

const ANGLES = 256;

/** Numbers of a kind: ranges to draw from. */
type Recipe = {
  readonly margins: readonly Margin[];
  readonly aspect: readonly [number, number];
  readonly levelDb: readonly [number, number];
  readonly textureDb: readonly [number, number];
  readonly softPx: readonly [number, number];
  readonly capsuleDb: readonly [number, number];
  readonly haloDb: readonly [number, number];
  readonly castDb: readonly [number, number];
  readonly edgeDb: readonly [number, number];
  readonly spotChance: number;
};

const RECIPES: Readonly<Record<LesionKind, Recipe>> = {
  cyst: {
    margins: ['smooth', 'smooth', 'smooth', 'lobulated'],
    aspect: [0.5, 1],
    levelDb: [-42, -20],
    textureDb: [0, 1],
    softPx: [0.6, 1.8],
    capsuleDb: [0, 9],
    haloDb: [0, 2],
    castDb: [-14, -3],
    edgeDb: [0, 8],
    spotChance: 0.05,
  },
  'complicated cyst': {
    margins: ['smooth', 'lobulated'],
    aspect: [0.5, 1],
    levelDb: [-26, -13],
    textureDb: [1, 4],
    softPx: [0.8, 2.2],
    capsuleDb: [0, 7],
    haloDb: [0, 2],
    castDb: [-9, 0],
    edgeDb: [0, 5],
    spotChance: 0.3,
  },
  fibroadenoma: {
    margins: ['smooth', 'smooth', 'lobulated'],
    aspect: [0.38, 0.85],
    levelDb: [-20, -5],
    textureDb: [0.5, 3],
    softPx: [1, 3.6],
    capsuleDb: [0, 9],
    haloDb: [0, 2],
    castDb: [-7, 3],
    edgeDb: [0, 7],
    spotChance: 0.12,
  },
  lipoma: {
    margins: ['smooth'],
    aspect: [0.3, 0.6],
    levelDb: [-6, 5],
    textureDb: [1, 4],
    softPx: [0.8, 2.5],
    capsuleDb: [3, 10],
    haloDb: [0, 1],
    castDb: [-2, 2],
    edgeDb: [0, 3],
    spotChance: 0,
  },
  carcinoma: {
    margins: ['irregular', 'irregular', 'spiculated'],
    aspect: [0.6, 1.35],
    levelDb: [-20, -6],
    textureDb: [1, 5],
    softPx: [1.6, 6],
    capsuleDb: [0, 2],
    haloDb: [0, 9],
    castDb: [-3, 26],
    edgeDb: [0, 3],
    spotChance: 0.35,
  },
  'round carcinoma': {
    margins: ['lobulated', 'irregular'],
    aspect: [0.65, 1.1],
    levelDb: [-21, -7],
    textureDb: [1, 4],
    softPx: [1, 3],
    capsuleDb: [0, 3],
    haloDb: [0, 6],
    castDb: [-7, 10],
    edgeDb: [0, 4],
    spotChance: 0.25,
  },
};

/** One lesion, seldom two of a kind. */
export function drawLesions(
  random: Random,
  pathology: 'benign' | 'malignant',
  layers: { readonly fatEnd: number; readonly glandEnd: number },
  width: number,
  height: number,
): BreastLesion[] {
  const kind: LesionKind =
    pathology === 'malignant'
      ? random.choice(['carcinoma', 'carcinoma', 'round carcinoma'] as const)
      : random.choice([
          'cyst',
          'cyst',
          'fibroadenoma',
          'fibroadenoma',
          'fibroadenoma',
          'complicated cyst',
          'lipoma',
        ] as const);
  const first = outline(random.fork('first'), kind, layers, width, height, 1);
  if (!random.chance(0.1)) return [first];
  for (let tries = 0; tries < 8; tries++) {
    const other = outline(random.fork(`second ${tries}`), kind, layers, width, height, 0.6);
    if (
      Math.hypot(other.x - first.x, other.y - first.y) >
      1.5 * (Math.max(first.a, first.b) + Math.max(other.a, other.b))
    )
      return [first, other];
  }
  return [first];
}

function outline(
  random: Random,
  kind: LesionKind,
  layers: { readonly fatEnd: number; readonly glandEnd: number },
  width: number,
  height: number,
  scale: number,
): BreastLesion {
  const recipe = RECIPES[kind];
  const from = (range: readonly [number, number]) => random.uniform(range[0], range[1]);
  const u = Math.max(width, height) / 256;
  const margin = random.choice(recipe.margins);
  const aspect = from(recipe.aspect);
  const mean = Math.max(5 * u, scale * random.logUniform(7, 62) * u);
  const a = Math.min(mean / Math.sqrt(aspect), 0.45 * width);
  const b = Math.min(mean * Math.sqrt(aspect), 0.42 * height);
  const y = random.chance(0.85)
    ? random.uniform(Math.max(0.08, layers.fatEnd - 0.08), Math.min(0.8, layers.glandEnd + 0.02)) * height
    : random.uniform(0.1, 0.85) * height;
  const x = random.chance(0.88) ? random.uniform(0.15, 0.85) * width : random.uniform(0.02, 0.98) * width;
  const radius = new Float32Array(ANGLES).fill(1);
  const spikes = new Float32Array(ANGLES);
  addHarmonics(random, radius, 2, 4, 0.03);
  if (margin === 'lobulated') addLobes(random, radius, random.int(2, 6), random.uniform(0.1, 0.3));
  if (margin === 'irregular' || margin === 'spiculated') {
    addHarmonics(random, radius, 2, 5, 0.1);
    addHarmonics(random, radius, 5, 14, random.uniform(0.03, 0.09));
  }
  if (margin === 'spiculated') {
    for (let k = random.int(5, 14); k > 0; k--) {
      const at = random.int(0, ANGLES);
      const half = random.uniform(2, 6);
      const long = random.uniform(0.25, 0.9);
      for (let d = -8; d <= 8; d++) {
        const j = (at + d + ANGLES) % ANGLES;
        const bump = Math.exp(-((d / half) ** 2));
        radius[j]! += 0.16 * long * bump;
        spikes[j] = Math.max(spikes[j]!, long * bump);
      }
    }
  }
  for (let k = 0; k < ANGLES; k++) radius[k] = clamp(radius[k]!, 0.45, 1.7);
  return {
    kind,
    margin,
    x,
    y: Math.max(y, 0.045 * height + 0.7 * b),
    a,
    b,
    tilt: random.normal() * (margin === 'smooth' ? 0.2 : 0.4),
    radius,
    spikes,
    levelDb: from(recipe.levelDb),
    textureDb: from(recipe.textureDb),
    texture: new Noise(random, random.uniform(2.5, 9) * u, random.uniform(1.5, 6) * u),
    warp: new Noise(random, random.uniform(4, 9) * u),
    warpShare: random.uniform(0.01, margin === 'smooth' ? 0.045 : 0.12),
    softPx: from(recipe.softPx) * u,
    capsuleDb: from(recipe.capsuleDb),
    haloDb: from(recipe.haloDb),
    castDb: from(recipe.castDb),
    edgeDb: from(recipe.edgeDb),
    spots: random.chance(recipe.spotChance)
      ? Array.from({ length: random.int(2, 14) }, () => ({
          x: random.normal() * 0.4,
          y: random.normal() * 0.4,
          db: random.uniform(8, 22),
        }))
      : [],
  };
}

function addHarmonics(random: Random, radius: Float32Array, lo: number, hi: number, amount: number): void {
  for (let order = lo; order < hi; order++) {
    const amplitude = (amount * random.normal()) / Math.sqrt(hi - lo);
    const phase = random.uniform(0, 2 * Math.PI);
    for (let k = 0; k < ANGLES; k++)
      radius[k]! += 1.6 * amplitude * Math.cos((order * k * 2 * Math.PI) / ANGLES + phase);
  }
}

/** Rounded lobes with notches between them. */
function addLobes(random: Random, radius: Float32Array, lobes: number, depth: number): void {
  const phase = random.uniform(0, Math.PI);
  for (let k = 0; k < ANGLES; k++)
    radius[k]! += depth * (Math.abs(Math.sin((lobes * k * Math.PI) / ANGLES + phase)) - 0.6);
}

const DIAMONDS = 1024;

/** From equal angles to equal diamond angles, with the first again at the end. */
function byDiamond(byAngle: Float32Array): Float32Array {
  return Float32Array.from({ length: DIAMONDS + 1 }, (_, k) => {
    const t = (4 * k) / DIAMONDS;
    const [x, y] = t < 2 ? [1 - t, t < 1 ? t : 2 - t] : [t - 3, t < 3 ? 2 - t : t - 4];
    const turn = ((Math.atan2(y, x) / (2 * Math.PI) + 1) * ANGLES) % ANGLES;
    const at = turn | 0;
    const next = (at + 1) % ANGLES;
    return byAngle[at]! + (turn - at) * (byAngle[next]! - byAngle[at]!);
  });
}

/** Paints echo and attenuation of a lesion and sets its pixels in the mask. */
export function paintLesion(tissue: Tissue, mask: Uint8Array, lesion: BreastLesion, glandDb: number): void {
  const { width, height, unit: u, echo, loss } = tissue;
  const { a, b, x: cx, y: cy } = lesion;
  const c = Math.cos(lesion.tilt);
  const sine = Math.sin(lesion.tilt);
  const reach = 2.3 * Math.max(a, b);
  const soft = lesion.softPx / Math.sqrt(a * b);
  const level = Math.max(glandDb + lesion.levelDb, -62);
  // A beam through the middle crosses about 1.7 b.
  const castPerPx = lesion.castDb / (1.7 * b);
  const thin = Math.max(0.02, (1.1 * u) / Math.sqrt(a * b));
  const radius = byDiamond(lesion.radius);
  const spikes = byDiamond(lesion.spikes);
  const { warp, warpShare, texture, textureDb, haloDb, capsuleDb, edgeDb } = lesion;
  const { x0, x1, y0, y1 } = windowAround(cx, cy, reach, reach, width, height);
  for (let y = y0; y < y1; y++) {
    const dy = y + 0.5 - cy;
    for (let x = x0; x < x1; x++) {
      const dx = x + 0.5 - cx;
      const p = (dx * c + dy * sine) / a;
      const q = (dy * c - dx * sine) / b;
      const rr = p * p + q * q;
      if (rr > 5) continue;
      const turn = diamondAngle(p, q) * (DIAMONDS / 4);
      const k = turn | 0;
      const edge = radius[k]! + (turn - k) * (radius[k + 1]! - radius[k]!);
      const r = Math.sqrt(rr) / edge + warpShare * warp.at(x, y);
      const i = y * width + x;
      if (r < 1) mask[i] = 1;
      if (r < 1.9) {
        const halo = haloDb * ramp(r, 0.95, 1.1) * (1 - ramp(r, 1.1, 1.65));
        const d = (r - 1 - thin) / thin;
        echo[i]! += halo + capsuleDb / (1 + d * d * d * d);
        const spike = spikes[k]!;
        if (spike > 0.1 && r > 1) echo[i]! -= 9 * spike * (1 - ramp(r - 1, 0.3 * spike, spike));
      }
      const inside = 1 - ramp(r, 1 - soft, 1 + soft);
      if (inside > 0) {
        echo[i]! += inside * (level + textureDb * texture.at(x, y) - echo[i]!);
        loss[i]! += inside * castPerPx;
      }
      // Refraction at the flanks.
      if (edgeDb > 0 && Math.abs(q) < 0.35 && Math.abs(r - 1.02) < 0.05) loss[i]! += edgeDb / (0.7 * b);
    }
  }
  for (const spot of lesion.spots) {
    const [x, y] = [Math.round(cx + spot.x * a), Math.round(cy + spot.y * b)];
    if (x < 1 || y < 1 || x >= width - 1 || y >= height - 1 || mask[y * width + x] !== 1) continue;
    for (const [ox, oy, w] of [
      [0, 0, 1],
      [1, 0, 0.7],
      [-1, 0, 0.5],
      [0, 1, 0.3],
    ] as const)
      echo[(y + oy) * width + x + ox]! += w * spot.db;
  }
}
