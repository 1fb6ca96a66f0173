// Baseline: SAM-Med3D, fine-tuned on the labelled volumes and asked with clicks. It sees slices as the volume that they are of, a
// cube around each class; the middle of the cube and the clicks come from the ground truth, also of measured volumes, as in the
// released evaluation. Its rows say so (`oracle-clicks`). Of new volumes a person gives them, in lines for slices.
// Not here: the network (models/sam3d), the training (training/sam3d).

import { fromTypedArray, Generator, noGrad, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import type { LabelledCase, UnlabelledCase } from '../../datasets/cases.ts';
import {
  type Cube,
  centreOfMask,
  cubeToStack,
  placeInCube,
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
import { type Click, nextClick, normaliseCube } from '../../models/sam3d/input.ts';
import { resolveWeights } from '../../models/weights/index.ts';
import type { Prompt } from '../../prompting/prompt.ts';
import { type CubeSample, clickPrompts, noMask, trainSam3d } from '../../training/sam3d/train.ts';
import { logit } from '../../util/logit.ts';
import { type GivenPrompts, givenPrompt } from '../predictor.ts';
import { type SlicedVolume, stackMasks, volumesOf } from '../volumes.ts';
import { splitIds } from '../workspace.ts';
import type { BaselineMethod, BaselineSetting, CaseMask } from './method.ts';

/** As released, for 128 voxels a side; a cube of 64 covers the same part of the patient with voxels of twice the side. */
const RELEASED = { side: 128, spacingMm: 1.5 } as const;

export const samMed3d: BaselineMethod<Sam3d, Guides> = {
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
  prompting: { measured: guidesFromTruth, given: guidesFromLines },
};

/** A volume in memory, and what is known of where it lies. */
type OpenVolume = {
  readonly volume: SlicedVolume<LabelledCase | UnlabelledCase>;
  readonly stack: SliceStack;
  readonly image: Uint8Array;
};

/** Where a class is looked for in a volume, and what is clicked. */
type Guide = {
  readonly cube: Cube;
  /** After `round` clicks, for what was found by them [S, S, S]; undefined: no more. */
  readonly click: (round: number, found: Uint8Array) => Click | undefined;
  readonly prompt: CaseMask['prompt'];
};

/** The guide to a class in a volume; undefined where it is not asked for. */
type Guides = (open: OpenVolume, classId: number) => Promise<Guide | undefined>;

/** Throws DataError for cases that are no slices, or slices without a spacing. */
async function openVolume(
  volume: SlicedVolume<LabelledCase | UnlabelledCase>,
  { workspace }: BaselineSetting,
): Promise<OpenVolume> {
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

function volumesAmong<C extends LabelledCase | UnlabelledCase>(cases: readonly C[]): SlicedVolume<C>[] {
  const volumes = volumesOf(cases);
  if (volumes.length > 0) return volumes;
  throw noVolumes();
}

const noVolumes = (): DataError =>
  new DataError(
    'baseline sam-med3d: the images are no slices of volumes, and this network sees volumes alone. Give some (.nii, .nii.gz; as a dataset: maskrank dataset import volumes SOURCE --out DATASET)',
  );

/** The mask of a class in a volume; undefined where it is not there. */
async function truthOf(
  volume: SlicedVolume,
  classId: number,
  { workspace }: BaselineSetting,
): Promise<Uint8Array | undefined> {
  if (!volume.slices.some(({ item }) => item.maskPaths.has(classId))) return undefined;
  const grid = await stackMasks(volume, ({ item }) => workspace.dataset.loadMask(item, classId));
  return grid?.data;
}

function cubeAround(centre: Cube['centre'], sam: Sam3d, { config }: BaselineSetting): Cube {
  const side = sam.config.volumeSize;
  const spacingMm = config.baselines.samMed3d.spacingMm ?? (RELEASED.spacingMm * RELEASED.side) / side;
  return { side, spacingMm, centre };
}

const cubeOf = (sam: Sam3d, { stack }: OpenVolume, truth: Uint8Array, setting: BaselineSetting): Cube =>
  cubeAround(centreOfMask(truth, stack.shape) ?? [0, 0, 0], sam, setting);

/** The cube around the truth, and as many clicks as configured, each where the mask so far is wrong. */
async function guidesFromTruth(
  sam: Sam3d,
  cases: readonly LabelledCase[],
  setting: BaselineSetting,
): Promise<Guides> {
  const volumes = new Map(volumesAmong(cases).map((volume) => [volume.id, volume]));
  const { testClicks } = setting.config.baselines.samMed3d;
  return async (open, classId) => {
    const { id } = open.volume;
    const truth = await truthOf(volumes.get(id) as SlicedVolume, classId, setting);
    if (truth === undefined) return undefined;
    const cube = cubeOf(sam, open, truth, setting);
    const mask = takeCubeMask(truth, open.stack, cube);
    const random = setting.random(`sam-med3d clicks ${id}/${classId}`);
    return {
      cube,
      click: (round, found) => (round < testClicks ? nextClick(mask, found, cube.side, random) : undefined),
      prompt: { source: 'oracle-clicks', oracle: true },
    };
  };
}

/** The points of a person's lines, one after the other, those in the class first; the cube around them and the lines' boxes. */
async function guidesFromLines(
  sam: Sam3d,
  cases: readonly UnlabelledCase[],
  setting: BaselineSetting,
  given: GivenPrompts,
): Promise<Guides> {
  const [first] = volumesAmong(cases);
  if (given.lines === null)
    throw new UsageError(
      'baseline sam-med3d: is asked with clicks in a volume; give --prompts-file FILE with points of each class in lines for slices (case NAME_s012 for slice 12).',
    );
  const asked = cases.some(({ id }) => setting.classIds.some((c) => pointsOf(given, id, c).length > 0));
  if (!asked)
    throw new DataError(
      `baseline sam-med3d: the prompts have no point of any class in volume "${first?.id}"; its slices are ${first?.slices[0]?.item.id} and so on.`,
    );
  return async ({ volume, stack }, classId) => {
    const clicks = volume.slices.flatMap(({ item, place: slice }) =>
      pointsOf(given, item.id, classId).map(({ x, y, label }) => ({
        place: [slice, y, x] as const,
        label,
      })),
    );
    const inside = clicks.filter(({ label }) => label === 1);
    if (inside.length === 0) return undefined;
    const corners = volume.slices.flatMap(({ item, place: slice }) =>
      (givenPrompt(given, item.id, classId)?.boxes ?? []).flatMap(
        ({ x0, y0, x1, y1 }) =>
          [
            [slice, y0, x0],
            [slice, y1 - 1, x1 - 1],
          ] as const,
      ),
    );
    const places = [...inside.map(({ place }) => place), ...corners];
    const cube = cubeAround(middleOf(places), sam, setting);
    const inOrder = [...inside, ...clicks.filter(({ label }) => label === 0)].flatMap(({ place, label }) => {
      const own = placeInCube(place, stack, cube);
      return own === undefined ? [] : [{ place: own, label }];
    });
    return { cube, click: (round) => inOrder[round], prompt: { source: 'file', oracle: false } };
  };
}

const pointsOf = (given: GivenPrompts, name: string, classId: number): Prompt['points'] =>
  givenPrompt(given, name, classId)?.points ?? [];

/** Middle of the box around the places. */
const middleOf = (
  places: readonly (readonly [number, number, number])[],
): readonly [number, number, number] => {
  const along = (axis: 0 | 1 | 2): number => {
    const all = places.map((place) => place[axis]);
    return (Math.min(...all) + Math.max(...all)) / 2;
  };
  return [along(0), along(1), along(2)];
};

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
      const truth = await truthOf(volume, classId, setting);
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

/** Masks of all slices of every class that there is a guide to. */
async function* masksOf(
  sam: Sam3d,
  cases: readonly UnlabelledCase[],
  setting: BaselineSetting,
  guides: Guides,
): AsyncGenerator<CaseMask> {
  const level = logit(setting.config.evaluation.threshold);
  for (const volume of volumesAmong(cases)) {
    const open = await openVolume(volume, setting);
    const [, height, width] = open.stack.shape;
    for (const classId of setting.classIds) {
      setting.signal.throwIfAborted();
      const guide = await guides(open, classId);
      if (guide === undefined) continue;
      const found = cubeToStack(segment(sam, open, guide, setting), open.stack, guide.cube, level);
      for (const { item, place } of volume.slices) {
        const data = found.slice(place * width * height, (place + 1) * width * height);
        yield { caseId: item.id, classId, mask: { width, height, data }, prompt: guide.prompt };
      }
    }
  }
}

/** Logits of the cube after all clicks. */
function segment(
  sam: Sam3d,
  { image, stack }: OpenVolume,
  { cube, click: clickAfter }: Guide,
  { workspace: { device } }: BaselineSetting,
): Float32Array {
  const { side } = cube;
  const values = normaliseCube(Uint8Array.from(takeCube(image, stack, cube), Math.round));
  return tidy(() =>
    noGrad(() => {
      const embedding = sam.embed(fromTypedArray(values, [1, 1, side, side, side]).to(device as 'cuda'));
      let small = noMask(sam, 1, device);
      let logits = new Float32Array(side ** 3).fill(Number.NEGATIVE_INFINITY);
      for (let round = 0; ; round++) {
        const found = Uint8Array.from(logits, (v) => Number(v > 0));
        const click = clickAfter(round, found);
        if (click === undefined) return logits;
        const points = clickPrompts([click], device);
        small = sam.decode(embedding, { points, masks: small }, { multimask: false }).masks;
        logits = logitsToVolume(small, side).toFloat32Array() as Float32Array<ArrayBuffer>;
      }
    }),
  );
}
