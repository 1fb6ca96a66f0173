// Soft tissue of the chest phantoms as absorption: trunk, neck and arms, mediastinum, abdomen with its gas, and the air of
// the lungs. Not here: bones and vessels (chest-bones.ts), disease (chest-disease.ts).

import type { Random } from '../../util/random.ts';
import type { ChestPatient, Pose } from './chest.ts';
import { blur, blurWide } from './draw/blur.ts';
import { type Field, ramp, upsample } from './draw/field.ts';
import { Noise } from './draw/noise.ts';
import { lend } from './draw/scratch.ts';

/** Soft tissue, air in the lungs, mediastinum, abdomen, air around the body. */
export function paintBody(
  random: Random,
  patient: ChestPatient,
  pose: Pose,
  lungs: Uint8Array,
  heart: Uint8Array,
  width: number,
  height: number,
): Field {
  const u = Math.max(width, height) / 256;
  // Inverse of the pose, which is affine.
  const o = pose(0, 0);
  const ex = pose(1, 0);
  const ey = pose(0, 1);
  const [ax, ay, bx, by] = [ex.x - o.x, ex.y - o.y, ey.x - o.x, ey.y - o.y];
  const det = ax * by - ay * bx;
  const mottle = new Noise(random, random.uniform(14, 40) * u);
  const mottleAmount = random.uniform(0.01, 0.04);
  const shape = drawBody(random, patient);
  const step = 3;
  const columns = Math.ceil(width / step) + 1;
  const rows = Math.ceil(height / step) + 1;
  const grid = lend(columns * rows);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, i++) {
      const qx = c * step - o.x;
      const qy = r * step - o.y;
      const x = (qx * by - qy * bx) / det;
      const y = (qy * ax - qx * ay) / det;
      grid[i] = absorption(shape, x, y, mottleAmount * mottle.at(c * step, r * step));
    }
  }
  const body = upsample(grid, columns, step, lend(width * height), width, height);

  // Air: deepest in the middle of a lung, less behind the heart and near the rim.
  const depth = random.uniform(0.18, 0.42);
  const rimSoft = random.uniform(0.5, 1.4) * u;
  const both = lend(width * height);
  both.set(lungs);
  const sharp = blur(both, width, height, rimSoft, undefined, 1);
  const wide = blurWide(both, width, height, 0.055 * width, 0.05 * height);
  const cover = lend(width * height);
  cover.set(heart);
  const heartSoft = blur(cover, width, height, random.uniform(0.6, 1.6) * u, undefined, 1);
  const heartDense = random.uniform(0.03, 0.13);
  const marble = new Noise(random, random.uniform(3, 8) * u);
  const marbles = marble.paint(width, height, random.uniform(0.004, 0.018));
  const upper = random.uniform(-0.15, 0.25);
  const rim = random.uniform(0.45, 0.85);
  // The chest wall beside the lungs is seen on edge.
  const wall = random.uniform(0, 0.12) * (1 - patient.chestWidth);
  for (let y = 0, i = 0; y < height; y++) {
    const fall = depth * (1 - upper * (y / height));
    for (let x = 0; x < width; x++, i++) {
      const t = sharp[i]!;
      const air = t > 0 ? t * (fall * (rim + (1 - rim) * 1.15 * wide[i]!) + marbles[i]!) : 0;
      body[i]! += heartDense * heartSoft[i]! + wall * wide[i]! * (1 - t) - air;
    }
  }
  return body;
}

/** What varies of the body around the lungs; lengths are shares of an upright thorax. */
type Body = ReturnType<typeof drawBody>;

function drawBody(random: Random, patient: ChestPatient) {
  const { bodyWidth, dome, chestWidth, apex } = patient;
  const shoulderSlope = random.uniform(0.4, 1);
  const neckHalf = random.uniform(0.075, 0.12);
  // The shoulders lie above the lungs: at the apices, and where the upper lungs are widest.
  const highest = Math.min(
    apex - 0.06 - shoulderFall(0.55 * chestWidth - neckHalf, shoulderSlope),
    apex + 0.04 - shoulderFall(0.9 * chestWidth - neckHalf, shoulderSlope),
  );
  const female = patient.female;
  return {
    bodyWidth,
    dome,
    shoulderSlope,
    neckHalf,
    shoulderTop: Math.min(highest, random.uniform(-0.02, 0.1)),
    armpit: random.uniform(0.3, 0.75),
    armGap: random.chance(0.6) ? random.uniform(0, 0.1) : -0.3,
    waist: random.uniform(-0.06, 0.04),
    air: random.uniform(0, 0.06),
    abdomen: random.uniform(0.03, 0.22),
    spineHalf: random.uniform(0.035, 0.05),
    spine: random.uniform(0.03, 0.15),
    mediastinum: random.uniform(0.02, 0.12),
    trachea: random.uniform(0.06, 0.18),
    breastY: dome - random.uniform(0, 0.12),
    breast: female ? random.uniform(0.05, 0.17) : 0,
    breastSize: random.uniform(0.11, 0.17),
    bubble: random.chance(0.75)
      ? {
          x: 0.5 + random.uniform(0.09, 0.22),
          y: dome + random.uniform(0.06, 0.14),
          a: random.uniform(0.02, 0.07),
          b: random.uniform(0.015, 0.045),
          level: random.chance(0.4) ? random.uniform(0, 0.6) : 2,
          depth: random.uniform(0.06, 0.24),
        }
      : undefined,
    gas: Array.from({ length: random.chance(0.5) ? random.int(1, 6) : 0 }, () => ({
      x: 0.5 + random.normal() * 0.2,
      y: dome + random.uniform(0.15, 0.35),
      r: random.uniform(0.012, 0.045),
      depth: random.uniform(0.04, 0.2),
    })),
    soft: random.uniform(0.004, 0.012),
  };
}

