import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataset, verifyDataset } from '../../../src/datasets/index.ts';
import {
  drawPhantom,
  LANGUAGE_FILE,
  makePhantoms,
  phantomFamily,
} from '../../../src/datasets/phantoms/dataset.ts';
import { PHANTOM_FAMILIES } from '../../../src/datasets/phantoms/families.ts';
import { messageOf, scratch } from '../tree.ts';

describe('makePhantoms', () => {
  it.each(PHANTOM_FAMILIES.map(({ name }) => name))('%s: the folder verifies', async (family) => {
    const dir = join(scratch(), family);
    await makePhantoms({ family, cases: 4, seed: 2, out: dir, sizePx: 96 });
    const report = await verifyDataset(dir);
    expect(report.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it('writes a dataset that verifies, with words for every case, masks as drawn', async () => {
    const dir = join(await scratch(), 'chest');
    const { dataset, hash } = await makePhantoms({
      family: 'chest',
      cases: 9,
      seed: 3,
      out: dir,
      sizePx: 128,
    });
    const report = await verifyDataset(dir);
    expect(report.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(report.hash).toBe(hash);
    const opened = await openDataset(dir);
    const drawn = drawPhantom(phantomFamily('chest'), 3, 2, 128);
    const found = opened.labelled().find(({ id }) => id === 'chest_00002')!;
    expect(await opened.loadMask(found, 1)).toEqual(drawn.masks.get(1));
    expect((await opened.loadImage(found)).data).toEqual(drawn.image.data);
    const lines = readFileSync(join(dir, LANGUAGE_FILE), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => line.case)).toEqual(dataset.cases.map(({ id }) => id));
    expect(lines[2]).toEqual({ case: 'chest_00002', captions: drawn.captions, questions: drawn.questions });
    // Of four cases two share a patient.
    expect(new Set(dataset.cases.map(({ group }) => group)).size).toBe(7);
  });

  it('marks pictures without lesion as empty, and keeps only the classes asked for', async () => {
    const dir = join(await scratch(), 'breast');
    const { dataset } = await makePhantoms({ family: 'breast', cases: 40, seed: 1, out: dir, sizePx: 64 });
    const normal = dataset.cases.filter(({ tags }) => tags?.pathology === 'normal');
    expect(normal.length).toBeGreaterThan(0);
    for (const record of dataset.cases) expect(record.empty === true).toBe(normal.includes(record));
    const lungs = join(await scratch(), 'lungs');
    const made = await makePhantoms({
      family: 'chest',
      cases: 2,
      seed: 1,
      out: lungs,
      sizePx: 64,
      classes: ['lung'],
    });
    expect(made.dataset.classes.map(({ name }) => name)).toEqual(['lung']);
    for (const record of made.dataset.cases) expect(Object.keys(record.masks)).toEqual(['1']);
    expect(readFileSync(join(lungs, LANGUAGE_FILE), 'utf8')).not.toContain('"classId":2');
  });

  it('refuses unknown families and classes, sizes, and folders in use', async () => {
    const out = await scratch();
    const make = (more: object) => makePhantoms({ family: 'chest', cases: 1, seed: 1, out, ...more });
    expect(await messageOf(() => make({ family: 'brest' }))).toMatch(/no family "brest".*breast/);
    expect(await messageOf(() => make({ classes: ['lungs'] }))).toMatch(/no class "lungs".*lung/);
    expect(await messageOf(() => make({ sizePx: 10 }))).toMatch(/sizePx = 10; allowed: 64 to 2048/);
    expect(await messageOf(() => make({ cases: 0 }))).toMatch(/cases = 0/);
    await make({ out: join(out, 'a'), sizePx: 64 });
    expect(await messageOf(() => make({}))).toMatch(/is not empty/);
  });
});
