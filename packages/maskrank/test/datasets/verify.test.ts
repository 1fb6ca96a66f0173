import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CaseRecord, Dataset, Splits, VerifyReport } from '../../src/datasets/index.ts';
import { FINDING_KINDS, formatVerifyReport, importDataset, verifyDataset } from '../../src/datasets/index.ts';
import { file, messageOf, picture, scratch, square, texture } from './tree.ts';

const SIZE = 48;
const textured = (seed: number) => (x: number, y: number) =>
  texture(seed)(Math.floor(x / 3) * 2, Math.floor(y / 3) * 2);

/** A dataset by hand with one planted fault of every kind. */
async function faulty(): Promise<{ dir: string; splits: Splits }> {
  const dir = scratch();
  const cases: CaseRecord[] = [];
  const add = async (
    id: string,
    group: string,
    paint: (x: number, y: number) => number,
    mask: ((x: number, y: number) => number) | undefined,
    [width, height] = [SIZE, SIZE],
    maskWidth = width,
  ) => {
    await picture(join(dir, `images/${id}.png`), width!, height!, paint);
    if (mask !== undefined) await picture(join(dir, `masks/a/${id}.png`), maskWidth!, height!, mask);
    cases.push({
      id,
      group,
      image: `images/${id}.png`,
      masks: mask === undefined ? {} : { '1': `masks/a/${id}.png` },
    });
  };
  const some = square(5, 20);
  await add('good', 'g1', textured(1), some);
  await add('gone', 'g2', textured(2), some);
  await add('broken', 'g3', textured(3), some);
  await add('changed', 'g4', textured(4), some);
  await add('size', 'g5', textured(5), some, [SIZE, SIZE], SIZE + 1);
  await add('values', 'g6', textured(6), (x, y) => (some(x, y) ? 255 : x === 40 ? 7 : 0));
  await add('nothing', 'g7', textured(7), () => 0);
  await add('flat', 'g8', () => 9, some);
  await add('full', 'g9', textured(9), () => 255);
  await add('same1', 'g10', textured(10), some);
  await add('same2', 'g11', textured(10), square(9, 30));
  await add('copy1', 'g12', textured(12), some);
  await add('copy2', 'g12', textured(12), some);
  await add('near1', 'g13', textured(13), some);
  await add('near2', 'g14', (x, y) => Math.min(255, textured(13)(x, y) + (x % 5 === 0 ? 4 : 0)), some);
  await add('near3', 'g15', textured(15), some);
  await add('near4', 'g15', (x, y) => Math.max(0, textured(15)(x, y) - (y % 7 === 0 ? 5 : 0)), some);
  await add('leak1', 'g16', textured(16), some);
  await add('leak2', 'g16', textured(17), some);
  await add('near5', 'g18', textured(18), some);
  await add('near6', 'g19', (x, y) => Math.min(255, textured(18)(x, y) + (x % 4 === 0 ? 3 : 0)), some);
  // Nearest neighbour takes every second pixel of 512; a single odd one is never taken.
  await add('tiny', 'g20', textured(20), (x, y) => (x === 101 && y === 101 ? 255 : 0), [512, 512]);
  const dataset: Dataset = {
    schemaVersion: 1,
    name: 'faulty',
    modality: 'ct',
    classes: [
      { id: 1, name: 'a' },
      { id: 2, name: 'b' },
    ],
    cases,
    files: { 'images/changed.png': { sha256: 'c'.repeat(64), bytes: 12 } },
  };
  rmSync(join(dir, 'images/gone.png'));
  writeFileSync(join(dir, 'masks/a/broken.png'), 'no picture');
  file(join(dir, 'images/stray.png'), 'x');
  file(join(dir, 'dataset.json'), JSON.stringify(dataset));
  const splits: Splits = {
    schemaVersion: 1,
    datasetHash: 'd'.repeat(64),
    seed: 1,
    fractions: { test: 0.1, validation: 0, labelled: 0.1, unlabelled: 0.9 },
    labelled: ['leak1', 'same1', 'near5', 'copy1'],
    unlabelled: ['copy2', 'unheard-of'],
    validation: [],
    test: ['leak2', 'same2', 'near6'],
  };
  return { dir, splits };
}

