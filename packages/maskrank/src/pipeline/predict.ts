// The job of `maskrank predict`: masks for new images from a checkpoint alone, in pixels of the images. The checkpoint says how
// images are brought to the model, and what prompts it was trained with. Prompts: given for each image, or the model's own
// (predict, box the prediction, predict again). Texts come with the prompts, their features from a file of `maskrank prompt`.
// A NIfTI volume is predicted slice by slice and becomes a volume of labels (predict-volume.ts).

import { mkdirSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { fromTypedArray, noGrad, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { networkInput } from '../alignment/embeddings.ts';
import { isNiftiName, withoutNiftiEnding } from '../formats/nifti-read.ts';
import { readImage, writeImagePng, writeMaskPng } from '../formats/raster.ts';
import type { WindowRule } from '../formats/window.ts';
import { boxesOfComponents } from '../imaging/boxes.ts';
import type { Geometry } from '../imaging/geometry.ts';
import { CLASS_COLOURS, type Colour, drawOverlay } from '../imaging/overlay.ts';
import { corePoints } from '../imaging/points.ts';
import type { Box, Image, Mask } from '../imaging/types.ts';
import { logitsToOriginal, pickBest, type Sam } from '../models/sam/index.ts';
import {
  collatePrompts,
  type PromptLayout,
  promptToCanvas,
  type TextFeatureRow,
} from '../prompting/collate.ts';
import { NO_PROMPT, type Prompt } from '../prompting/prompt.ts';
import { type PromptLine, promptKey, promptOfLine, readPrompts } from '../prompting/prompt-store.ts';
import { readTextFeatures, type TextFeatures } from '../prompting/text/features.ts';
import { TEXT_PARTS } from '../prompting/text/parts.ts';
import type { PromptKind } from '../run/config/inputs.ts';
import { promptsTo } from '../training/batch.ts';
import { Random } from '../util/random.ts';
import { checkTextModel, type InputRecipe, loadModel, otherPrompts, promptKindsOf } from './model.ts';
import { predictVolume, type SliceMask } from './predict-volume.ts';
import { type TextUse, textRow } from './text.ts';

export type PredictJobOptions = {
  readonly checkpoint: string;
  readonly files: readonly string[];
  readonly out: string;
  readonly device: string;
  /** Probability from which a pixel is foreground. */
  readonly threshold: number;
  /** Boxes in pixels of the image, for every file. */
  readonly boxes: readonly Box[];
  /** Grey values of volumes from black to white. */
  readonly window: WindowRule;
  /** A prompts.jsonl whose `case` is the file's name without extension, with `_s012` for slice 12 of a volume; its lines may have text. */
  readonly promptsFile: string | null;
  /** Features of those texts, as `maskrank prompt` writes them. */
  readonly textFeatures: string | null;
  /** What the model is given; null: what it was trained with. */
  readonly use: readonly PromptKind[] | null;
  /** Slots for points of a model that was trained without any. */
  readonly points: number;
  /** Further passes in which the model's own box is fed back. */
  readonly selfPasses: number;
  /** Writes NAME.overlay.png beside the masks. */
  readonly overlay: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  readonly warn: (text: string) => void;
};

export type Prediction = {
  readonly image: string;
  readonly class: number;
  /** The class's mask; of a volume the labels of all classes. */
  readonly mask: string;
  /** Pixels, or voxels of a volume. */
  readonly foregroundPx: number;
  /** The model's own estimate of the IoU, 0..1; of a volume the mean over the slices that have the class. */
  readonly predictedIou: number;
  readonly prompt: Prompt['source'];
  /** Whether the model was given a text beside it. */
  readonly text: boolean;
};

/** A loaded model with what it is given. */
type Predictor = {
  readonly sam: Sam;
  readonly recipe: InputRecipe;
  readonly kinds: readonly PromptKind[];
  readonly layout: PromptLayout;
  readonly given: ReadonlyMap<string, PromptLine> | null;
  readonly textUse: TextUse;
  readonly features: TextFeatures | null;
};

type Decoded = { readonly mask: Mask; readonly iou: number };

/** The mask of one prompt at the image's size. */
function decode(
  { sam, layout }: Predictor,
  embedding: ReturnType<Sam['embed']>,
  { prompt, text }: { readonly prompt: Prompt; readonly text: TextFeatureRow | undefined },
  geometry: Geometry,
  { threshold, device }: PredictJobOptions,
): Decoded {
  return tidy(() =>
    noGrad(() => {
      const tensors = promptsTo(collatePrompts([promptToCanvas(prompt, geometry, text)], layout), device);
      const { masks, iou } = pickBest(sam.decode(embedding, tensors, { multimask: true }));
      const { width, height } = geometry.original;
      const data = logitsToOriginal(masks, geometry)
        .gt(Math.log(threshold / (1 - threshold)))
        .toTypedArray() as Uint8Array;
      return { mask: { width, height, data }, iou: iou.item() };
    }),
  );
}

/** Slots for what is given: those of training where it had them. */
function layoutFor(
  recipe: InputRecipe,
  kinds: readonly PromptKind[],
  textUse: TextUse,
  textDim: number,
  points: number,
): PromptLayout {
  const { layout, classes } = recipe;
  return {
    points: kinds.includes('point') ? layout.points || points : 0,
    boxes: kinds.includes('box') ? layout.boxes || Math.max(...classes.map((cls) => cls.maxBoxes)) : 0,
    ...(textUse.tokens === 0 ? {} : { text: { tokens: textUse.tokens, dim: textDim } }),
  };
}

async function openPredictor(options: PredictJobOptions): Promise<Predictor> {
  const { sam, recipe } = await loadModel(options.checkpoint, options.device);
  const kinds = options.use ?? promptKindsOf(recipe);
  const names = kinds.join(',') || 'none';
  const others = otherPrompts(recipe, kinds);
  if (others !== undefined) options.warn(others);
  if (options.boxes.length > 0 && !kinds.includes('box'))
    throw new UsageError(
      `predict: a box was given, but the prompts in use are ${names}; add box to --prompts to give it all the same`,
    );
  const given = options.promptsFile === null ? null : readPrompts(options.promptsFile);
  if (given === null && options.boxes.length === 0 && recipe.classes.length > 1) {
    throw new UsageError(
      `predict: the model knows ${recipe.classes.length} classes, and without prompts it cannot tell them apart; give --prompts-file FILE with a line for each image and class`,
    );
  }
  const parts = TEXT_PARTS.filter((part) => kinds.includes(part));
  const textUse = { parts, tokens: Math.min(parts.length, recipe.layout.text?.tokens ?? 1) };
  if (options.textFeatures !== null && parts.length === 0)
    throw new UsageError(
      `predict: text features were given, but the prompts in use are ${names}; add vqa or knowledge to --prompts, or leave the file out`,
    );
  const features = options.textFeatures === null ? null : await readTextFeatures(options.textFeatures);
  checkTextModel(options.checkpoint, recipe, features?.model);
  if (features !== null && features.size > 0 && features.dim !== sam.config.textDim)
    throw new DataError(
      `${options.textFeatures}: features of ${features.dim} values, the model takes ${sam.config.textDim}.`,
    );
  const layout = layoutFor(recipe, kinds, textUse, sam.config.textDim, options.points);
  return { sam, recipe, kinds, layout, given, textUse, features };
}

/** Features of a line's text; undefined where there is none for the model. */
function textOf(
  { textUse, features }: Predictor,
  line: PromptLine | undefined,
  who: string,
): TextFeatureRow | undefined {
  if (textUse.tokens === 0 || line?.text === undefined) return undefined;
  if (features === null)
    throw new UsageError(
      `predict: ${who} has a text, and the model is given ${textUse.parts.join(' and ')}; name the file with the features of the texts (--text-features RUN/cache/text-features.safetensors), or leave text out (--prompts box,point)`,
    );
  const row = textRow(line.text, textUse, features, who);
  return row.every((feature) => feature === null) ? undefined : row;
}

/** Writes a mask for each file and class; returns what was written. */
export async function predictJob(options: PredictJobOptions): Promise<Prediction[]> {
  const names = options.files.map(nameOf);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new UsageError(
      `predict: two files are named ${twice}, and their masks would overwrite each other; predict them into two folders`,
    );
  const predictor = await openPredictor(options);
  mkdirSync(options.out, { recursive: true });
  const predictions: Prediction[] = [];
  for (const [i, file] of options.files.entries()) {
    options.signal.throwIfAborted();
    predictions.push(...(await predictFile(file, names[i] as string, predictor, options)));
    options.onProgress(i + 1, options.files.length);
  }
  predictor.sam.dispose();
  const without = predictions.filter(({ text }) => !text).length;
  if (predictor.textUse.tokens > 0 && without > 0)
    options.warn(
      `${without} of ${predictions.length} masks were made without a text, though the model takes ${predictor.textUse.parts.join(' and ')}.`,
    );
  return predictions;
}

const nameOf = (file: string): string =>
  isNiftiName(file) ? withoutNiftiEnding(basename(file)) : basename(file, extname(file));

async function predictFile(
  file: string,
  name: string,
  predictor: Predictor,
  options: PredictJobOptions,
): Promise<Prediction[]> {
  const { out } = options;
  if (isNiftiName(file)) {
    const { window, signal } = options;
    const predictSlice = async (image: Image, slice: string) =>
      predictImage(image, slice, predictor, options);
    return predictVolume(file, { out, name, window, signal, predictSlice });
  }
  const image = await readImage(file);
  const results: Prediction[] = [];
  const layers: { kind: 'mask'; mask: Mask; colour: Colour; contourPx: number; opacity: number }[] = [];
  const { classes } = predictor.recipe;
  for (const { mask: found, ...facts } of predictImage(image, name, predictor, options)) {
    const k = classes.findIndex((cls) => cls.id === facts.class);
    const className = classes[k]?.name ?? String(facts.class);
    const mask = join(out, `${name}_${className.replaceAll(/[^\p{L}\p{N}.-]+/gu, '-')}.png`);
    await writeMaskPng(mask, found);
    layers.push({
      kind: 'mask',
      mask: found,
      colour: CLASS_COLOURS[k % CLASS_COLOURS.length] as Colour,
      contourPx: 2,
      opacity: 0.2,
    });
    results.push({ image: file, mask, foregroundPx: found.data.reduce((sum, v) => sum + v, 0), ...facts });
  }
  if (options.overlay) await writeImagePng(join(out, `${name}.overlay.png`), drawOverlay(image, layers));
  return results;
}

/** Masks of every class that the prompts say is in the image, at its size. */
function predictImage(
  image: Image,
  name: string,
  predictor: Predictor,
  options: PredictJobOptions,
): SliceMask[] {
  const { sam, recipe, given, kinds } = predictor;
  const { geometry, data } = networkInput(image, recipe.canvas);
  const side = recipe.canvas.imageSize;
  const embedding = tidy(() =>
    noGrad(() => sam.embed(fromTypedArray(data, [1, 3, side, side]).to(options.device as 'cuda'))),
  );
  const results: SliceMask[] = [];
  try {
    for (const cls of recipe.classes) {
      const line = given?.get(promptKey({ case: name, class: cls.id }));
      if (given !== null && line === undefined) continue; // no line: the class is not in this image
      let prompt: Prompt =
        line !== undefined
          ? promptOfLine(line)
          : options.boxes.length > 0
            ? { boxes: options.boxes, points: [], source: 'file' }
            : { ...NO_PROMPT, source: 'self' };
      const text = textOf(predictor, line, `${name}, class ${cls.id}`);
      let found = decode(predictor, embedding, { prompt, text }, geometry, options);
      for (
        let pass = 0;
        prompt.source === 'self' && pass < options.selfPasses && found.mask.data.includes(1);
        pass++
      ) {
        const random = new Random(`predict/${name}/${cls.id}`);
        prompt = {
          boxes: kinds.includes('box') ? boxesOfComponents(found.mask, { maxComponents: cls.maxBoxes }) : [],
          points: kinds.includes('point')
            ? corePoints(found.mask, recipe.prompts?.points ?? predictor.layout.points, random)
            : [],
          source: 'self',
        };
        found = decode(predictor, embedding, { prompt, text }, geometry, options);
      }
      results.push({
        class: cls.id,
        mask: found.mask,
        predictedIou: Math.min(1, Math.max(0, found.iou)),
        prompt: prompt.source,
        text: text !== undefined,
      });
    }
  } finally {
    embedding.dispose();
  }
  return results;
}
