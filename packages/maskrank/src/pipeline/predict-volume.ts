// A NIfTI volume predicted slice by slice: axial slices in 8 bit, as an import makes them, each given to a function that masks an
// image; the labels come back as a volume with the voxels and the axes of the input. Not here: masking an image (predict.ts).

import { join } from 'node:path';
import { writeNifti } from '../formats/nifti.ts';
import { readNifti } from '../formats/nifti-read.ts';
import { type WindowRule, windowOf, windowToBytes } from '../formats/window.ts';
import { axialView, putSlice, sliceName, takeSlice } from '../imaging/axial.ts';
import type { Image, Mask } from '../imaging/types.ts';
import type { Prompt } from '../prompting/prompt.ts';
import type { Prediction } from './predict.ts';

/** A class's mask in an image. */
export type SliceMask = {
  readonly class: number;
  readonly mask: Mask;
  /** The model's own estimate of the IoU, 0..1. */
  readonly predictedIou: number;
  readonly prompt: Prompt['source'];
  readonly text: boolean;
};

export type PredictVolumeOptions = {
  /** Folder for NAME.nii.gz. */
  readonly out: string;
  readonly name: string;
  readonly window: WindowRule;
  readonly signal: AbortSignal;
  /** Masks of a slice, named as imports name it. */
  readonly predictSlice: (image: Image, name: string) => Promise<readonly SliceMask[]>;
};

/** Writes OUT/NAME.nii.gz; a line for each class that was asked for in any slice. */
export async function predictVolume(file: string, options: PredictVolumeOptions): Promise<Prediction[]> {
  const { name, window, signal, predictSlice } = options;
  const { size, data, affine } = await readNifti(file);
  const view = axialView(size, affine);
  const [slices, height, width] = view.shape;
  const ends = windowOf(window, data);
  const labels = new Uint8Array(data.length);
  const found = new Map<number, { readonly masks: SliceMask[]; ious: number[]; voxels: number }>();
  for (let k = 0; k < slices; k++) {
    signal.throwIfAborted();
    const pixels = windowToBytes(takeSlice(view, data, k), ends);
    const masks = await predictSlice({ width, height, channels: 1, data: pixels }, sliceName(name, k));
    const slice = mergeMasks(masks, width * height);
    putSlice(view, labels, k, slice);
    for (const mask of masks) {
      const entry = found.get(mask.class) ?? { masks: [], ious: [], voxels: 0 };
      const voxels = slice.reduce((sum, label) => sum + Number(label === mask.class), 0);
      entry.masks.push(mask);
      entry.voxels += voxels;
      if (voxels > 0) entry.ious.push(mask.predictedIou);
      found.set(mask.class, entry);
    }
  }
  const path = join(options.out, `${name}.nii.gz`);
  await writeNifti(path, { size, data: labels, affine }, { description: 'labels by maskrank' });
  return [...found].map(([classId, { masks, ious, voxels }]) => ({
    image: file,
    class: classId,
    mask: path,
    foregroundPx: voxels,
    predictedIou: ious.length === 0 ? 0 : ious.reduce((sum, iou) => sum + iou, 0) / ious.length,
    prompt: masks[0]!.prompt,
    text: masks.every(({ text }) => text),
  }));
}

/** Class ids of a slice; where masks overlap, the class of the mask that the model expects to be better. */
export function mergeMasks(
  masks: readonly Pick<SliceMask, 'class' | 'mask' | 'predictedIou'>[],
  count: number,
): Uint8Array {
  const labels = new Uint8Array(count);
  const byTrust = [...masks].sort((a, b) => a.predictedIou - b.predictedIou);
  for (const { class: classId, mask } of byTrust)
    for (let i = 0; i < count; i++) if (mask.data[i] !== 0) labels[i] = classId;
  return labels;
}
