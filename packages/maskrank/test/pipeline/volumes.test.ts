// Volumes through the chain: slices measured as the volumes that they were cut from, and volumes predicted in any orientation.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabelledCase } from '../../src/datasets/cases.ts';
import { EvaluationSchema } from '../../src/evaluation/schema.ts';
import { writeNifti } from '../../src/formats/nifti.ts';
import { readNifti } from '../../src/formats/nifti-read.ts';
import { axialView, putSlice, takeSlice } from '../../src/imaging/axial.ts';
import type { Mask } from '../../src/imaging/types.ts';
import type { Affine } from '../../src/imaging/volume.ts';
import { SliceLabels } from '../../src/pipeline/predict-volume.ts';
import { VolumeMasks, volumesOf } from '../../src/pipeline/volumes.ts';
import { configSchema } from '../../src/run/config.ts';
import { Random } from '../../src/util/random.ts';
import { must } from '../cli/harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-volumes-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('slices as volumes', () => {
  const SIDE = 6;
  const spacingMm = [5, 1, 2] as [number, number, number];
  const slice = (number: number, classes = [1], volume = 'v'): LabelledCase => ({
    kind: 'labelled',
    id: `${volume}_${number}`,
    group: volume,
    imagePath: '',
    maskPaths: new Map(classes.map((id) => [id, ''])),
    volume: { id: volume, slice: number, spacingMm },
  });
  /** A block of 2 x 2 pixels. */
  const block = (x = 2): Mask => ({
    width: SIDE,
    height: SIDE,
    data: Uint8Array.from({ length: SIDE * SIDE }, (_, i) =>
      Number(i % SIDE >= x && i % SIDE < x + 2 && i >= 2 * SIDE && i < 4 * SIDE),
    ),
  });
  const prompt = { source: 'none', oracle: false };
  const config = configSchema.parse({ evaluation: { tolerancesMm: [1, 5] } });
  const warnings: string[] = [];
  const options = {
    stage: 's',
    classIds: [1, 2],
    config,
    empties: 'exclude',
    signal: new AbortController().signal,
    onProgress: () => {},
    warn: (text: string) => void warnings.push(text),
  } as const;
  const truth = { loadMask: async () => block() };

  it('agree with what a person computes', async () => {
    const cases = [1, 2, 3].map((k) => slice(k));
    const same = new VolumeMasks(cases);
    for (const { id } of cases) same.add({ caseId: id, classId: 1, mask: block(), prompt });
    expect(await same.measure(truth, options)).toMatchObject([
      { case: 'v', group: 'v', class: 1, shape: [3, 6, 6], spacingMm, dice: 1, hd95Mm: 0 },
    ]);
    // Half of the block, one pixel of 2 mm beside it.
    const beside = new VolumeMasks(cases);
    for (const { id } of cases) beside.add({ caseId: id, classId: 1, mask: block(3), prompt });
    const [moved] = await beside.measure(truth, options);
    expect(moved).toMatchObject({ dice: 0.5, hd95Mm: 2, averageDistanceMm: expect.any(Number) });
    expect(moved!.surfaceDice['5mm']).toBe(1);
    expect(moved!.surfaceDice['1mm']).toBeLessThan(1);
    expect(moved!.counts).toEqual({ truePositive: 6, falsePositive: 6, falseNegative: 6 });
  });

  it('count unmasked slices as empty, and leave out a class that is nowhere', async () => {
    const cases = [1, 2, 3, 4].map((k) => slice(k));
    const masks = new VolumeMasks(cases);
    for (const k of [1, 2]) masks.add({ caseId: `v_${k}`, classId: 1, mask: block(), prompt });
    masks.add({ caseId: 'no slice', classId: 1, mask: block(), prompt });
    const results = await masks.measure(truth, options);
    expect(results).toHaveLength(1);
    expect(results[0]!.counts).toEqual({ truePositive: 8, falsePositive: 0, falseNegative: 8 });
    expect(results[0]!.dice).toBeCloseTo(2 / 3, 12);
    const missed = await new VolumeMasks(cases).measure(truth, options);
    expect(missed).toMatchObject([{ class: 1, dice: 0, empty: 'prediction' }]);
  });

  it('may be every third of a scan, or miss some', () => {
    const [every, gaps] = volumesOf([
      ...[9, 3, 6].map((k) => slice(k, [1], 'every')),
      ...[4, 5, 8].map((k) => slice(k, [1], 'gaps')),
    ]);
    expect(every).toMatchObject({ id: 'every', depth: 3, spacingMm: [15, 1, 2] });
    expect(every!.slices.map(({ item }) => item.id)).toEqual(['every_3', 'every_6', 'every_9']);
    expect(gaps).toMatchObject({ depth: 5, spacingMm });
    expect(gaps!.slices.map(({ place }) => place)).toEqual([0, 1, 4]);
  });

  it('have voxels for tolerances where no spacing is known', async () => {
    const { volume: _, ...bare } = slice(1);
    const cases = [0, 1].map((k) => ({ ...bare, id: `v_${k}`, volume: { id: 'v', slice: k } }));
    const masks = new VolumeMasks(cases);
    for (const { id } of cases) masks.add({ caseId: id, classId: 1, mask: block(3), prompt });
    const [record] = await masks.measure(truth, options);
    expect(Object.keys(record!.surfaceDice)).toEqual(['1px', '2px', '3px']);
    expect(record!.spacingMm).toBeUndefined();
  });

  it('of different sizes are no volume, and a warning says so', async () => {
    const cases = [1, 2].map((k) => slice(k));
    const masks = new VolumeMasks(cases);
    const large: Mask = { width: 7, height: 7, data: new Uint8Array(49) };
    const loadMask = async ({ id }: LabelledCase) => (id === 'v_1' ? block() : large);
    expect(await masks.measure({ loadMask }, options)).toEqual([]);
    expect(warnings.join()).toMatch(/volume "v": its slices differ in size/);
  });

  it('give a voxel to the class that the model trusts more', () => {
    const mask = (...data: number[]): Mask => ({ width: 3, height: 1, data: Uint8Array.from(data) });
    const slice = new SliceLabels(3);
    expect([...slice.labels]).toEqual([0, 0, 0]);
    slice.add({ class: 2, mask: mask(1, 1, 0), predictedIou: 0.9 });
    slice.add({ class: 1, mask: mask(0, 1, 1), predictedIou: 0.4 });
    expect([...slice.labels]).toEqual([2, 2, 1]);
    slice.add({ class: 3, mask: mask(0, 1, 1), predictedIou: 0.9 });
    expect([...slice.labels]).toEqual([2, 3, 3]);
    expect([1, 2, 3].map((id) => slice.pixelsOf(id))).toEqual([0, 1, 2]);
  });

  it('give a voxel to the later class where the network trusts none more', () => {
    const slice = new SliceLabels(2);
    for (const id of [1, 2])
      slice.add({
        class: id,
        mask: { width: 2, height: 1, data: Uint8Array.of(1, id - 1) },
        predictedIou: null,
      });
    expect([...slice.labels]).toEqual([2, 2]);
  });
});

