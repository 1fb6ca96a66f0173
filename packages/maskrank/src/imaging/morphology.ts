// Binary morphology on masks: erosion, dilation, opening, closing with OpenCV's structuring elements and border rules,
// filling of holes. Not here: grey-value morphology, depth inside a mask (distance-transform.ts).

import { UsageError } from '@maskrank/torch/errors';
import { componentMask, labelComponents } from './components.ts';
import type { Mask } from './types.ts';

/** Pixels that take part, around the centre `(width >> 1, height >> 1)`; index `y * width + x`, 0 or 1. */
export type StructuringElement = Mask;

/** OpenCV's `getStructuringElement`; sizes are odd. */
export const ELEMENTS = {
  square: (sizePx: number): StructuringElement => makeElement(sizePx, () => [0, sizePx - 1]),
  cross: (sizePx: number): StructuringElement => {
    const middle = sizePx >> 1;
    return makeElement(sizePx, (y) => (y === middle ? [0, sizePx - 1] : [middle, middle]));
  },
  ellipse: (sizePx: number): StructuringElement => {
    const radius = sizePx >> 1;
    return makeElement(sizePx, (y) => {
      const dy = y - radius;
      const dx = Math.round(Math.sqrt(radius * radius - dy * dy));
      return [radius - dx, radius + dx];
    });
  },
} as const;

function makeElement(
  sizePx: number,
  rowSpan: (y: number) => [first: number, last: number],
): StructuringElement {
  if (!Number.isInteger(sizePx) || sizePx < 1 || sizePx % 2 === 0) {
    throw new UsageError(`structuring element of ${sizePx} px; allowed: odd whole numbers from 1.`);
  }
  const data = new Uint8Array(sizePx * sizePx);
  for (let y = 0; y < sizePx; y++) {
    const [first, last] = rowSpan(y);
    data.fill(1, y * sizePx + first, y * sizePx + last + 1);
  }
  return { width: sizePx, height: sizePx, data };
}

/** What lies beyond the image's edge. */
export type Outside = 'foreground' | 'background';

/**
 * A pixel stays where the whole element, centred on it, lies on foreground.
 * @param outside OpenCV counts what is beyond the edge as foreground (the default), scipy as background
 */
export function erode(mask: Mask, element: StructuringElement, outside: Outside = 'foreground'): Mask {
  return invert(sweep(invert(mask), element, outside === 'background' ? 1 : 0));
}

/** A pixel is set where the element, centred on it, touches foreground; beyond the edge is background. */
export function dilate(mask: Mask, element: StructuringElement): Mask {
  return sweep(mask, element, 0);
}

/** Erosion, then dilation: removes what the element does not fit into. */
export function open(mask: Mask, element: StructuringElement): Mask {
  return dilate(erode(mask, element), element);
}

/** Dilation, then erosion: closes gaps that the element does not fit into. */
export function close(mask: Mask, element: StructuringElement): Mask {
  return erode(dilate(mask, element), element);
}

/** Background that is not connected (by sides) to the image's edge becomes foreground. */
export function fillHoles(mask: Mask): Mask {
  const { width, height } = mask;
  const background = labelComponents(invert(mask), 4);
  const holes = background.components.filter(
    ({ box }) => box.x0 > 0 && box.y0 > 0 && box.x1 < width && box.y1 < height,
  );
  const filled = componentMask(background, holes).data;
  for (let i = 0; i < filled.length; i++) filled[i] = filled[i]! | (mask.data[i] !== 0 ? 1 : 0);
  return { width, height, data: filled };
}

export function invert({ width, height, data }: Mask): Mask {
  return { width, height, data: data.map((v) => (v === 0 ? 1 : 0)) };
}

/** Union of the mask's copies shifted by the element's pixels; every pixel beyond the edge counts as `beyond`. */
function sweep(mask: Mask, element: StructuringElement, beyond: 0 | 1): Mask {
  const { width, height, data } = mask;
  const out = new Uint8Array(data.length);
  const [centerX, centerY] = [element.width >> 1, element.height >> 1];
  for (let k = 0; k < element.data.length; k++) {
    if (element.data[k] === 0) continue;
    const dx = (k % element.width) - centerX;
    const dy = Math.floor(k / element.width) - centerY;
    const [left, right] = [Math.max(0, -dx), Math.min(width, width - dx)];
    for (let y = 0; y < height; y++) {
      const to = y * width;
      if (y + dy < 0 || y + dy >= height) {
        if (beyond === 1) out.fill(1, to, to + width);
        continue;
      }
      const from = (y + dy) * width + dx;
      for (let x = left; x < right; x++) out[to + x] = out[to + x]! | data[from + x]!;
      if (beyond === 1) {
        out.fill(1, to, to + Math.min(left, width));
        out.fill(1, to + Math.max(right, 0), to + width);
      }
    }
  }
  return { width, height, data: out };
}
