// A NIfTI volume predicted: axial slices in 8 bit, as an import makes them, are given to a predictor, and the labels come back as a
// volume with the voxels and the axes of the input. Not here: making masks (predictor.ts).

import { join } from 'node:path';
import { writeNifti } from '../formats/nifti.ts';
import { readNifti } from '../formats/nifti-read.ts';
import { windowOf, windowToBytes } from '../formats/window.ts';
import { axialView, putSlice, sliceName, takeSlice } from '../imaging/axial.ts';
import type { Prediction, PredictJobOptions } from './predict.ts';
import type { FoundMask, NewImage, Predictor } from './predictor.ts';

/** Writes OUT/NAME.nii.gz; a line for each class that was asked for in any slice. */
export async function predictVolume(
  file: string,
  name: string,
  { masksOf }: Predictor,
  { out, window, signal }: Pick<PredictJobOptions, 'out' | 'window' | 'signal'>,
): Promise<Prediction[]> {
  const { size, data, affine } = await readNifti(file);
  const view = axialView(size, affine);
  const [count, height, width] = view.shape;
  const ends = windowOf(window, data);
  const images = Array.from(
    { length: count },
    (_, slice): NewImage => ({
      name: sliceName(name, slice),
      path: file,
      load: async () => ({
        width,
        height,
        channels: 1,
        data: windowToBytes(takeSlice(view, data, slice), ends),
      }),
      volume: { id: name, slice, spacingMm: [...view.spacingMm] },
    }),
  );
  const slices = images.map(() => new SliceLabels(width * height));
  const asked = new Map<number, Pick<FoundMask, 'prompt' | 'text'> & { readonly estimates: boolean }>();
  for await (const { place, ...found } of masksOf(images)) {
    signal.throwIfAborted();
    slices[place]!.add(found);
    const { prompt, text } = asked.get(found.class) ?? { prompt: found.prompt, text: true };
    asked.set(found.class, {
      prompt,
      text: text && found.text,
      estimates: found.predictedIou !== null,
    });
  }
  const labels = new Uint8Array(data.length);
  for (const [k, slice] of slices.entries()) putSlice(view, labels, k, slice.labels);
  const path = join(out, `${name}.nii.gz`);
  await writeNifti(path, { size, data: labels, affine }, { description: 'labels by maskrank' });
  return [...asked].map(([classId, { estimates, ...facts }]) => {
    const pixels = slices.map((slice) => slice.pixelsOf(classId));
    const having = slices.filter((_, k) => pixels[k]! > 0);
    return {
      image: file,
      class: classId,
      mask: path,
      foregroundPx: pixels.reduce((sum, count) => sum + count, 0),
      predictedIou: estimates ? meanOf(having.map((slice) => slice.predictedIou(classId))) : null,
      ...facts,
    };
  });
}

const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

/** Class ids of a slice: where masks overlap, the class of the mask that the model expects to be better, and of equals the later one. */
export class SliceLabels {
  readonly labels: Uint8Array;
  /** 0 where the network makes no estimate. */
  readonly #ious = new Map<number, number>();

  constructor(count: number) {
    this.labels = new Uint8Array(count);
  }

  add({ class: classId, mask, predictedIou }: Pick<FoundMask, 'class' | 'mask' | 'predictedIou'>): void {
    this.#ious.set(classId, predictedIou ?? 0);
    const { labels } = this;
    const beats = (other: number): boolean => this.predictedIou(classId) >= this.predictedIou(other);
    for (let i = 0; i < labels.length; i++)
      if (mask.data[i] !== 0 && (labels[i] === 0 || beats(labels[i]!))) labels[i] = classId;
  }

  pixelsOf(classId: number): number {
    return this.labels.reduce((sum, label) => sum + Number(label === classId), 0);
  }

  predictedIou(classId: number): number {
    return this.#ious.get(classId) ?? 0;
  }
}
