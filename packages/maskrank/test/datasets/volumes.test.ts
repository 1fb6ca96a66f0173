// Volumes as datasets: AMOS by its list, other folders by name, slices the way round that radiologists look at them, whatever the
// orientation of the file.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/datasets/cases.ts';
import { datasetHash } from '../../src/datasets/hash.ts';
import { importDataset } from '../../src/datasets/importers/index.ts';
import { DatasetSchema } from '../../src/datasets/schema.ts';
import { writeNifti } from '../../src/formats/nifti.ts';
import { axialView, putSlice } from '../../src/imaging/axial.ts';
import type { Affine } from '../../src/imaging/volume.ts';
import { picture, square, texture } from './tree.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'volumes-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Voxel axes to the patient's left, back, head: as most scanners write them. */
const LPS: Affine = [
  [-0.8, 0, 0, 100],
  [0, -0.7, 0, 90],
  [0, 0, 5, -300],
];
/** The first axis towards the feet, the second to the right, the third to the front. */
const TURNED: Affine = [
  [0, 0.8, 0, -20],
  [0, 0, 0.7, -30],
  [-5, 0, 0, 40],
];

const SHAPE = [4, 5, 6] as const; // slices, rows, columns

/** Image: -160 HU + 10 a slice + column; label: class 1 + slice % 3 at row 1, column 2 of every slice but the first. */
async function writeVolume(folder: string, name: string, affine: Affine): Promise<void> {
  const [slices, rows, columns] = SHAPE;
  const size = (affine === LPS ? [columns, rows, slices] : [slices, columns, rows]) as [
    number,
    number,
    number,
  ];
  const view = axialView(size, affine);
  expect(view.shape).toEqual([...SHAPE]);
  const image = new Int16Array(slices * rows * columns);
  const labels = new Uint8Array(image.length);
  for (let k = 0; k < slices; k++) {
    const at = (f: (y: number, x: number) => number) =>
      Array.from({ length: rows * columns }, (_, i) => f(Math.floor(i / columns), i % columns));
    putSlice(
      view,
      image,
      k,
      at((_, x) => -160 + 10 * k + x),
    );
    putSlice(
      view,
      labels,
      k,
      at((y, x) => (k > 0 && y === 1 && x === 2 ? 1 + (k % 3) : 0)),
    );
  }
  for (const part of ['images', 'labels'])
    mkdirSync(join(folder, part + folderEnd(name)), { recursive: true });
  await writeNifti(join(folder, `images${folderEnd(name)}`, `${name}.nii.gz`), { size, data: image, affine });
  await writeNifti(join(folder, `labels${folderEnd(name)}`, `${name}.nii.gz`), {
    size,
    data: labels,
    affine,
  });
}
const folderEnd = (name: string) =>
  name.startsWith('amos') ? (Number(name.slice(5)) % 2 === 0 ? 'Va' : 'Tr') : '';

async function amosSource(): Promise<string> {
  const source = join(dir, 'amos22');
  for (const name of ['amos_0001', 'amos_0004', 'amos_0507'])
    await writeVolume(source, name, name === 'amos_0004' ? TURNED : LPS);
  const entry = (name: string, end: string) => ({
    image: `./images${end}/${name}.nii.gz`,
    label: `./labels${end}/${name}.nii.gz`,
  });
  writeFileSync(
    join(source, 'dataset.json'),
    JSON.stringify({
      labels: { 0: 'background', 1: 'spleen', 8: 'arota' },
      training: [entry('amos_0507', 'Tr'), entry('amos_0001', 'Tr')],
      validation: [entry('amos_0004', 'Va')],
      test: ['./imagesTs/amos_0008.nii.gz'],
    }),
  );
  return source;
}

