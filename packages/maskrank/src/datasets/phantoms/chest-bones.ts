// Bones and vessels of the chest phantoms, drawn as strokes of absorption. Ribs are rings in space seen from the front:
// out from the spine, round the flank, and down and inwards to the cartilage. Not here: soft tissue (chest.ts).

import type { Random } from '../../util/random.ts';
import type { Thorax } from './chest.ts';
import { ramp } from './draw/field.ts';
import { type Profile, pathOf, softLine, stroke, tube, type Vertex } from './draw/lines.ts';
import { Noise } from './draw/noise.ts';
import { lendZeros } from './draw/scratch.ts';

export function paintBones(random: Random, thorax: Thorax): void {
  const { width, height, unit: u, pose, dense, patient } = thorax;
  const strength = random.uniform(0.05, 0.13);
  const { apex, dome, chestWidth, ribSlope } = patient;
  const span = dome - apex;
  const count = random.int(8, 11);
  const ribHalf = random.uniform(2.4, 3.6) * u * (span / 0.62);
  const frontShare = random.uniform(0.25, 0.8);
  for (const side of [-1, 1]) {
    for (let k = 0; k < count; k++) {
      const level = apex - 0.01 + ((k + 0.3) * span * 1.05) / count + 0.003 * random.normal();
      // The ring is narrow at the apex and follows the chest wall below.
      const reach =
        (chestWidth + 0.012) * (0.62 + 0.4 * ramp(k / count, -0.1, 0.5)) + 0.003 * random.normal();
      const drop = (0.05 + 0.017 * k) * ribSlope * (span / 0.6);
      const ring = (phi: number): Vertex => {
        const out = 0.035 + (reach - 0.035) * Math.sin(phi);
        const y = level - 0.018 * Math.sin(2 * phi) + drop * (1 - Math.cos(phi));
        return pose(0.5 + side * out, y);
      };
      const back = pathOf((t) => ring(t * 0.53 * Math.PI), 16);
      stroke(dense, width, height, back, ribHalf, strength, tube);
      if (k < count - 2) {
        const front = pathOf((t) => ring((0.5 + 0.36 * t) * Math.PI), 12);
        stroke(dense, width, height, front, ribHalf * 1.25, strength * frontShare, tube, (t) => 1 + 0.3 * t);
      }
    }
    paintShoulder(random, thorax, side, strength);
  }
  // Vertebrae: end plates, and spinous processes between them.
  const plate = random.uniform(0.02, 0.09);
  const gap = random.uniform(0.045, 0.06);
  const half = 0.042;
  for (let y = 0.01; y < 1; y += gap) {
    stroke(dense, width, height, [pose(0.5 - half, y), pose(0.5 + half, y)], 1.6 * u, plate);
    stroke(dense, width, height, [pose(0.5, y + 0.35 * gap), pose(0.5, y + 0.65 * gap)], 2.4 * u, plate);
    for (const s of [-1, 1])
      stroke(
        dense,
        width,
        height,
        [pose(0.5 + s * 0.026, y + 0.4 * gap), pose(0.5 + s * 0.026, y + 0.6 * gap)],
        2 * u,
        0.7 * plate,
      );
  }
  for (const s of [-1, 1])
    stroke(
      dense,
      width,
      height,
      [pose(0.5 + s * half, -0.02), pose(0.5 + s * half, 1)],
      1.2 * u,
      0.5 * plate,
    );
}

/** The head of the humerus: cortex round spongy bone. */
const ball: Profile = (d) => (d > 0.9 ? (1 - d) * 9 : 0.6 + 0.3 * d * d);

