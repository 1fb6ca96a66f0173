// The job of `maskrank finetune`: stage 1 on the labelled cases of a run's dataset, to RUN/checkpoints/stage1.safetensors.

import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromTypedArray, noGrad, tidy } from '@maskrank/torch';
import { fileHash } from '../datasets/hash.ts';
import { countOverlap } from '../evaluation/overlap.ts';
import { type AugmentOptions, augment, DEFAULT_AUGMENTATION } from '../imaging/augment.ts';
import type { Mask } from '../imaging/types.ts';
import { selectTrainable, type TrainableScope } from '../models/lora.ts';
import { logitsToCanvas, pickBest, type Sam } from '../models/sam/index.ts';
import { type CanvasPrompt, collatePrompts, promptToCanvas } from '../prompting/collate.ts';
import { promptFromMask } from '../prompting/from-mask.ts';
import type { Prompt } from '../prompting/prompt.ts';
import type { Config, ConfigSection } from '../run/config.ts';
import { MetricsLog } from '../run/metrics.ts';
import { canonicalJson } from '../run/resolve.ts';
import { type Augmentation, type BatchOptions, promptsTo, type TrainingCase } from '../training/batch.ts';
import { imageArea, normaliseCanvas } from '../training/canvas.ts';
import { finetune, type Stage1Options } from '../training/stage1.ts';
import { type Unit, unitKey } from '../training/units.ts';
import { Random } from '../util/random.ts';
import { recipeOf, saveModel, startingModel, weightsHash } from './model.ts';
import { ensurePrompts, makePrompts, promptsHash } from './prompts.ts';
import { loadTexts, type UnitTexts } from './text.ts';
import {
  fromMaskOptions,
  type JobContext,
  loadLabelled,
  openWorkspace,
  presentUnits,
  promptSource,
  splitIds,
  type Workspace,
} from './workspace.ts';

/** Sections of the configuration that shape stage 1. */
export const STAGE1_SECTIONS: readonly ConfigSection[] = ['data', 'model', 'prompts', 'training'];

export type FinetuneResult = {
  readonly checkpoint: string;
  readonly hash: string;
  readonly steps: number;
  readonly cases: number;
  readonly parameters: number;
  readonly resumed: boolean;
  readonly bestValidation: number | null;
};

/** Hash of a division: which cases are in which split. */
export const splitsHash = ({ splits }: Pick<Workspace, 'splits'>): string =>
  createHash('sha256').update(canonicalJson(splits)).digest('hex');

export async function finetuneJob(
  context: JobContext,
  datasetDir: string | undefined,
  options: { readonly restart?: boolean } = {},
): Promise<FinetuneResult> {
  const { run, config, signal } = context;
  const workspace = await openWorkspace(context, datasetDir);
  const madeFrom = {
    dataset: workspace.dataset.hash,
    splits: splitsHash(workspace),
    ...(config.model.weights === null ? {} : { weights: await weightsHash(config.model.weights) }),
  };
  const restart = options.restart ?? false;
  const data = await stage1Data(context, workspace, 'labelled');
  const { cases } = data;
  const stage = await run.enterStage('stage1', config, {
    sections: STAGE1_SECTIONS,
    madeFrom: { ...madeFrom, ...(data.hash === undefined ? {} : { prompts: data.hash }) },
    restart,
  });
  const statePath = join(run.paths.checkpoints, 'stage1.state.safetensors');
  if (restart) rmSync(statePath, { force: true });
  const checkpoint = run.paths.stage1;
  const sam = await startingModel(workspace, config, context.warn);
  const trainable = selectTrainable(sam, stage1Scope(config));
  const parameters = [...sam.parameters()].reduce((sum, p) => sum + p.numel, 0);
  if (stage.finished && existsSync(checkpoint)) {
    sam.dispose();
    return {
      checkpoint,
      hash: (await fileHash(checkpoint)).sha256,
      steps: 0,
      cases: cases.length,
      parameters,
      resumed: true,
      bestValidation: null,
    };
  }
  using metrics = MetricsLog.open(run.paths.metrics);
  const { steps, bestValidation } = await finetune({
    ...stage1Options(context, workspace, sam, data),
    trainable,
    ...(await stage1Validation(context, workspace, sam)),
    loop: {
      label: 'stage 1',
      statePath,
      header: stage.header,
      rerun: `maskrank finetune --run ${run.dir} --restart`,
      metrics,
      signal,
      onProgress: (done, total, note) => context.onProgress('stage 1', done, total, note),
    },
  });
  sam.eval();
  const hash = await saveModel(checkpoint, sam, recipeOf(workspace, config, data.texts), stage.header);
  await run.finishStage('stage1');
  sam.dispose();
  return { checkpoint, hash, steps, cases: cases.length, parameters, resumed: stage.resumed, bestValidation };
}

