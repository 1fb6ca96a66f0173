// Aorta and postcava (inferior vena cava) with their branches outside the organs, as layers. Not here: the portal veins
// (inside-liver.ts), the vessels of the mesentery (bowel.ts).

import { ORGAN } from './classes.ts';
import { valueNoise } from './field.ts';
import type { Layer } from './layers.ts';
import { bumps, type Make, path } from './organ-tools.ts';
import { type Knot, type Part, type Solid, tube } from './solids.ts';

export const postcava: Make = ({ patient, random: r }) => {
  const thick = r.uniform(0.85, 1.15);
  const knots: Knot[] = [
    [-20, -26, -112, 10],
    [-21, -28, -60, 10.5],
    [-22, -28, 0, 11.5],
    [-24, -26, 45, 12.5],
    [-25, -30, 85, 13],
    [-22, -42, 118, 14],
    [-18, -55, 150, 14],
  ];
  const hu = patient.hu.postcava;
  // Blood of the kidneys is enhanced earlier than that of the legs.
  const below = patient.phase === 'arterial' ? -30 : patient.phase === 'portal' ? -18 : 0;
  const blood = (_x: number, _y: number, z: number) => hu + (z < 0 ? below : 0);
  const iliac = (s: number): Layer => ({
    name: 'iliac vein',
    classId: 0,
    solid: tube(
      [
        [-20, -24, -112, 9],
        [s * 24, -12, -145, 8],
        [s * 50, -10, -190, 7],
        [s * 70, -70, -245, 7],
        [s * 72, -85, -300, 7],
      ],
      10,
    ),
    hu: (x, y, z) => blood(x, y, z) - 10,
    room: 'cavity',
    haloMm: 1,
  });
  const wide = (solid: Solid): Solid =>
    solid.map((part) => ({
      bounds: [part.bounds[0] - 4, part.bounds[1] + 4, ...part.bounds.slice(2)] as unknown as Part['bounds'],
      // Wider than deep.
      distance: (x, y, z) => part.distance(-22 + (x + 22) * 0.84, y, z),
    }));
  return [
    iliac(-1),
    iliac(1),
    {
      name: 'postcava',
      classId: ORGAN.postcava,
      solid: wide(tube(path(r, knots, 1.5, thick), 10)),
      hu: blood,
      room: 'cavity',
      haloMm: 0.8,
      bumps: bumps(r, 1),
    },
  ];
};

export const aorta: Make = ({ patient, random: r }) => {
  const thick = r.uniform(0.85, 1.2);
  const hu = patient.hu.aorta;
  const calcified = r.chance(0.35);
  const plaques = valueNoise(r.uint32(), 8);
  const blood = (x: number, y: number, z: number, d: number) =>
    calcified && d > -2.2 && plaques(x, y, z) > 0.45 ? 480 : hu;
  const vessel = (name: string, knots: readonly Knot[]): Layer => ({
    name,
    classId: 0,
    solid: tube(knots, 10),
    hu: () => hu,
    room: 'cavity',
    haloMm: 1.4,
  });
  const iliac = (s: number): Layer => ({
    name: 'iliac artery',
    classId: 0,
    solid: tube(
      [
        [6, -28, -104, 7],
        [s * 22, -24, -140, 6],
        [s * 52, -26, -185, 5],
        [s * 62, -75, -245, 5],
        [s * 60, -90, -300, 5],
      ],
      10,
    ),
    hu: blood,
    room: 'cavity',
    haloMm: 1,
  });
  return [
    vessel('superior mesenteric artery', [
      [8, -36, 18, 4],
      [5, -50, 0, 3.6],
      [2, -58, -40, 3.2],
      [-4, -66, -90, 2.4],
    ]),
    vessel('celiac trunk', [
      [8, -36, 30, 4],
      [6, -50, 32, 3.4],
      [-12, -54, 34, 2.6],
      [-34, -56, 40, 2.4],
    ]),
    vessel('left renal artery', [
      [16, -26, 6, 2.8],
      [34, -10, 2, 2.6],
      [50, 0, 4, 2.4],
    ]),
    iliac(-1),
    iliac(1),
    {
      name: 'aorta',
      classId: ORGAN.aorta,
      solid: tube(
        path(
          r,
          [
            [16, -26, 150, 12],
            [10, -29, 80, 11.5],
            [8, -31, 20, 10.5],
            [8, -32, -50, 9.5],
            [6, -29, -106, 9],
          ],
          1.5,
          thick,
        ),
        12,
      ),
      hu: blood,
      room: 'cavity',
      haloMm: 1.2,
    },
  ];
};
