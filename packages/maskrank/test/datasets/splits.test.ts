import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CaseRecord, Dataset, Splits } from '../../src/datasets/index.ts';
import { makeSplits, readSplits, SPLIT_NAMES, writeSplits } from '../../src/datasets/index.ts';
import type { SplitOptions } from '../../src/datasets/splits.ts';
import { messageOf, scratch } from './tree.ts';

const HASH = 'b'.repeat(64);

function dataset(cases: Partial<CaseRecord>[]): Dataset {
  return {
    schemaVersion: 1,
    name: 'd',
    modality: 'ct',
    classes: [
      { id: 1, name: 'liver' },
      { id: 2, name: 'spleen' },
    ],
    cases: cases.map((c, i) => ({
      id: `c${i}`,
      image: `images/c${i}.png`,
      masks: { '1': `masks/liver/c${i}.png` },
      group: `g${i}`,
      ...c,
    })),
  };
}

const plain = (n: number) => dataset(Array.from({ length: n }, () => ({})));
const placed = (s: Splits) => SPLIT_NAMES.flatMap((name) => s[name]);

/** Datasets with groups of 1 to 5, empty cases, cases without ground truth, two classes and a tag. */
const anyDataset = fc
  .array(
    fc.record({
      group: fc.integer({ min: 0, max: 60 }),
      kind: fc.constantFrom('1', '1', '1', '2', '12', 'empty', 'bare'),
      tag: fc.constantFrom('x', 'y'),
    }),
    { minLength: 30, maxLength: 120 },
  )
  .map((items) =>
    dataset(
      items.map(({ group, kind, tag }, i) => ({
        group: `g${group}`,
        tags: { tag },
        masks:
          kind === 'empty' || kind === 'bare'
            ? {}
            : Object.fromEntries([...kind].map((c) => [c, `m/${c}/${i}.png`])),
        ...(kind === 'empty' ? { empty: true as const } : {}),
      })),
    ),
  );
const anyOptions: fc.Arbitrary<SplitOptions> = fc.record({
  seed: fc.integer(),
  test: fc.double({ min: 0.05, max: 0.4, noNaN: true }),
  validation: fc.double({ min: 0, max: 0.3, noNaN: true }),
  labelled: fc.double({ min: 0.05, max: 0.5, noNaN: true }),
  unlabelled: fc.double({ min: 0, max: 0.5, noNaN: true }),
  emptyCases: fc.constantFrom('keep', 'leave-out'),
  stratifyBy: fc.constantFrom(['class'], ['class', 'tag'], []),
});
/** Divisions that leave nothing to train on are refused, which is another test. */
const tryMake = (d: Dataset, o: SplitOptions): Splits | undefined => {
  try {
    return makeSplits(d, HASH, o);
  } catch (error) {
    expect((error as Error).message).toMatch(/none is left to train on/);
    return undefined;
  }
};

