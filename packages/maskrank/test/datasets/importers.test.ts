// The importers of public collections, each on a tiny tree of that collection's layout, and what all importers share.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ImportOptions } from '../../src/datasets/index.ts';
import { IMPORTERS, importDataset, openDataset } from '../../src/datasets/index.ts';
import { file, importAt, importFault, messageOf, picture, scratch, square, texture } from './tree.ts';

describe('importer busi', () => {
  async function tree(): Promise<string> {
    const s = join(scratch(), 'Dataset_BUSI_with_GT');
    await picture(`${s}/benign/benign (1).png`, 20, 16, texture(1), { channels: 3 });
    await picture(`${s}/benign/benign (1)_mask.png`, 20, 16, square(1, 4));
    await picture(`${s}/benign/benign (1)_mask_1.png`, 20, 16, square(8, 11));
    await picture(`${s}/benign/benign (2).png`, 20, 16, texture(2), { channels: 4 });
    await picture(`${s}/benign/benign (2)_mask.png`, 20, 16, square(3, 9));
    await picture(`${s}/malignant/malignant (1).png`, 20, 16, (x, y) => texture(2)(x, y) ^ 1, {
      channels: 3,
    });
    await picture(`${s}/malignant/malignant (1)_mask.png`, 20, 16, square(3, 9));
    await picture(`${s}/normal/normal (1).png`, 20, 16, texture(4), { channels: 3 });
    await picture(`${s}/normal/normal (1)_mask.png`, 20, 16, () => 0);
    return s;
  }

  it('unites masks, keeps normals as empty cases, and groups what looks alike', async () => {
    const { dir, dataset, report } = await importAt('busi', join(await tree(), '..'));
    expect(dataset).toMatchObject({
      name: 'BUSI',
      modality: 'ultrasound',
      classes: [{ id: 1, name: 'lesion' }],
    });
    expect(dataset.cases).toEqual([
      {
        id: 'benign_1',
        image: 'images/benign_1.png',
        masks: { '1': 'masks/lesion/benign_1.png' },
        group: 'benign_1',
        tags: { pathology: 'benign', collection: 'BUSI' },
      },
      {
        id: 'benign_2',
        image: 'images/benign_2.png',
        masks: { '1': 'masks/lesion/benign_2.png' },
        group: 'benign_2',
        tags: { pathology: 'benign', collection: 'BUSI' },
      },
      {
        id: 'malignant_1',
        image: 'images/malignant_1.png',
        masks: { '1': 'masks/lesion/malignant_1.png' },
        group: 'benign_2',
        tags: { pathology: 'malignant', collection: 'BUSI' },
      },
      {
        id: 'normal_1',
        image: 'images/normal_1.png',
        masks: {},
        group: 'normal_1',
        tags: { pathology: 'normal', collection: 'BUSI' },
        empty: true,
      },
    ]);
    expect(report.conversions).toEqual({
      'alpha channel dropped: written as PNG': [join('Dataset_BUSI_with_GT', 'benign', 'benign (2).png')],
    });
    const open = await openDataset(dir);
    const mask = await open.loadMask(open.labelled(['benign_1'])[0]!, 1);
    expect(mask.data.reduce((sum, v) => sum + v, 0)).toBe(18);
  });

  it('drops the image that stands twice with contradicting diagnoses, when it really does', async () => {
    const s = await tree();
    for (const [folder, name] of [
      ['benign', 'benign (433)'],
      ['malignant', 'malignant (145)'],
    ] as const) {
      await picture(`${s}/${folder}/${name}.png`, 20, 16, texture(9), { channels: 3 });
      await picture(`${s}/${folder}/${name}_mask.png`, 20, 16, square(3, 9));
    }
    const dropped = await importAt('busi', s);
    expect(dropped.dataset.cases).toHaveLength(4);
    expect(dropped.report.notes[0]).toEqual({
      message: 'the same image with contradicting diagnoses: both copies are left out',
      files: [join('benign', 'benign (433).png'), join('malignant', 'malignant (145).png')],
    });
    await picture(`${s}/malignant/malignant (145).png`, 20, 16, texture(10), { channels: 3 });
    expect((await importAt('busi', s)).dataset.cases).toHaveLength(6);
  });

  it('lists strange names, images without masks and masks without images', async () => {
    const s = await tree();
    await picture(`${s}/benign/scan.png`, 20, 16, texture(1));
    await picture(`${s}/benign/benign (3).png`, 20, 16, texture(1));
    await picture(`${s}/malignant/malignant (5)_mask.png`, 20, 16, texture(1));
    const message = await importFault('busi', s);
    expect(message).toMatch(/scan\.png: the name is not like "benign \(1\)\.png"/);
    expect(message).toMatch(/benign \(3\)\.png: no "benign \(3\)_mask\.png" beside it/);
    expect(message).toMatch(/malignant \(5\)_mask\.png: there is no image "malignant \(5\)\.png" beside it/);
    expect(await importFault('busi', scratch())).toMatch(/does not look right\.\n\s+found: an empty folder/);
  });
});

