// Labelled cases in memory for the tests of training: a bright shape on noise, with its mask.

import type { LabelledCase, OpenDataset } from '../../src/datasets/cases.ts';
import { augment as change, DEFAULT_AUGMENTATION } from '../../src/imaging/augment.ts';
import { NORMALISATIONS } from '../../src/imaging/normalise.ts';
import type { Image, Mask } from '../../src/imaging/types.ts';
import type { BatchOptions, TrainingCase } from '../../src/training/batch.ts';
import { CanvasCache, type CanvasOptions } from '../../src/training/canvas.ts';
import { Random } from '../../src/util/random.ts';

export const SIDE = 64;

export const CANVAS: CanvasOptions = { imageSize: SIDE, rule: 'stretch', normalisation: NORMALISATIONS.sam };

/** Two squares a case: class 1 bright, class 2 dark. */
export function toyMask(caseId: string, classId: number, side = SIDE): Mask {
  const random = new Random(`${caseId}/${classId}`);
  const size = Math.floor(side / 4) + random.int(0, 6);
  const x0 = random.int(0, side - size);
  const middle = (side - size) >> 1;
  const y0 = classId === 1 ? random.int(0, middle) : random.int(middle, side - size);
  const data = new Uint8Array(side * side);
  for (let y = y0; y < y0 + size; y++) data.fill(1, y * side + x0, y * side + x0 + size);
  return { width: side, height: side, data };
}

export function toyImage(caseId: string, side = SIDE): Image {
  const random = new Random(`${caseId}/pixels`);
  const [bright, dark] = [toyMask(caseId, 1, side), toyMask(caseId, 2, side)];
  const data = Uint8Array.from({ length: side * side }, (_, i) => {
    const value =
      120 + 90 * (bright.data[i] as number) - 70 * (dark.data[i] as number) + 10 * random.normal();
    return Math.max(0, Math.min(255, Math.round(value)));
  });
  return { width: side, height: side, channels: 1, data };
}

const caseOf = (id: string): LabelledCase => ({
  kind: 'labelled',
  id,
  group: id,
  imagePath: id,
  maskPaths: new Map(),
});

/** A dataset without files. `loads` counts what was decoded. */
export function toyDataset(side = SIDE): OpenDataset & { readonly loads: string[] } {
  const loads: string[] = [];
  return {
    loads,
    dir: '',
    dataset: { schemaVersion: 1, name: 'toy', modality: 'none', classes: [], cases: [] } as never,
    hash: 'd0',
    labelled: (ids = []) => ids.map(caseOf),
    unlabelled: (ids = []) => ids.map((id) => ({ kind: 'unlabelled', id, group: id, imagePath: id })),
    loadImage: async ({ id }) => {
      loads.push(id);
      return toyImage(id, side);
    },
    loadMask: async ({ id }, classId) => {
      loads.push(`${id}/${classId}`);
      return toyMask(id, classId, side);
    },
  };
}

export const toyCases = (count: number): TrainingCase[] =>
  Array.from({ length: count }, (_, i) => ({ caseId: `case${i}`, classIds: [1, 2] }));

/** Everything loaded, ready for batches. */
export async function toyBatchOptions(
  cases: readonly TrainingCase[],
  options: Partial<BatchOptions> = {},
): Promise<BatchOptions> {
  const dataset = toyDataset();
  const cache = new CanvasCache(dataset, CANVAS);
  for (const item of dataset.labelled(cases.map((c) => c.caseId)))
    for (const classId of [1, 2]) await cache.loadMask(item, classId);
  return {
    cache,
    augment: (image, masks, random) => change({ image, masks }, random, DEFAULT_AUGMENTATION),
    fromMask: {
      maxBoxes: 1,
      boxes: true,
      points: 1,
      negativePoints: 0,
      jitter: { kind: 'sides', sigma: 0.1 },
    },
    layout: { points: 1, boxes: 1 },
    masksPerImage: 1,
    boxProbability: 0.75,
    pointProbability: 0.5,
    noPromptProbability: 0.25,
    ...options,
  };
}
