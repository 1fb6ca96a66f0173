// AMOS's fifteen organs at their places in reference millimetres (x left, y posterior, z superior, disc L1/L2 at z = 0), as
// layers in painting order. Sizes and levels after textbook anatomy; each patient jitters them. Not here: aorta
// and postcava (vessels.ts), vessels and lesions of the liver (inside-liver.ts), bowel (bowel.ts).

import type { Random } from '../../../util/random.ts';
import { ORGAN } from './classes.ts';
import { valueNoise } from './field.ts';
import type { Layer } from './layers.ts';
import { bumps, halo, type Make, near, path } from './organ-tools.ts';
import type { Patient } from './patient.ts';
import { PLAIN_HU } from './phases.ts';
import { blend, carve, ellipsoid, rough, type Solid, sheet, tube, type Vec } from './solids.ts';
import { aorta, postcava } from './vessels.ts';

const liver: Make = ({ patient, random: r }) => {
  const size = r.uniform(0.92, 1.1);
  const tail = r.uniform(-35, 10);
  const parts = [
    ellipsoid({ centre: near(r, [-80, -22, 52], 6), radii: [66 * size, 88 * size, 88], exponent: 2.3 }),
    ellipsoid({ centre: near(r, [-96, -18, tail], 5), radii: [38, 62, 58], lean: [0.1, 0] }),
    ellipsoid({
      centre: near(r, [-22, -84, 66], 7),
      radii: [82 * r.uniform(0.85, 1.15), 42, 46],
      yaw: 0.12,
      exponent: 2.3,
    }),
    ellipsoid({ centre: near(r, [-22, -32, 62], 4), radii: [26, 22, 32] }), // caudate lobe
  ];
  const hollow = blend(
    [
      ellipsoid({ centre: [-12, -52, 12], radii: [48, 36, 36] }), // porta and what lies under it
      ellipsoid({ centre: [-44, -42, 26], radii: [20, 12, 14], yaw: 0.4 }),
    ],
    10,
  );
  const fissure = ellipsoid({ centre: near(r, [-12, -84, 40], 4), radii: [3, 30, 26], yaw: 0.25 });
  const whole = carve(carve(blend(parts, 26), hollow), fissure);
  const base = patient.hu.liver;
  return [
    {
      name: 'liver',
      classId: ORGAN.liver,
      solid: [rough(whole, bumps(r, 3), 6)],
      hu: () => base,
      room: 'abdomen',
      insetMm: 2 + 2 * patient.visceralFat,
    },
  ];
};

const spleen: Make = ({ patient, random: r, grain }) => {
  const size = r.uniform(0.85, 1.2);
  const body = ellipsoid({
    centre: near(r, [95, 14, 48], 5),
    radii: [36, 60 * size, 56 * size],
    yaw: 0.35,
    lean: [0.1, -0.2],
  });
  const hilum = ellipsoid({ centre: near(r, [58, -10, 52], 4), radii: [27, 36, 58], yaw: 0.3 });
  const { spleen: base } = patient.hu;
  // The red pulp fills unevenly at first.
  const arterial = patient.phase === 'arterial';
  return [
    {
      name: 'spleen',
      classId: ORGAN.spleen,
      solid: [rough(carve(body, hilum), bumps(r, 2.5), 5)],
      hu: arterial ? (x, y, z) => base + 32 * Math.sin(0.22 * x + 0.3 * y + 3 * grain(x, y, z)) : () => base,
      room: 'abdomen',
      insetMm: 2 + 2 * patient.visceralFat,
      haloMm: 1,
    },
  ];
};