/** Labelled cases with what is known of their prompts before a batch is made. */
export type Stage1Data = {
  readonly cases: readonly TrainingCase[];
  /** Prompts on the canvas, where they are not drawn from masks batch by batch. */
  readonly given?: (caseId: string, classId: number) => CanvasPrompt;
  readonly texts: UnitTexts | undefined;
  /** Of prompts and texts that come from outside; undefined where none do. */
  readonly hash: string | undefined;
};

/** Loads the cases of a split that has masks, and their prompts as configured for labelled images. */
export async function stage1Data(
  context: JobContext,
  workspace: Workspace,
  split: 'labelled' | 'validation',
): Promise<Stage1Data> {
  const { run, config, signal } = context;
  const labelled = await loadLabelled(workspace, splitIds(workspace, config, split), signal);
  const units = presentUnits(workspace, labelled);
  const source = promptSource(config, 'labelled');
  const texts = await loadTexts(context, workspace, units);
  const inputs = { workspace, config };
  const prompts =
    source === 'mask'
      ? undefined
      : source === 'none'
        ? await makePrompts(units, source, inputs, signal)
        : await ensurePrompts(run.paths.prompts, units, source, inputs, signal);
  const cases = trainingCases(units);
  const isOutside = texts !== undefined || source === 'saliency' || source === 'file';
  const hash = isOutside ? promptsHash(units, prompts, texts) : undefined;
  if (prompts === undefined) return { cases, texts, hash };
  const given = (caseId: string, classId: number): CanvasPrompt =>
    promptToCanvas(prompts.get(unitKey(caseId, classId)) as Prompt, workspace.cache.image(caseId).geometry);
  return { cases, given, texts, hash };
}

/** What stage 1 and its continuation share. */
export function stage1Options(
  context: JobContext,
  workspace: Workspace,
  sam: Sam,
  data: Stage1Data,
): Omit<Stage1Options, 'trainable' | 'loop'> {
  const { config } = context;
  return {
    sam,
    cases: data.cases,
    batch: batchOptions(config, workspace, data),
    config: config.training,
    decoderDropout: config.model.decoderDropout,
    seed: config.seed,
    device: workspace.device,
  };
}

/** What stage 1 trains: prompt encoder and decoder always, the encoder as configured. */
export function stage1Scope({ training }: Config): TrainableScope {
  return training.trainable === 'decoder' ? 'prompts-and-decoder' : training.trainable;
}

/** Units grouped by case, in the order of the cases. */
export function trainingCases(units: readonly Unit[]): TrainingCase[] {
  const byCase = new Map<string, number[]>();
  for (const { caseId, classId } of units) byCase.set(caseId, [...(byCase.get(caseId) ?? []), classId]);
  return [...byCase].map(([caseId, classIds]) => ({ caseId, classIds }));
}

function batchOptions(config: Config, workspace: Workspace, { given, texts }: Stage1Data): BatchOptions {
  const { sampling } = config.training;
  // One class's limits stand for all: slots are the largest of them, and a prompt never has more boxes than its mask has regions.
  const fromMask = {
    ...fromMaskOptions(config, workspace.classes[0] as Workspace['classes'][number]),
    maxBoxes: Math.max(1, workspace.layout.boxes),
  };
  return {
    cache: workspace.cache,
    layout: workspace.layout,
    fromMask,
    ...(given === undefined ? {} : { given }),
    ...(texts === undefined ? {} : { text: texts.of, textProbability: sampling.textProbability }),
    masksPerImage: sampling.masksPerImage,
    boxProbability: sampling.boxProbability,
    pointProbability: sampling.pointProbability,
    noPromptProbability: sampling.noPromptProbability,
    augment: augmentation(config),
  };
}

