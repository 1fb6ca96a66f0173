// nnU-Net's postprocessing: all but the largest component of the foreground, or of a class, is removed where that raised the Dice
// of images that training has not seen.
// Letters: C classes, S... spatial sizes, two or three of them.

import type { EmptiesPolicy } from '../../evaluation/overlap.ts';
import { countOverlap, overlap } from '../../evaluation/overlap.ts';
import type { Sizes } from '../../models/nnunet/index.ts';
import { countOf } from './grid.ts';

/** What is reduced to its largest component. */
export type Postprocessing = {
  /** Everything that belongs to any class, taken together. */
  readonly foreground: boolean;
  /** A class each, after that. */
  readonly classes: readonly boolean[];
};

export const noPostprocessing = (classes: number): Postprocessing => ({
  foreground: false,
  classes: new Array<boolean>(classes).fill(false),
});

/** Masks of all classes of an image, [C, S...] of 0 and 1. */
export type ClassMasks = {
  readonly shape: Sizes;
  readonly classes: number;
  readonly data: Uint8Array;
};

/** The same masks without what is removed. */
export function postprocess(masks: ClassMasks, { foreground, classes }: Postprocessing): ClassMasks {
  const { shape } = masks;
  const data = masks.data.slice();
  const planes = planesOf({ ...masks, data });
  if (foreground) {
    const any = Uint8Array.from({ length: countOf(shape) }, (_, i) =>
      Number(planes.some((plane) => plane[i] === 1)),
    );
    const kept = largestComponent(any, shape);
    for (const plane of planes) for (let i = 0; i < kept.length; i++) if (kept[i] === 0) plane[i] = 0;
  }
  for (const [c, plane] of planes.entries())
    if (classes[c] === true) plane.set(largestComponent(plane, shape));
  return { ...masks, data };
}

/** Views of each class's mask. */
export function planesOf({ shape, classes, data }: ClassMasks): Uint8Array[] {
  const count = countOf(shape);
  return Array.from({ length: classes }, (_, c) => data.subarray(c * count, (c + 1) * count));
}

/**
 * A mask's largest component; of equal ones the first. Neighbours share a side, an edge or a corner. imaging/components.ts does
 * more, for pictures alone.
 */
export function largestComponent(mask: Uint8Array, shape: Sizes): Uint8Array {
  const labels = new Int32Array(mask.length);
  const steps = shape.map((_, axis) => countOf(shape.slice(axis + 1)));
  const offsets = shape.reduce<number[][]>(
    (all) => all.flatMap((rest) => [-1, 0, 1].map((d) => [...rest, d])),
    [[]],
  );
  let [largest, best, label] = [0, 0, 0];
  const queue: number[] = [];
  for (let first = 0; first < mask.length; first++) {
    if (mask[first] === 0 || labels[first] !== 0) continue;
    label += 1;
    labels[first] = label;
    queue.push(first);
    let size = 0;
    for (let i = queue.pop(); i !== undefined; i = queue.pop()) {
      size += 1;
      for (const offset of offsets) {
        const next = neighbour(i, offset, shape, steps);
        if (next < 0 || mask[next] === 0 || labels[next] !== 0) continue;
        labels[next] = label;
        queue.push(next);
      }
    }
    if (size > largest) [largest, best] = [size, label];
  }
  return Uint8Array.from(labels, (value) => Number(value !== 0 && value === best));
}

/** The position so many steps further along each axis; -1 outside. */
function neighbour(i: number, offset: Sizes, shape: Sizes, steps: Sizes): number {
  let place = i;
  for (const [axis, d] of offset.entries()) {
    if (d === 0) continue;
    const step = steps[axis] as number;
    const at = (Math.floor(i / step) % (shape[axis] as number)) + d;
    if (at < 0 || at >= (shape[axis] as number)) return -1;
    place += d * step;
  }
  return place;
}

export type JudgedImage = { readonly truth: ClassMasks; readonly predicted: ClassMasks };

/** Mean Dice of each class over images; NaN of a class that no image tells anything of. */
export function classDice(
  images: readonly JudgedImage[],
  empties: EmptiesPolicy,
  processing?: Postprocessing,
): number[] {
  const rows = images.map(({ truth, predicted }) => {
    const found = planesOf(processing === undefined ? predicted : postprocess(predicted, processing));
    return planesOf(truth).map((plane, c) =>
      overlap('dice', countOverlap(plane, found[c] as Uint8Array), empties),
    );
  });
  return (rows[0] ?? []).map((_, c) => meanOf(rows.map((row) => row[c] as number)));
}

/** Mean of the numbers that are any; NaN where there is none. */
export function meanOf(values: readonly number[]): number {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.length === 0 ? Number.NaN : known.reduce((a, b) => a + b, 0) / known.length;
}

/** Tries the foreground as a whole, then each class on top of what that gave; keeps what raised the mean Dice. */
export function choosePostprocessing(
  images: readonly JudgedImage[],
  empties: EmptiesPolicy,
): { readonly processing: Postprocessing; readonly before: number; readonly after: number } {
  const count = images[0]?.truth.classes ?? 0;
  const dice = (processing: Postprocessing) => classDice(images, empties, processing);
  const nothing = noPostprocessing(count);
  const before = dice(nothing);
  // With a single class both would be the same.
  const together = { ...nothing, foreground: count > 1 };
  const foreground = count > 1 && meanOf(dice(together)) > meanOf(before);
  const base = foreground ? together : nothing;
  const reached = foreground ? dice(together) : before;
  const alone = dice({ ...base, classes: nothing.classes.map(() => true) });
  const processing = {
    foreground,
    classes: alone.map((value, c) => value > (reached[c] as number)),
  };
  return { processing, before: meanOf(before), after: meanOf(dice(processing)) };
}
