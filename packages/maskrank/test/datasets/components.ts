// Number of 4-connected regions of a mask, by flood fill: for tests only.

import type { Mask } from '../../src/imaging/types.ts';

export function componentsOf({ width, height, data }: Mask): number {
  const left = Uint8Array.from(data);
  let count = 0;
  for (let start = 0; start < left.length; start++) {
    if (!left[start]) continue;
    count++;
    const stack = [start];
    while (stack.length > 0) {
      const i = stack.pop()!;
      if (!left[i]) continue;
      left[i] = 0;
      const x = i % width;
      if (x > 0) stack.push(i - 1);
      if (x < width - 1) stack.push(i + 1);
      if (i >= width) stack.push(i - width);
      if (i < width * (height - 1)) stack.push(i + width);
    }
  }
  return count;
}