describe('importer udiat', () => {
  async function tree(): Promise<string> {
    const s = scratch();
    for (const [i, name] of ['000001', '000002'].entries()) {
      await picture(`${s}/original/${name}.png`, 20, 16, texture(i));
      await picture(`${s}/GT/${name}.png`, 20, 16, square(2 + i, 8));
    }
    return s;
  }

  it('pairs original and GT, with diagnoses from a CSV', async () => {
    const s = await tree();
    file(`${s}/DatasetB.csv`, 'Image,Type\n1,Benign\n000002,Malignant\n');
    const { dataset } = await importAt('udiat', s);
    expect(dataset.cases.map((c) => [c.id, c.tags?.pathology, c.masks['1']])).toEqual([
      ['000001', 'benign', 'masks/lesion/000001.png'],
      ['000002', 'malignant', 'masks/lesion/000002.png'],
    ]);
  });

  it('notes a spreadsheet and lists what has no partner', async () => {
    const s = await tree();
    file(`${s}/DatasetB.xlsx`, 'x');
    expect((await importAt('udiat', s)).report.notes).toEqual([
      {
        message: 'spreadsheets are not read; save as CSV to get the diagnoses as tags',
        files: ['DatasetB.xlsx'],
      },
    ]);
    await picture(`${s}/original/000003.png`, 20, 16, texture(3));
    await picture(`${s}/GT/000009.png`, 20, 16, texture(3));
    const message = await importFault('udiat', s);
    expect(message).toMatch(/000003\.png: no .*GT\/000003\.png/);
    expect(message).toMatch(/GT\/000009\.png: no image of that name/);
    expect(await importFault('udiat', scratch())).toMatch(/expected: original\/000001\.png/);
  });
});

describe('importer covid-qu-ex', () => {
  async function tree(): Promise<string> {
    const s = scratch();
    const add = async (
      set: string,
      split: string,
      pathology: string,
      name: string,
      folders: Record<string, number>,
    ) => {
      const dir = `${s}/${set}/${set}/${split}/${pathology}`;
      await picture(`${dir}/images/${name}.png`, 16, 16, texture(name.length + split.length));
      for (const [folder, size] of Object.entries(folders))
        await picture(`${dir}/${folder}/${name}.png`, 16, 16, square(2, 2 + size));
    };
    const lung = 'Lung Segmentation Data';
    const infection = 'Infection Segmentation Data';
    await add(lung, 'Train', 'COVID-19', 'covid_1', { 'lung masks': 8 });
    await add(lung, 'Val', 'Normal', 'Normal (1)', { 'lung masks': 8 });
    await add(lung, 'Test', 'Non-COVID', 'non_COVID (1)', { 'lung masks': 8 });
    await add(infection, 'Train', 'COVID-19', 'covid_1', { 'lung masks': 8, 'infection masks': 3 });
    await add(infection, 'Test', 'Normal', 'Normal (2)', { 'lung masks': 8 });
    return s;
  }

  it('keeps the released division and the diagnosis as tags', async () => {
    const { dataset } = await importAt('covid-qu-ex', await tree());
    expect(dataset.classes[0]).toMatchObject({ id: 1, name: 'lung', maxComponents: 2 });
    expect(dataset.cases.map((c) => [c.id, c.tags?.split, c.tags?.pathology])).toEqual([
      ['train_covid_1', 'train', 'COVID-19'],
      ['validation_Normal_1', 'validation', 'Normal'],
      ['test_non_COVID_1', 'test', 'Non-COVID'],
    ]);
  });

  it('reads infection masks alone or with the lungs; without COVID there may be none', async () => {
    const s = await tree();
    const infection = await importAt('covid-qu-ex', s, { masks: 'infection' });
    expect(infection.dataset.cases.map((c) => [c.id, Object.keys(c.masks), c.empty])).toEqual([
      ['train_covid_1', ['1'], undefined],
      ['test_Normal_2', [], true],
    ]);
    const both = await importAt('covid-qu-ex', s, { masks: 'both' });
    expect(both.dataset.classes.map((c) => c.name)).toEqual(['lung', 'infection']);
    expect(both.dataset.cases.map((c) => Object.keys(c.masks))).toEqual([['1', '2'], ['1']]);
  });

  it('starts at any of the wrapping folders, and lists missing partners', async () => {
    const s = await tree();
    const inner = `${s}/Lung Segmentation Data/Lung Segmentation Data`;
    expect((await importAt('covid-qu-ex', inner)).dataset.cases).toHaveLength(3);
    await picture(`${inner}/Train/COVID-19/images/covid_2.png`, 16, 16, texture(5));
    await picture(`${inner}/Train/COVID-19/lung masks/covid_3.png`, 16, 16, texture(5));
    const message = await importFault('covid-qu-ex', inner);
    expect(message).toMatch(/covid_2\.png: no mask of that name in .*lung masks/);
    expect(message).toMatch(/covid_3\.png: no image of that name in .*images/);
    expect(await importFault('covid-qu-ex', scratch())).toMatch(/expected: Lung Segmentation Data/);
  });
});