const SHAPE = [3, 40, 48] as const; // slices, rows, columns

type Turned = { readonly affine: Affine; readonly size: readonly [number, number, number] };
const LPS: Turned = {
  affine: [
    [-0.8, 0, 0, 10],
    [0, -0.8, 0, 20],
    [0, 0, 4, -30],
  ],
  size: [48, 40, 3],
};
/** Axes to the feet, to the right and to the front, each flipped against `LPS`. */
const FLIPPED: Turned = {
  affine: [
    [0, 0.8, 0, -27.6],
    [0, 0, 0.8, -11.2],
    [-4, 0, 0, -22],
  ],
  size: [3, 48, 40],
};
/** Twelve degrees off. */
const OBLIQUE: Turned = {
  affine: [
    [-0.7825, 0.1663, 0, 10],
    [-0.1663, -0.7825, 0, 20],
    [0, 0, 4, -30],
  ],
  size: [48, 40, 3],
};

/** A bright disc that is another size in each slice, on noise; the same for the same seed in every orientation. */
async function writeScan(
  path: string,
  { affine, size }: Turned,
  seed: number,
  labels?: string,
): Promise<void> {
  const [slices, rows, columns] = SHAPE;
  const view = axialView(size, affine);
  expect(view.shape).toEqual([...SHAPE]);
  const random = new Random(seed);
  const image = new Int16Array(slices * rows * columns);
  const truth = new Uint8Array(image.length);
  for (let k = 0; k < slices; k++) {
    const inside = (i: number) => Math.hypot(Math.floor(i / columns) - 18, (i % columns) - 20) < 6 + 3 * k;
    const disc = Array.from({ length: rows * columns }, (_, i) => Number(inside(i)));
    putSlice(
      view,
      image,
      k,
      disc.map((v) => Math.round(-60 + 160 * v + 20 * random.normal())),
    );
    putSlice(view, truth, k, disc);
  }
  await writeNifti(path, { size, data: image, affine });
  if (labels !== undefined) await writeNifti(labels, { size, data: truth, affine });
}

