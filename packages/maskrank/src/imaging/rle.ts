// Run-length code of masks as COCO and SAM write it: columns first (top to bottom, then left to right), run lengths in
// turn background, foreground, ..., beginning with background (0 if the first pixel is foreground).
// Not here: COCO's compressed string form.

import { DataError } from '@maskrank/torch/errors';
import type { Mask } from './types.ts';

export type RunLengths = {
  readonly width: number;
  readonly height: number;
  readonly counts: readonly number[];
};

export function encodeRle({ width, height, data }: Mask): RunLengths {
  const counts: number[] = [];
  let current = 0;
  let run = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const value = data[y * width + x] !== 0 ? 1 : 0;
      if (value !== current) {
        counts.push(run);
        run = 0;
        current = value;
      }
      run++;
    }
  }
  counts.push(run);
  return { width, height, counts };
}

export function decodeRle({ width, height, counts }: RunLengths): Mask {
  const data = new Uint8Array(width * height);
  const total = counts.reduce((sum, run) => sum + run, 0);
  const whole = counts.every((run) => Number.isInteger(run) && run >= 0);
  if (!whole || total !== data.length) {
    throw new DataError(
      `decodeRle: runs add up to ${total} px; expected ${width} x ${height} = ${data.length}.`,
    );
  }
  let position = 0;
  for (const [k, run] of counts.entries()) {
    for (const end = position + run; position < end; position++) {
      if (k % 2 === 1) data[(position % height) * width + Math.floor(position / height)] = 1;
    }
  }
  return { width, height, data };
}
