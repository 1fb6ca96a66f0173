// Pictures that look somewhat like frontal chest X-rays: a body with two dark lung fields crossed by ribs, collar bones
// and vessels, a heart that indents one of them, opacities that hide parts of the lungs, and dark things that are no
// lung (air beside the body, a gas bubble under the diaphragm). Values are brightness, 0 black to 1 white.
// Painted by eye: no attenuation physics, no anatomy model. The lung mask follows the outline, also under opacities.
// S side in pixels; outlines are given in shares of S.

import type { Image, Mask } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import type { Field, Vertex } from './fields.ts';
import {
  addLine,
  blur,
  clamp,
  closedCurve,
  fillPolygon,
  paint,
  ramp,
  smoothNoise,
  toBytes,
  union,
} from './fields.ts';

export type ChestPicture = {
  readonly image: Image;
  readonly lung: Mask;
  readonly pathology: 'normal' | 'opacity' | 'effusion';
};

/** Build of one person; two pictures of the same person share it. */
export type ChestPatient = {
  readonly pathology: ChestPicture['pathology'];
  /** Wide or narrow chest. */
  readonly widthScale: number;
  /** Deep or shallow breath. */
  readonly heightScale: number;
  readonly heart: number;
  readonly ribs: number;
};

/** Outer, lower and inner border of the lung on the picture's left, clockwise from the apex. */
const LUNG: readonly Vertex[] = [
  { x: 0.385, y: 0.13 },
  { x: 0.435, y: 0.205 },
  { x: 0.445, y: 0.34 },
  { x: 0.425, y: 0.46 },
  { x: 0.43, y: 0.6 },
  { x: 0.425, y: 0.73 },
  { x: 0.34, y: 0.7 },
  { x: 0.235, y: 0.725 },
  { x: 0.135, y: 0.815 },
  { x: 0.13, y: 0.66 },
  { x: 0.155, y: 0.46 },
  { x: 0.215, y: 0.27 },
  { x: 0.295, y: 0.165 },
];

export function drawChestPatient(random: Random): ChestPatient {
  const u = random.next();
  return {
    pathology: u < 0.5 ? 'normal' : u < 0.82 ? 'opacity' : 'effusion',
    widthScale: random.uniform(0.88, 1.1),
    heightScale: random.uniform(0.78, 1.12),
    heart: random.uniform(0.6, 1.5),
    ribs: random.int(8, 11),
  };
}

export function drawChest(random: Random, patient: ChestPatient, size: number): ChestPicture {
  const pose = drawPose(random.fork('pose'), patient);
  const shape = random.fork('outline');
  const outlines = [outlineLung(shape, patient, false), outlineLung(shape, patient, true)];
  const place = (outline: readonly Vertex[]) =>
    closedCurve(outline.map((v) => pose(v))).map((v) => ({ x: v.x * size, y: v.y * size }));
  const lungs = outlines.map((outline) => fillPolygon(place(outline), size));
  const lung = union(size, lungs);

  const bright = paintBody(random.fork('body'), lung, pose, size);
  paintBones(random.fork('bones'), bright, patient, pose, size);
  paintVessels(random.fork('vessels'), bright, lung, pose, size);
  paintBubble(random.fork('bubble'), bright, pose, size);
  if (patient.pathology !== 'normal') paintDisease(random.fork('disease'), bright, patient, lungs, size);
  paintObjects(random.fork('objects'), bright, size);
  const image = expose(random.fork('exposure'), bright, size);
  return { image, lung, pathology: patient.pathology };
}

type Pose = (v: Vertex) => Vertex;

/** Scale, small turn and shift about the picture's middle. */
function drawPose(random: Random, patient: ChestPatient): Pose {
  const angle = random.normal() * 0.03;
  const zoom = random.uniform(0.92, 1.1);
  const sx = patient.widthScale * zoom;
  const shift = { x: random.normal() * 0.018, y: random.normal() * 0.025 };
  return (v) => {
    const x = (v.x - 0.5) * sx;
    const y = (v.y - 0.45) * zoom;
    return {
      x: 0.5 + shift.x + x * Math.cos(angle) - y * Math.sin(angle),
      y: 0.47 + shift.y + x * Math.sin(angle) + y * Math.cos(angle),
    };
  };
}

