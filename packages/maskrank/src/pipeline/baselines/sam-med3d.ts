// Baseline: SAM-Med3D, fine-tuned on the labelled volumes and asked with clicks. It sees slices as the volume that they are of, a
// cube around each class; the middle of the cube and the clicks come from the ground truth, also of measured volumes, as in the
// released evaluation. Its rows say so (`oracle-clicks`). Not here: the network (models/sam3d), the training (training/sam3d).

import { fromTypedArray, Generator, noGrad, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import type { LabelledCase } from '../../datasets/cases.ts';
import {
  type Cube,
  centreOfMask,
  cubeToStack,
  type SliceStack,
  takeCube,
  takeCubeMask,
} from '../../imaging/cube.ts';
import {
  createSam3d,
  loadSam3d,
  logitsToVolume,
  SAM3D_CONFIGS,
  type Sam3d,
} from '../../models/sam3d/index.ts';
import { nextClick, normaliseCube } from '../../models/sam3d/input.ts';
import { resolveWeights } from '../../models/weights/index.ts';
import { type CubeSample, clickPrompts, noMask, trainSam3d } from '../../training/sam3d/train.ts';
import type { Random } from '../../util/random.ts';
import { type SlicedVolume, stackMasks, volumesOf } from '../volumes.ts';
import { splitIds } from '../workspace.ts';
import type { BaselineMethod, BaselineSetting, CaseMask } from './method.ts';

/** As released, for 128 voxels a side; a cube of 64 covers the same part of the patient with voxels of twice the side. */
const RELEASED = { side: 128, spacingMm: 1.5 } as const;

export const samMed3d: BaselineMethod<Sam3d> = {
  name: 'sam-med3d',
  title: 'SAM-Med3D with clicks from the truth',
  sections: ['baselines.samMed3d'],
  check: async ({ baselines }, { cases }) => {
    if (!cases.some(({ volume }) => volume !== undefined)) throw noVolumes();
    const { weights } = baselines.samMed3d;
    if (weights !== null) await resolveWeights(weights);
  },
  prepare: async ({ config, random }) => {
    const { network, weights } = config.baselines.samMed3d;
    const shape = SAM3D_CONFIGS[network];
    if (weights === null)
      return createSam3d(shape, Generator.seeded(random('sam-med3d weights').int(0, 0x7fffffff)));
    return (await loadSam3d(await resolveWeights(weights), { config: shape })).sam;
  },
  train: async (sam, setting, loop) => {
    const { config, workspace } = setting;
    const labelled = workspace.dataset.labelled(splitIds(workspace, config, 'labelled'));
    return trainSam3d({
      sam,
      samples: await samplesOf(sam, labelled, setting),
      config: config.baselines.samMed3d,
      seed: config.seed,
      device: workspace.device,
      loop,
    });
  },
  predict: () => {
    throw new UsageError('baseline sam-med3d: masks volumes, not single images.');
  },
  masks: masksOf,
};

/** A volume in memory, and what is known of where it lies. */
type OpenVolume = { readonly volume: SlicedVolume; readonly stack: SliceStack; readonly image: Uint8Array };

/** Throws DataError for cases that are no slices, or slices without a spacing. */
async function openVolume(volume: SlicedVolume, { workspace }: BaselineSetting): Promise<OpenVolume> {
  const { id, slices, depth, spacingMm } = volume;
  if (spacingMm === undefined)
    throw new DataError(
      `baseline sam-med3d: volume "${id}" has no spacing, so nobody knows how large a voxel is. Import the volumes themselves: maskrank dataset import volumes SOURCE --out DATASET`,
    );
  let image: Uint8Array | undefined;
  let shape: SliceStack['shape'] = [depth, 0, 0];
  for (const { item, place } of slices) {
    const { width, height, channels, data } = await workspace.dataset.loadImage(item);
    image ??= new Uint8Array(depth * height * width);
    if (shape[1] === 0) shape = [depth, height, width];
    if (shape[1] !== height || shape[2] !== width)
      throw new DataError(
        `baseline sam-med3d: slice ${item.id} is ${width} x ${height}, others of "${id}" are ${shape[2]} x ${shape[1]}; slices of a volume must be of one size.`,
      );
    const start = place * height * width;
    for (let i = 0; i < height * width; i++) image[start + i] = data[i * channels]!;
  }
  return { volume, stack: { shape, spacingMm }, image: image ?? new Uint8Array(0) };
}

function volumesAmong(cases: readonly LabelledCase[]): SlicedVolume[] {
  const volumes = volumesOf(cases);
  if (volumes.length > 0) return volumes;
  throw noVolumes();
}

const noVolumes = (): DataError =>
  new DataError(
    'baseline sam-med3d: the cases are no slices of volumes, and this network sees volumes alone. Import some: maskrank dataset import volumes SOURCE --out DATASET',
  );

/** The mask of a class in a volume; undefined where it is not there. */
async function truthOf(
  { volume }: OpenVolume,
  classId: number,
  { workspace }: BaselineSetting,
): Promise<Uint8Array | undefined> {
  if (!volume.slices.some(({ item }) => item.maskPaths.has(classId))) return undefined;
  const grid = await stackMasks(volume, ({ item }) => workspace.dataset.loadMask(item, classId));
  return grid?.data;
}

function cubeOf(sam: Sam3d, { stack }: OpenVolume, truth: Uint8Array, { config }: BaselineSetting): Cube {
  const side = sam.config.volumeSize;
  const spacingMm = config.baselines.samMed3d.spacingMm ?? (RELEASED.spacingMm * RELEASED.side) / side;
  return { side, spacingMm, centre: centreOfMask(truth, stack.shape) ?? [0, 0, 0] };
}

/** A cube for every class of every labelled volume; classes so small that none of it is left at the cube's spacing are left out. */
async function samplesOf(
  sam: Sam3d,
  cases: readonly LabelledCase[],
  setting: BaselineSetting,
): Promise<CubeSample[]> {
  const samples: CubeSample[] = [];
  for (const volume of volumesAmong(cases)) {
    setting.signal.throwIfAborted();
    const open = await openVolume(volume, setting);
    for (const classId of setting.classIds) {
      const truth = await truthOf(open, classId, setting);
      if (truth === undefined) continue;
      const cube = cubeOf(sam, open, truth, setting);
      const mask = takeCubeMask(truth, open.stack, cube);
      if (!mask.includes(1)) continue;
      samples.push({ image: Uint8Array.from(takeCube(open.image, open.stack, cube), Math.round), mask });
    }
  }
  if (samples.length === 0)
    throw new DataError(
      'baseline sam-med3d: no labelled volume has a class in it; label more, or split anew.',
    );
  return samples;
}

/** Masks of all slices of every class that is in a volume. */
async function* masksOf(
  sam: Sam3d,
  cases: readonly LabelledCase[],
  setting: BaselineSetting,
): AsyncGenerator<CaseMask> {
  const level = Math.log(setting.config.evaluation.threshold / (1 - setting.config.evaluation.threshold));
  for (const volume of volumesAmong(cases)) {
    const open = await openVolume(volume, setting);
    const [, height, width] = open.stack.shape;
    for (const classId of setting.classIds) {
      setting.signal.throwIfAborted();
      const truth = await truthOf(open, classId, setting);
      if (truth === undefined) continue;
      const cube = cubeOf(sam, open, truth, setting);
      const random = setting.random(`sam-med3d clicks ${volume.id}/${classId}`);
      const logits = segment(sam, open, truth, cube, setting, random);
      const found = cubeToStack(logits, open.stack, cube, level);
      for (const { item, place } of volume.slices)
        yield {
          item,
          classId,
          mask: {
            width,
            height,
            data: found.slice(place * width * height, (place + 1) * width * height),
          },
          prompt: { source: 'oracle-clicks', oracle: true },
        };
    }
  }
}

/** Logits of the cube after as many clicks as configured, each where the mask so far is wrong. */
function segment(
  sam: Sam3d,
  { image, stack }: OpenVolume,
  truth: Uint8Array,
  cube: Cube,
  { config, workspace: { device } }: BaselineSetting,
  random: Random,
): Float32Array {
  const { side } = cube;
  const mask = takeCubeMask(truth, stack, cube);
  const values = normaliseCube(Uint8Array.from(takeCube(image, stack, cube), Math.round));
  return tidy(() =>
    noGrad(() => {
      const embedding = sam.embed(fromTypedArray(values, [1, 1, side, side, side]).to(device as 'cuda'));
      let small = noMask(sam, 1, device);
      let logits = new Float32Array(side ** 3).fill(Number.NEGATIVE_INFINITY);
      for (let i = 0; i < config.baselines.samMed3d.testClicks; i++) {
        const click = nextClick(
          mask,
          Uint8Array.from(logits, (v) => Number(v > 0)),
          side,
          random,
        );
        if (click === undefined) break; // too small for the cube's spacing
        const points = clickPrompts([click], device);
        small = sam.decode(embedding, { points, masks: small }, { multimask: false }).masks;
        logits = logitsToVolume(small, side).toFloat32Array() as Float32Array<ArrayBuffer>;
      }
      return logits;
    }),
  );
}