/** The configured random changes of training images; baselines have the same. */
export function augmentation({ training }: Pick<Config, 'training'>): Augmentation {
  const { probability } = training.augmentation;
  const amounts = augmentOptions(training.augmentation);
  return (image, masks, random) =>
    random.chance(probability)
      ? augment({ image, masks: [...masks] }, random, amounts)
      : { image, masks, motion: null };
}

/** The configuration's largest amounts as ranges; every kind of change happens to half of the samples that are changed. */
export function augmentOptions(a: Config['training']['augmentation']): AugmentOptions {
  const probability = 0.5;
  const around = (amount: number): readonly [number, number] => [1 - amount, 1 + amount];
  return {
    ...DEFAULT_AUGMENTATION,
    flipHorizontal: a.flipHorizontal,
    flipVertical: a.flipVertical,
    rotation: { probability, maxDegrees: a.rotationDeg },
    scale: { probability, range: [1 - a.scale, 1 / (1 - a.scale)] },
    translation: { probability, maxFraction: a.translation },
    brightness: { probability, range: around(a.brightness) },
    contrast: { probability, range: around(a.contrast) },
    gamma: { probability, range: [1 - a.gamma, 1 / (1 - a.gamma)] },
    noise: { probability: probability / 2, range: [0, 255 * a.noise] },
  };
}

/** Mean Dice of the validation cases on the canvas, prompted as in training; empty where early stopping is off. */
export async function stage1Validation(
  context: JobContext,
  workspace: Workspace,
  sam: Sam,
  load: () => Promise<Stage1Data> = () => stage1Data(context, workspace, 'validation'),
): Promise<Pick<Stage1Options, 'validate'>> {
  const { config } = context;
  if (config.training.earlyStopping.patienceEpochs === 0) return {};
  const { cases, given, texts } = await load();
  const units = cases.flatMap(({ caseId, classIds }) => classIds.map((classId) => ({ caseId, classId })));
  const samples = units.map(({ caseId, classId }) => {
    const mask = workspace.cache.mask(caseId, classId);
    const cls = workspace.classes.find((c) => c.id === classId) as Workspace['classes'][number];
    const random = new Random(`${config.seed}/validation/${caseId}/${classId}`);
    const shown = given?.(caseId, classId) ?? promptFromMask(mask, fromMaskOptions(config, cls), random);
    const text = texts?.of(caseId, classId);
    const canvas = workspace.cache.image(caseId);
    return {
      planes: normaliseCanvas(canvas.pixels, imageArea(canvas), workspace.canvas.normalisation),
      mask,
      prompt: text === undefined ? shown : { ...shown, text },
    };
  });
  return {
    validate: () => samples.reduce((sum, s) => sum + canvasDice(sam, s, workspace), 0) / samples.length,
  };
}

function canvasDice(
  sam: Sam,
  { planes, mask, prompt }: { planes: Float32Array; mask: Mask; prompt: CanvasPrompt },
  workspace: Workspace,
): number {
  const { imageSize } = sam.config;
  sam.eval();
  return tidy(() =>
    noGrad(() => {
      const image = fromTypedArray(planes as Float32Array<ArrayBuffer>, [1, 3, imageSize, imageSize]).to(
        workspace.device as 'cuda',
      );
      const prompts = promptsTo(collatePrompts([prompt], workspace.layout), workspace.device);
      const { masks } = pickBest(sam.decode(sam.embed(image), prompts, { multimask: true }));
      const predicted = logitsToCanvas(masks, imageSize).gt(0).toTypedArray() as Uint8Array;
      return diceOf(countOverlap(mask.data, predicted));
    }),
  );
}

/** Dice of pixel counts; empty and empty is 1. */
export function diceOf({
  truePositive,
  falsePositive,
  falseNegative,
}: ReturnType<typeof countOverlap>): number {
  const sizes = 2 * truePositive + falsePositive + falseNegative;
  return sizes === 0 ? 1 : (2 * truePositive) / sizes;
}
