// The job of `maskrank pretrain sam`: a small promptable network from the masks of the training splits, to one file that stage 1,
// prediction and evaluation take as any other. Labelled and unlabelled training cases are used alike, with their masks: this is
// for data whose masks cost nothing (phantoms). Validation cases only tell how far it is.
// Not here: lock, state and metrics (frame.ts), one step (training/promptable).

import { Generator } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { fileHash } from '../../datasets/hash.ts';
import type { SplitName } from '../../datasets/schema.ts';
import { type AugmentOptions, DEFAULT_AUGMENTATION, NO_TONE } from '../../imaging/augment.ts';
import { NORMALISATIONS } from '../../imaging/normalise.ts';
import { clipFingerprint, embedTexts, loadClip, loadClipTokenizer } from '../../models/clip/index.ts';
import { createSam, loadSam, SAM_CONFIGS, type Sam, type SamConfig } from '../../models/sam/index.ts';
import { resolveWeights } from '../../models/weights/index.ts';
import type { Config } from '../../run/config.ts';
import type { CanvasOptions } from '../../training/canvas.ts';
import type { ClassTexts, PromptableBatchOptions } from '../../training/promptable/batch.ts';
import type { PromptableCase } from '../../training/promptable/cases.ts';
import { trainPromptable } from '../../training/promptable/train.ts';
import { Random } from '../../util/random.ts';
import { type InputRecipe, saveModel, weightsHash } from '../model.ts';
import { loadPromptable } from '../promptable-cases.ts';
import { judgeCase, meanQuality, type UnitQuality, type Way } from '../promptable-quality.ts';
import { resolveDevice } from '../workspace.ts';
import { evened, type PretrainRequest, pretrainInto, type Recipe, type Source } from './frame.ts';

export type PretrainSamRequest = PretrainRequest & {
  /** A text network whose features of class names are prompts too; null: no texts. */
  readonly textFrom: string | null;
};

/** Mean Dice of a dataset's validation units by each way of asking. */
export type DatasetQuality = {
  readonly dataset: string;
  readonly units: number;
  readonly dice: Readonly<Record<Way, number>>;
};

export type PretrainSamResult = {
  readonly file: string;
  readonly hash: string;
  /** Of this call; 0 when the file was there already. */
  readonly steps: number;
  readonly images: number;
  readonly parameters: number;
  readonly validation: readonly DatasetQuality[];
};

export async function pretrainSamJob(request: PretrainSamRequest): Promise<PretrainSamResult> {
  const { out, config, textFrom } = request;
  const settings = config.samPretraining;
  const recipe: Recipe = {
    section: 'samPretraining',
    madeFrom: {
      ...(settings.weights === null ? {} : { weights: await weightsHash(settings.weights) }),
      ...(textFrom === null ? {} : { texts: await weightsHash(textFrom) }),
    },
  };
  return pretrainInto(request, recipe, async ({ sources, header, isDone, withLoop }) => {
    if (isDone) {
      const { sha256 } = await fileHash(out);
      return { file: out, hash: sha256, steps: 0, images: 0, parameters: 0, validation: [] };
    }
    const texts = textFrom === null ? undefined : await classTexts(textFrom, sources);
    const architecture: SamConfig = {
      ...SAM_CONFIGS[settings.model],
      imageSize: settings.imageSize,
      textDim: texts?.dim ?? 0,
    };
    const canvas: CanvasOptions = {
      imageSize: architecture.imageSize,
      rule: architecture.geometry,
      normalisation: NORMALISATIONS[config.data.normalisation],
    };
    const cases = await load(request, sources, canvas, ['labelled', 'unlabelled']);
    if (cases.length === 0) throw new DataError('pretrain sam: no training case has a mask.');
    const validation = await load(request, sources, canvas, ['validation'], settings.validationCases);
    using sam = await startingNetwork(request, architecture);
    const device = resolveDevice(config);
    sam.to(device as 'cuda');
    const judge = () => judgeAll(sam, sources, validation, canvas);
    const steps = await withLoop((loop) =>
      trainPromptable({
        sam,
        cases: evened(cases),
        batch: batchOptions(config, canvas, texts),
        config: settings,
        seed: config.seed,
        device,
        loop,
        ...(validation.length > 0 && { validate: async () => validationFields(judge()) }),
      }),
    );
    sam.eval();
    const hash = await saveModel(out, sam, inputRecipe(canvas, texts), header, settings);
    const parameters = [...sam.parameters()].reduce((sum, { numel }) => sum + numel, 0);
    return { file: out, hash, steps, images: cases.length, parameters, validation: judge() };
  });
}

async function startingNetwork({ config, warn }: PretrainSamRequest, architecture: SamConfig): Promise<Sam> {
  const generator = Generator.seeded(new Random(`${config.seed}/weights`).int(0, 0x7fffffff));
  const { weights } = config.samPretraining;
  if (weights === null) return createSam(architecture, generator);
  return loadSam(await resolveWeights(weights), { config: architecture, generator, warn });
}

