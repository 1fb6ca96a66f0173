// nnU-Net's postprocessing: all but the largest component of the foreground, or of a class, is removed where that raised the Dice
// of images that training has not seen. For pictures; volumes keep all components.
// Letters: C classes, H W pixels.

import type { EmptiesPolicy } from '../../evaluation/overlap.ts';
import { countOverlap, overlap } from '../../evaluation/overlap.ts';
import { keepLargest } from '../../imaging/components.ts';

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

/** Masks of all classes of a picture, [C, H, W] of 0 and 1. */
export type PictureMasks = {
  readonly width: number;
  readonly height: number;
  readonly classes: number;
  readonly data: Uint8Array;
};

/** The same masks without what is removed. */
export function postprocess(masks: PictureMasks, { foreground, classes }: Postprocessing): PictureMasks {
  const { width, height } = masks;
  const data = masks.data.slice();
  const planes = planesOf({ ...masks, data });
  if (foreground) {
    const any = Uint8Array.from({ length: width * height }, (_, i) =>
      Number(planes.some((plane) => plane[i] === 1)),
    );
    const kept = keepLargest({ width, height, data: any }, 1).data;
    for (const plane of planes) for (let i = 0; i < kept.length; i++) if (kept[i] === 0) plane[i] = 0;
  }
  for (const [c, plane] of planes.entries())
    if (classes[c] === true) plane.set(keepLargest({ width, height, data: plane }, 1).data);
  return { ...masks, data };
}

/** Views of each class's mask. */
function planesOf({ width, height, classes, data }: PictureMasks): Uint8Array[] {
  return Array.from({ length: classes }, (_, c) =>
    data.subarray(c * width * height, (c + 1) * width * height),
  );
}

export type JudgedPicture = { readonly truth: PictureMasks; readonly predicted: PictureMasks };

/** Mean Dice of each class over pictures; NaN of a class that no picture tells anything of. */
export function classDice(
  pictures: readonly JudgedPicture[],
  empties: EmptiesPolicy,
  processing?: Postprocessing,
): number[] {
  const rows = pictures.map(({ truth, predicted }) => {
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
  pictures: readonly JudgedPicture[],
  empties: EmptiesPolicy,
): { readonly processing: Postprocessing; readonly before: number; readonly after: number } {
  const count = pictures[0]?.truth.classes ?? 0;
  const dice = (processing: Postprocessing) => classDice(pictures, empties, processing);
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
