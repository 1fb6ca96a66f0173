// The importer of a plain folder: matching by name, class folders, a manifest, and what is refused.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../src/datasets/index.ts';
import { file, importAt, importFault, picture, scratch, square, texture } from './tree.ts';

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
    const { dir, dataset, report } = await importAt('folder', s, {
      classes: '3=lesion',
      modality: 'ultrasound',
    });
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
    const found = await importAt('folder', s);
    expect(found.dataset.classes).toEqual([
      { id: 1, name: 'liver' },
      { id: 2, name: 'right kidney' },
    ]);
    expect(found.dataset.cases[0]!.masks).toEqual({
      '1': 'masks/liver/a.png',
      '2': 'masks/right_kidney/a.png',
    });
    const declared = await importAt('folder', s, { classes: '6=liver;2=right kidney;3=left kidney' });
    expect(declared.dataset.cases[0]!.masks).toEqual({
      '2': 'masks/right_kidney/a.png',
      '6': 'masks/liver/a.png',
    });
    expect(await importFault('folder', s, { classes: '6=liver' })).toMatch(
      /class folder\(s\) right kidney not among the declared classes liver/,
    );
    await picture(`${s}/masks/a.png`, 16, 16, square(1, 9));
    expect(await importFault('folder', s)).toMatch(
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
    const { dataset } = await importAt('folder', s);
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
    const { dataset } = await importAt('folder', s, { manifest: 'list.csv' });
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
    const message = await importFault('folder', s);
    expect(message).toMatch(/^DataError: import folder: .*: 1 problem\(s\), nothing was imported/);
    expect(message).toMatch(/masks\/f\.png: no image of that name below .*images/);
    const kept = scratch();
    for (const name of ['a', 'b', 'c', 'd']) await picture(`${kept}/images/${name}.png`, 16, 16, texture(1));
    await picture(`${kept}/masks/a.png`, 15, 16, square(1, 4));
    await picture(`${kept}/masks/b.png`, 16, 16, square(1, 4, 7));
    await picture(`${kept}/masks/c.png`, 16, 16, (x) => x * 16);
    file(`${kept}/masks/d.png`, 'garbage');
    const all = await importFault('folder', kept);
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
    const { dataset, report } = await importAt('folder', s, { onProblem: 'skip' });
    expect(dataset.cases.map((c) => c.id)).toEqual(['a']);
    expect(report.skipped[0]).toMatch(/masks\/b\.png: the mask is 15 x 16/);
  });

  it('takes groups from names by a pattern', async () => {
    const s = scratch();
    for (const name of ['p07_1', 'p07_2', 'p08_1'])
      await picture(`${s}/images/${name}.png`, 8, 8, texture(1));
    const { dataset } = await importAt('folder', s, { groupPattern: '^(p\\d+)_' });
    expect(dataset.cases.map((c) => c.group)).toEqual(['p07', 'p07', 'p08']);
    expect(await importFault('folder', s, { groupPattern: '^(q\\d+)_' })).toMatch(
      /DataError.*finds no group in:\n\s+p07_1/s,
    );
    expect(await importFault('folder', s, { groupPattern: '(' })).toMatch(
      /UsageError.*no regular expression/,
    );
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
    expect(await importFault('folder', s)).toMatch(message);
  });

  it('says what it found where the layout is missing', async () => {
    const s = scratch();
    file(`${s}/readme.txt`, '');
    expect(await importFault('folder', s)).toMatch(
      /import folder: .* does not look right\.\n\s+found: readme\.txt\n\s+expected: images\/NAME\.png/,
    );
    expect(await importFault('folder', `${s}/none`)).toMatch(/nothing there; the source must be a folder/);
    expect(await importFault('folder', `${s}/readme.txt`)).toMatch(/a file \(unpack archives first\)/);
    expect(await importFault('folder', s, { manifest: 'x.csv' })).toMatch(
      /UsageError: import folder: manifest .*x\.csv does not exist/,
    );
  });
});
