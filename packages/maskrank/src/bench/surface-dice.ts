// Surface Dice at 2 px of two discs of radius 120 in 512 x 512, one thread.

import { gridOf, surfaceDice, surfaceDistances } from '../evaluation/surface-distance.ts';
import type { Mask } from '../imaging/types.ts';
import { alternate, median, timed } from './measure.ts';
import type { Bench } from './types.ts';

const [SIDE, RADIUS, TOLERANCE_PX] = [512, 120, 2];

function disc(cx: number, cy: number): Mask {
  const data = Uint8Array.from({ length: SIDE * SIDE }, (_, i) =>
    Number(((i % SIDE) - cx) ** 2 + (Math.floor(i / SIDE) - cy) ** 2 <= RADIUS ** 2),
  );
  return { width: SIDE, height: SIDE, data };
}

/** Looks at every pixel once. */
function area({ data }: Mask): number {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i] as number;
  return sum;
}

export const surfaceDiceBench: Bench = {
  name: 'surface-dice',
  describe: 'surface Dice of two discs of radius 120 in 512 x 512',
  run: async ({ rounds }) => {
    const [a, b] = [disc(250, 256), disc(256, 262)];
    const [truth, prediction] = [gridOf(a), gridOf(b)];
    const times = await alternate(
      {
        dice: () => timed(() => void surfaceDice(surfaceDistances(truth, prediction, [1, 1]), TOLERANCE_PX)),
        pass: () => timed(() => void (area(a) + area(b))),
      },
      20 * rounds,
    );
    return [
      {
        what: 'distances and surface Dice',
        value: median(times.dice),
        unit: 'ms',
        limit: { what: 'one look at every pixel of both masks', value: median(times.pass) },
        aim: { comparison: 'at most', value: 2 },
      },
    ];
  },
};