function outlineLung(random: Random, patient: ChestPatient, mirrored: boolean): Vertex[] {
  const drop = random.normal() * 0.02;
  return LUNG.map((v) => {
    const low = ramp(v.y, 0.4, 0.8);
    // The heart narrows the lower part from the inside, more on the picture's right.
    const heart = (mirrored ? 0.33 : 0.045) * patient.heart * (v.x - 0.13) * ramp(v.y, 0.42, 0.66);
    const x = v.x - heart + random.normal() * 0.007;
    const y =
      0.13 + (v.y - 0.13) * (1 + (patient.heightScale - 1) * low) + drop * low + random.normal() * 0.007;
    return { x: mirrored ? 1 - x : x, y: y + (mirrored ? 0.015 * low : 0) };
  });
}

/** Air outside, soft tissue, heart and spine, lungs cut out softly. */
function paintBody(random: Random, lung: Mask, pose: Pose, size: number): Field {
  const tissue = random.uniform(0.58, 0.78);
  const air = random.uniform(0.02, 0.1);
  const lungDark = random.uniform(0.16, 0.4);
  const mottle = smoothNoise(random, size, 0.22 * size);
  const fine = smoothNoise(random, size, 0.03 * size);
  const middle = pose({ x: 0.5, y: 0.5 });
  const heart = pose({ x: 0.57, y: 0.6 });
  const shoulder = random.uniform(0.02, 0.09);
  const flank = random.uniform(0.41, 0.6);
  const soft = blur(new Float32Array(lung.data), size, random.uniform(0.005, 0.012) * size);
  return paint(size, (px, py) => {
    const i = Math.min(size - 1, Math.floor(py)) * size + Math.min(size - 1, Math.floor(px));
    const x = px / size;
    const y = py / size;
    const out = Math.abs(x - middle.x);
    const shoulderLine = shoulder + 0.9 * Math.max(0, out - 0.14) ** 1.6;
    const body =
      ramp(y, shoulderLine - 0.02, shoulderLine + 0.02) * (1 - ramp(out, flank - 0.015, flank + 0.02));
    const neck = (1 - ramp(out, 0.08, 0.11)) * (1 - ramp(y, 0.1, 0.2));
    const inBody = Math.max(body, neck);
    let value = tissue + 0.05 * mottle[i]! - 0.12 * ramp(out, 0.25, 0.47);
    value += 0.13 * Math.exp(-0.5 * ((x - middle.x) / 0.05) ** 2);
    value += 0.06 * (1 - ramp(Math.hypot((x - heart.x) / 0.17, (y - heart.y) / 0.17), 0.7, 1.1));
    value += 0.1 * ramp(y, 0.72, 0.86);
    const t = soft[i]! * (1 - 0.35 * ramp(y, 0.4, 0.85));
    value = value * (1 - t) + (lungDark + 0.03 * mottle[i]! + 0.015 * fine[i]!) * t;
    return air + (value - air) * inBody;
  });
}