const gallbladder: Make = ({ patient, random: r }) => {
  const size = r.uniform(0.75, 1.35);
  const shape = tube(
    path(
      r,
      [
        [-50, -62, 34, 6],
        [-58, -72, 20, 14],
        [-64, -84, 4, 17],
        [-66, -92, -12, 12],
      ],
      4,
      size,
    ),
    7,
  );
  const low = r.uniform(-92, -80);
  const stones = patient.gallstones;
  const stone = valueNoise(r.uint32(), 7);
  const bile = PLAIN_HU.bile + r.uniform(-4, 10);
  return [
    {
      name: 'gallbladder',
      classId: ORGAN.gallbladder,
      solid: shape,
      hu: (x, y, z, d) => {
        if (d > -1.6) return 35;
        return stones && y > low + 12 && stone(x, y, z) > 0.25 ? 260 : bile;
      },
      room: 'abdomen',
      insetMm: 4,
    },
  ];
};

/** Wall, contents and gas that rises to the front. */
function hollowHu(
  r: Random,
  patient: Patient,
  o: { wallMm: number; gasAboveY: number; contrast: boolean; food?: number },
) {
  const lumps = valueNoise(r.uint32(), 9);
  const fill = o.contrast ? r.uniform(180, 340) : r.uniform(2, 38);
  const wall = patient.hu.bowelWall;
  const food = o.food ?? 0;
  return (x: number, y: number, z: number, d: number): number => {
    if (d > -o.wallMm) return wall;
    if (y < o.gasAboveY) return PLAIN_HU.gas;
    const n = lumps(x, y, z);
    return fill + food * n - (food > 40 && n > 0.6 ? 500 : 0);
  };
}

const stomach: Make = ({ patient, random: r }) => {
  const thick = r.uniform(0.62, 1.15);
  const knots = path(
    r,
    [
      [62, -12, 92, 26],
      [68, -34, 72, 36],
      [62, -62, 48, 33],
      [44, -84, 24, 27],
      [12, -88, 14, 21],
      [-16, -78, 14, 15],
      [-28, -70, 14, 10],
    ],
    5,
    thick,
  );
  return [
    {
      name: 'stomach',
      classId: ORGAN.stomach,
      solid: tube(knots, 8),
      hu: hollowHu(r, patient, {
        wallMm: 3.2,
        gasAboveY: r.chance(0.75) ? r.uniform(-92, -62) : -200,
        contrast: patient.oralContrast,
        food: r.chance(0.45) ? 60 : 12,
      }),
      room: 'abdomen',
      insetMm: 3,
      haloMm: halo(patient, 1, 3.5),
      bumps: bumps(r, 2.5, [25, 60]),
    },
  ];
};

const duodenum: Make = ({ patient, random: r }) => {
  const knots = path(
    r,
    [
      [-30, -68, 14, 11],
      [-46, -56, 8, 12],
      [-53, -38, -8, 12],
      [-52, -32, -38, 12],
      [-36, -34, -58, 11],
      [-4, -47, -60, 10],
      [24, -46, -46, 10],
      [36, -56, -30, 9],
    ],
    3,
    r.uniform(0.9, 1.15),
  );
  return [
    {
      name: 'duodenum',
      classId: ORGAN.duodenum,
      solid: tube(knots, 8),
      hu: hollowHu(r, patient, {
        wallMm: 3,
        gasAboveY: r.chance(0.4) ? -66 : -200,
        contrast: patient.oralContrast && r.chance(0.7),
        food: 18,
      }),
      room: 'abdomen',
      haloMm: halo(patient, 0.6, 1.8),
      bumps: bumps(r, 1.6, [16, 40]),
    },
  ];
};

const pancreas: Make = ({ patient, random: r }) => {
  const knots = path(
    r,
    [
      [-32, -42, -22, 10],
      [-34, -46, -4, 15],
      [-20, -54, 8, 13],
      [0, -62, 16, 9],
      [24, -56, 24, 10],
      [48, -36, 32, 10],
      [72, -12, 40, 9],
    ],
    3,
    r.uniform(0.88, 1.15),
  );
  const { pancreas: base } = patient.hu;
  const fatty = 4 + 16 * patient.visceralFat * r.next();
  const lobules = valueNoise(r.uint32(), 5);
  return [
    {
      name: 'pancreas',
      classId: ORGAN.pancreas,
      solid: tube(knots, 7),
      hu: (x, y, z) => base + fatty * lobules(x, y, z),
      room: 'abdomen',
      haloMm: halo(patient, 0.8, 3),
      bumps: bumps(r, 2.2, [11, 26]),
    },
  ];
};