/** Cases of the named splits of every dataset; `most` of each dataset, the first of its split. */
async function load(
  { signal, onProgress }: PretrainSamRequest,
  sources: readonly Source[],
  canvas: CanvasOptions,
  names: readonly SplitName[],
  most = Infinity,
): Promise<PromptableCase[]> {
  const wanted = sources.map(({ splits }) => names.flatMap((name) => splits[name]).slice(0, most));
  const total = wanted.reduce((sum, ids) => sum + ids.length, 0);
  const cases: PromptableCase[] = [];
  let done = 0;
  for (const [source, { opened }] of sources.entries()) {
    const options = { ...canvas, source, signal };
    const loaded = await loadPromptable(opened, wanted[source] as string[], options, () => {
      done += 1;
      onProgress('reading images', done, total);
    });
    for (const item of loaded) cases.push(item);
  }
  return cases;
}

function batchOptions(
  { samPretraining }: Config,
  { normalisation }: CanvasOptions,
  texts: ClassTexts | undefined,
): PromptableBatchOptions {
  const { masksPerImage, movement: m, looks, jitter, shares } = samPretraining;
  const movement: AugmentOptions = {
    ...DEFAULT_AUGMENTATION,
    flipHorizontal: m.flipHorizontal,
    flipVertical: m.flipVertical,
    rotation: { probability: 0.5, maxDegrees: m.rotationDeg },
    scale: { probability: 0.5, range: [1 - m.scale, 1 / (1 - m.scale)] },
    translation: { probability: 0.5, maxFraction: m.translation },
    elastic: { probability: m.elastic > 0 ? 0.33 : 0, sdFraction: m.elastic, nodes: 5 },
    // Looks are changed by training/promptable/appearance.ts.
    ...NO_TONE,
  };
  const allowed = texts === undefined ? { ...shares, text: 0 } : shares;
  return {
    normalisation,
    masksPerImage,
    movement,
    looks,
    jitter,
    shares: allowed,
    ...(texts && { texts }),
  };
}

/** Features of every class's wordings, by a small text network. */
async function classTexts(
  nameOrPath: string,
  sources: readonly Source[],
): Promise<ClassTexts & { readonly model: string }> {
  const path = await resolveWeights(nameOrPath);
  const tokenizer = await loadClipTokenizer(path);
  using clip = await loadClip(path);
  clip.eval();
  if (clip.config.text.kind !== 'bert')
    throw new UsageError(
      `--text-from ${nameOrPath}: the texts of '${clip.config.name}' have no tokeniser here.`,
    );
  const features = new Map<string, readonly Float32Array[]>();
  for (const [source, { opened }] of sources.entries()) {
    const { modality, classes } = opened.dataset;
    for (const { id, name, prompts = [] } of classes) {
      const wordings = [name, `${name} in ${modality}`, ...prompts];
      const embedded = embedTexts(clip, tokenizer, wordings).map(({ embedding }) => embedding);
      features.set(`${source}/${id}`, embedded);
    }
  }
  return {
    dim: clip.config.embedDim,
    model: clipFingerprint(clip),
    of: (source, classId, random) =>
      random.choice(features.get(`${source}/${classId}`) as readonly Float32Array[]),
  };
}

/** What prediction and evaluation need to know: one box or a click, each may be missing. */
const inputRecipe = (
  canvas: CanvasOptions,
  texts: { readonly dim: number; readonly model: string } | undefined,
): InputRecipe => ({
  canvas,
  layout: { points: 1, boxes: 1, ...(texts && { text: { tokens: 1, dim: texts.dim } }) },
  prompts: { use: ['box', 'point'], points: 1, ...(texts && { textModel: texts.model }) },
  adapterScale: 1,
  classes: [{ id: 1, name: 'target', maxBoxes: 1 }],
});

function judgeAll(
  sam: Sam,
  sources: readonly Source[],
  cases: readonly PromptableCase[],
  { normalisation }: CanvasOptions,
): DatasetQuality[] {
  sam.eval();
  const units: UnitQuality[] = cases.flatMap((item) => judgeCase(sam, item, normalisation));
  return sources.flatMap(({ opened }, source) => {
    const own = units.filter((unit) => unit.source === source);
    return own.length === 0
      ? []
      : [{ dataset: opened.dataset.name, units: own.length, dice: meanQuality(own) }];
  });
}

/** Datasets count alike. */
function validationFields(found: readonly DatasetQuality[]): {
  validationDice: number;
  oneClickDice: number;
} {
  const mean = (way: Way): number => found.reduce((sum, { dice }) => sum + dice[way], 0) / found.length;
  return {
    validationDice: mean('trueBox'),
    oneClickDice: mean('oneClick'),
    ...Object.fromEntries(
      found.flatMap(({ dataset, dice }) => [
        [`box ${dataset}`, dice.trueBox],
        [`click ${dataset}`, dice.oneClick],
      ]),
    ),
  };
}
