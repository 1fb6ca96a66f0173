// Phantoms of 256 pixels, drawn with masks and words; of the abdomen whole volumes, so that what a patient costs is shared
// by its slices. In processor time of the whole process, which other programs on the machine disturb less than time by
// the clock. Writing files is not part of it.

import { makeAnatomy } from '../datasets/phantoms/abdomen/anatomy.ts';
import { abdomen } from '../datasets/phantoms/abdomen/family.ts';
import { drawSlice } from '../datasets/phantoms/abdomen/slice.ts';
import { drawPhantom } from '../datasets/phantoms/dataset.ts';
import { PHANTOM_FAMILIES } from '../datasets/phantoms/families.ts';
import type { PhantomFamily } from '../datasets/phantoms/types.ts';
import { Random } from '../util/random.ts';
import { median } from './measure.ts';
import type { Bench } from './types.ts';

const SIDE = 256;
/** Pictures a round, enough for every finding to come up. */
const PICTURES = 40;

/** Draws some pictures and gives their number. */
function draw(family: PhantomFamily, round: number): number {
  if (family.name !== abdomen.name) {
    for (let i = 0; i < PICTURES; i++) drawPhantom(family, 'bench', round * PICTURES + i, SIDE);
    return PICTURES;
  }
  const anatomy = makeAnatomy(new Random(`bench ${round}`));
  for (let k = 0; k < anatomy.slices; k++) drawSlice(anatomy, k, SIDE);
  return anatomy.slices;
}

/** Pictures a second of processor time. */
function rate(family: PhantomFamily, round: number): number {
  const before = process.cpuUsage();
  const pictures = draw(family, round);
  const { user, system } = process.cpuUsage(before);
  return (1e6 * pictures) / (user + system);
}

export const phantoms: Bench = {
  name: 'phantoms',
  describe: `phantoms of ${SIDE} x ${SIDE} pixels a second and core`,
  run: async ({ rounds }) =>
    PHANTOM_FAMILIES.map((family) => {
      // The first round compiles.
      const rates = Array.from({ length: rounds + 1 }, (_, round) => rate(family, round)).slice(1);
      return {
        what: family.name === abdomen.name ? 'abdomen, slices of whole volumes' : family.name,
        value: median(rates),
        unit: 'pictures/s',
        aim: { comparison: 'at least', value: 100 },
      };
    }),
};
