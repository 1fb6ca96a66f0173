// Portal and hepatic veins, cysts and lesions of the liver, and the vein behind the pancreas: painted inside the organ,
// they keep its class. Not here: the liver's shape (organs.ts).

import type { Random } from '../../../util/random.ts';
import { ORGAN } from './classes.ts';
import type { Layer } from './layers.ts';
import type { Patient } from './patient.ts';
import { PLAIN_HU } from './phases.ts';
import { ellipsoid, type Knot, type Part, tube, type Vec } from './solids.ts';

export function liverInside(patient: Patient, random: Random): Layer[] {
  const r = random.fork('liver inside');
  const { portalVein, postcava } = patient.hu;
  const inLiver = { classId: ORGAN.liver, room: 'abdomen', within: ORGAN.liver } as const;
  const lesionHu = patient.hu.liver - (patient.phase === 'unenhanced' ? 14 : r.uniform(25, 45));
  const balls = (count: number, least: number, most: number): Part[] =>
    Array.from({ length: count }, () => {
      const radius = r.uniform(least, most);
      const centre: Vec = [r.uniform(-115, -30), r.uniform(-75, 15), r.uniform(0, 95)];
      return ellipsoid({ centre, radii: [radius, radius * r.uniform(0.8, 1.1), radius] });
    });
  const hepatic = [-1, 0, 1].flatMap((side) =>
    branches(r, [-25, -34, 92], [-0.75 + 0.55 * side, side === 0 ? -0.75 : -0.35 * side, -0.5], 5.2, 90, 3),
  );
  const portal = [
    ...branches(r, [-40, -48, 42], [-0.9, 0.1, 0.25], 5.6, 80, 3),
    ...branches(r, [-36, -52, 44], [-0.35, -0.75, 0.3], 5, 70, 3),
    ...branches(r, [-36, -54, 46], [0.4, -0.7, 0.3], 4.2, 60, 2),
  ];
  const layers: Layer[] = [
    {
      name: 'hepatic veins',
      ...inLiver,
      solid: hepatic,
      hu: () => (patient.phase === 'arterial' ? patient.hu.liver : postcava),
    },
    { name: 'portal branches', ...inLiver, solid: portal, hu: () => portalVein },
  ];
  if (patient.liverLesions > 0) {
    layers.push({
      name: 'liver lesions',
      ...inLiver,
      solid: balls(patient.liverLesions, 5, 20),
      hu: (_x, _y, _z, d) => (d > -4 ? lesionHu + 12 : lesionHu),
    });
  }
  if (patient.liverCysts > 0) {
    layers.push({
      name: 'liver cysts',
      ...inLiver,
      solid: balls(patient.liverCysts, 4, 18),
      hu: () => PLAIN_HU.water,
    });
  }
  return layers;
}

/** Splenic, mesenteric and main portal vein, outside the liver: paint before the pancreas. */
export function portalTrunk(patient: Patient): Layer[] {
  const hu = patient.hu.portalVein;
  const vein = (name: string, knots: readonly Knot[]): Layer => ({
    name,
    classId: 0,
    solid: tube(knots, 10),
    hu: () => hu,
    room: 'abdomen',
    haloMm: 1,
  });
  return [
    vein('splenic vein', [
      [84, 2, 50, 3.4],
      [62, -16, 40, 4],
      [30, -44, 26, 4.5],
      [2, -50, 16, 5],
    ]),
    vein('portal vein', [
      [2, -50, 14, 6.5],
      [-16, -48, 26, 6.5],
      [-38, -48, 42, 6.5],
    ]),
    vein('superior mesenteric vein', [
      [0, -52, 12, 5.5],
      [-6, -58, -20, 5.2],
      [-10, -64, -60, 4.2],
      [-14, -68, -95, 3],
    ]),
    vein('left renal vein', [
      [50, -4, 2, 3.6],
      [28, -24, 6, 3.8],
      [6, -42, 8, 3.2],
      [-14, -32, 6, 3.6],
    ]),
    vein('right renal vein', [
      [-48, 0, -12, 3.6],
      [-30, -20, -8, 4],
    ]),
  ];
}

/** A vessel that wanders and forks; each generation is thinner and shorter. */
function branches(
  r: Random,
  start: Vec,
  direction: Vec,
  radius: number,
  lengthMm: number,
  generations: number,
): Part[] {
  const norm = Math.hypot(...direction);
  let [dx, dy, dz] = direction.map((c) => c / norm) as [number, number, number];
  const steps = 4;
  const knots: Knot[] = [[...start, radius]];
  const parts: Part[] = [];
  let [x, y, z] = start;
  for (let i = 1; i <= steps; i++) {
    dx += r.uniform(-0.25, 0.25);
    dy += r.uniform(-0.25, 0.25);
    dz += r.uniform(-0.22, 0.22);
    const n = lengthMm / steps / Math.hypot(dx, dy, dz);
    [x, y, z] = [x + dx * n, y + dy * n, z + dz * n];
    const thin = radius * (1 - (0.6 * i) / steps);
    knots.push([x, y, z, thin]);
    if (generations > 1) {
      const aside: Vec = [dx + r.uniform(-0.9, 0.9), dy + r.uniform(-0.9, 0.9), dz + r.uniform(-0.7, 0.7)];
      parts.push(...branches(r, [x, y, z], aside, thin * 0.8, lengthMm * 0.5, generations - 1));
    }
  }
  return [...tube(knots, 14), ...parts];
}
