// A dataset for nnU-Net: what its planner has to know of the labelled cases, the plan, and prepared images with their masks. Images keep
// their own size here; the canvas of the other methods is not used.

import type { LabelledCase } from '../../datasets/cases.ts';
import {
  type Configuration,
  type DatasetFingerprint,
  type Dimension,
  medianShare,
  type NormalisationScheme,
  newShape,
  PLANNERS,
  type Plan,
  percentile,
  planExperiment,
  targetSpacing,
} from '../../models/nnunet/index.ts';
import type { Config } from '../../run/config.ts';
import type { ClassRelation } from '../../training/baselines/loss.ts';
import { countOf, type Grid, permute } from '../../training/nnunet/grid.ts';
import type { ClassMasks } from '../../training/nnunet/postprocess.ts';
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
import { hasColour, loadGrid, loadMasks, type Subject, subjectsOf } from './nnunet-subjects.ts';

/** Everything about the dataset that training and prediction depend on, from the labelled cases alone. */
export type NnunetTask = {
  readonly plan: Plan;
  readonly dimension: Dimension;
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
  const { config, classIds, workspace } = setting;
  const { nnunet } = config.baselines;
  const dimension = nnunet.dimension === '3d' ? 3 : 2;
  const subjects = subjectsOf(labelledOf(setting), dimension);
  const channels = (await isInColour(subjects, setting)) ? 3 : 1;
  const { fingerprint, foreground } = await look(subjects, channels, setting);
  const relation = classIds.length === 1 ? 'exclusive' : setting.relation;
  const scheme = schemeFor(config, workspace.dataset.dataset.modality);
  const plan = planExperiment(
    fingerprint,
    {
      channelNames: new Array<string>(channels).fill(CHANNEL_NAMES[scheme]),
      labels: relation === 'exclusive' ? classIds.length + 1 : classIds.length,
      trainingImages: subjects.length,
    },
    {
      ...PLANNERS[nnunet.planner],
      width: nnunet.width,
      targetSpacing: spacingFor(fingerprint, nnunet.longestSide),
      ...(nnunet.memoryGb === null ? {} : { memoryGb: nnunet.memoryGb }),
    },
  );
  // A volume of one slice has no third dimension to plan for.
  const planned = (dimension === 3 ? plan['3d'] : undefined) ?? plan['2d'];
  return {
    plan,
    dimension: planned.network.dimension,
    configuration: { ...planned, batchSize: nnunet.batchSize ?? planned.batchSize },
    fingerprint,
    foreground,
    relation,
    classIds,
  };
}

async function isInColour(subjects: readonly Subject[], { workspace }: BaselineSetting): Promise<boolean> {
  for (const { slices } of subjects)
    for (const { item } of slices) if (hasColour(await workspace.dataset.loadImage(item))) return true;
  return false;
}

/** What the planner needs to know, and the intensities under the masks. */
async function look(
  subjects: readonly Subject[],
  channels: number,
  { workspace, classIds, random, signal }: BaselineSetting,
): Promise<Pick<NnunetTask, 'fingerprint' | 'foreground'>> {
  const shapesAfterCrop: number[][] = [];
  const shares: number[] = [];
  const collector = new ForegroundCollector(channels, subjects.length);
  for (const subject of subjects) {
    signal.throwIfAborted();
    const grid = await loadGrid(subject, workspace.dataset, channels);
    const { size } = nonzeroBox(grid);
    shapesAfterCrop.push(size);
    shares.push(countOf(size) / countOf(grid.shape));
    const masks = await loadMasks(subject, workspace.dataset, classIds);
    collector.add(grid, foregroundPlaces(masks), random(`nnunet foreground ${subject.id}`));
  }
  const spacings = subjects.map(({ spacing }) => spacing);
  return {
    fingerprint: { spacings, shapesAfterCrop, medianShareAfterCrop: medianShare(shares) },
    foreground: collector.statistics(),
  };
}

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

