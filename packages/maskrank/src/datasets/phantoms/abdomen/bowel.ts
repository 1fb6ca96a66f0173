// Colon with haustra, faeces and gas, loops of small bowel, vessels of the mesentery, rectum and heart: AMOS does not label
// them, and they are what makes its organs hard to tell. Not here: stomach and duodenum (organs.ts).

import type { Random } from '../../../util/random.ts';
import { type Field, valueNoise } from './field.ts';
import type { Layer } from './layers.ts';
import type { Patient } from './patient.ts';
import { PLAIN_HU } from './phases.ts';
import { ellipsoid, type Knot, type Part, tube } from './solids.ts';

type Segment = { readonly name: string; readonly knots: readonly Knot[] };

/** Loops of small bowel. */
const LOOPS = 30;

const COLON: readonly Segment[] = [
  {
    name: 'ascending colon',
    knots: [
      [-88, -46, -140, 23],
      [-100, -32, -105, 24],
      [-104, -24, -70, 22],
      [-98, -34, -40, 20],
      [-84, -60, -32, 19],
    ],
  },
  {
    name: 'transverse colon',
    knots: [
      [-84, -62, -32, 18],
      [-55, -98, -30, 19],
      [-10, -108, -34, 18],
      [40, -106, -20, 18],
      [78, -84, 8, 18],
      [100, -34, 34, 17],
    ],
  },
  {
    name: 'descending colon',
    knots: [
      [100, -32, 34, 16],
      [108, -8, 8, 14],
      [108, -6, -50, 13],
      [100, -18, -110, 13],
      [84, -40, -150, 14],
    ],
  },
  {
    name: 'sigmoid colon',
    knots: [
      [84, -40, -150, 14],
      [52, -50, -178, 15],
      [10, -30, -182, 15],
      [-16, -6, -178, 14],
      [0, 14, -200, 15],
      [0, 14, -235, 17],
      [0, 8, -272, 13],
      [0, 0, -300, 9],
    ],
  },
];

export function colon(patient: Patient, random: Random): Layer[] {
  const r = random.fork('colon');
  const gassy = r.uniform(0, 1);
  return COLON.map(({ name, knots }) => {
    const thick = r.uniform(0.72, 1.2);
    const period = r.uniform(24, 34);
    const jittered = knots.map(([x, y, z, radius], i): Knot => {
      const mm = i === 0 || i === knots.length - 1 ? 2 : 9;
      return [x + r.uniform(-mm, mm), y + r.uniform(-mm, mm), z + r.uniform(-mm, mm), radius * thick];
    });
    const gasAboveY = r.chance(0.35 + 0.6 * gassy)
      ? Math.min(...knots.map((k) => k[1])) + r.uniform(-12, 30)
      : -300;
    return {
      name,
      classId: 0,
      solid: tube(jittered, 7, (s) => 1 + 0.16 * Math.sin((2 * Math.PI * s) / period)),
      hu: faeces(r, patient, gasAboveY),
      room: 'abdomen',
      insetMm: 2,
      haloMm: 1 + 2 * patient.visceralFat,
    };
  });
}

function faeces(r: Random, patient: Patient, gasAboveY: number): Layer['hu'] {
  const bubbles = valueNoise(r.uint32(), r.uniform(3.5, 7));
  const fill = patient.oralContrast && r.chance(0.5) ? r.uniform(120, 420) : r.uniform(10, 60);
  const wall = patient.hu.bowelWall - 8;
  const airy = r.uniform(0.1, 0.8);
  return (x, y, z, d) => {
    if (d > -2.2) return wall;
    if (y < gasAboveY) return PLAIN_HU.gas;
    const n = bubbles(x, y, z);
    return n > airy ? fill - 700 * (n - airy) * 2 : fill + 50 * n;
  };
}

