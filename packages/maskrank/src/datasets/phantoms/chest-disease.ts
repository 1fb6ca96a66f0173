// Disease of the chest phantoms: consolidations, nodules, cavities, fine reticular shadows, fluid; painted as absorption
// with masks of what they cover. Not here: anatomy (chest.ts).

import type { Random } from '../../util/random.ts';
import type { Thorax } from './chest.ts';
import { blur } from './draw/blur.ts';
import { clamp, ramp } from './draw/field.ts';
import { stroke, windowAround } from './draw/lines.ts';
import { Noise } from './draw/noise.ts';
import { lendZeros } from './draw/scratch.ts';
import type { MaskFacts } from './facts.ts';
import { placeWords } from './language.ts';

export type DiseaseKind = 'normal' | 'opacity' | 'nodule' | 'cavity' | 'effusion' | 'cardiomegaly';
export type Disease = {
  readonly kind: DiseaseKind /** 0 right, 1 left of the patient: the picture's left, right. */;
  readonly lung: 0 | 1;
};

export function drawDisease(random: Random): Disease {
  const u = random.next();
  const kind: DiseaseKind =
    u < 0.4
      ? 'normal'
      : u < 0.64
        ? 'opacity'
        : u < 0.74
          ? 'nodule'
          : u < 0.8
            ? 'cavity'
            : u < 0.91
              ? 'effusion'
              : 'cardiomegaly';
  return { kind, lung: random.chance(0.5) ? 0 : 1 };
}

/** What is said of the lungs; the place of opacities comes from their mask. */
export function diseaseWords(
  { kind, lung }: Disease,
  opacity: MaskFacts | undefined,
): { readonly lungs: string; readonly full: string } {
  const place = opacity ? ` ${placeWords(opacity)}` : '';
  const side = lung === 0 ? 'left' : 'right';
  const words: Readonly<Record<DiseaseKind, string>> = {
    normal: 'normal lungs',
    opacity: `opacity${place}`,
    nodule: `nodule${place}`,
    cavity: `cavity${place}`,
    effusion: `pleural effusion on the ${side} of the image`,
    cardiomegaly: 'enlarged heart, clear lungs',
  };
  const short: Readonly<Record<DiseaseKind, string>> = {
    normal: 'normal',
    opacity: 'opacity',
    nodule: 'nodule',
    cavity: 'cavity',
    effusion: 'pleural effusion',
    cardiomegaly: 'normal',
  };
  return { lungs: short[kind], full: words[kind] };
}

/** Adds absorption; gives the mask of opacities and takes out of `lung` what fluid covers. */
export function paintDisease(random: Random, thorax: Thorax, lung: Uint8Array): Uint8Array {
  const { width, height, patient } = thorax;
  const opacity = new Uint8Array(width * height);
  const { kind, lung: side } = patient.disease;
  if (kind === 'effusion') paintFluid(random, thorax, side, lung);
  if (kind === 'nodule')
    for (let k = random.int(1, 3); k > 0; k--)
      paintPatch(random, thorax, side, opacity, {
        size: [0.016, 0.04],
        amount: [0.1, 0.22],
        ragged: 0.15,
        cavity: false,
      });
  if (kind === 'cavity')
    paintPatch(random, thorax, side, opacity, {
      size: [0.04, 0.08],
      amount: [0.12, 0.25],
      ragged: 0.2,
      cavity: true,
    });
  if (kind === 'opacity') {
    const spread = random.chance(0.4);
    for (let k = random.int(1, 4); k > 0; k--)
      paintPatch(random, thorax, spread && k === 1 ? ((1 - side) as 0 | 1) : side, opacity, {
        size: [0.05, 0.14],
        amount: [0.06, 0.26],
        ragged: 0.8,
        cavity: false,
      });
  }
  return opacity;
}

type PatchRecipe = {
  /** Half axes, shares of the picture's side. */
  readonly size: readonly [number, number];
  readonly amount: readonly [number, number];
  /** How far noise moves the border, shares of the radius. */
  readonly ragged: number;
  readonly cavity: boolean;
};

