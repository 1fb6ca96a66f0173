// A trained baseline on untouched cases: its checkpoint, its masks at the original size, and their records for the evaluation.
// Measured like stage 1 and 2; the difference is that nobody tells a baseline whether a class is in the image.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fromTypedArray, nn, noGrad, type Tensor, tidy, toTensorData } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { readSafetensors, writeSafetensors } from '@maskrank/torch/io';
import type { LabelledCase } from '../../datasets/cases.ts';
import { fileHash } from '../../datasets/hash.ts';
import { measure } from '../../evaluation/measure.ts';
import { tolerance } from '../../evaluation/metrics.ts';
import type { CaseResult } from '../../evaluation/schema.ts';
import { gridOf } from '../../evaluation/surface-distance.ts';
import { probeImage } from '../../formats/raster.ts';
import { logitsToOriginal } from '../../models/sam/postprocess.ts';
import type { Config } from '../../run/config.ts';
import { type ArtefactHeader, headerFromMetadata, headerToMetadata, refuseStale } from '../../run/header.ts';
import { configHash, type HashedSections } from '../../run/resolve.ts';
import type { ClassRelation } from '../../training/baselines/loss.ts';
import { imageArea, normaliseCanvas } from '../../training/canvas.ts';
import { type EvaluatedRow, keepMask } from '../evaluation-file.ts';
import { splitsHash } from '../finetune.ts';
import { VolumeMasks } from '../volumes.ts';
import { type JobContext, splitIds, type Workspace } from '../workspace.ts';
import { type BaselineSetting, type CaseMask, type OpenRun, settingOf } from './method.ts';
import type { AnyBaseline } from './registry.ts';

/** Key of a baseline in tables and file names. */
export const baselineKey = ({ name }: Pick<AnyBaseline, 'name'>): string => `baseline-${name}`;

export const baselinePath = (checkpoints: string, method: Pick<AnyBaseline, 'name'>): string =>
  join(checkpoints, `${baselineKey(method)}.safetensors`);

/** What shapes any baseline, and this one. */
export const baselineSections = ({ sections }: Pick<AnyBaseline, 'sections'>): HashedSections => [
  'data',
  'training.augmentation',
  'baselines.classes',
  ...sections,
];

/** What a baseline is made from. The canvas is the model's, of which nothing else matters to most. */
export const baselineInputs = async (
  seen: OpenRun,
  method: AnyBaseline,
): Promise<Readonly<Record<string, string>>> => ({
  dataset: seen.workspace.dataset.hash,
  splits: splitsHash(seen.workspace),
  canvas: `${seen.workspace.canvas.imageSize} px, ${seen.workspace.canvas.rule}`,
  ...(await method.madeFrom?.(seen)),
});

/** Saves what training changed and what it means; returns the file's hash. */
export async function saveBaseline(
  path: string,
  method: AnyBaseline,
  network: nn.Module,
  { config, relation }: Pick<BaselineSetting, 'config' | 'relation'>,
  header: ArtefactHeader,
): Promise<string> {
  const { learns = () => true } = method;
  const learned = [...network.stateDict()].filter(([name]) => learns(name, config));
  await writeSafetensors(path, new Map(learned.map(([name, tensor]) => [name, toTensorData(tensor)])), {
    ...headerToMetadata(header),
    format: 'maskrank-baseline',
    method: method.name,
    relation,
  });
  return (await fileHash(path)).sha256;
}

export type MeasuredBaseline = {
  readonly row: EvaluatedRow;
  readonly results: CaseResult[];
  /** Records by volume, of cases that are slices. */
  readonly volumes: CaseResult[];
};

