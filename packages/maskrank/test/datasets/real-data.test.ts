// Real sets, when they are at hand beside the repository: the first rows of each go through the folder importer.

import { cpSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importDataset, makeSplits, verifyDataset } from '../../src/datasets/index.ts';
import { file, scratch } from './tree.ts';

const DATA = resolve(import.meta.dirname, '../../../../../shared/data');
const ROWS = 20;

/** The first rows of a set in a folder of their own. */
function firstRows(set: string): string {
  const source = scratch();
  const lines = readFileSync(join(DATA, set, 'manifest.csv'), 'utf8')
    .split('\n')
    .slice(0, ROWS + 1);
  file(join(source, 'manifest.csv'), `${lines.join('\n')}\n`);
  for (const line of lines.slice(1)) {
    for (const path of line.split(',').slice(2, 4))
      cpSync(join(DATA, set, path), join(source, path), { recursive: true });
  }
  return source;
}

describe.each([
  ['breast-us', { lesion: 20 }],
  ['cxr-lung', { lung: 20 }],
  [
    'abdomen-ct',
    {
      spleen: 11,
      'right kidney': 11,
      'left kidney': 10,
      gallbladder: 5,
      liver: 15,
      stomach: 9,
      aorta: 20,
      pancreas: 9,
    },
  ],
])('%s', (set, classes) => {
  it.skipIf(!existsSync(join(DATA, set)))(
    `imports, verifies and divides (skipped where ${set} is not at hand)`,
    async () => {
      const out = join(scratch(), 'd');
      const { dataset, report, hash } = await importDataset('folder', { source: firstRows(set), out });
      expect(report).toMatchObject({ cases: ROWS, unlabelled: 0, conversions: {} });
      if (set !== 'abdomen-ct') expect(report.classes).toEqual(classes);
      expect(Object.keys(report.classes)).toEqual(Object.keys(classes));
      expect(dataset.cases.every((c) => c.tags?.collection !== undefined && c.tags.split !== undefined)).toBe(
        true,
      );
      const verified = await verifyDataset(out);
      expect(verified.findings.filter((f) => f.severity !== 'info')).toEqual([]);
      expect(verified.hash).toBe(hash);
      if (set !== 'abdomen-ct')
        expect(makeSplits(dataset, hash, { seed: 1 }).labelled.length).toBeGreaterThan(0);
      expect(dirname(report.source)).not.toBe(out);
    },
  );
});
