import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ImportOptions } from '../../src/datasets/index.ts';
import { IMPORTERS, importDataset, openDataset } from '../../src/datasets/index.ts';
import { file, messageOf, picture, scratch, square, texture } from './tree.ts';

const run = (name: string, source: string, options: ImportOptions = {}) =>
  importDataset(name, { source, out: join(scratch(), 'dataset'), options });
const fault = (name: string, source: string, options: ImportOptions = {}) =>
  messageOf(() => run(name, source, options));

describe('importer folder', () => {
  it('matches by name: subfolders are patients, several masks are united, images without a mask are unlabelled', async () => {
    const s = scratch();
    await picture(`${s}/images/p1/a 1.png`, 16, 12, texture(1));
    await picture(`${s}/images/p1/b.jpg`, 16, 12, texture(2), { format: 'jpeg' });
    await picture(`${s}/images/p2/c.tif`, 16, 12, texture(3), { format: 'tiff', depth: 16 });
    await picture(`${s}/images/d.png`, 16, 12, texture(4));
    await picture(`${s}/masks/p1/a 1_mask.png`, 16, 12, square(1, 3));
    await picture(`${s}/masks/p1/a 1_mask_1.png`, 16, 12, square(6, 8, 3));
    await picture(`${s}/masks/p1/b.png`, 16, 12, () => 0);
    await picture(`${s}/masks/p2/c.png`, 16, 12, square(2, 4));
    file(`${s}/masks/d.bmp`, 'BM');
    const { dir, dataset, report } = await run('folder', s, { classes: '3=lesion', modality: 'ultrasound' });
    expect(dataset.classes).toEqual([{ id: 3, name: 'lesion' }]);
    expect(dataset.cases).toEqual([
      { id: 'd', image: 'images/d.png', masks: {}, group: 'd' },
      { id: 'p1_a_1', image: 'images/p1_a_1.png', masks: { '3': 'masks/lesion/p1_a_1.png' }, group: 'p1' },
      { id: 'p1_b', image: 'images/p1_b.jpg', masks: {}, group: 'p1', empty: true },
      { id: 'p2_c', image: 'images/p2_c.png', masks: { '3': 'masks/lesion/p2_c.png' }, group: 'p2' },
    ]);
    expect(report).toMatchObject({
      cases: 4,
      withMasks: 2,
      empty: 1,
      unlabelled: 1,
      groups: 3,
      classes: { lesion: 2 },
    });
    expect(report.conversions).toEqual({ 'TIFF: written as PNG': ['images/p2/c.tif'] });
    expect(report.notes[0]!.message).toMatch(/1 of 4 images have no mask/);
    expect(report.notes[1]).toEqual({
      message: '1 file(s) are no PNG, JPEG or TIFF and were ignored',
      files: ['masks/d.bmp'],
    });
    expect(readFileSync(`${dir}/images/p1_b.jpg`)).toEqual(readFileSync(`${s}/images/p1/b.jpg`));

    const open = await openDataset(dir);
    const [united] = open.labelled(['p1_a_1']);
    const mask = await open.loadMask(united!, 3);
    expect(mask.data.reduce((sum, v) => sum + v, 0)).toBe(8);
    const [normal] = open.labelled(['p1_b']);
    expect((await open.loadMask(normal!, 3)).data).toEqual(new Uint8Array(16 * 12));
    expect((await open.loadImage(open.unlabelled(['p2_c'])[0]!)).data).toHaveLength(16 * 12);
  });

  it('reads class folders, with ids in order of name or as declared', async () => {
    const s = scratch();
    await picture(`${s}/images/a.png`, 16, 16, texture(1));
    await picture(`${s}/masks/liver/a.png`, 16, 16, square(1, 9));
    await picture(`${s}/masks/right kidney/a.png`, 16, 16, square(7, 12, 1));
    const found = await run('folder', s);
    expect(found.dataset.classes).toEqual([
      { id: 1, name: 'liver' },
      { id: 2, name: 'right kidney' },
    ]);
    expect(found.dataset.cases[0]!.masks).toEqual({
      '1': 'masks/liver/a.png',
      '2': 'masks/right_kidney/a.png',
    });
    const declared = await run('folder', s, { classes: '6=liver;2=right kidney;3=left kidney' });
    expect(declared.dataset.cases[0]!.masks).toEqual({
      '2': 'masks/right_kidney/a.png',
      '6': 'masks/liver/a.png',
    });
    expect(await fault('folder', s, { classes: '6=liver' })).toMatch(
      /class folder\(s\) right kidney not among the declared classes liver/,
    );
    await picture(`${s}/masks/a.png`, 16, 16, square(1, 9));
    expect(await fault('folder', s)).toMatch(
      /both directly in it and in class folders \(liver, right kidney\)/,
    );
  });

  it('reads a manifest: ids, groups, classes, split, tags, missing masks', async () => {
    const s = scratch();
    for (const [i, name] of ['x', 'y', 'z'].entries())
      await picture(`${s}/raw/${name}.png`, 12, 12, texture(i), { channels: 3 });
    await picture(`${s}/seg/x.png`, 12, 12, (x) => (x < 4 ? 1 : x < 8 ? 6 : 0));
    await picture(`${s}/seg/y.png`, 12, 12, () => 0);
    file(
      `${s}/manifest.csv`,
      'id,image,mask,patient_or_group,class_labels,pathology,split\n' +
        'case x,raw/x.png,seg/x.png,p1,1=spleen;6=liver,sick,train\ny,raw/y.png,seg/y.png,p2,1=spleen;6=liver,,val\nz,raw/z.png,,p2,,,test\n',
    );
    const { dataset } = await run('folder', s);
    expect(dataset.classes.map((c) => `${c.id}=${c.name}`)).toEqual(['1=spleen', '6=liver']);
    expect(dataset.cases).toEqual([
      {
        id: 'case_x',
        image: 'images/case_x.png',
        masks: { '1': 'masks/spleen/case_x.png', '6': 'masks/liver/case_x.png' },
        group: 'p1',
        tags: { pathology: 'sick', split: 'train' },
      },
      { id: 'y', image: 'images/y.png', masks: {}, group: 'p2', tags: { split: 'validation' }, empty: true },
      { id: 'z', image: 'images/z.png', masks: {}, group: 'p2', tags: { split: 'test' } },
    ]);
  });

  it('reads a table with semicolons, a byte order mark and other column names', async () => {
    const s = scratch();
    await picture(`${s}/images/a.png`, 8, 8, texture(1));
    file(`${s}/list.csv`, '\uFEFFCase;Image Path;Patient ID;tag_scanner\na;images/a.png;p9;GE\n');
    const { dataset } = await run('folder', s, { manifest: 'list.csv' });
    expect(dataset.cases[0]).toMatchObject({ id: 'a', group: 'p9', tags: { scanner: 'GE' } });
  });

  it('collects everything that is wrong in the masks before it fails', async () => {
    const s = scratch();
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      await picture(`${s}/images/${name}.png`, 16, 16, texture(1));
    await picture(`${s}/masks/a.png`, 15, 16, square(1, 4));
    await picture(`${s}/masks/b.png`, 16, 16, square(1, 4, 7));
    await picture(`${s}/masks/c.png`, 16, 16, (x) => x * 16);
    file(`${s}/masks/d.png`, 'garbage');
    await picture(`${s}/masks/f.png`, 16, 16, square(1, 4));
    const message = await fault('folder', s);
    expect(message).toMatch(/^DataError: import folder: .*: 1 problem\(s\), nothing was imported/);
    expect(message).toMatch(/masks\/f\.png: no image of that name below .*images/);
    const kept = scratch();
    for (const name of ['a', 'b', 'c', 'd']) await picture(`${kept}/images/${name}.png`, 16, 16, texture(1));
    await picture(`${kept}/masks/a.png`, 15, 16, square(1, 4));
    await picture(`${kept}/masks/b.png`, 16, 16, square(1, 4, 7));
    await picture(`${kept}/masks/c.png`, 16, 16, (x) => x * 16);
    file(`${kept}/masks/d.png`, 'garbage');
    const all = await fault('folder', kept);
    expect(all).toMatch(/4 problem\(s\), nothing was imported/);
    expect(all).toMatch(
      /masks\/a\.png: the mask is 15 x 16, its image .*images\/a\.png is 16 x 16; sizes must be equal/,
    );
    expect(all).toMatch(/masks\/b\.png: values 7; allowed: 0 with 1 or 255/);
    expect(all).toMatch(/masks\/c\.png: values 16, 32, .*mask threshold of 127/);
    expect(all).toMatch(/mask .*masks\/d\.png: .*allowed: PNG, JPEG, TIFF/);
  });

  it('leaves cases with problems out when asked, and notes them', async () => {
    const s = scratch();
    for (const name of ['a', 'b']) await picture(`${s}/images/${name}.png`, 16, 16, texture(1));
    await picture(`${s}/masks/a.png`, 16, 16, square(1, 4));
    await picture(`${s}/masks/b.png`, 15, 16, square(1, 4));
    const { dataset, report } = await run('folder', s, { onProblem: 'skip' });
    expect(dataset.cases.map((c) => c.id)).toEqual(['a']);
    expect(report.skipped[0]).toMatch(/masks\/b\.png: the mask is 15 x 16/);
  });

  it('takes groups from names by a pattern', async () => {
    const s = scratch();
    for (const name of ['p07_1', 'p07_2', 'p08_1'])
      await picture(`${s}/images/${name}.png`, 8, 8, texture(1));
    const { dataset } = await run('folder', s, { groupPattern: '^(p\\d+)_' });
    expect(dataset.cases.map((c) => c.group)).toEqual(['p07', 'p07', 'p08']);
    expect(await fault('folder', s, { groupPattern: '^(q\\d+)_' })).toMatch(
      /DataError.*finds no group in:\n\s+p07_1/s,
    );
    expect(await fault('folder', s, { groupPattern: '(' })).toMatch(/UsageError.*no regular expression/);
  });

  it.each([
    ['no header', 'a,b\nimages/a.png,\n', /no column "image"; found: a, b/],
    ['an empty table', 'id,image\n', /no rows/],
    ['a row without an image', 'id,image\nx,\n', /line 2 has no image/],
    [
      'a missing image',
      'id,image\nx,images/none.png\n',
      /manifest\.csv, line 2: image .*none\.png does not exist/,
    ],
    [
      'a path outside',
      'id,image\nx,../../x.png\n',
      /line 2: image "\.\.\/\.\.\/x\.png" leaves the dataset folder/,
    ],
    [
      'a repeated id',
      'id,image\nx,images/a.png\nx,images/a.png\n',
      /line 3: id "x" already stands in line 2/,
    ],
    [
      'bad class labels',
      'id,image,class_labels\nx,images/a.png,liver\n',
      /line 2, class labels: "liver"; allowed: ID=NAME/,
    ],
    ['a ragged row', 'id,image\nx\n', /not a readable table/],
    [
      'two names for an id',
      'id,image,classes\nx,images/a.png,1=a\ny,images/a.png,1=b\n',
      /class 1 is "b", earlier "a"/,
    ],
  ])('refuses a manifest with %s', async (_, table, message) => {
    const s = scratch();
    await picture(`${s}/images/a.png`, 8, 8, texture(1));
    file(`${s}/manifest.csv`, table);
    expect(await fault('folder', s)).toMatch(message);
  });

  it('says what it found where the layout is missing', async () => {
    const s = scratch();
    file(`${s}/readme.txt`, '');
    expect(await fault('folder', s)).toMatch(
      /import folder: .* does not look right\.\n\s+found: readme\.txt\n\s+expected: images\/NAME\.png/,
    );
    expect(await fault('folder', `${s}/none`)).toMatch(/nothing there; the source must be a folder/);
    expect(await fault('folder', `${s}/readme.txt`)).toMatch(/a file \(unpack archives first\)/);
    expect(await fault('folder', s, { manifest: 'x.csv' })).toMatch(
      /UsageError: import folder: manifest .*x\.csv does not exist/,
    );
  });
});

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
    const { dir, dataset, report } = await run('busi', join(await tree(), '..'));
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
    const dropped = await run('busi', s);
    expect(dropped.dataset.cases).toHaveLength(4);
    expect(dropped.report.notes[0]).toEqual({
      message: 'the same image with contradicting diagnoses: both copies are left out',
      files: [join('benign', 'benign (433).png'), join('malignant', 'malignant (145).png')],
    });
    await picture(`${s}/malignant/malignant (145).png`, 20, 16, texture(10), { channels: 3 });
    expect((await run('busi', s)).dataset.cases).toHaveLength(6);
  });

  it('lists strange names, images without masks and masks without images', async () => {
    const s = await tree();
    await picture(`${s}/benign/scan.png`, 20, 16, texture(1));
    await picture(`${s}/benign/benign (3).png`, 20, 16, texture(1));
    await picture(`${s}/malignant/malignant (5)_mask.png`, 20, 16, texture(1));
    const message = await fault('busi', s);
    expect(message).toMatch(/scan\.png: the name is not like "benign \(1\)\.png"/);
    expect(message).toMatch(/benign \(3\)\.png: no "benign \(3\)_mask\.png" beside it/);
    expect(message).toMatch(/malignant \(5\)_mask\.png: there is no image "malignant \(5\)\.png" beside it/);
    expect(await fault('busi', scratch())).toMatch(/does not look right\.\n\s+found: an empty folder/);
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
    const { dataset } = await run('udiat', s);
    expect(dataset.cases.map((c) => [c.id, c.tags?.pathology, c.masks['1']])).toEqual([
      ['000001', 'benign', 'masks/lesion/000001.png'],
      ['000002', 'malignant', 'masks/lesion/000002.png'],
    ]);
  });

  it('notes a spreadsheet and lists what has no partner', async () => {
    const s = await tree();
    file(`${s}/DatasetB.xlsx`, 'x');
    expect((await run('udiat', s)).report.notes).toEqual([
      {
        message: 'spreadsheets are not read; save as CSV to get the diagnoses as tags',
        files: ['DatasetB.xlsx'],
      },
    ]);
    await picture(`${s}/original/000003.png`, 20, 16, texture(3));
    await picture(`${s}/GT/000009.png`, 20, 16, texture(3));
    const message = await fault('udiat', s);
    expect(message).toMatch(/000003\.png: no .*GT\/000003\.png/);
    expect(message).toMatch(/GT\/000009\.png: no image of that name/);
    expect(await fault('udiat', scratch())).toMatch(/expected: original\/000001\.png/);
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
    const { dataset } = await run('covid-qu-ex', await tree());
    expect(dataset.classes[0]).toMatchObject({ id: 1, name: 'lung', maxComponents: 2 });
    expect(dataset.cases.map((c) => [c.id, c.tags?.split, c.tags?.pathology])).toEqual([
      ['train_covid_1', 'train', 'COVID-19'],
      ['validation_Normal_1', 'validation', 'Normal'],
      ['test_non_COVID_1', 'test', 'Non-COVID'],
    ]);
  });

  it('reads infection masks alone or with the lungs; without COVID there may be none', async () => {
    const s = await tree();
    const infection = await run('covid-qu-ex', s, { masks: 'infection' });
    expect(infection.dataset.cases.map((c) => [c.id, Object.keys(c.masks), c.empty])).toEqual([
      ['train_covid_1', ['1'], undefined],
      ['test_Normal_2', [], true],
    ]);
    const both = await run('covid-qu-ex', s, { masks: 'both' });
    expect(both.dataset.classes.map((c) => c.name)).toEqual(['lung', 'infection']);
    expect(both.dataset.cases.map((c) => Object.keys(c.masks))).toEqual([['1', '2'], ['1']]);
  });

  it('starts at any of the wrapping folders, and lists missing partners', async () => {
    const s = await tree();
    const inner = `${s}/Lung Segmentation Data/Lung Segmentation Data`;
    expect((await run('covid-qu-ex', inner)).dataset.cases).toHaveLength(3);
    await picture(`${inner}/Train/COVID-19/images/covid_2.png`, 16, 16, texture(5));
    await picture(`${inner}/Train/COVID-19/lung masks/covid_3.png`, 16, 16, texture(5));
    const message = await fault('covid-qu-ex', inner);
    expect(message).toMatch(/covid_2\.png: no mask of that name in .*lung masks/);
    expect(message).toMatch(/covid_3\.png: no image of that name in .*images/);
    expect(await fault('covid-qu-ex', scratch())).toMatch(/expected: Lung Segmentation Data/);
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
    const { dir, dataset } = await run('sam-med2d', await tree());
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
    const message = await fault('sam-med2d', s);
    expect(message).toMatch(/other_000\.png: the name is not like "amos_0006_90_CLASS_000\.png"/);
    expect(message).toMatch(/amos_0006_90_spleen_000\.png: no such file/);
    expect(message).toMatch(/etc\/amos_0006_90_x_000\.png: no such file/);
    expect(await fault('sam-med2d', s, { classes: '1=liver' })).toMatch(
      /class "hip_left" is not among the declared/,
    );
    file(`${s}/image2label_train.json`, '[');
    expect(await fault('sam-med2d', s)).toMatch(/image2label_train\.json: not readable JSON/);
    file(`${s}/image2label_train.json`, '{"a": "b"}');
    expect(await fault('sam-med2d', s)).toMatch(/image2label_train\.json: 1 problem/);
    expect(await fault('sam-med2d', scratch())).toMatch(/expected: image2label_train\.json/);
  });
});

describe('importDataset', () => {
  it('refuses unknown importers and options with the nearest name', async () => {
    expect(await fault('foldr', scratch())).toMatch(
      /no importer "foldr"\. Did you mean "folder"\? Allowed: folder, busi, udiat, covid-qu-ex, sam-med2d/,
    );
    expect(await fault('busi', scratch(), { clases: 'x' } as ImportOptions)).toMatch(
      /import busi: no option "clases"/,
    );
    expect(await fault('udiat', scratch(), { masks: 'lung' })).toMatch(/import udiat: no option "masks"/);
    expect(await fault('folder', scratch(), { maskThreshold: -1 })).toMatch(/maskThreshold = -1/);
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
    await run('folder', s);
    expect(readdirSync(s, { recursive: true })).toEqual(before);
    expect(await messageOf(() => importDataset('folder', { source: s, out: s }))).toMatch(
      /is the source itself/,
    );
  });
});
