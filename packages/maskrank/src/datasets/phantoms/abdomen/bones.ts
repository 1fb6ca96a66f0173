// Iliac wings, hip joints, pubis and ischium as layers. Not here: spine, sacrum and ribs (trunk.ts).

import type { Random } from '../../../util/random.ts';
import { valueNoise } from './field.ts';
import type { Layer } from './layers.ts';
import type { Patient } from './patient.ts';
import { PLAIN_HU } from './phases.ts';
import { capsule, ellipsoid, type Solid, sheet } from './solids.ts';

export function pelvis(patient: Patient, random: Random): Layer[] {
  const spongy = valueNoise(random.fork('bones').uint32(), 4);
  const inner = PLAIN_HU.trabecular + (patient.sex === 'male' ? 40 : 10);
  const hu: Layer['hu'] = (x, y, z, d) => (d > -2.4 ? PLAIN_HU.cortical : inner + 60 * spongy(x, y, z));
  const bone = (name: string, solid: Solid): Layer => ({ name, classId: 0, solid, hu, room: 'trunk' });
  return [-1, 1].flatMap((s) => [
    bone('iliac wing', [
      ...sheet(
        [
          [s * 50, 42],
          [s * 74, 26],
          [s * 96, 2],
          [s * 112, -26],
        ],
        5.5,
        -196,
        -118,
        [s * 0.14, 0.05],
      ),
      ...sheet(
        [
          [s * 86, 16],
          [s * 106, -8],
        ],
        5,
        -122,
        -100,
        [s * 0.1, 0],
      ),
      ...sheet(
        [
          [s * 58, 36],
          [s * 80, 8],
          [s * 88, -10],
        ],
        7,
        -222,
        -192,
        [s * 0.1, 0],
      ),
    ]),
    bone('acetabulum', [
      capsule([s * 66, -34, -232], [s * 76, 2, -226], 7, 9),
      capsule([s * 78, 4, -228], [s * 64, 12, -270], 9, 11),
      capsule([s * 78, -52, -226], [s * 66, -44, -240], 7, 7),
      capsule([s * 68, -54, -240], [s * 12, -86, -258], 7, 9),
      capsule([s * 12, -86, -258], [s * 34, -60, -290], 8, 7),
    ]),
    bone('femur', [
      ellipsoid({ centre: [s * 88, -24, -232], radii: [22, 22, 22] }),
      capsule([s * 88, -24, -234], [s * 118, -14, -264], 14, 15),
    ]),
  ]);
}