/** The planner's spacing; coarser where the longest side of the median image would have more than `longest` voxels. */
function spacingFor(fingerprint: DatasetFingerprint, longest: number | null): number[] {
  const target = targetSpacing(fingerprint);
  if (longest === null) return target;
  const { spacings, shapesAfterCrop } = fingerprint;
  const sides = shapesAfterCrop.map((shape, i) =>
    Math.max(...newShape(shape, spacings[i] ?? target, target)),
  );
  const factor = Math.max(1, percentile(sides, 50) / longest);
  const coarsest = target.indexOf(Math.max(...target));
  // The coarsest axis has few voxels already: it becomes no finer than the others, and else stays.
  const others = target.flatMap((gap, axis) => (axis === coarsest ? [] : [gap * factor]));
  return target.map((gap, axis) => (axis === coarsest ? Math.max(gap, ...others) : gap * factor));
}

/** A case as training, postprocessing and measuring need it. */
export type NnunetCase = {
  readonly image: PreparedImage;
  /** At the image's own size, [C, D, H, W]. */
  readonly masks: ClassMasks;
};

/** A stored grid [C, D, H, W] as the network sees it, its axes in the plan's order. */
export function prepareGrid(
  grid: Grid<Uint8Array>,
  spacing: Subject['spacing'],
  task: NnunetTask,
): PreparedImage {
  const { plan, configuration, dimension, foreground } = task;
  const order = plan.transposeForward;
  return prepareImage(seen(grid, task), {
    spacing: order.map((axis) => spacing[axis] as number).slice(-dimension),
    targetSpacing: configuration.spacing,
    normalisation: plan.normalisation,
    foreground,
  });
}

/** A stored grid with the plan's axes; of a picture two. */
function seen(grid: Grid<Uint8Array>, { plan, dimension }: NnunetTask): Grid<Uint8Array> {
  const turned = permute(grid, plan.transposeForward);
  return { ...turned, shape: turned.shape.slice(-dimension) };
}

/** Values with the plan's axes [C, ...] as they are stored, [C, D, H, W]. */
export function asStored<T extends Float32Array>(
  values: T,
  stored: readonly number[],
  channels: number,
  { plan }: NnunetTask,
): T {
  const shape = plan.transposeForward.map((axis) => stored[axis] as number);
  return permute({ shape, channels, values: values as Float32Array }, plan.transposeBackward).values as T;
}

export async function loadCases(
  setting: BaselineSetting,
  task: NnunetTask,
  split: 'labelled' | 'validation',
): Promise<NnunetCase[]> {
  const { workspace, classIds, signal } = setting;
  if (split === 'validation' && workspace.splits.validation.length === 0) return [];
  const items = split === 'labelled' ? labelledOf(setting) : validationOf(setting);
  const cases: NnunetCase[] = [];
  for (const subject of subjectsOf(items, task.dimension)) {
    signal.throwIfAborted();
    const grid = await loadGrid(subject, workspace.dataset, task.plan.normalisation.length);
    const masks = await loadMasks(subject, workspace.dataset, classIds);
    cases.push({ image: prepareGrid(grid, subject.spacing, task), masks });
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
    return makeSample(image, prepareTruth(seen(truth, task), image), setting.random(`nnunet sample ${i}`));
  });
}

const labelledOf = ({ workspace, config }: BaselineSetting): LabelledCase[] =>
  workspace.dataset.labelled(splitIds(workspace, config, 'labelled'));
const validationOf = ({ workspace, config }: BaselineSetting): LabelledCase[] =>
  workspace.dataset.labelled(splitIds(workspace, config, 'validation'));

/** Where any class is. */
function foregroundPlaces({ shape, classes, data }: ClassMasks): number[] {
  const places: number[] = [];
  const count = countOf(shape);
  for (let i = 0; i < count; i++)
    for (let c = 0; c < classes; c++)
      if (data[c * count + i] === 1) {
        places.push(i);
        break;
      }
  return places;
}

const regionsOf = ({ shape, classes, data }: ClassMasks): Grid<Uint8Array> => ({
  shape,
  channels: classes,
  values: data,
});

/** 0 background, 1.. the classes in order; where masks share a pixel after all, the first has it. */
function labelsOf({ shape, classes, data }: ClassMasks): Grid<Uint8Array> {
  const count = countOf(shape);
  const values = new Uint8Array(count);
  for (let c = classes - 1; c >= 0; c--)
    for (let i = 0; i < count; i++) if (data[c * count + i] === 1) values[i] = c + 1;
  return { shape, channels: 1, values };
}