describe('import amos', () => {
  it('takes the CT volumes, a slice a case, a patient a group, validation as test', async () => {
    const out = join(dir, 'out');
    const { dataset, report } = await importDataset('amos', { source: await amosSource(), out });
    expect(dataset.classes.map(({ id }) => id)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
    expect(dataset.classes[7]).toEqual({ id: 8, name: 'aorta' });
    expect(dataset.cases.map(({ id }) => id)).toEqual(
      ['amos_0001', 'amos_0004'].flatMap((name) => [0, 1, 2, 3].map((k) => `${name}_s00${k}`)),
    );
    expect(report.notes.map(({ message }) => message).join()).toMatch(/1 volume.*other modality/);
    const slice = dataset.cases[2]!;
    expect(slice).toMatchObject({
      group: 'amos_0001',
      tags: { split: 'train' },
      volume: { id: 'amos_0001', slice: 2 },
    });
    slice.volume!.spacingMm!.forEach((mm, i) => {
      expect(mm).toBeCloseTo([5, 0.7, 0.8][i]!, 6);
    });
    expect(dataset.cases[0]!.empty).toBe(true);
    expect(dataset.cases[4]!.tags).toEqual({ split: 'test' });
    expect(Object.keys(dataset.cases[3]!.masks)).toEqual(['1']);
    expect(Object.keys(slice.masks)).toEqual(['3']);
  });

  it('cuts turned volumes alike: the same pixels and masks', async () => {
    const out = join(dir, 'out');
    await importDataset('amos', { source: await amosSource(), out });
    const dataset = await openDataset(out);
    for (const k of [0, 1, 3]) {
      const [a, b] = dataset.labelled([`amos_0001_s00${k}`, `amos_0004_s00${k}`]);
      const [first, second] = await Promise.all([a!, b!].map((item) => dataset.loadImage(item)));
      expect(first).toEqual(second);
      expect([...first!.data.subarray(0, 3)]).toEqual(
        [0, 1, 2].map((x) => Math.floor((10 * k + x) * 0.6375 + 0.5)),
      );
      expect(first).toMatchObject({ width: 6, height: 5 });
      for (const [classId, path] of a!.maskPaths) {
        const mask = await dataset.loadMask(a!, classId);
        expect(path).toMatch(/spleen|kidney/);
        expect(mask).toEqual(await dataset.loadMask(b!, classId));
        expect(mask.data.indexOf(1)).toBe(6 + 2);
      }
      expect(a!.volume).toEqual({ ...b!.volume, id: 'amos_0001' });
    }
  });

  it('takes MR, labelled slices, and one slice of several when asked', async () => {
    const source = await amosSource();
    const mr = await importDataset('amos', { source, out: join(dir, 'mr'), options: { scans: 'mr' } });
    expect(mr.dataset.modality).toBe('mri');
    expect(new Set(mr.dataset.cases.map(({ group }) => group))).toEqual(new Set(['amos_0507']));
    const few = await importDataset('amos', {
      source,
      out: join(dir, 'few'),
      options: { slices: 'labelled', sliceStep: 2 },
    });
    expect(few.dataset.cases.map(({ volume }) => volume!.slice)).toEqual([2, 2]);
    await expect(
      importDataset('amos', { source, out: join(dir, 'no'), options: { window: '5,1' } }),
    ).rejects.toThrow(/'5,1' is no window/);
  });
});

describe('import volumes', () => {
  it('pairs scans and labels by name and takes classes from the option', async () => {
    const source = join(dir, 'scans');
    await writeVolume(source, 'p1', LPS);
    await writeVolume(source, 'p2', TURNED);
    rmSync(join(source, 'labels', 'p2.nii.gz'));
    const options = { classes: '1=a;2=b;3=c' };
    const { dataset, report } = await importDataset('volumes', { source, out: join(dir, 'out'), options });
    expect(dataset.cases).toHaveLength(8);
    expect(report.unlabelled).toBe(4);
    expect(report.notes[0]!.message).toMatch(/1 volume.*without labels/);
  });

  it('names labels of another size, and undeclared values', async () => {
    const source = join(dir, 'scans');
    await writeVolume(source, 'p1', LPS);
    const out = join(dir, 'out');
    await expect(importDataset('volumes', { source, out })).rejects.toThrow(
      /p1\.nii\.gz: values 2.*allowed/s,
    );
    await writeNifti(join(source, 'labels', 'p1.nii.gz'), {
      size: [6, 5, 3],
      data: new Uint8Array(90),
      affine: LPS,
    });
    await expect(importDataset('volumes', { source, out })).rejects.toThrow(
      /3 axial slices of 6 x 5.*has 4 of 6 x 5/s,
    );
  });
});

describe('pictures that are slices already', () => {
  it('become volumes by their names', async () => {
    const source = join(dir, 'slices');
    for (const name of ['p1_s007', 'p1_s010', 'p2_s003']) {
      await picture(
        join(source, 'images', `${name}.png`),
        16,
        16,
        texture(name.length + Number(name.slice(-1))),
      );
      await picture(join(source, 'masks', `${name}.png`), 16, 16, square(4, 9));
    }
    const options = { groupPattern: '^(p[0-9]+)_', slicePattern: '_s([0-9]+)$', groupNearDuplicates: false };
    const { dataset } = await importDataset('folder', { source, out: join(dir, 'out'), options });
    expect(dataset.cases.map(({ group, volume }) => [group, volume])).toEqual([
      ['p1', { id: 'p1', slice: 7 }],
      ['p1', { id: 'p1', slice: 10 }],
      ['p2', { id: 'p2', slice: 3 }],
    ]);
    const opened = await openDataset(join(dir, 'out'));
    expect(opened.labelled()[1]!.volume).toEqual({ id: 'p1', slice: 10 });
    const wrong = { ...options, slicePattern: 'z([0-9]+)$' };
    await expect(
      importDataset('folder', { source, out: join(dir, 'wrong'), options: wrong }),
    ).rejects.toThrow(/slicePattern z.*finds no number of a slice in/);
    const broken = { ...options, slicePattern: '(' };
    await expect(
      importDataset('folder', { source, out: join(dir, 'broken'), options: broken }),
    ).rejects.toThrow(/slicePattern \( is no regular expression/);
  });
});

describe('places in volumes', () => {
  const record = (id: string, group: string, volume: object) => ({
    id,
    image: `${id}.png`,
    masks: {},
    group,
    volume,
  });
  const base = { schemaVersion: 1, name: 'd', modality: 'ct', classes: [{ id: 1, name: 'a' }] };

  it('are one a slice, in one group, and part of the hash', () => {
    const parse = (cases: object[]) => DatasetSchema.safeParse({ ...base, cases });
    const one = record('a', 'g', { id: 'v', slice: 0 });
    expect(parse([one, record('b', 'g', { id: 'v', slice: 0 })]).error?.message).toMatch(/stands twice/);
    expect(parse([one, record('b', 'h', { id: 'v', slice: 1 })]).error?.message).toMatch(/two groups/);
    const hash = (volume: object) =>
      datasetHash(
        DatasetSchema.parse({
          ...base,
          cases: [record('a', 'g', volume)],
          files: { 'a.png': { sha256: '0'.repeat(64), bytes: 1 } },
        }),
      );
    expect(hash({ id: 'v', slice: 0 })).not.toBe(hash({ id: 'v', slice: 1 }));
    expect(hash({ id: 'v', slice: 0 })).not.toBe(hash({ id: 'v', slice: 0, spacingMm: [1, 1, 1] }));
  });
});
