// Pictures of a dataset for nnU-Net: what its planner has to know of them, the plan, and prepared images with their masks. Images keep
// their own size here; the canvas of the other methods is not used.

import type { LabelledCase } from '../../datasets/cases.ts';
import type { Image } from '../../imaging/types.ts';
import {
  type Configuration,
  type DatasetFingerprint,
  medianShare,
  type NormalisationScheme,
  PLANNERS,
  type Plan,
  percentile,
  planExperiment,
} from '../../models/nnunet/index.ts';
import type { Config } from '../../run/config.ts';
import type { ClassRelation } from '../../training/baselines/loss.ts';
import { countOf, type Grid } from '../../training/nnunet/grid.ts';
import type { PictureMasks } from '../../training/nnunet/postprocess.ts';
import {
  ForegroundCollector,
  type ForegroundStatistics,
  nonzeroBox,
  type PreparedImage,
  prepareImage,
  prepareTruth,
} from '../../training/nnunet/prepare.ts';
import { makeSample, type NnunetSample } from '../../training/nnunet/sample.ts';
import { splitIds } from '../workspace.ts';
import type { BaselineSetting } from './method.ts';

/** Everything about the dataset that training and prediction depend on, from the labelled cases alone. */
export type NnunetTask = {
  readonly plan: Plan;
  readonly configuration: Configuration;
  readonly fingerprint: DatasetFingerprint;
  /** A channel each: under the masks of the labelled cases. */
  readonly foreground: readonly ForegroundStatistics[];
  /** Softmax over background and classes, or a yes or no of each. A single class has a background, as nnU-Net gives it. */
  readonly relation: ClassRelation;
  readonly classIds: readonly number[];
};

/** Looks at the labelled cases and plans. */
export async function planTask(setting: BaselineSetting): Promise<NnunetTask> {
  const { config, classIds, signal, workspace } = setting;
  const { nnunet } = config.baselines;
  const cases = casesOf(setting, 'labelled');
  const shapes: number[][] = [];
  const shares: number[] = [];
  let isColour = false;
  for (const item of cases) isColour ||= hasColour(await workspace.dataset.loadImage(item));
  const channels = isColour ? 3 : 1;
  const collector = new ForegroundCollector(channels, cases.length);
  for (const item of cases) {
    signal.throwIfAborted();
    const grid = gridOf(await workspace.dataset.loadImage(item), channels);
    const { size } = nonzeroBox(grid);
    shapes.push([1, ...size]);
    shares.push(countOf(size) / countOf(grid.shape));
    const masks = await loadMasks(setting, item);
    collector.add(grid, foregroundPlaces(masks), setting.random(`nnunet foreground ${item.id}`));
  }
  const fingerprint: DatasetFingerprint = {
    spacings: shapes.map(() => SPACING),
    shapesAfterCrop: shapes,
    medianShareAfterCrop: medianShare(shares),
  };
  const relation = classIds.length === 1 ? 'exclusive' : setting.relation;
  const scheme = schemeFor(config, workspace.dataset.dataset.modality);
  const plan = planExperiment(
    fingerprint,
    {
      channelNames: new Array<string>(channels).fill(CHANNEL_NAMES[scheme]),
      labels: relation === 'exclusive' ? classIds.length + 1 : classIds.length,
      trainingImages: cases.length,
    },
    {
      ...PLANNERS[nnunet.planner],
      width: nnunet.width,
      ...(nnunet.memoryGb === null ? {} : { memoryGb: nnunet.memoryGb }),
      ...(nnunet.longestSide === null ? {} : { targetSpacing: coarserSpacing(shapes, nnunet.longestSide) }),
    },
  );
  const planned = plan['2d'];
  return {
    plan,
    configuration: { ...planned, batchSize: nnunet.batchSize ?? planned.batchSize },
    fingerprint,
    foreground: collector.statistics(),
    relation,
    classIds,
  };
}

/** Of pictures, which have no millimetres: pixels, and so far between slices that planes are never mixed. */
const SPACING = [999, 1, 1] as const;

/** Names by which the planner knows a scheme. */
const CHANNEL_NAMES: Readonly<Record<NormalisationScheme, string>> = {
  'z-score': 'zscore',
  ct: 'CT',
  rescale: 'rescale_to_0_1',
  rgb: 'rgb_to_0_1',
  none: 'noNorm',
};

