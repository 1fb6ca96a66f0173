// nnU-Net's planner: from a fingerprint of a dataset to target spacing, patch, network, batch and normalisation, in two and
// three dimensions. Pure rules (Isensee et al. 2021, supplement). Not here: looking at images (training/nnunet/fingerprint.ts),
// the cascade of low and full resolution.

import type { NnunetConfig, Sizes } from '../config.ts';
import { featureMapSize } from '../feature-maps.ts';
import { type NormalisationScheme, schemeOf, usesMask } from './normalisation.ts';
import type { PlannerSettings } from './presets.ts';
import {
  columnPercentiles,
  indexOfLargest,
  median,
  percentile,
  product,
  roundHalfEven,
} from './statistics.ts';
import { planTopology, type Topology } from './topology.ts';

/** What a planner knows of the images. Axes as stored, the through-plane one first; pictures have one slice. */
export type DatasetFingerprint = {
  /** A row an image: distance of voxels, mm (pictures: 1, and 999 through the plane). */
  readonly spacings: readonly Sizes[];
  /** A row an image: size after cropping to what is not zero, voxels. */
  readonly shapesAfterCrop: readonly Sizes[];
  /** Median share of an image that cropping left, 0..1. */
  readonly medianShareAfterCrop: number;
};

export type PlannedTask = {
  readonly channelNames: readonly string[];
  /** Classes and background. */
  readonly labels: number;
  readonly trainingImages: number;
};

/** A network for images of one dimension, and how it is trained. */
export type Configuration = {
  readonly spacing: Sizes;
  readonly medianShape: Sizes;
  readonly patch: Sizes;
  readonly batchSize: number;
  /** One overlap for a whole batch in the Dice loss. */
  readonly batchDice: boolean;
  readonly poolings: Sizes;
  readonly network: NnunetConfig;
};

export type Plan = {
  /** Axes in the order of the configurations: the coarsest first. */
  readonly transposeForward: Sizes;
  readonly transposeBackward: Sizes;
  readonly medianSpacing: Sizes;
  readonly medianShape: Sizes;
  /** A channel each. */
  readonly normalisation: readonly { readonly scheme: NormalisationScheme; readonly insideMask: boolean }[];
  readonly '2d': Configuration;
  /** Absent where images have one slice. */
  readonly '3d'?: Configuration;
};

export function planExperiment(
  fingerprint: DatasetFingerprint,
  task: PlannedTask,
  settings: PlannerSettings,
): Plan {
  const { spacings, shapesAfterCrop, medianShareAfterCrop } = fingerprint;
  const target = [...(settings.targetSpacing ?? targetSpacing(fingerprint))];
  const transposeForward = coarsestFirst(target);
  const transpose = (values: Sizes): number[] => transposeForward.map((axis) => values[axis] as number);
  const resampled = shapesAfterCrop.map((shape, i) => newShape(shape, spacings[i] as Sizes, target));
  const medianShape = transpose(columnPercentiles(resampled, 50));
  const spacing = transpose(target);
  const voxels = product(medianShape) * task.trainingImages;
  const configure = (axes: number, batchDice: boolean): Configuration => ({
    ...planConfiguration(spacing.slice(-axes), medianShape.slice(-axes), voxels, task, settings),
    batchDice,
  });
  return {
    transposeForward,
    transposeBackward: transposeForward.map((_, axis) => transposeForward.indexOf(axis)),
    medianSpacing: transpose(columnPercentiles(spacings, 50)),
    medianShape: transpose(columnPercentiles(shapesAfterCrop, 50)).map(roundHalfEven),
    normalisation: task.channelNames.map((name) => {
      const scheme = schemeOf(name);
      return { scheme, insideMask: usesMask(scheme, medianShareAfterCrop) };
    }),
    '2d': configure(2, true),
    ...(medianShape[0] === 1 ? {} : { '3d': configure(3, false) }),
  };
}

/** An axis is coarse where its spacing is this many times that of the others. */
const ANISOTROPY = 3;

/**
 * The median spacing; of an axis that is coarse and has few voxels the 10th percentile, so that most images are not thrown
 * together.
 */
export function targetSpacing({ spacings, shapesAfterCrop }: DatasetFingerprint): number[] {
  const target = columnPercentiles(spacings, 50);
  const shape = columnPercentiles(shapesAfterCrop, 50);
  const coarse = indexOfLargest(target);
  const without = (values: readonly number[]) => values.filter((_, axis) => axis !== coarse);
  const next = Math.max(...without(target));
  const isCoarse = (target[coarse] as number) > ANISOTROPY * next;
  const isThin = (shape[coarse] as number) * ANISOTROPY < Math.min(...without(shape));
  if (isCoarse && isThin) {
    const low = percentile(
      spacings.map((row) => row[coarse] as number),
      10,
    );
    target[coarse] = low < next ? next + 1e-5 : low;
  }
  return target;
}