describe('verifyDataset', () => {
  let report: VerifyReport;
  beforeAll(async () => {
    const { dir, splits } = await faulty();
    report = await verifyDataset(dir, { splits });
  });
  const found = (kind: string) => report.findings.filter((f) => f.kind === kind);

  it('goes to the end and finds exactly the planted faults', () => {
    const summary = report.findings.map((f) => `${f.kind}: ${f.cases.join(' ')}`).sort();
    expect(summary).toEqual(
      [
        'missing-file: gone',
        'unreadable-file: broken',
        'changed-file: changed',
        'size-mismatch: size',
        'mask-values: values',
        'empty-mask: nothing',
        'constant-image: flat',
        'full-mask: full',
        'contradicting-masks: same1 same2',
        'duplicate-across-splits: same1 same2',
        'duplicate: copy1 copy2',
        'near-duplicate-across-groups: near1 near2',
        'near-duplicate: near3 near4',
        'near-duplicate-across-splits: near5 near6',
        'group-across-splits: leak1 leak2',
        'stale-splits: unheard-of',
        'vanishing-mask: tiny',
        'unused-class: ',
        'stray-file: ',
      ].sort(),
    );
    expect(report.ok).toBe(false);
    expect(report.hash).toBeUndefined();
    expect(report.cases).toBe(22);
  });

  it('plants a fault of every kind', () => {
    expect(new Set(report.findings.map((f) => f.kind))).toEqual(new Set(Object.keys(FINDING_KINDS)));
  });

  it('names the file and both values', () => {
    expect(found('size-mismatch')[0]).toMatchObject({
      files: ['masks/a/size.png', 'images/size.png'],
      message: 'the mask is 49 x 48, the image 48 x 48',
    });
    expect(found('mask-values')[0]!.message).toBe('values 7; allowed: 0, 255');
    expect(found('changed-file')[0]!.message).toMatch(
      /12 bytes, sha256 cccccccccccc… then; \d+ bytes, [0-9a-f]{12}… now/,
    );
    expect(found('vanishing-mask')[0]!.message).toMatch(
      /all 1 pixels of "a" vanish when 512 x 512 is scaled to 256 x 256/,
    );
    expect(found('group-across-splits')[0]!.message).toBe('group g16 is torn: training: leak1; test: leak2');
    expect(found('duplicate-across-splits')[0]!.message).toBe(
      'the same pixels: same1 (group g10, labelled) and same2 (group g11, test)',
    );
    expect(found('stray-file')[0]!.files).toEqual(['images/stray.png']);
  });

  it('puts errors first and says it in words', () => {
    const severities = report.findings.map((f) => f.severity);
    expect(severities).toEqual(
      [...severities].sort((a, b) => 'error warning info'.indexOf(a) - 'error warning info'.indexOf(b)),
    );
    const text = formatVerifyReport(report, { perKind: 1 });
    expect(text).toMatch(/^faulty: 22 cases, 44 files: \d+ error\(s\), \d+ warning\(s\), 2 remark\(s\)\n/);
    expect(text).toMatch(
      /ERROR masks of another size than their image: export them again \(1\)\n {4}masks\/a\/size\.png, images\/size\.png: the mask is/,
    );
  });

  it('is content with a sound dataset', async () => {
    const s = scratch();
    for (let i = 0; i < 3; i++) {
      await picture(`${s}/images/c${i}.png`, SIZE, SIZE, textured(i));
      await picture(`${s}/masks/c${i}.png`, SIZE, SIZE, square(2, 20 + i));
    }
    const { dir, hash } = await importDataset('folder', { source: s, out: join(scratch(), 'd') });
    const progress: number[] = [];
    const sound = await verifyDataset(dir, { onProgress: ({ done }) => progress.push(done) });
    expect(sound).toMatchObject({ ok: true, hash, findings: [], cases: 3, files: 6 });
    expect(progress).toEqual([1, 2, 3]);
  });

  it('tells a stale division', async () => {
    const s = scratch();
    await picture(`${s}/images/a.png`, SIZE, SIZE, textured(1));
    const { dir } = await importDataset('folder', { source: s, out: join(scratch(), 'd') });
    const { splits } = await faulty();
    const { findings } = await verifyDataset(dir, {
      splits: { ...splits, labelled: [], unlabelled: [], test: [] },
    });
    expect(findings.find((f) => f.kind === 'stale-splits')?.message).toMatch(
      /divided at hash dddddddddddd…, the dataset is now/,
    );
  });

  it('needs a readable dataset.json', async () => {
    expect(await messageOf(() => verifyDataset(scratch()))).toMatch(/DataError: .* is no dataset/);
  });
});