function paintPatch(
  random: Random,
  thorax: Thorax,
  lung: 0 | 1,
  mask: Uint8Array,
  recipe: PatchRecipe,
): void {
  const { width, height, unit: u, dense, lungs } = thorax;
  const inside = lungs[lung];
  const centre = pixelInside(random, inside, width);
  if (centre === undefined) return;
  const side = Math.max(width, height);
  const a = random.uniform(...recipe.size) * side;
  const b = random.uniform(...recipe.size) * side;
  const amount = random.uniform(...recipe.amount);
  const border = new Noise(random, 0.4 * Math.min(a, b) + 1.5 * u);
  const grain = new Noise(random, random.uniform(2, 6) * u);
  const grainAmount = random.uniform(0, 0.35);
  const soft = recipe.ragged > 0.5 ? random.uniform(0.3, 0.6) : random.uniform(0.12, 0.35);
  const reach = 1.9 * Math.max(a, b);
  const hole = recipe.cavity ? random.uniform(0.4, 0.65) : 0;
  const { x0, x1, y0, y1 } = windowAround(centre.x, centre.y, reach, reach, width, height);
  for (let y = y0; y < y1; y++) {
    const v = (y - centre.y) / b;
    for (let x = x0; x < x1; x++) {
      const i = y * width + x;
      if (inside[i] !== 1) continue;
      const w = (x - centre.x) / a;
      const r = Math.sqrt(w * w + v * v) + recipe.ragged * 0.35 * border.at(x, y);
      if (r > 1.5) continue;
      const t =
        (1 - ramp(r, 1 - soft, 1 + soft)) * (hole > 0 ? 0.15 + 0.85 * ramp(r, hole - 0.1, hole + 0.1) : 1);
      dense[i]! += amount * t * clamp(1 + grainAmount * grain.at(x, y), 0.2, 1.8);
      if (r < 1) mask[i] = 1;
    }
  }
}

/** A random pixel of a mask: a pixel of the picture is tried until one lies inside. */
function pixelInside(random: Random, mask: Uint8Array, width: number): { x: number; y: number } | undefined {
  for (let tries = 0; tries < 400; tries++) {
    const i = random.int(0, mask.length);
    if (mask[i] === 1) return { x: i % width, y: Math.floor(i / width) };
  }
  return undefined;
}

/** Fluid from the angle of the diaphragm up to a meniscus that rises along the chest wall. */
function paintFluid(random: Random, thorax: Thorax, lung: 0 | 1, seen: Uint8Array): void {
  const { width, height, unit: u, dense, lungs, pose, patient } = thorax;
  const inside = lungs[lung];
  const level = patient.dome - random.uniform(-0.02, 0.3);
  const rise = random.uniform(0.04, 0.16);
  const side = lung === 0 ? -1 : 1;
  const inner = pose(0.5 + side * 0.06, level);
  const outer = pose(0.5 + side * patient.chestWidth, level - rise);
  const veil = lendZeros(width * height);
  for (let x = 0; x < width; x++) {
    const t = clamp((x - inner.x) / (outer.x - inner.x), 0, 1);
    const top = inner.y + (outer.y - inner.y) * t * t * t;
    for (let y = Math.max(0, Math.floor(top)); y < height; y++) {
      const i = y * width + x;
      if (inside[i] !== 1) continue;
      veil[i] = 1;
      seen[i] = 0;
    }
  }
  const amount = random.uniform(0.16, 0.34);
  const soft = blur(veil, width, height, random.uniform(1.5, 5) * u);
  for (let i = 0; i < dense.length; i++) dense[i]! += amount * soft[i]!;
  if (random.chance(0.2))
    stroke(dense, width, height, [pose(0.5 + side * 0.1, 0.5), pose(0.5 + side * 0.3, 0.45)], 1.2 * u, 0.06);
}