const kidney =
  (side: 'left' | 'right'): Make =>
  ({ patient, random: r, grain }) => {
    const s = side === 'left' ? 1 : -1;
    const centre = near(r, side === 'left' ? [64, 10, 4] : [-64, 12, -12], 5);
    const size = r.uniform(0.9, 1.1);
    // The long axis falls outwards and forwards; the hilum looks forwards and inwards.
    const lean: readonly [number, number] = [s * -0.22, 0.12];
    const outer = ellipsoid({
      centre,
      radii: [27 * size, 30 * size, 56 * size],
      yaw: s * 0.55,
      lean,
      exponent: 2.2,
    });
    const sinusAt: Vec = [centre[0] - s * 16, centre[1] - 9, centre[2]];
    const sinus = ellipsoid({ centre: sinusAt, radii: [18, 9.5, 27 * size], yaw: s * 0.5, lean });
    const shape = rough(carve(outer, sinus), bumps(r, 1.8), 4);
    const { cortex, medulla, pelvis } = patient.hu;
    const pyramids = r.uniform(0, 6);
    const layers: Layer[] = [
      {
        name: `${side} kidney`,
        classId: side === 'left' ? ORGAN.leftKidney : ORGAN.rightKidney,
        solid: [shape],
        hu: (x, y, z) => {
          const depth = outer.distance(x, y, z);
          const turn = Math.atan2(y - sinusAt[1], x - sinusAt[0]);
          const column = Math.sin(7 * turn + 0.12 * z + pyramids) > 0.55;
          const uneven = grain(x, y, z);
          const inner = depth < -7 - 1.5 * uneven && !column;
          return (inner ? medulla : cortex) + 4 * uneven;
        },
        room: 'abdomen',
        insetMm: 2,
        haloMm: halo(patient, 2, 11),
      },
      {
        name: `${side} renal pelvis`,
        classId: 0,
        solid: tube(
          [
            [sinusAt[0] + s * 8, sinusAt[1] + 2, centre[2] + 10, 3.2],
            [sinusAt[0] - s * 2, sinusAt[1] - 2, centre[2] - 2, 5],
            [sinusAt[0] - s * 14, sinusAt[1] - 3, centre[2] - 24, 3],
            [s * 36, -14, -60, 2.2],
            [s * 36, -18, -120, 2],
          ],
          10,
        ),
        hu: () => pelvis,
        room: 'abdomen',
      },
    ];
    if (patient.renalCysts.includes(side)) {
      const radius = r.uniform(6, 20);
      const place = near(r, [centre[0] + s * 20, centre[1] + 4, centre[2]], 16);
      const hu = PLAIN_HU.water + r.uniform(-4, 6);
      // A cyst belongs to the organ, as annotators have it.
      layers.splice(1, 0, {
        name: `${side} renal cyst`,
        classId: side === 'left' ? ORGAN.leftKidney : ORGAN.rightKidney,
        solid: [ellipsoid({ centre: place, radii: [radius, radius, radius] })],
        hu: () => hu,
        room: 'abdomen',
        insetMm: 3,
      });
    }
    return layers;
  };