/** Clavicle, scapula, head of the humerus. */
function paintShoulder(random: Random, thorax: Thorax, side: number, strength: number): void {
  const { width, height, unit: u, pose, dense, patient } = thorax;
  const { apex, chestWidth } = patient;
  const lift = random.uniform(-0.02, 0.09);
  const y0 = apex + random.uniform(0.05, 0.11);
  const reach = chestWidth + 0.07;
  const clavicle = pathOf(
    (t) =>
      pose(
        0.5 + side * (0.035 + reach * t),
        y0 - lift * t - 0.022 * Math.sin(Math.PI * t) + 0.015 * Math.sin(2 * Math.PI * t),
      ),
    14,
  );
  stroke(
    dense,
    width,
    height,
    clavicle,
    random.uniform(3, 4.4) * u,
    strength * random.uniform(1.1, 2),
    tube,
    (t) => 1.2 - 0.5 * Math.sin(Math.PI * t),
  );
  const inner = chestWidth * random.uniform(0.72, 1.05);
  const foot = apex + random.uniform(0.28, 0.42);
  const outer = chestWidth + random.uniform(0.06, 0.1);
  const glenoid = apex + random.uniform(0.03, 0.09);
  const blade = [
    pose(0.5 + side * inner, apex + 0.04),
    pose(0.5 + side * (inner + 0.005), apex + 0.16),
    pose(0.5 + side * (inner + 0.05), foot),
    pose(0.5 + side * outer, glenoid + 0.06),
  ];
  const rim = strength * random.uniform(0.4, 1.1);
  for (let k = 0; k + 1 < blade.length; k++)
    stroke(dense, width, height, [blade[k]!, blade[k + 1]!], 1.8 * u, rim);
  stroke(
    dense,
    width,
    height,
    [pose(0.5 + side * inner, apex + 0.08), pose(0.5 + side * (outer + 0.04), glenoid - 0.02)],
    2.6 * u,
    rim,
    tube,
  );
  const head = pose(0.5 + side * (outer + 0.05), glenoid + 0.015);
  stroke(
    dense,
    width,
    height,
    [head, { x: head.x + 0.1, y: head.y + 0.1 }],
    random.uniform(8, 12) * u,
    strength * 1.3,
    ball,
  );
  const elbow = pose(0.5 + side * (outer + random.uniform(0.06, 0.2)), glenoid + 0.5);
  stroke(dense, width, height, [head, elbow], 5.5 * u, strength * 1.1, tube);
}

/** Trees that leave the two hila and thin out; seen where there is air. */
export function paintVessels(random: Random, thorax: Thorax): void {
  const { width, height, unit: u, pose, dense, air, patient } = thorax;
  const layer = lendZeros(width * height);
  const strength = random.uniform(0.03, 0.085);
  const wander = random.uniform(0.12, 0.3);
  const step = 0.021 * Math.max(width, height);
  const walk = (from: Vertex, angle: number, half: number, depth: number): void => {
    const path = [from];
    let turn = angle;
    for (let k = random.int(3, 6); k > 0; k--) {
      turn += random.normal() * wander;
      const last = path[path.length - 1]!;
      path.push({ x: last.x + step * Math.cos(turn), y: last.y + step * Math.sin(turn) });
    }
    stroke(layer, width, height, path, half, strength * (0.5 + 0.25 * depth), softLine, (t) => 1 - 0.3 * t);
    if (depth === 0) return;
    const end = path[path.length - 1]!;
    walk(end, turn + random.uniform(0.15, 0.6), half * 0.7, depth - 1);
    walk(end, turn - random.uniform(0.15, 0.6), half * 0.7, depth - 1);
  };
  const mid = patient.apex + 0.46 * (patient.dome - patient.apex);
  for (const side of [-1, 1]) {
    const hilum = pose(0.5 + side * 0.075, mid - (side > 0 ? 0.012 : 0));
    stroke(
      layer,
      width,
      height,
      [hilum, pose(0.5 + side * 0.09, mid + 0.08)],
      random.uniform(5, 9) * u,
      strength * random.uniform(0.6, 1.6),
    );
    const count = random.int(5, 9);
    for (let k = 0; k < count; k++) {
      const spread = -1.35 + (2.9 * (k + random.uniform(0.2, 0.8))) / count;
      walk(hilum, side > 0 ? spread : Math.PI - spread, random.uniform(1.7, 2.8) * u, 2);
    }
  }
  const mesh = new Noise(random, random.uniform(2.2, 4) * u);
  const meshes = mesh.paint(width, height, random.chance(0.3) ? random.uniform(0.008, 0.024) : 0.006, air);
  for (let i = 0; i < dense.length; i++) {
    const line = layer[i]!;
    if (air[i] === 1) dense[i]! += (line < 0.22 ? line : 0.22) + meshes[i]!;
    else if (line > 0) dense[i]! += 0.35 * (line < 0.2 ? line : 0.2);
  }
}
