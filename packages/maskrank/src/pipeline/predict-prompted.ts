// Masks of new images by a prompted model from its checkpoint alone. The checkpoint says how images are brought to the model, and what
// prompts it was trained with. Prompts: given for each image, or the model's own (predict, box the prediction, predict again).
// Texts come with the prompts, their features from a file of `maskrank prompt`. Not here: files (predict.ts).

import { fromTypedArray, noGrad, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { networkInput } from '../alignment/embeddings.ts';
import { boxesOfComponents } from '../imaging/boxes.ts';
import type { Geometry } from '../imaging/geometry.ts';
import { corePoints } from '../imaging/points.ts';
import type { Image } from '../imaging/types.ts';
import type { Sam } from '../models/sam/index.ts';
import {
  collatePrompts,
  type PromptLayout,
  promptToCanvas,
  type TextFeatureRow,
} from '../prompting/collate.ts';
import type { Prompt } from '../prompting/prompt.ts';
import { type PromptLine, promptKey } from '../prompting/prompt-store.ts';
import { readTextFeatures, type TextFeatures } from '../prompting/text/features.ts';
import { TEXT_PARTS } from '../prompting/text/parts.ts';
import type { PromptKind } from '../run/config/inputs.ts';
import { promptsTo } from '../training/batch.ts';
import { Random } from '../util/random.ts';
import { checkTextModel, type InputRecipe, loadModel, otherPrompts, promptKindsOf } from './model.ts';
import { type BestMask, bestMasks } from './predict-units.ts';
import { checkGiven, type FoundMask, type GivenPrompts, givenPrompt, type Predictor } from './predictor.ts';
import { type TextUse, textRow } from './text.ts';

export type PromptedOptions = {
  readonly checkpoint: string;
  readonly device: string;
  /** Probability from which a pixel is foreground. */
  readonly threshold: number;
  /** Lines may have texts. */
  readonly given: GivenPrompts;
  /** File with features of those texts, as `maskrank prompt` writes it. */
  readonly textFeatures: string | null;
  /** What the model is given; null: what it was trained with. */
  readonly use: readonly PromptKind[] | null;
  /** Slots for points of a model that was trained without any. */
  readonly points: number;
  /** Further passes in which the model's own box is fed back. */
  readonly selfPasses: number;
  readonly warn: (text: string) => void;
};

/** A loaded model with what it is given. */
type PromptedModel = {
  readonly sam: Sam;
  readonly recipe: InputRecipe;
  readonly kinds: readonly PromptKind[];
  readonly layout: PromptLayout;
  readonly textUse: TextUse;
  readonly features: TextFeatures | null;
};

/** The mask of one prompt at the image's size. */
function decode(
  { sam, layout }: PromptedModel,
  embedding: ReturnType<Sam['embed']>,
  { prompt, text }: { readonly prompt: Prompt; readonly text: TextFeatureRow | undefined },
  geometry: Geometry,
  { threshold, device }: PromptedOptions,
): BestMask {
  return tidy(() =>
    noGrad(() => {
      const tensors = promptsTo(collatePrompts([promptToCanvas(prompt, geometry, text)], layout), device);
      const decoded = sam.decode(embedding, tensors, { multimask: true });
      return bestMasks(decoded, [geometry], threshold)[0] as BestMask;
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

async function load(options: PromptedOptions): Promise<PromptedModel> {
  const { checkpoint, given, textFeatures, warn } = options;
  const { sam, recipe } = await loadModel(checkpoint, options.device);
  const kinds = options.use ?? promptKindsOf(recipe);
  const others = otherPrompts(recipe, kinds);
  if (others !== undefined) warn(others);
  checkGiven(given, { kinds, classes: recipe.classes });
  const parts = TEXT_PARTS.filter((part) => kinds.includes(part));
  const textUse = { parts, tokens: Math.min(parts.length, recipe.layout.text?.tokens ?? 1) };
  if (textFeatures !== null && parts.length === 0)
    throw new UsageError(
      `predict: text features were given, but the prompts in use are ${kinds.join(',') || 'none'}; add vqa or knowledge to --prompts, or leave the file out`,
    );
  const features = textFeatures === null ? null : await readTextFeatures(textFeatures);
  checkTextModel(checkpoint, recipe, features?.model);
  if (features !== null && features.size > 0 && features.dim !== sam.config.textDim)
    throw new DataError(
      `${textFeatures}: features of ${features.dim} values, the model takes ${sam.config.textDim}.`,
    );
  const layout = layoutFor(recipe, kinds, textUse, sam.config.textDim, options.points);
  return { sam, recipe, kinds, layout, textUse, features };
}

/** Features of a line's text; undefined where there is none for the model. */
function textOf(
  { textUse, features }: PromptedModel,
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

/** Opens a checkpoint. Throws UsageError for prompts that the model cannot use, or where it needs some. */
export async function openPrompted(options: PromptedOptions): Promise<Predictor> {
  const model = await load(options);
  return {
    classes: model.recipe.classes,
    texts: model.textUse.parts,
    masksOf: async function* (images) {
      for (const [place, { name, load: loadImage }] of images.entries())
        for (const found of predictImage(await loadImage(), name, model, options)) yield { place, ...found };
    },
    close: () => model.sam.dispose(),
  };
}

/** Masks of every class that the prompts say is in the image, at its size. */
function predictImage(
  image: Image,
  name: string,
  model: PromptedModel,
  options: PromptedOptions,
): Omit<FoundMask, 'place'>[] {
  const { sam, recipe, kinds } = model;
  const { given } = options;
  const { geometry, data } = networkInput(image, recipe.canvas);
  const side = recipe.canvas.imageSize;
  const embedding = tidy(() =>
    noGrad(() => sam.embed(fromTypedArray(data, [1, 3, side, side]).to(options.device as 'cuda'))),
  );
  const results: Omit<FoundMask, 'place'>[] = [];
  try {
    for (const cls of recipe.classes) {
      let prompt = givenPrompt(given, name, cls.id);
      if (prompt === undefined) continue;
      const line = given.lines?.get(promptKey({ case: name, class: cls.id }));
      const text = textOf(model, line, `${name}, class ${cls.id}`);
      let found = decode(model, embedding, { prompt, text }, geometry, options);
      for (
        let pass = 0;
        prompt.source === 'self' && pass < options.selfPasses && found.mask.data.includes(1);
        pass++
      ) {
        const random = new Random(`predict/${name}/${cls.id}`);
        prompt = {
          boxes: kinds.includes('box') ? boxesOfComponents(found.mask, { maxComponents: cls.maxBoxes }) : [],
          points: kinds.includes('point')
            ? corePoints(found.mask, recipe.prompts?.points ?? model.layout.points, random)
            : [],
          source: 'self',
        };
        found = decode(model, embedding, { prompt, text }, geometry, options);
      }
      results.push({
        class: cls.id,
        mask: found.mask,
        predictedIou: found.predictedIou,
        prompt: prompt.source,
        text: text !== undefined,
      });
    }
  } finally {
    embedding.dispose();
  }
  return results;
}