function schemeFor({ baselines }: Config, modality: string): NormalisationScheme {
  const { normalisation } = baselines.nnunet;
  if (normalisation !== 'auto') return normalisation;
  return /^(ct|computed tomography)\b/i.test(modality) ? 'ct' : 'z-score';
}

/** Pixels so large that the longer side of the median image has `longest` of them; no smaller than they are. */
function coarserSpacing(shapes: readonly (readonly number[])[], longest: number): number[] {
  const sides = shapes.map((shape) => Math.max(...shape));
  const factor = Math.max(1, percentile(sides, 50) / longest);
  return [SPACING[0], factor, factor];
}

/** A case as training, postprocessing and measuring need it. */
export type NnunetCase = {
  readonly image: PreparedImage;
  /** At the image's own size. */
  readonly masks: PictureMasks;
};

/** The prepared image of a picture. */
export function preparePicture(picture: Image, task: NnunetTask): PreparedImage {
  return prepareImage(gridOf(picture, task.plan.normalisation.length), {
    spacing: SPACING.slice(1),
    targetSpacing: task.configuration.spacing,
    normalisation: task.plan.normalisation,
    foreground: task.foreground,
  });
}

export async function loadCases(
  setting: BaselineSetting,
  task: NnunetTask,
  split: 'labelled' | 'validation',
): Promise<NnunetCase[]> {
  const cases: NnunetCase[] = [];
  for (const item of casesOf(setting, split)) {
    setting.signal.throwIfAborted();
    const picture = await setting.workspace.dataset.loadImage(item);
    cases.push({ image: preparePicture(picture, task), masks: await loadMasks(setting, item) });
  }
  return cases;
}

/** What training draws patches from. */
export function samplesOf(
  cases: readonly NnunetCase[],
  task: NnunetTask,
  setting: BaselineSetting,
): NnunetSample[] {
  return cases.map(({ image, masks }, i) => {
    const truth = task.relation === 'exclusive' ? labelsOf(masks) : regionsOf(masks);
    return makeSample(image, prepareTruth(truth, image), setting.random(`nnunet sample ${i}`));
  });
}

function casesOf({ workspace, config }: BaselineSetting, split: 'labelled' | 'validation'): LabelledCase[] {
  return workspace.dataset.labelled(splitIds(workspace, config, split));
}

async function loadMasks(
  { workspace, classIds }: BaselineSetting,
  item: LabelledCase,
): Promise<PictureMasks> {
  const masks = await Promise.all(classIds.map((classId) => workspace.dataset.loadMask(item, classId)));
  const { width, height } = masks[0] as { width: number; height: number };
  const data = new Uint8Array(classIds.length * width * height);
  for (const [c, mask] of masks.entries()) data.set(mask.data, c * width * height);
  return { width, height, classes: classIds.length, data };
}

/** Where any class is. */
function foregroundPlaces({ width, height, classes, data }: PictureMasks): number[] {
  const places: number[] = [];
  const count = width * height;
  for (let i = 0; i < count; i++)
    for (let c = 0; c < classes; c++)
      if (data[c * count + i] === 1) {
        places.push(i);
        break;
      }
  return places;
}

const regionsOf = ({ width, height, classes, data }: PictureMasks): Grid<Uint8Array> => ({
  shape: [height, width],
  channels: classes,
  values: data,
});

/** 0 background, 1.. the classes in order; where masks share a pixel after all, the first has it. */
function labelsOf({ width, height, classes, data }: PictureMasks): Grid<Uint8Array> {
  const count = width * height;
  const values = new Uint8Array(count);
  for (let c = classes - 1; c >= 0; c--)
    for (let i = 0; i < count; i++) if (data[c * count + i] === 1) values[i] = c + 1;
  return { shape: [height, width], channels: 1, values };
}

/** Planes of a picture: one, or red, green and blue. */
export function gridOf({ width, height, channels: given, data }: Image, channels: number): Grid<Uint8Array> {
  const count = width * height;
  const values = new Uint8Array(channels * count);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++) {
      // A colour picture among grey ones: its mean.
      values[c * count + i] =
        given === 1
          ? (data[i] as number)
          : channels === 3
            ? (data[3 * i + c] as number)
            : Math.round(
                ((data[3 * i] as number) + (data[3 * i + 1] as number) + (data[3 * i + 2] as number)) / 3,
              );
    }
  }
  return { shape: [height, width], channels, values };
}

function hasColour({ channels, data }: Image): boolean {
  if (channels === 1) return false;
  for (let i = 0; i < data.length; i += 3)
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return true;
  return false;
}
