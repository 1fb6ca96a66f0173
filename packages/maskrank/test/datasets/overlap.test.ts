import { describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/datasets/index.ts';
import { pretrainingOverlaps } from '../../src/datasets/index.ts';

const dataset = (cases: { id: string; collection?: string }[]): Dataset => ({
  schemaVersion: 1,
  name: 'd',
  modality: 'ct',
  classes: [{ id: 1, name: 'a' }],
  cases: cases.map(({ id, collection }) => ({
    id,
    image: `images/${id}.png`,
    masks: {},
    group: id,
    ...(collection === undefined ? {} : { tags: { collection } }),
  })),
});

describe('pretrainingOverlaps', () => {
  it('knows sets that the weights show, by case id or collection, and suspects other public ones', () => {
    const d = dataset([
      { id: 'amos_0004_75' },
      { id: 'x', collection: 'AMOS' },
      { id: 'y', collection: 'BUSI' },
      { id: 's0114_111' },
      { id: 'own' },
    ]);
    const found = pretrainingOverlaps(d, 'sam-med2d_b');
    expect(found.map((o) => [o.set, o.certainty, o.cases])).toEqual([
      ['AMOS', 'known', 2],
      ['BUSI', 'possible', 1],
      ['TotalSegmentator', 'known', 1],
    ]);
    expect(found[0]!.message).toMatch(/sam-med2d_b was trained on AMOS/);
  });

  it('is silent about generated pictures and weights made from scratch', () => {
    expect(pretrainingOverlaps(dataset([{ id: 'a', collection: 'phantoms' }]), 'sam-med2d_b')).toEqual([]);
    expect(pretrainingOverlaps(dataset([{ id: 'amos_1' }]), 'small')).toEqual([]);
  });
});
