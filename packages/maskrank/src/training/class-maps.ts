// Where each class is, coarsely: for training data whose masks may be used, such as phantoms. From these maps one knows which
// classes a crop or a half-hidden image still shows, and which class is at a place. Plain numbers.
// Not here: labels of whole images (facts.ts), how views are drawn (view.ts).

import { DataError } from '@maskrank/torch/errors';
import { resize } from '../imaging/resample.ts';
import type { Mask } from '../imaging/types.ts';

export type ClassMaps = {
  /** Cells along a side; the maps are of the whole image, stretched. */
  readonly side: number;
  /** A number for every cell, row-major; bit k is set where class k of `classes` is. */
  readonly bits: Uint32Array;
  /** Names of classes, at most 32. */
  readonly classes: readonly string[];
};

const MOST_CLASSES = 32;
/**
 * Maps of `side` cells from the masks of an image by class name; classes without a mask are nowhere. A cell counts when most of it
 * is covered.
 */
export function classMapsOf(
  masks: ReadonlyMap<string, Mask>,
  classes: readonly string[],
  side: number,
): ClassMaps {
  if (classes.length > MOST_CLASSES)
    throw new DataError(`class maps: ${classes.length} classes; allowed are ${MOST_CLASSES} in a dataset.`);
  const bits = new Uint32Array(side * side);
  for (const [name, { width, height, data }] of masks) {
    const bit = 1 << classes.indexOf(name);
    const grey = { width, height, channels: 1 as const, data: data.map((v) => 255 * v) };
    const small = resize(grey, { width: side, height: side }, { filter: 'triangle' });
    for (let i = 0; i < bits.length; i++)
      if ((small.data[i] as number) >= 128) bits[i] = (bits[i] as number) | bit;
  }
  return { side, bits, classes };
}