describe('a dataset of volumes', () => {
  const [source, data, run] = ['source', 'data', 'run'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const config = join(dir, 'config.json');

  beforeAll(async () => {
    for (const part of ['images', 'labels']) mkdirSync(join(source, part), { recursive: true });
    for (let i = 0; i < 5; i++) {
      const name = `p${i}.nii.gz`;
      const turned = i % 2 === 0 ? LPS : FLIPPED;
      await writeScan(join(source, 'images', name), turned, i, join(source, 'labels', name));
    }
    writeFileSync(
      config,
      JSON.stringify({
        threads: 1,
        data: { imageSize: 32 },
        prompts: { unlabelled: 'oracle-box', test: 'oracle-box' },
        training: { steps: 2, batchSize: 2 },
        baselines: {
          unet: { steps: 2, batchSize: 2, validateEverySteps: 0 },
          samMed3d: { steps: 1, clicks: 2, spacingMm: 1 },
        },
        evaluation: { bootstrapSamples: 100, permutations: 100, alsoPrompts: [] },
      }),
    );
    await must(
      'dataset',
      'import',
      'volumes',
      source,
      '--out',
      data,
      '--classes',
      '1=disc',
      '--window',
      '-160,240',
    );
    await must('dataset', 'split', data, '--labelled', '0.5', '--test', '0.4', '--seed', '3');
    await must('finetune', data, '--run', run, '--config', config);
  }, 240_000);

  it('is measured by slice and by volume, in millimetres', async () => {
    const { stdout } = await must('evaluate', '--run', run);
    expect(stdout).toMatch(/by volume/);
    await must('baseline', 'unet', '--run', run);
    await must('baseline', 'sam-med3d', '--run', run);
    const evaluation = EvaluationSchema.parse(JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8')));
    const { cases, volumes, stages } = evaluation;
    expect(stages.map(({ key }) => key)).toEqual(['stage1', 'baseline-unet', 'baseline-sam-med3d']);
    const clicked = cases.filter(({ stage }) => stage === 'baseline-sam-med3d');
    expect(new Set(clicked.map(({ prompt }) => prompt.source))).toEqual(new Set(['oracle-clicks']));
    expect(volumes!.tolerances.map(({ key }) => key)).toEqual(['1mm', '2mm', '3mm']);
    for (const { key } of stages) {
      const whole = volumes!.cases.filter(({ stage }) => stage === key);
      expect(whole).toHaveLength(2);
      for (const record of whole) {
        expect(record.shape).toEqual([...SHAPE]);
        record.spacingMm!.forEach((mm, i) => {
          expect(mm).toBeCloseTo([4, 0.8, 0.8][i]!, 5);
        });
        const own = cases.filter((one) => one.stage === key && one.group === record.group);
        expect(own).toHaveLength(3);
        for (const count of ['truePositive', 'falsePositive', 'falseNegative'] as const)
          expect(record.counts[count]).toBe(own.reduce((sum, one) => sum + one.counts[count], 0));
      }
      expect(volumes!.summary[key]!.all!.perImage.dice!.n).toBe(2);
    }
    await must('report', '--run', run);
    const page = readFileSync(join(run, 'report.html'), 'utf8');
    expect(page).toContain('Result by volume');
    expect(page).toContain('the slices of each of 2 volumes');
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  }, 240_000);

  it('predicts a volume with its own voxels and axes, whatever its orientation', async () => {
    const scans = { lps: LPS, flipped: FLIPPED, oblique: OBLIQUE };
    const files = Object.keys(scans).map((name) => join(dir, `${name}.nii.gz`));
    for (const [i, turned] of Object.values(scans).entries()) await writeScan(files[i]!, turned, 77);
    const out = join(dir, 'labels');
    const { stdout } = await must(
      'predict',
      '--run',
      run,
      ...files,
      '--out',
      out,
      '--evaluation.threshold',
      '0.1',
      '--prompts',
      'box',
      '--json',
    );
    const { predictions } = JSON.parse(stdout).result;
    expect(predictions).toHaveLength(3);
    const slices = await Promise.all(
      Object.entries(scans).map(async ([name, { affine, size }]) => {
        const labels = await readNifti(join(out, `${name}.nii.gz`));
        expect(labels.size).toEqual(size);
        expect(labels.data).toBeInstanceOf(Uint8Array);
        expect(labels.affine.flat().map(Math.fround)).toEqual(affine.flat().map(Math.fround));
        const voxels = Array.from(labels.data).filter((v) => v === 1).length;
        const line = predictions.find(({ mask }: { mask: string }) => mask.endsWith(`${name}.nii.gz`));
        expect(line).toMatchObject({ class: 1, foregroundPx: voxels });
        const view = axialView(labels.size, labels.affine);
        return SHAPE.slice(0, 1).flatMap((count) =>
          Array.from({ length: count }, (_, k) => takeSlice(view, labels.data, k)),
        );
      }),
    );
    expect(slices[0]!.some((slice) => slice.includes(1))).toBe(true);
    expect(slices[1]).toEqual(slices[0]);
    expect(slices[2]).toEqual(slices[0]);
  }, 240_000);
});
