// What is not the patient: leads, tubes, pacemakers, wires, necklaces in absorption; letters and labels in brightness.
// Not here: anatomy (chest.ts), glyphs (draw/text.ts).

import type { Random } from '../../util/random.ts';
import type { Thorax } from './chest.ts';
import type { Field } from './draw/field.ts';
import { fillPolygon, pathOf, stroke, tube, type Vertex } from './draw/lines.ts';
import { lendZeros } from './draw/scratch.ts';
import { fillRect, writeText } from './draw/text.ts';

type Device = (random: Random, thorax: Thorax) => void;

const metal = (d: number): number => (d < 0.8 ? 1 : (1 - d) * 5);

/** A loose cable from one point to another. */
function cable(random: Random, from: Vertex, to: Vertex, slack: number): Vertex[] {
  const [bx, by] = [random.normal() * slack, random.normal() * slack];
  const twist = random.normal() * slack;
  return pathOf((t) => {
    const bow = Math.sin(Math.PI * t);
    const s = Math.sin(2 * Math.PI * t);
    return {
      x: from.x + t * (to.x - from.x) + bow * bx + s * twist,
      y: from.y + t * (to.y - from.y) + bow * by,
    };
  }, 18);
}

const DEVICES: Readonly<Record<string, Device>> = {
  leads: (random, { width, height, unit: u, pose, dense }) => {
    for (let k = random.int(2, 6); k > 0; k--) {
      const end = pose(random.uniform(0.15, 0.85), random.uniform(0.2, 0.85));
      const start = pose(random.uniform(-0.05, 1.05), random.chance(0.5) ? -0.05 : 1.05);
      stroke(dense, width, height, cable(random, start, end, 22 * u), 0.9 * u, random.uniform(0.12, 0.4));
      stroke(
        dense,
        width,
        height,
        [end, { x: end.x + 0.5, y: end.y }],
        random.uniform(2, 4.5) * u,
        random.uniform(0.15, 0.5),
        metal,
      );
    }
  },
  pacemaker: (random, { width, height, unit: u, pose, dense }) => {
    const side = random.chance(0.85) ? 1 : -1;
    const box = pose(0.5 + side * random.uniform(0.22, 0.3), random.uniform(0.2, 0.3));
    const tip = pose(0.5 + random.uniform(0.02, 0.1), random.uniform(0.68, 0.78));
    const knee = pose(0.46, random.uniform(0.35, 0.45));
    stroke(
      dense,
      width,
      height,
      [box, { x: box.x + 4 * u, y: box.y + 7 * u }],
      random.uniform(8, 12) * u,
      random.uniform(0.4, 0.7),
      metal,
    );
    stroke(
      dense,
      width,
      height,
      [...cable(random, box, knee, 8 * u), ...cable(random, knee, tip, 6 * u)],
      1.1 * u,
      random.uniform(0.25, 0.5),
    );
  },
  tube: (random, { width, height, unit: u, pose, dense }) => {
    const end = pose(0.5 + 0.004 * random.normal(), random.uniform(0.26, 0.4));
    stroke(
      dense,
      width,
      height,
      cable(random, pose(0.5, -0.05), end, 3 * u),
      2.6 * u,
      random.uniform(0.08, 0.2),
      tube,
    );
  },
  line: (random, { width, height, unit: u, pose, dense }) => {
    const side = random.chance(0.6) ? -1 : 1;
    const start = pose(0.5 + side * random.uniform(0.12, 0.42), random.uniform(0, 0.22));
    const knee = pose(0.47, random.uniform(0.2, 0.28));
    const tip = pose(0.465, random.uniform(0.4, 0.55));
    stroke(
      dense,
      width,
      height,
      [...cable(random, start, knee, 9 * u), tip],
      0.9 * u,
      random.uniform(0.12, 0.35),
    );
  },
  wires: (random, { width, height, unit: u, pose, dense }) => {
    for (let y = random.uniform(0.3, 0.36); y < 0.72; y += random.uniform(0.06, 0.09)) {
      const ring = pathOf(
        (t) => pose(0.5 + 0.017 * Math.cos(2 * Math.PI * t), y + 0.013 * Math.sin(2 * Math.PI * t)),
        10,
      );
      stroke(dense, width, height, ring, 0.8 * u, 0.35);
    }
  },
  necklace: (random, { width, height, unit: u, pose, dense }) => {
    const low = random.uniform(0.1, 0.26);
    const chain = pathOf(
      (t) => pose(0.5 + 0.17 * Math.cos(Math.PI * t), -0.02 + low * Math.sin(Math.PI * t)),
      16,
    );
    stroke(dense, width, height, chain, 0.9 * u, random.uniform(0.15, 0.45));
  },
  plate: (random, { width, height, unit: u, pose, dense }) => {
    const at = pose(random.uniform(0.1, 0.9), random.uniform(0.1, 0.9));
    const [a, b] = [random.uniform(2, 9) * u, random.uniform(1.5, 5) * u];
    const box = [
      { x: at.x - a, y: at.y - b },
      { x: at.x + a, y: at.y - b },
      { x: at.x + a, y: at.y + b },
      { x: at.x - a, y: at.y + b },
    ];
    const layer = lendZeros(width * height);
    fillPolygon(layer, width, height, box, random.uniform(0.2, 0.7));
    for (let i = 0; i < layer.length; i++) dense[i]! += layer[i]!;
  },
};

/** Seldom a device, sometimes several; gives their names, "none" without. */
export function paintDevices(random: Random, thorax: Thorax): string {
  const chosen = random.chance(0.35)
    ? random.shuffle(Object.keys(DEVICES)).slice(0, random.chance(0.3) ? 2 : 1)
    : [];
  for (const name of chosen) DEVICES[name]!(random.fork(name), thorax);
  return chosen.length > 0 ? chosen.toSorted().join(' and ') : 'none';
}

/** Side markers and labels, burnt in. */
export function paintMarkers(random: Random, grey: Field, width: number, height: number): void {
  const u = Math.max(width, height) / 256;
  const cell = Math.max(1, Math.round(random.uniform(0.8, 2.2) * u));
  if (random.chance(0.65)) {
    const left = random.chance(0.5);
    const x = (left ? random.uniform(0.03, 0.2) : random.uniform(0.78, 0.93)) * width;
    const y = random.uniform(0.02, 0.14) * height;
    writeText(grey, width, height, left ? 'R' : 'L', x, y, cell, random.uniform(0.75, 1));
    if (random.chance(0.4))
      writeText(
        grey,
        width,
        height,
        random.choice(['PA', 'AP', 'PA ERECT', 'SUPINE', 'PORTABLE']),
        x - 4 * cell,
        y + 8 * cell,
        Math.max(1, Math.round(cell * 0.6)),
        0.8,
      );
  }
  if (random.chance(0.06))
    fillRect(
      grey,
      width,
      height,
      random.uniform(0, 0.8) * width,
      (random.chance(0.5) ? 0.01 : 0.94) * height,
      0.18 * width,
      0.04 * height,
      random.chance(0.5) ? 0 : 1,
    );
}