/** Back ribs falling outwards, faint front ribs falling inwards, collar bones, vertebrae. */
function paintBones(random: Random, bright: Field, patient: ChestPatient, pose: Pose, size: number): void {
  const strength = random.uniform(0.05, 0.14);
  const at = (x: number, y: number) => {
    const p = pose({ x, y });
    return { x: p.x * size, y: p.y * size };
  };
  const curve = (points: (t: number) => Vertex) =>
    Array.from({ length: 15 }, (_, k) => {
      const p = points(k / 14);
      return at(p.x, p.y);
    });
  for (const side of [-1, 1]) {
    for (let k = 0; k < patient.ribs; k++) {
      const y0 = 0.12 + (k * 0.66) / patient.ribs + random.normal() * 0.006;
      const reach = 0.2 + 0.17 * ramp(k, 0, 5);
      const fall = 0.04 + 0.014 * k;
      const rib = curve((t) => ({
        x: 0.5 + side * (0.04 + reach * Math.sin((t * Math.PI) / 2)),
        y: y0 - 0.03 * Math.sin(Math.PI * t) + fall * t * t * 1.6,
      }));
      addLine(bright, size, rib, 0.03 * size, strength);
      addLine(
        bright,
        size,
        rib.map((v) => ({ x: v.x, y: v.y + 0.012 * size })),
        0.008 * size,
        strength * 0.5,
      );
      const front = curve((t) => ({
        x: 0.5 + side * (0.4 - 0.27 * t),
        y: y0 + 0.1 + 0.15 * t + 0.05 * t * t,
      }));
      if (k < patient.ribs - 3) addLine(bright, size, front, 0.032 * size, strength * 0.4);
    }
    const collar = curve((t) => ({
      x: 0.5 + side * (0.04 + 0.36 * t),
      y: 0.2 - 0.09 * t + 0.03 * Math.sin(2 * Math.PI * t),
    }));
    addLine(bright, size, collar, 0.035 * size, random.uniform(0.1, 0.2));
  }
  for (let k = 0; k < 14; k++) {
    const y = 0.02 + k * 0.068;
    addLine(bright, size, [at(0.472, y), at(0.528, y)], 0.012 * size, 0.05);
  }
}

/** Vessels: short walks that leave the two hila and branch, seen inside the lungs only. */
function paintVessels(random: Random, bright: Field, lung: Mask, pose: Pose, size: number): void {
  const vessels = new Float32Array(size * size);
  const strength = random.uniform(0.02, 0.07);
  const walk = (from: Vertex, angle: number, widthPx: number, depth: number): void => {
    const path = [from];
    let direction = angle;
    const steps = random.int(4, 8);
    for (let k = 0; k < steps; k++) {
      direction += random.normal() * 0.22;
      const last = path[path.length - 1]!;
      const step = 0.026 * size;
      path.push({ x: last.x + step * Math.cos(direction), y: last.y + step * Math.sin(direction) });
    }
    addLine(vessels, size, path, widthPx, strength);
    if (depth === 0) return;
    const end = path[path.length - 1]!;
    walk(end, direction + random.uniform(0.2, 0.7), widthPx * 0.7, depth - 1);
    walk(end, direction - random.uniform(0.2, 0.7), widthPx * 0.7, depth - 1);
  };
  for (const side of [-1, 1]) {
    const hilum = pose({ x: 0.5 + side * 0.075, y: 0.44 });
    const count = random.int(5, 9);
    for (let k = 0; k < count; k++) {
      const angle = (side > 0 ? 0 : Math.PI) + random.uniform(-1.3, 1.3);
      walk({ x: hilum.x * size, y: hilum.y * size }, angle, 0.016 * size, 2);
    }
  }
  for (let i = 0; i < bright.length; i++) if (lung.data[i]) bright[i]! += Math.min(0.16, vessels[i]!);
}

/** Gas under the diaphragm on the picture's right: as dark as lung, and not lung. */
function paintBubble(random: Random, bright: Field, pose: Pose, size: number): void {
  if (!random.chance(0.6)) return;
  const centre = pose({ x: random.uniform(0.64, 0.78), y: random.uniform(0.86, 0.93) });
  const a = random.uniform(0.03, 0.09);
  const b = a * random.uniform(0.4, 0.8);
  const dark = random.uniform(0.1, 0.35);
  for (let i = 0; i < bright.length; i++) {
    const r = Math.hypot(((i % size) / size - centre.x) / a, (Math.floor(i / size) / size - centre.y) / b);
    bright[i]! -= dark * (1 - ramp(r, 0.75, 1.15));
  }
}