/** Loops in the lower belly, each with its own contents, with the mesentery's vessels between. */
export function smallBowel(patient: Patient, random: Random): Layer[] {
  const r = random.fork('small bowel');
  const loops = Array.from({ length: LOOPS }, (): Layer => {
    const middle: [number, number, number] = [r.uniform(-72, 82), r.uniform(-100, -40), r.uniform(-185, -12)];
    const level = r.uniform(7, 18);
    const turn = r.uniform(0, 6.28);
    const radius = r.uniform(8, 13.5);
    const knots = Array.from({ length: 7 }, (_, i): Knot => {
      const along = (i - 3) * 15;
      const side = (i % 2 === 0 ? 1 : -1) * r.uniform(6, 22);
      return [
        clamp(middle[0] + along * Math.cos(turn) - side * Math.sin(turn), -92, 95),
        clamp(middle[1] + 0.6 * (along * Math.sin(turn) + side * Math.cos(turn)), -106, -34),
        middle[2] + r.uniform(-level, level) + (i - 3) * r.uniform(-3, 3),
        radius * r.uniform(0.8, 1.15),
      ];
    });
    const full = patient.oralContrast && r.chance(0.65);
    const fill = full ? r.uniform(160, 420) : r.uniform(5, 45);
    const gasAboveY = r.chance(0.25) ? middle[1] - r.uniform(0, 8) : -300;
    const wallMm = r.uniform(2, radius * 0.6);
    const wall = patient.hu.bowelWall;
    return {
      name: 'small bowel',
      classId: 0,
      solid: tube(knots, 8, (s) => 1 + 0.1 * Math.sin(s / 3.1)),
      hu: (_x, y, _z, d) => (d > -wallMm ? wall : y < gasAboveY ? PLAIN_HU.gas : fill),
      room: 'abdomen',
      insetMm: 3,
      haloMm: 0.6 + 1.8 * patient.visceralFat,
    };
  });
  return [mesentery(patient, r.fork('mesentery')), ...loops];
}

function mesentery(patient: Patient, r: Random): Layer {
  const parts: Part[] = Array.from({ length: 34 }, () => {
    const end: Knot = [r.uniform(-90, 90), r.uniform(-105, -45), r.uniform(-170, 20), 1.3];
    const root: Knot = [end[0] * 0.25, -60, end[2] * 0.6, 2.6];
    return tube(
      [
        root,
        [(root[0] + end[0]) / 2, (root[1] + end[1]) / 2 + r.uniform(-14, 14), (root[2] + end[2]) / 2, 2],
        end,
      ],
      16,
    );
  }).flat();
  const hu = (patient.hu.portalVein + patient.hu.aorta) / 2;
  return { name: 'mesenteric vessels', classId: 0, solid: parts, hu: () => hu, room: 'abdomen', insetMm: 4 };
}

/** The heart's base over the diaphragm, with its fat. */
export function heart(patient: Patient, random: Random, grain: Field): Layer[] {
  const r = random.fork('heart');
  const size = r.uniform(0.9, 1.1);
  const shape = ellipsoid({ centre: [26, -78, 142], radii: [62 * size, 44 * size, 40], yaw: 0.35 });
  const septum = r.uniform(-8, 8);
  return [
    {
      name: 'pericardial fat',
      classId: 0,
      solid: [{ ...shape, distance: (x, y, z) => shape.distance(x, y, z) - 4 }],
      hu: () => PLAIN_HU.fat,
      room: 'cavity',
      insetMm: 5,
    },
    {
      name: 'heart',
      classId: 0,
      solid: [shape],
      hu: (x, y, z, d) => {
        const wall = d > -8 || Math.abs((x - 26) * 0.8 + (y + 78) * 0.7 - septum) < 4;
        return (
          (wall ? Math.min(patient.hu.heart, 60 + 0.4 * patient.hu.heart) : patient.hu.heart) +
          6 * grain(x, y, z)
        );
      },
      room: 'cavity',
      insetMm: 5,
    },
  ];
}

const clamp = (x: number, lo: number, hi: number): number => Math.min(hi, Math.max(lo, x));
