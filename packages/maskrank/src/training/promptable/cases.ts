// Cases as promptable training keeps them: grey bytes on the canvas, and each class's mask as run lengths of its regions, so that
// thousands of images with fifteen classes fit into memory. Masks are decoded when they are drawn. Not here: reading files.

import { byArea, componentMask, labelComponents } from '../../imaging/components.ts';
import { decodeRle, encodeRle, type RunLengths } from '../../imaging/rle.ts';
import type { Mask } from '../../imaging/types.ts';
import type { CanvasImage } from '../canvas.ts';

/** What of an image can be asked for: a class that is in it. */
export type PromptableClass = {
  readonly classId: number;
  /** Of all regions together. */
  readonly areaPx: number;
  /** Connected regions on the canvas, the largest first; at least one. */
  readonly regions: readonly RunLengths[];
};

export type PromptableCase = {
  readonly caseId: string;
  /** Number of its dataset. */
  readonly source: number;
  readonly canvas: CanvasImage;
  /** At least one. */
  readonly classes: readonly PromptableClass[];
};

/** Regions below this, and below this share of their class, are crumbs that nobody would ask for. */
const SMALLEST_PX = 12;
const SMALLEST_SHARE = 0.01;

/** A class's mask on the canvas by its regions; undefined where too little of it is there. */
export function promptableClass(classId: number, mask: Mask): PromptableClass | undefined {
  const labelled = labelComponents(mask);
  const total = labelled.components.reduce((sum, { areaPx }) => sum + areaPx, 0);
  const smallest = Math.max(SMALLEST_PX, SMALLEST_SHARE * total);
  const kept = byArea(labelled.components).filter(({ areaPx }) => areaPx >= smallest);
  if (kept.length === 0) return undefined;
  const areaPx = kept.reduce((sum, component) => sum + component.areaPx, 0);
  // Most classes are of one piece, and need no mask of their regions.
  const isWhole = kept.length === 1 && areaPx === total;
  const masks = isWhole ? [mask] : kept.map((component) => componentMask(labelled, [component]));
  return { classId, areaPx, regions: masks.map(encodeRle) };
}

/** The mask of some regions together. */
export function maskOf(regions: readonly RunLengths[]): Mask {
  const [first, ...rest] = regions.map(decodeRle) as [Mask, ...Mask[]];
  for (const { data } of rest) for (let i = 0; i < data.length; i++) if (data[i] === 1) first.data[i] = 1;
  return first;
}