function paintDisease(
  random: Random,
  bright: Field,
  patient: ChestPatient,
  lungs: readonly Mask[],
  size: number,
): void {
  if (patient.pathology === 'effusion') {
    const lung = random.choice(lungs);
    const rows = lung.data.reduce(
      (found, v, i) => (v ? [Math.min(found[0]!, i), Math.max(found[1]!, i)] : found),
      [Infinity, 0],
    );
    const top = Math.floor(rows[0]! / size);
    const bottom = Math.floor(rows[1]! / size);
    const level = bottom - (bottom - top) * random.uniform(0.15, 0.45);
    const fluid = random.uniform(0.2, 0.42);
    const veil = blur(new Float32Array(lung.data), size, 0.012 * size);
    for (let i = 0; i < bright.length; i++) {
      const y = Math.floor(i / size);
      bright[i]! += fluid * ramp(y, level - 0.05 * size, level + 0.08 * size) * veil[i]!;
    }
    return;
  }
  const texture = smoothNoise(random, size, 0.035 * size);
  const inside = lungs.map((lung) => blur(new Float32Array(lung.data), size, 0.012 * size));
  const count = random.int(1, 5);
  for (let k = 0; k < count; k++) {
    const side = random.int(0, lungs.length);
    const centre = pixelInside(random, lungs[side]!);
    const a = random.uniform(0.04, 0.15) * size;
    const b = random.uniform(0.04, 0.15) * size;
    const amount = random.uniform(0.1, 0.34);
    for (let i = 0; i < bright.length; i++) {
      const veil = inside[side]![i]!;
      if (veil < 0.01) continue;
      const r = Math.hypot(((i % size) - centre.x) / a, (Math.floor(i / size) - centre.y) / b);
      bright[i]! += amount * veil * clamp(1 + 0.5 * texture[i]!, 0, 1.6) * (1 - ramp(r, 0.3, 1.3));
    }
  }
}

function pixelInside(random: Random, mask: Mask): Vertex {
  const inside = Array.from(mask.data.keys()).filter((i) => mask.data[i]);
  const i = random.choice(inside);
  return { x: i % mask.width, y: Math.floor(i / mask.width) };
}

/** Side marker, cables. */
function paintObjects(random: Random, bright: Field, size: number): void {
  if (random.chance(0.5)) {
    const x = (random.chance(0.5) ? random.uniform(0.05, 0.12) : random.uniform(0.86, 0.93)) * size;
    const y = random.uniform(0.04, 0.16) * size;
    const s = 0.018 * size;
    addLine(
      bright,
      size,
      [
        { x, y: y - s },
        { x, y: y + s },
        { x: x + 1.2 * s, y: y + s },
      ],
      0.012 * size,
      0.9,
    );
  }
  const cables = random.chance(0.25) ? random.int(1, 4) : 0;
  for (let k = 0; k < cables; k++) {
    let { x, y } = { x: random.uniform(0.2, 0.8) * size, y: 0 };
    let angle = Math.PI / 2 + random.normal() * 0.3;
    const path: Vertex[] = [{ x, y }];
    for (let step = 0; step < 10; step++) {
      angle += random.normal() * 0.25;
      x += 0.07 * size * Math.cos(angle);
      y += 0.07 * size * Math.sin(angle);
      path.push({ x, y });
    }
    addLine(bright, size, path, 0.01 * size, random.uniform(0.15, 0.35));
  }
}

/** Blur, contrast curve, grain, black frame. */
function expose(random: Random, bright: Field, size: number): Image {
  const gamma = random.uniform(0.7, 1.45);
  const gain = random.uniform(0.85, 1.12);
  const lift = random.uniform(-0.03, 0.06);
  const grain = random.uniform(0.008, 0.03);
  const frame = random.chance(0.3) ? random.uniform(0.01, 0.04) * size : 0;
  const sharp = blur(bright, size, random.uniform(0.5, 1.1) * (size / 256));
  const out = sharp.map((value, i) => {
    const x = i % size;
    const y = Math.floor(i / size);
    if (Math.min(x, y, size - 1 - x, size - 1 - y) < frame) return 0.02;
    const v = clamp(value, 0, 1.2) ** gamma * gain + lift;
    return v + grain * (0.4 + v) * random.normal();
  });
  return { width: size, height: size, channels: 1, data: toBytes(out) };
}