/** Loads a baseline of the run, masks every case of the evaluated split, measures. `seen`: the run as the method sees it. */
export async function measureBaseline(
  context: JobContext,
  seen: OpenRun,
  method: AnyBaseline,
): Promise<MeasuredBaseline> {
  const { config, run, signal, onProgress } = context;
  const { workspace } = seen;
  const path = baselinePath(run.paths.checkpoints, method);
  const { tensors, metadata } = await readSafetensors(path);
  const rerun = `maskrank baseline ${method.name} --run ${run.dir} --restart`;
  if (metadata.format !== 'maskrank-baseline' || metadata.relation === undefined)
    throw new DataError(`${path}: is no checkpoint of a baseline. Make it anew: ${rerun}`);
  refuseStale(path, headerFromMetadata(metadata), {
    schemaVersion: 1,
    configHash: configHash(config, baselineSections(method)),
    madeFrom: await baselineInputs(seen, method),
    rerun,
  });
  const setting = settingOf(seen, config, metadata.relation as ClassRelation);
  const network: nn.Module = await method.prepare(setting);
  try {
    const { learns = () => true } = method;
    const prepared = [...network.stateDict().keys()].filter((name) => !learns(name, config));
    nn.loadStateDict(network, tensors, { source: path, allowMissing: prepared });
    network.to(workspace.device as 'cuda');
    network.eval();
    const { split, threshold } = config.evaluation;
    const key = baselineKey(method);
    const cases = workspace.dataset.labelled(splitIds(workspace, config, split));
    const results: CaseResult[] = [];
    const slices = new VolumeMasks(cases);
    const masks =
      method.masks?.(network, cases, setting) ?? masksOfPictures(method, network, cases, setting, threshold);
    const seen = new Set<string>();
    for await (const { item, classId, mask, prompt } of masks) {
      signal.throwIfAborted();
      const truth = await workspace.dataset.loadMask(item, classId);
      results.push({
        case: item.id,
        group: item.group,
        class: classId,
        stage: key,
        prompt,
        ...measure(gridOf(truth), gridOf(mask), measureOptions(config)),
      });
      slices.add({ caseId: item.id, classId, mask, prompt });
      await keepMask(run.dir, key, { caseId: item.id, classId }, mask);
      seen.add(item.id);
      onProgress(`evaluate ${method.title}`, seen.size, cases.length);
    }
    const volumes = await slices.measure(workspace.dataset, {
      stage: key,
      classIds: setting.classIds,
      config,
      empties: config.evaluation.empties,
      signal,
      onProgress: (done, total) => onProgress(`evaluate ${method.title} by volume`, done, total),
      warn: context.warn,
    });
    const { sha256 } = await fileHash(path);
    return { row: { key, title: method.title, checkpoint: sha256, threshold }, results, volumes };
  } finally {
    network.dispose();
  }
}

/** Masks of every class of every case, each picture by itself. */
async function* masksOfPictures(
  method: AnyBaseline,
  network: nn.Module,
  cases: readonly LabelledCase[],
  setting: BaselineSetting,
  threshold: number,
): AsyncGenerator<CaseMask> {
  const { workspace, classIds } = setting;
  const level = Math.log(threshold / (1 - threshold));
  for (const item of cases) {
    const scores = await scoresOf(workspace, item, (images) => method.predict(network, images, setting));
    const { width, height } = await probeImage(item.imagePath);
    for (const [c, classId] of classIds.entries()) {
      const own = scores.subarray(c * width * height, (c + 1) * width * height);
      const mask = { width, height, data: Uint8Array.from(own, (score) => Number(score > level)) };
      yield { item, classId, mask, prompt: { source: 'none', oracle: false } };
    }
  }
}

/** Whether the run has this baseline. */
export const hasBaseline = (checkpoints: string, method: AnyBaseline): boolean =>
  existsSync(baselinePath(checkpoints, method));

const measureOptions = ({ evaluation: { tolerancesPx, empties } }: Config) => ({
  tolerances: tolerancesPx.map((value) => tolerance(value, 'px')),
  empties,
});

/** Scores of every class at the image's own size, C x height x width. */
async function scoresOf(
  { cache, canvas: { normalisation }, device }: Workspace,
  item: LabelledCase,
  predict: (images: Tensor) => Tensor,
): Promise<Float32Array> {
  const canvas = await cache.loadImage(item);
  const planes = normaliseCanvas(canvas.pixels, imageArea(canvas), normalisation);
  const { width, height } = canvas.pixels;
  return tidy(() =>
    noGrad(() => {
      const images = fromTypedArray(planes, [1, 3, height, width], { share: true }).to(device as 'cuda');
      return logitsToOriginal(predict(images), canvas.geometry).toFloat32Array();
    }),
  );
}
