// The job of `maskrank predict`: files of new images in, files of masks out, in pixels of the images. A NIfTI volume becomes a volume
// of labels (predict-volume.ts). Not here: whoever makes the masks (predictor.ts).

import { mkdirSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import { isNiftiName, withoutNiftiEnding } from '../formats/nifti-read.ts';
import { readImage, writeImagePng, writeMaskPng } from '../formats/raster.ts';
import type { WindowRule } from '../formats/window.ts';
import { CLASS_COLOURS, type Colour, drawOverlay, type Layer } from '../imaging/overlay.ts';
import { predictVolume } from './predict-volume.ts';
import type { FoundMask, Predictor } from './predictor.ts';

export type PredictJobOptions = {
  readonly files: readonly string[];
  readonly out: string;
  /** Grey values of volumes from black to white. */
  readonly window: WindowRule;
  /** Writes NAME.overlay.png beside the masks. */
  readonly overlay: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  readonly warn: (text: string) => void;
};

export type Prediction = Pick<FoundMask, 'class' | 'predictedIou' | 'prompt' | 'text'> & {
  readonly image: string;
  /** The class's mask; of a volume the labels of all classes, and `predictedIou` the mean over the slices that have the class. */
  readonly mask: string;
  /** Pixels, or voxels of a volume. */
  readonly foregroundPx: number;
};

/** Writes a mask for each file and class by the predictor that `open` gives; returns what was written. */
export async function predictJob(
  options: PredictJobOptions,
  open: () => Promise<Predictor>,
): Promise<Prediction[]> {
  const { files, out, signal } = options;
  const names = files.map(nameOf);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new UsageError(
      `predict: two files are named ${twice}, and their masks would overwrite each other; predict them into two folders`,
    );
  const predictor = await open();
  try {
    mkdirSync(out, { recursive: true });
    const predictions: Prediction[] = [];
    for (const [i, file] of files.entries()) {
      signal.throwIfAborted();
      const predict = isNiftiName(file) ? predictVolume : predictPicture;
      predictions.push(...(await predict(file, names[i] as string, predictor, options)));
      options.onProgress(i + 1, files.length);
    }
    const without = predictions.filter(({ text }) => !text).length;
    if (predictor.texts.length > 0 && without > 0)
      options.warn(
        `${without} of ${predictions.length} masks were made without a text, though the model takes ${predictor.texts.join(' and ')}.`,
      );
    return predictions;
  } finally {
    predictor.close();
  }
}

const nameOf = (file: string): string =>
  isNiftiName(file) ? withoutNiftiEnding(basename(file)) : basename(file, extname(file));

/** Writes OUT/NAME_CLASS.png for each class that was asked for. */
async function predictPicture(
  file: string,
  name: string,
  { classes, masksOf }: Predictor,
  { out, overlay }: PredictJobOptions,
): Promise<Prediction[]> {
  const image = await readImage(file);
  const results: Prediction[] = [];
  const layers: Layer[] = [];
  const picture = { name, path: file, load: async () => image };
  for await (const { place: _, mask, ...facts } of masksOf([picture])) {
    const k = classes.findIndex((cls) => cls.id === facts.class);
    const className = classes[k]?.name ?? String(facts.class);
    const path = join(out, `${name}_${className.replaceAll(/[^\p{L}\p{N}.-]+/gu, '-')}.png`);
    await writeMaskPng(path, mask);
    const colour = CLASS_COLOURS[k % CLASS_COLOURS.length] as Colour;
    layers.push({ kind: 'mask', mask, colour, contourPx: 2, opacity: 0.2 });
    results.push({
      image: file,
      mask: path,
      foregroundPx: mask.data.reduce((sum, v) => sum + v, 0),
      ...facts,
    });
  }
  if (overlay) await writeImagePng(join(out, `${name}.overlay.png`), drawOverlay(image, layers));
  return results;
}