const adrenal =
  (side: 'left' | 'right'): Make =>
  ({ patient, random: r }) => {
    const [x, y, z] = near(r, side === 'left' ? [37, -22, 42] : [-36, -12, 52], 2);
    const s = side === 'left' ? 1 : -1;
    const half = r.uniform(2.6, 3.6);
    const fork: [number, number] = [x, y];
    const solid: Solid = [
      ...sheet([[x - s * 2, y - 10], fork, [x - s * 5, y + 12]], half, z - 15, z + 17, [s * 0.1, 0.1]),
      ...sheet([fork, [x + s * 9, y + 11]], half * 0.85, z - 17, z + 8, [s * 0.1, 0.1]),
    ];
    const hu = patient.hu.adrenal;
    return [
      {
        name: `${side} adrenal`,
        classId: side === 'left' ? ORGAN.leftAdrenal : ORGAN.rightAdrenal,
        solid,
        hu: () => hu,
        room: 'abdomen',
        haloMm: 5,
      },
    ];
  };

const esophagus: Make = ({ patient, random: r }) => [
  {
    name: 'esophagus',
    classId: ORGAN.esophagus,
    solid: tube(
      path(
        r,
        [
          [6, -30, 150, 8],
          [8, -36, 118, 8],
          [16, -40, 98, 8],
          [34, -32, 88, 8],
        ],
        2,
      ),
      8,
    ),
    hu: (_x, y, _z, d) => (d < -4 && y < -37 ? -300 : patient.hu.bowelWall - 12),
    room: 'cavity',
    haloMm: 1.5,
  },
];

const bladder: Make = ({ patient, random: r }) => {
  const full = r.uniform(0.75, 1.2);
  const wall = patient.hu.muscle - 15;
  const urine = PLAIN_HU.urine + r.uniform(-4, 6);
  const layerY = patient.phase === 'delayed' ? -58 + r.uniform(-10, 14) : 200;
  return [
    {
      name: 'bladder',
      classId: ORGAN.bladder,
      solid: [
        rough(
          ellipsoid({
            centre: near(r, [0, -66, -226], 4),
            radii: [44 * full, 36 * full, 32 * full],
            exponent: 2.4,
          }),
          bumps(r, 2),
          4,
        ),
      ],
      hu: (_x, y, _z, d) => (d > -2.8 ? wall : y > layerY ? 320 : urine),
      room: 'abdomen',
      insetMm: 6,
      haloMm: 3,
    },
  ];
};

const prostateUterus: Make = ({ patient, random: r, grain }) => {
  const base = patient.hu.prostateUterus;
  const male = patient.sex === 'male';
  const shape = male
    ? ellipsoid({ centre: near(r, [0, -38, -262], 3), radii: [24, 19, 21], exponent: 2.3 })
    : blend(
        [
          ellipsoid({ centre: near(r, [0, -30, -204], 5), radii: [31, 25, 24], yaw: r.uniform(-0.3, 0.3) }),
          ellipsoid({ centre: near(r, [0, -16, -232], 3), radii: [17, 15, 22] }),
        ],
        14,
      );
  return [
    {
      name: male ? 'prostate' : 'uterus',
      classId: ORGAN.prostateUterus,
      solid: [rough(shape, bumps(r, 1.5), 3)],
      hu: (x, y, z, d) => base + 7 * grain(x, y, z) - (male ? 0 : d < -11 ? 22 : 0),
      room: 'abdomen',
      insetMm: 6,
      haloMm: 2.5,
    },
  ];
};

/** In painting order: what comes later lies over what came before. */
export const ORGANS: readonly (readonly [name: string, make: Make])[] = [
  ['spleen', spleen],
  ['liver', liver],
  ['gallbladder', gallbladder],
  ['stomach', stomach],
  ['right kidney', kidney('right')],
  ['left kidney', kidney('left')],
  ['right adrenal', adrenal('right')],
  ['left adrenal', adrenal('left')],
  ['duodenum', duodenum],
  ['pancreas', pancreas],
  ['postcava', postcava],
  ['aorta', aorta],
  ['esophagus', esophagus],
  ['bladder', bladder],
  ['prostate or uterus', prostateUterus],
];
