// The job of `maskrank predict`: masks for new images from a checkpoint alone, in pixels of the images. The checkpoint says how
// images are brought to the model. Prompts: given for each image, or the model's own (predict, box the prediction, predict again).

import { mkdirSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { fromTypedArray, noGrad, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { networkInput } from '../alignment/embeddings.ts';
import { readImage, writeImagePng, writeMaskPng } from '../formats/raster.ts';
import { boxesOfComponents } from '../imaging/boxes.ts';
import type { Geometry } from '../imaging/geometry.ts';
import { CLASS_COLOURS, type Colour, drawOverlay } from '../imaging/overlay.ts';
import type { Box, Mask } from '../imaging/types.ts';
import { logitsToOriginal, pickBest, type Sam } from '../models/sam/index.ts';
import { collatePrompts, type PromptLayout, promptToCanvas } from '../prompting/collate.ts';
import { NO_PROMPT, type Prompt } from '../prompting/prompt.ts';
import { promptKey, promptOfLine, readPrompts } from '../prompting/prompt-store.ts';
import { promptsTo } from '../training/batch.ts';
import { type InputRecipe, loadModel } from './model.ts';

export type PredictJobOptions = {
  readonly checkpoint: string;
  readonly files: readonly string[];
  readonly out: string;
  readonly device: string;
  /** Probability from which a pixel is foreground. */
  readonly threshold: number;
  /** Boxes in pixels of the image, for every file. */
  readonly boxes: readonly Box[];
  /** A prompts.jsonl whose `case` is the file's name without extension. */
  readonly promptsFile: string | null;
  /** Further passes in which the model's own box is fed back. */
  readonly selfPasses: number;
  /** Writes NAME.overlay.png beside the masks. */
  readonly overlay: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
};

export type Prediction = {
  readonly image: string;
  readonly class: number;
  readonly mask: string;
  readonly foregroundPx: number;
  /** The model's own estimate of the IoU, 0..1. */
  readonly predictedIou: number;
  readonly prompt: Prompt['source'];
};

type Decoded = { readonly mask: Mask; readonly iou: number };

/** The mask of one prompt at the image's size. */
function decode(
  sam: Sam,
  embedding: ReturnType<Sam['embed']>,
  prompt: Prompt,
  geometry: Geometry,
  layout: PromptLayout,
  threshold: number,
  device: string,
): Decoded {
  return tidy(() =>
    noGrad(() => {
      const tensors = promptsTo(collatePrompts([promptToCanvas(prompt, geometry)], layout), device);
      const { masks, iou } = pickBest(sam.decode(embedding, tensors, { multimask: true }));
      const { width, height } = geometry.original;
      const data = logitsToOriginal(masks, geometry)
        .gt(Math.log(threshold / (1 - threshold)))
        .toTypedArray() as Uint8Array;
      return { mask: { width, height, data }, iou: iou.item() };
    }),
  );
}

/** Writes a mask for each file and class; returns what was written. */
export async function predictJob(options: PredictJobOptions): Promise<Prediction[]> {
  const names = options.files.map((file) => basename(file, extname(file)));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new UsageError(
      `predict: two files are named ${twice}, and their masks would overwrite each other; predict them into two folders`,
    );
  const { sam, recipe } = await loadModel(options.checkpoint, options.device);
  const given = options.promptsFile === null ? null : readPrompts(options.promptsFile);
  if (given === null && options.boxes.length === 0 && recipe.classes.length > 1) {
    throw new UsageError(
      `predict: the model knows ${recipe.classes.length} classes, and without prompts it cannot tell them apart; give --prompts FILE with a line for each image and class`,
    );
  }
  mkdirSync(options.out, { recursive: true });
  const predictions: Prediction[] = [];
  for (const [i, file] of options.files.entries()) {
    options.signal.throwIfAborted();
    predictions.push(...(await predictFile(file, names[i] as string, { sam, recipe, given }, options)));
    options.onProgress(i + 1, options.files.length);
  }
  sam.dispose();
  return predictions;
}

async function predictFile(
  file: string,
  name: string,
  { sam, recipe, given }: { sam: Sam; recipe: InputRecipe; given: ReturnType<typeof readPrompts> | null },
  options: PredictJobOptions,
): Promise<Prediction[]> {
  const { device, threshold, out } = options;
  const image = await readImage(file);
  const { geometry, data } = networkInput(image, recipe.canvas);
  const side = recipe.canvas.imageSize;
  const embedding = tidy(() =>
    noGrad(() => sam.embed(fromTypedArray(data, [1, 3, side, side]).to(device as 'cuda'))),
  );
  const results: Prediction[] = [];
  const layers: { kind: 'mask'; mask: Mask; colour: Colour; contourPx: number; opacity: number }[] = [];
  try {
    for (const [k, cls] of recipe.classes.entries()) {
      const line = given?.get(promptKey({ case: name, class: cls.id }));
      if (given !== null && line === undefined) continue; // no line: the class is not in this image
      let prompt: Prompt =
        line !== undefined
          ? promptOfLine(line)
          : options.boxes.length > 0
            ? { boxes: options.boxes, points: [], source: 'file' }
            : { ...NO_PROMPT, source: 'self' };
      let found = decode(sam, embedding, prompt, geometry, recipe.layout, threshold, device);
      for (
        let pass = 0;
        prompt.source === 'self' && pass < options.selfPasses && found.mask.data.includes(1);
        pass++
      ) {
        prompt = {
          boxes: boxesOfComponents(found.mask, { maxComponents: cls.maxBoxes }),
          points: [],
          source: 'self',
        };
        found = decode(sam, embedding, prompt, geometry, recipe.layout, threshold, device);
      }
      const mask = join(out, `${name}_${cls.name.replaceAll(/[^\p{L}\p{N}.-]+/gu, '-')}.png`);
      await writeMaskPng(mask, found.mask);
      layers.push({
        kind: 'mask',
        mask: found.mask,
        colour: CLASS_COLOURS[k % CLASS_COLOURS.length] as Colour,
        contourPx: 2,
        opacity: 0.2,
      });
      const foregroundPx = found.mask.data.reduce((sum, v) => sum + v, 0);
      results.push({
        image: file,
        class: cls.id,
        mask,
        foregroundPx,
        predictedIou: Math.min(1, Math.max(0, found.iou)),
        prompt: prompt.source,
      });
    }
  } finally {
    embedding.dispose();
  }
  if (options.overlay) await writeImagePng(join(out, `${name}.overlay.png`), drawOverlay(image, layers));
  return results;
}