/** How far the shoulders fall at a distance from the neck. */
const shoulderFall = (d: number, slope: number): number => (d > 0 ? 0.87 * slope * d * Math.sqrt(d) : 0);

/** Absorption of the body without lungs, at a place of the upright thorax; `mottle` is added to its tissue. */
function absorption(body: Body, x: number, y: number, mottle: number): number {
  const { bodyWidth, dome, armpit, armGap } = body;
  const out = Math.abs(x - 0.5);
  // Shoulders fall off to the sides; below the armpit the flank, with air before the arm.
  const top = body.shoulderTop + shoulderFall(out - body.neckHalf, body.shoulderSlope) + body.soft;
  const above = 1 - ramp(y, armpit - 0.34, armpit);
  const flank = bodyWidth + body.waist * ramp(y, 0.5, 1) + 0.6 * above * above;
  let inside = ramp(y - top, -0.012, 0.02) * (1 - ramp(out - flank, -0.012, 0.012));
  if (inside < 1 && y < 0.3) {
    // The neck widens into the shoulders.
    const neck = body.neckHalf + 0.4 * Math.max(0, y - 0.02);
    inside = Math.max(inside, (1 - ramp(out, neck - 0.012, neck + 0.012)) * (1 - ramp(y, 0.2, 0.3)));
  }
  let v = 0;
  if (inside > 0) {
    const round = 1 - 0.45 * ramp(out, 0.25 * bodyWidth, bodyWidth * 1.05) - 0.25 * (1 - ramp(y, 0, 0.22));
    v = 0.62 * round + mottle;
    if (y > dome - 0.02) v += abdomenOf(body, x, y, out);
    if (out < 0.085) {
      v += body.mediastinum * (1 - ramp(out, 0.045, 0.085)) * ramp(y, 0.1, 0.3);
      v += body.spine * (1 - ramp(out, body.spineHalf * 0.8, body.spineHalf * 1.25));
      if (y < 0.44)
        v -= body.trachea * (1 - ramp(Math.abs(x - 0.497), 0.012, 0.026)) * (1 - ramp(y, 0.36, 0.44));
    }
    if (body.breast > 0) {
      const d = length((out - 0.2) / body.breastSize, (y - body.breastY) / (body.breastSize * 1.15));
      v += body.breast * (1 - ramp(d, 0.5, 1.05)) * ramp(y, body.breastY - 0.15, body.breastY + 0.06);
    }
  }
  if (inside >= 1) return body.air + v;
  const beyond = out - flank;
  const arm =
    ramp(beyond - armGap * ramp(y, armpit - 0.3, 1), -0.01, 0.015) * ramp(y, armpit - 0.35, armpit - 0.1);
  return body.air + inside * v + (1 - inside) * arm * (1 - ramp(beyond - armGap, 0.13, 0.16)) * 0.42;
}

/** Below the diaphragm: soft tissue, the gastric bubble, gas of the bowel. */
function abdomenOf(body: Body, x: number, y: number, out: number): number {
  const { dome, bubble, gas } = body;
  let v = body.abdomen * ramp(y, dome - 0.02, dome + 0.14) * (1 - 0.6 * ramp(out, 0.2, body.bodyWidth));
  if (bubble !== undefined && y < bubble.y + bubble.level * bubble.b) {
    const d = length((x - bubble.x) / bubble.a, (y - bubble.y) / bubble.b);
    if (d < 1.05) v -= bubble.depth * (1 - ramp(d, 0.85, 1.05));
  }
  for (let k = 0; k < gas.length; k++) {
    const g = gas[k]!;
    const d = length(x - g.x, y - g.y) / g.r;
    if (d < 1.1) v -= g.depth * (1 - ramp(d, 0.7, 1.1));
  }
  return v;
}

/** Much quicker than Math.hypot, which guards against overflow. */
const length = (x: number, y: number): number => Math.sqrt(x * x + y * y);