describe('importer sam-med2d', () => {
  async function tree(): Promise<string> {
    const s = join(scratch(), 'data_demo');
    for (const [i, name] of ['amos_0004_75', 'amos_0006_90', 'amos_0006_91'].entries())
      await picture(`${s}/images/${name}.png`, 16, 16, texture(i));
    for (const name of ['amos_0004_75_liver_000', 'amos_0004_75_hip_left_000', 'amos_0006_90_liver_000'])
      await picture(`${s}/masks/${name}.png`, 16, 16, square(2, 6));
    await picture(`${s}/masks/amos_0004_75_hip_left_001.png`, 16, 16, square(9, 12, 1));
    file(
      `${s}/image2label_train.json`,
      JSON.stringify({ 'data_demo/images/amos_0006_90.png': ['data_demo/masks/amos_0006_90_liver_000.png'] }),
    );
    file(
      `${s}/label2image_test.json`,
      JSON.stringify(
        Object.fromEntries(
          ['liver_000', 'hip_left_000', 'hip_left_001'].map((n) => [
            `data_demo/masks/amos_0004_75_${n}.png`,
            'data_demo/images/amos_0004_75.png',
          ]),
        ),
      ),
    );
    return s;
  }

  it('reads both indexes: classes from names, united instances, volumes as groups', async () => {
    const { dir, dataset } = await importAt('sam-med2d', await tree());
    expect(dataset.classes).toEqual([
      { id: 1, name: 'hip_left', prompts: ['hip left'] },
      { id: 2, name: 'liver', prompts: ['liver'] },
    ]);
    expect(dataset.cases).toEqual([
      {
        id: 'amos_0004_75',
        image: 'images/amos_0004_75.png',
        masks: { '1': 'masks/hip_left/amos_0004_75.png', '2': 'masks/liver/amos_0004_75.png' },
        group: 'amos_0004',
        tags: { split: 'test' },
      },
      {
        id: 'amos_0006_90',
        image: 'images/amos_0006_90.png',
        masks: { '2': 'masks/liver/amos_0006_90.png' },
        group: 'amos_0006',
        tags: { split: 'train' },
      },
    ]);
    const open = await openDataset(dir);
    expect(
      (await open.loadMask(open.labelled(['amos_0004_75'])[0]!, 1)).data.reduce((a, b) => a + b, 0),
    ).toBe(25);
  });

  it('lists names, files and classes that do not fit', async () => {
    const s = await tree();
    file(
      `${s}/image2label_train.json`,
      JSON.stringify({
        'images/amos_0006_90.png': [
          'masks/other_000.png',
          'masks/amos_0006_90_spleen_000.png',
          '../../etc/amos_0006_90_x_000.png',
        ],
      }),
    );
    const message = await importFault('sam-med2d', s);
    expect(message).toMatch(/other_000\.png: the name is not like "amos_0006_90_CLASS_000\.png"/);
    expect(message).toMatch(/amos_0006_90_spleen_000\.png: no such file/);
    expect(message).toMatch(/etc\/amos_0006_90_x_000\.png: no such file/);
    expect(await importFault('sam-med2d', s, { classes: '1=liver' })).toMatch(
      /class "hip_left" is not among the declared/,
    );
    file(`${s}/image2label_train.json`, '[');
    expect(await importFault('sam-med2d', s)).toMatch(/image2label_train\.json: not readable JSON/);
    file(`${s}/image2label_train.json`, '{"a": "b"}');
    expect(await importFault('sam-med2d', s)).toMatch(/image2label_train\.json: 1 problem/);
    expect(await importFault('sam-med2d', scratch())).toMatch(/expected: image2label_train\.json/);
  });
});

describe('importDataset', () => {
  it('refuses unknown importers and options with the nearest name', async () => {
    expect(await importFault('foldr', scratch())).toMatch(
      /no importer "foldr"\. Did you mean "folder"\? Allowed: folder, busi, udiat, covid-qu-ex, sam-med2d/,
    );
    expect(await importFault('busi', scratch(), { clases: 'x' } as ImportOptions)).toMatch(
      /import busi: no option "clases"/,
    );
    expect(await importFault('udiat', scratch(), { masks: 'lung' })).toMatch(
      /import udiat: no option "masks"/,
    );
    expect(await importFault('folder', scratch(), { maskThreshold: -1 })).toMatch(/maskThreshold = -1/);
  });

  it('documents every importer', () => {
    for (const importer of Object.values(IMPORTERS)) {
      expect(importer.summary.length).toBeGreaterThan(10);
      expect(importer.layout.length).toBeGreaterThan(10);
    }
  });

  it('leaves the source as it is', async () => {
    const s = scratch();
    await picture(`${s}/images/a.png`, 8, 8, texture(1));
    const before = readdirSync(s, { recursive: true });
    await importAt('folder', s);
    expect(readdirSync(s, { recursive: true })).toEqual(before);
    expect(await messageOf(() => importDataset('folder', { source: s, out: s }))).toMatch(
      /is the source itself/,
    );
  });
});