/** The size of an image resampled to another spacing, voxels. */
export const newShape = (shape: Sizes, from: Sizes, to: Sizes): number[] =>
  shape.map((side, axis) => roundHalfEven(((from[axis] as number) / (to[axis] as number)) * side));

function coarsestFirst(spacing: Sizes): number[] {
  const coarsest = indexOfLargest(spacing);
  return [coarsest, ...spacing.map((_, axis) => axis).filter((axis) => axis !== coarsest)];
}

/** Voxels of the patch to begin with, before it is cut to the images and to the memory: a side of a cube or square. */
const FIRST_SIDE = { 2: 2048, 3: 256 } as const;

function planConfiguration(
  spacing: Sizes,
  medianShape: Sizes,
  voxels: number,
  task: PlannedTask,
  settings: PlannerSettings,
): Omit<Configuration, 'batchDice'> {
  const dimension = spacing.length as 2 | 3;
  const { referenceBatch, referenceGb, referenceMaps, memoryGb, minBatch, maxShareOfData } = settings;
  const allowed = referenceMaps[dimension] * (memoryGb / referenceGb);
  const batch = referenceBatch[dimension];
  const shrinks = settings.patchFits === 'smallest-batch' ? minBatch / batch : 1;

  let topology = planTopology(spacing, firstPatch(spacing, medianShape), settings.minEdge);
  const network = () => networkOf(topology, dimension, task, settings);
  const maps = () => featureMapSize(network(), topology.patch);
  while (maps() * shrinks > allowed) topology = smaller(spacing, medianShape, topology, settings.minEdge);

  const fits = roundHalfEven((allowed / maps()) * batch);
  const ofData = roundHalfEven((voxels * maxShareOfData) / product(topology.patch));
  return {
    spacing,
    medianShape,
    patch: topology.patch,
    batchSize: Math.max(Math.min(fits, ofData), minBatch),
    poolings: topology.poolings,
    network: network(),
  };
}

/** A patch of the images' proportions in space, no larger than the median image. */
function firstPatch(spacing: Sizes, medianShape: Sizes): number[] {
  const dimension = spacing.length as 2 | 3;
  const finer = spacing.map((gap) => 1 / gap);
  const scale = (FIRST_SIDE[dimension] ** dimension / product(finer)) ** (1 / dimension);
  return finer.map((density, axis) => Math.min(roundHalfEven(density * scale), medianShape[axis] as number));
}

/** The patch a step smaller along the axis where it is largest relative to the images. */
function smaller(
  spacing: Sizes,
  medianShape: Sizes,
  { patch, divisor }: Topology,
  minEdge: number,
): Topology {
  const shares = patch.map((side, axis) => side / (medianShape[axis] as number));
  const largest = Math.max(...shares);
  const axis = shares.lastIndexOf(largest);
  const less = (by: number) => patch.map((side, i) => (i === axis ? side - by : side));
  // A step of the whole divisor may pass over sizes that fewer halvings allow: 256 - 64 skips 224. So the step is that of the
  // smaller patch.
  const step = planTopology(spacing, less(divisor[axis] as number), minEdge).divisor[axis] as number;
  return planTopology(spacing, less(step), minEdge);
}

function networkOf(
  { strides, kernelSizes }: Topology,
  dimension: 2 | 3,
  { channelNames, labels }: PlannedTask,
  { width, maxWidth, residual, blocksEncoder, blocksDecoder }: PlannerSettings,
): NnunetConfig {
  const stages = strides.length;
  const repeat = (numbers: readonly number[], count: number) =>
    Array.from({ length: count }, (_, i) => numbers[Math.min(i, numbers.length - 1)] as number);
  return {
    dimension,
    inChannels: channelNames.length,
    outChannels: labels,
    features: strides.map((_, i) => Math.min(width * 2 ** i, maxWidth[dimension])),
    kernelSizes,
    strides,
    blocksEncoder: repeat(blocksEncoder, stages),
    blocksDecoder: repeat(blocksDecoder, stages - 1),
    residual,
  };
}

/** Median of a list that may be empty (then 1), for shares of images. */
export const medianShare = (shares: readonly number[]): number => (shares.length === 0 ? 1 : median(shares));