describe('makeSplits', () => {
  it('is disjoint, complete, and pure by group', () => {
    fc.assert(
      fc.property(anyDataset, anyOptions, (d, o) => {
        const s = tryMake(d, o);
        if (s === undefined) return;
        const ids = placed(s);
        expect(new Set(ids).size).toBe(ids.length);
        expect([...ids, ...Object.keys(s.leftOut!)].sort()).toEqual(d.cases.map((c) => c.id).sort());
        const sideOf = new Map<string, string>();
        for (const name of SPLIT_NAMES) {
          for (const id of s[name]) {
            const record = d.cases.find((c) => c.id === id)!;
            const hasTruth = record.empty || Object.keys(record.masks).length > 0;
            if (name !== 'unlabelled') expect(hasTruth).toBe(true);
            const side = name === 'unlabelled' && !hasTruth ? undefined : name;
            // Cases without ground truth may be unlabelled beside labelled ones of the same group, never beside a hold-out.
            const known = sideOf.get(record.group);
            if (side !== undefined) {
              expect(known ?? side).toBe(side);
              sideOf.set(record.group, side);
            }
          }
        }
        for (const id of s.unlabelled) {
          const group = d.cases.find((c) => c.id === id)!.group;
          expect(['test', 'validation']).not.toContain(sideOf.get(group));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('does not depend on the order of the cases', () => {
    fc.assert(
      fc.property(anyDataset, anyOptions, fc.integer(), (d, o, salt) => {
        const turned = {
          ...d,
          cases: [...d.cases].sort(
            (a, b) =>
              ((Number(a.id.slice(1)) * 7919 + salt) % 101) - ((Number(b.id.slice(1)) * 7919 + salt) % 101),
          ),
        };
        expect(tryMake(turned, o)).toEqual(tryMake(d, o));
      }),
      { numRuns: 60 },
    );
  });

  it('is nested: a smaller share lies inside a larger one, and the hold-out stays', () => {
    const share = fc.double({ min: 0.02, max: 0.5, noNaN: true });
    fc.assert(
      fc.property(anyDataset, anyOptions, share, share, (d, o, a, b) => {
        const [small, large] = [Math.min(a, b), Math.max(a, b)];
        const s = tryMake(d, { ...o, labelled: small, unlabelled: 0.4 });
        const l = tryMake(d, { ...o, labelled: large, unlabelled: 0.4 });
        if (s === undefined || l === undefined) return;
        expect(l.labelled).toEqual(expect.arrayContaining(s.labelled));
        expect(l.test).toEqual(s.test);
        expect(l.validation).toEqual(s.validation);
        const u = tryMake(d, { ...o, labelled: small, unlabelled: 0.2 })!;
        expect(s.unlabelled).toEqual(expect.arrayContaining(u.unlabelled));
        const v = tryMake(d, { ...o, labelled: small, validation: 0, unlabelled: 0.4 });
        expect(v?.test).toEqual(s.test);
      }),
      { numRuns: 100 },
    );
  });

  it('hits the shares for cases that are their own group', () => {
    const s = makeSplits(plain(1000), HASH, {
      seed: 7,
      test: 0.2,
      validation: 0.1,
      labelled: 0.1,
      unlabelled: 0.4,
    });
    expect([s.test.length, s.validation.length, s.labelled.length, s.unlabelled.length]).toEqual([
      200, 100, 70, 280,
    ]);
    expect(s.achieved!.labelled).toEqual({
      cases: 70,
      groups: 70,
      fraction: 0.1,
      classes: { liver: 70, spleen: 0 },
    });
    expect(s.achieved!.unlabelled!.classes).toEqual({});
    expect(Object.values(s.leftOut!)).toHaveLength(350);
  });

  it('differs between seeds, and keeps the hold-out of a fixed hold-out seed', () => {
    const d = plain(200);
    const [a, b] = [1, 2].map((seed) => makeSplits(d, HASH, { seed, holdOutSeed: 0 }));
    expect(a!.test).toEqual(b!.test);
    expect(a!.labelled).not.toEqual(b!.labelled);
    expect(makeSplits(d, HASH, { seed: 2 }).test).not.toEqual(makeSplits(d, HASH, { seed: 1 }).test);
    expect(makeSplits(d, HASH, { seed: 1 })).toEqual(makeSplits(d, HASH, { seed: 1 }));
  });

  it('spreads a rare class and a tag over every part', () => {
    const d = dataset(
      Array.from({ length: 300 }, (_, i) => ({
        masks: i % 10 === 0 ? { '1': 'm', '2': 'n' } : { '1': 'm' },
        tags: { pathology: i % 3 === 0 ? 'malignant' : 'benign' },
      })),
    );
    for (let seed = 0; seed < 5; seed++) {
      const s = makeSplits(d, HASH, {
        seed,
        stratifyBy: ['class', 'pathology'],
        test: 0.3,
        validation: 0.1,
        labelled: 0.2,
      });
      const spleens = s.test.filter((id) => Number(id.slice(1)) % 10 === 0).length;
      expect(Math.abs(spleens - 9)).toBeLessThanOrEqual(2);
      const malignant = s.labelled.filter((id) => Number(id.slice(1)) % 3 === 0).length;
      expect(Math.abs(malignant - s.labelled.length / 3)).toBeLessThanOrEqual(2);
    }
  });

  it('keeps the suggestions of the source when asked', () => {
    const suggestion = (i: number) => (i < 20 ? 'test' : i < 30 ? 'validation' : 'train');
    const d = dataset(Array.from({ length: 100 }, (_, i) => ({ tags: { split: suggestion(i) } })));
    const s = makeSplits(d, HASH, { seed: 1, keepTest: true, keepValidation: true });
    expect(s.test).toEqual(Array.from({ length: 20 }, (_, i) => `c${i}`));
    expect(s.validation).toEqual(Array.from({ length: 10 }, (_, i) => `c${i + 20}`));
    expect(s.labelled).toHaveLength(7);
    expect(s.fractions.test).toBe(0.2);
    const onlyTest = makeSplits(d, HASH, { seed: 1, keepTest: true, validation: 0.1 });
    expect(onlyTest.test).toEqual(s.test);
    expect(onlyTest.validation).toHaveLength(10);
    const onlyValidation = makeSplits(d, HASH, { seed: 1, keepValidation: true, test: 0.3 });
    expect(onlyValidation.validation).toEqual(s.validation);
    expect(onlyValidation.test.some((id) => s.validation.includes(id))).toBe(false);
  });

  it('refuses suggestions that tear a group, or that are not there', async () => {
    const torn = dataset([
      { group: 'p', tags: { split: 'test' } },
      { group: 'p', tags: { split: 'train' } },
      {},
    ]);
    expect(await messageOf(() => makeSplits(torn, HASH, { seed: 1, keepTest: true }))).toMatch(
      /DataError.*test split shares groups.*\n\s+group p: c0 \(test\), c1 \(train\)/s,
    );
    expect(await messageOf(() => makeSplits(plain(5), HASH, { seed: 1, keepTest: true }))).toMatch(
      /no usable case has the tag split = "test"/,
    );
  });

  it('treats empty cases as told', () => {
    const d = dataset(
      Array.from({ length: 50 }, (_, i) => (i < 10 ? { masks: {}, empty: true as const } : {})),
    );
    const without = makeSplits(d, HASH, { seed: 1 });
    expect(Object.values(without.leftOut!).filter((why) => why.startsWith('empty'))).toHaveLength(10);
    expect(placed(without)).toHaveLength(40);
    expect(placed(makeSplits(d, HASH, { seed: 1, emptyCases: 'keep' }))).toHaveLength(50);
  });

  it('puts cases without ground truth among the unlabelled, unless their group is held out', () => {
    const d = dataset(
      Array.from({ length: 40 }, (_, i) => ({ group: `g${i % 20}`, ...(i < 20 ? {} : { masks: {} }) })),
    );
    const s = makeSplits(d, HASH, { seed: 3, test: 0.25, validation: 0, labelled: 1 });
    expect(s.labelled).toHaveLength(15);
    expect(s.unlabelled).toHaveLength(15);
    const testGroups = s.test.map((id) => Number(id.slice(1)) % 20);
    for (const id of s.unlabelled) expect(testGroups).not.toContain(Number(id.slice(1)) % 20);
    expect(Object.keys(s.leftOut!)).toHaveLength(5);
    expect(makeSplits(d, HASH, { seed: 3, labelled: 1, unlabelled: 0 }).unlabelled).toHaveLength(0);
  });

  it.each([
    [{ test: 1.2 }, /test = 1.2; allowed: a share from 0 to 1/],
    [{ test: 0.6, validation: 0.4 }, /leaves nothing to train on/],
    [{ labelled: 0.7, unlabelled: 0.5 }, /labelled \+ unlabelled = 1.2/],
    [{ labelled: Number.NaN }, /labelled = NaN/],
    [{ keepTest: true, test: 0.1 }, /together with keepTest/],
    [
      { stratifyBy: ['patology'] },
      /stratifyBy "patology": no case has that tag\. Did you mean "pathology"\?/,
    ],
  ] as const)('refuses %j', async (options, message) => {
    const d = dataset([{ tags: { pathology: 'x' } }, {}, {}]);
    const text = await messageOf(() => makeSplits(d, HASH, { seed: 1, ...options } as SplitOptions));
    expect(text).toMatch(/^UsageError: makeSplits/);
    expect(text).toMatch(message);
  });

  it('says so when nothing can be trained on', async () => {
    expect(await messageOf(() => makeSplits(dataset([{ masks: {} }]), HASH, { seed: 1 }))).toMatch(
      /1 cases, 0 usable ones/,
    );
  });
});

describe('splits.json', () => {
  it('comes back as it was written, and is refused for another dataset', async () => {
    const dir = scratch();
    const d = plain(30);
    const splits = makeSplits(d, HASH, { seed: 'seven' });
    const path = await writeSplits(dir, splits);
    expect(await readSplits(path, { hash: HASH, dataset: d })).toEqual(splits);
    expect(await messageOf(() => readSplits(path, { hash: 'c'.repeat(64), dataset: d }))).toMatch(
      /made for a dataset with hash bbbbbbbbbbbb…, found cccccccccccc…/,
    );
    expect(await messageOf(() => readSplits(path, { hash: HASH, dataset: plain(3) }))).toMatch(
      /unknown cases/,
    );
  });
});
