import { describe, expect, it } from 'vitest';
import { measure } from '../../src/evaluation/measure.ts';
import { metricsOf, tolerance } from '../../src/evaluation/metrics.ts';
import type { EmptiesPolicy } from '../../src/evaluation/overlap.ts';
import {
  type CaseResult,
  CaseResultSchema,
  type Comparison,
  ComparisonSchema,
  type Evaluation,
  EvaluationSchema,
} from '../../src/evaluation/schema.ts';
import { defaultPairs, summarise } from '../../src/evaluation/summarise.ts';

const TOLERANCES = [tolerance(1, 'px'), tolerance(2, 'px')];

/** A grid of one row per text. */
function grid(...rows: string[]) {
  return {
    shape: [rows.length, rows[0]!.length],
    data: Uint8Array.from(rows.join(''), (c) => (c === '#' ? 1 : 0)),
  };
}

type Place = { case: string; stage: string; class?: number; group?: string };

/** A row of ten pixels: `truth` pixels are true from the left, `found` of them and `extra` others are predicted. */
function record(place: Place, truth: number, found: number, extra = 0, empties: EmptiesPolicy = 'exclude') {
  const blank = '.'.repeat(12);
  const line = (from: number, to: number) =>
    `.${'.'.repeat(from)}${'#'.repeat(to - from)}${'.'.repeat(10 - to)}.`;
  const prediction = extra > 0 ? line(truth - found, truth + extra) : line(0, found);
  const measured = measure(grid(blank, line(0, truth), blank), grid(blank, prediction, blank), {
    tolerances: TOLERANCES,
    empties,
  });
  return { class: 1, prompt: { source: 'oracle-box', oracle: true }, ...place, ...measured } as CaseResult;
}

describe('measure', () => {
  it('fills a record that the schema accepts', () => {
    const r = record({ case: 'a', stage: 'stage1' }, 4, 3);
    expect(CaseResultSchema.parse(r)).toEqual(r);
    expect(r.counts).toEqual({ truePositive: 3, falsePositive: 0, falseNegative: 1 });
    expect(r.dice).toBe(6 / 7);
    expect(r.empty).toBe('neither');
    expect(r.hd95Px).toBe(1);
    expect(r.surfaceDice).toEqual({ '1px': 1, '2px': 1 });
    expect(r.surfaceWithin['1px']).toBeCloseTo(r.surfaceTotal.px, 12);
    expect(r).not.toHaveProperty('hd95Mm');
  });

  it('gives the diagonal as distance where the object is missed, and counts no agreement', () => {
    const r = record({ case: 'a', stage: 'stage1' }, 4, 0);
    expect(r.empty).toBe('prediction');
    expect(r.hd95Px).toBe(Math.hypot(3, 12));
    expect(r.averageDistancePx).toBe(Math.hypot(3, 12));
    expect([r.dice, r.precision, r.recall, r.surfaceDice['1px']]).toEqual([0, null, 0, 0]);
  });

  it('has no values where both are empty, unless the policy says so', () => {
    const excluded = record({ case: 'a', stage: 'stage1' }, 0, 0);
    expect([excluded.dice, excluded.hd95Px, excluded.surfaceDice['1px']]).toEqual([null, null, null]);
    const one = record({ case: 'a', stage: 'stage1' }, 0, 0, 0, 'one');
    expect([one.dice, one.hd95Px, one.surfaceDice['1px']]).toEqual([1, 0, 1]);
  });

  it('adds millimetres where there is a spacing, and tolerances in mm only there', () => {
    const truth = grid('......', '.##...', '......');
    const prediction = grid('......', '...##.', '......');
    const mm = measure(truth, prediction, {
      tolerances: [tolerance(2, 'px'), tolerance(1, 'mm')],
      empties: 'exclude',
      spacingMm: [3, 0.5],
    });
    expect([mm.hd95Px, mm.hd95Mm]).toEqual([2, 1]);
    expect([mm.surfaceDice['2px'], mm.surfaceDice['1mm']]).toEqual([1, 1]);
    expect(mm.surfaceTotal.mm).not.toBeCloseTo(mm.surfaceTotal.px, 1);
    expect(() =>
      measure(truth, prediction, { tolerances: [tolerance(1, 'mm')], empties: 'exclude' }),
    ).toThrow(/tolerance 1mm is in mm, but the image has no spacing/);
  });

  it('measures volumes with the same code', () => {
    const ball = (r: number) => {
      const data = new Uint8Array(11 ** 3);
      for (let i = 0; i < data.length; i++) {
        const [z, y, x] = [Math.floor(i / 121), Math.floor(i / 11) % 11, i % 11];
        if ((z - 5) ** 2 + (y - 5) ** 2 + (x - 5) ** 2 <= r * r) data[i] = 1;
      }
      return { shape: [11, 11, 11], data };
    };
    const r = measure(ball(3), ball(4), {
      tolerances: [tolerance(2, 'px')],
      empties: 'exclude',
      spacingMm: [2, 1, 1],
    });
    expect(r.shape).toEqual([11, 11, 11]);
    expect(r.surfaceDice['2px']).toBe(1);
    expect(r.hd95Mm).toBeGreaterThan(r.hd95Px!);
  });
});

describe('summary of one class', () => {
  // Dice 1, 0.5 and no value; pixels 8 + 8 of 8 + 8, and 2 of 2 + 6.
  const records = [
    record({ case: 'a', stage: 'stage1' }, 8, 8),
    record({ case: 'b', stage: 'stage1' }, 2, 1, 1),
    record({ case: 'c', stage: 'stage1' }, 0, 0),
  ];
  const { summary } = summarise(records, { tolerances: TOLERANCES, seed: 1 });
  const one = summary.stage1!['1']!;

  it('averages over images', () => {
    expect(one.perImage.dice).toMatchObject({ mean: 0.75, median: 0.75, n: 2, nExcluded: 1, nPenalised: 0 });
    expect(one.perImage.dice!.sd).toBeCloseTo(Math.sqrt(0.125), 12);
    expect(one.perImage.dice!.ci95).toEqual([0.5, 1]);
  });

  it('pools pixels', () => {
    expect(one.pooled.dice!.value).toBeCloseTo((2 * 9) / (2 * 9 + 2), 12);
    expect(one.pooled.dice!.n).toBe(3);
    expect(one.pooled['surfaceDice@1px']!.value).toBe(1);
    expect(one.pooled).not.toHaveProperty('hd95Px');
  });

  it('of all classes is the class where there is one', () => {
    expect(summary.stage1!.all).toEqual(one);
  });

  it('counts penalised distances', () => {
    const missed = [...records.slice(0, 2), record({ case: 'c', stage: 'stage1' }, 5, 0)];
    const s = summarise(missed, { tolerances: TOLERANCES, seed: 1 }).summary.stage1!['1']!;
    expect(s.perImage.hd95Px).toMatchObject({ n: 3, nExcluded: 0, nPenalised: 1 });
    expect(s.perImage.dice).toMatchObject({ n: 3, nPenalised: 0 });
  });

  it('has neither spread nor interval for a single case', () => {
    const s = summarise(records.slice(0, 1), { tolerances: TOLERANCES, seed: 1 }).summary.stage1!['1']!;
    expect(s.perImage.dice).toEqual({
      mean: 1,
      sd: null,
      median: 1,
      ci95: null,
      n: 1,
      nExcluded: 0,
      nPenalised: 0,
    });
    expect(s.pooled.dice).toEqual({ value: 1, ci95: null, n: 1 });
  });
});

describe('summary of several classes', () => {
  const records = [
    record({ case: 'a', stage: 'stage1', class: 1 }, 8, 8),
    record({ case: 'a', stage: 'stage1', class: 2 }, 2, 1, 1),
    record({ case: 'b', stage: 'stage1', class: 1 }, 4, 4),
    record({ case: 'b', stage: 'stage1', class: 2 }, 0, 0),
  ];
  const { summary } = summarise(records, { tolerances: TOLERANCES, seed: 1 });

  it('a case is worth the mean over its classes that have a value', () => {
    expect(summary.stage1!.all!.perImage.dice).toMatchObject({ mean: (0.75 + 1) / 2, n: 2, nExcluded: 0 });
  });

  it('the pooled value is the mean over classes', () => {
    expect(summary.stage1!.all!.pooled.dice!.value).toBeCloseTo((1 + 0.5) / 2, 12);
  });
});

describe('comparisons', () => {
  const cases = Array.from({ length: 12 }, (_, i) => `case${i}`);
  const records = cases.flatMap((id, i) => [
    record({ case: id, stage: 'stage1' }, 10, 4 + (i % 3)),
    record({ case: id, stage: 'continued' }, 10, 4 + (i % 3)),
    record({ case: id, stage: 'stage2' }, 10, 7 + (i % 4)),
  ]);
  const result = summarise(records, { tolerances: TOLERANCES, seed: 'x' });
  const find = (baseline: string, stage: string, metric: string, list = result.comparisons): Comparison =>
    list.find((c) => c.baseline === baseline && c.stage === stage && c.metric === metric && c.class === '1')!;

  it('of every stage with the first, and of stage 2 with every other', () => {
    expect(defaultPairs(['stage1', 'continued', 'stage2'])).toEqual([
      { baseline: 'stage1', stage: 'continued' },
      { baseline: 'stage1', stage: 'stage2' },
      { baseline: 'continued', stage: 'stage2' },
    ]);
    expect(defaultPairs(['stage1'])).toEqual([]);
    expect(defaultPairs([])).toEqual([]);
    expect(result.comparisons.length).toBe(3 * 2 * metricsOf(TOLERANCES, false).length);
    for (const comparison of result.comparisons) {
      expect(ComparisonSchema.parse(comparison)).toEqual(comparison);
    }
  });

  it('show a gain with its interval, tests and shares', () => {
    const gain = find('stage1', 'stage2', 'dice');
    expect(gain).toMatchObject({ n: 12, nGroups: 12, nExcluded: 0, shareBetter: 1, shareWorse: 0 });
    const dices = cases.map((_, i) => {
      const [before, after] = [4 + (i % 3), 7 + (i % 4)];
      return (2 * after) / (10 + after) - (2 * before) / (10 + before);
    });
    expect(gain.meanDifference).toBeCloseTo(dices.reduce((sum, d) => sum + d, 0) / 12, 12);
    expect(gain.ci95![0]).toBeGreaterThan(0);
    expect(gain.pWilcoxon).toBe(2 / 2 ** 12);
    expect(gain.pPermutation).toBe(2 / 2 ** 12);
    expect(gain.pooled!.difference).toBeGreaterThan(0);
  });

  it('correct for the family of tests, without those that have no p', () => {
    expect(find('stage1', 'stage2', 'dice').pWilcoxonHolm).toBeCloseTo(2 * (2 / 2 ** 12), 12);
    expect(find('stage1', 'continued', 'dice')).toMatchObject({ pWilcoxon: null, pWilcoxonHolm: null });
  });

  it('call a smaller distance better', () => {
    const hausdorff = find('stage1', 'stage2', 'hd95Px');
    expect(hausdorff.meanDifference).toBeLessThan(0);
    expect(hausdorff.shareBetter).toBeGreaterThan(0.5);
  });

  it('of equal stages are zero, with p = 1', () => {
    expect(find('stage1', 'continued', 'dice')).toMatchObject({
      meanDifference: 0,
      ci95: [0, 0],
      pPermutation: 1,
      shareBetter: 0,
      shareWorse: 0,
    });
  });

  it('leave out cases that one of the stages lacks', () => {
    const partial = records.filter((r) => !(r.stage === 'stage2' && r.case === 'case3'));
    const s = summarise(partial, { tolerances: TOLERANCES, seed: 'x' });
    expect(find('stage1', 'stage2', 'dice', s.comparisons)).toMatchObject({ n: 11, nExcluded: 1 });
    const common = records.filter((r) => r.case !== 'case3');
    const c = summarise(common, { tolerances: TOLERANCES, seed: 'x' });
    const pooled = (list: Comparison[]) => find('stage1', 'stage2', 'dice', list).pooled!.difference;
    expect(pooled(s.comparisons)).toBe(pooled(c.comparisons));
  });

  it('take a patient as one unit', () => {
    const grouped = records.map((r) => ({ ...r, group: `patient${Number(r.case.slice(4)) % 4}` }));
    const s = summarise(grouped, { tolerances: TOLERANCES, seed: 'x' });
    expect(find('stage1', 'stage2', 'dice', s.comparisons)).toMatchObject({
      n: 12,
      nGroups: 4,
      pWilcoxon: 2 / 16,
    });
  });

  it('do not depend on the order of the records, only on the seed', () => {
    const key = (c: Comparison) => JSON.stringify([c.baseline, c.stage, c.class, c.metric]);
    const byKey = (list: Comparison[]) => Object.fromEntries(list.map((c) => [key(c), c]));
    const shuffled = records.map((_, i) => records[(i * 7 + 3) % records.length]!);
    const pairs = defaultPairs(['stage1', 'continued', 'stage2']);
    const again = summarise(shuffled, { tolerances: TOLERANCES, seed: 'x', pairs });
    expect(byKey(again.comparisons)).toEqual(byKey(result.comparisons));
    expect(again.summary.stage2).toEqual(result.summary.stage2);
    const other = summarise(records, { tolerances: TOLERANCES, seed: 'y' });
    expect(other.summary.stage2).not.toEqual(result.summary.stage2);
  });

  it('refuse stages that do not exist and records given twice', () => {
    const pairs = [{ baseline: 'stage1', stage: 'stage3' }];
    expect(() => summarise(records, { tolerances: TOLERANCES, seed: 1, pairs })).toThrow(
      /no case has the stage "stage3".*stages: stage1, continued, stage2/,
    );
    expect(() => summarise([...records, records[0]!], { tolerances: TOLERANCES, seed: 1 })).toThrow(
      /case "case0", class 1, stage "stage1" occurs twice/,
    );
  });
});

describe('the artefact', () => {
  it('holds records, summary and comparisons, survives JSON, refuses unknown keys', () => {
    const cases = [
      record({ case: 'a', stage: 'stage1', group: 'p1' }, 8, 8),
      record({ case: 'b', stage: 'stage1' }, 2, 1, 1),
    ];
    const evaluation: Evaluation = {
      schemaVersion: 1,
      configHash: 'c0ffee',
      madeFrom: { dataset: 'da7a', 'checkpoint stage1': 'feed' },
      dataset: { name: 'discs', split: 'test', classes: [{ id: 1, name: 'disc' }] },
      tolerances: TOLERANCES,
      empties: 'exclude',
      missedDistance: 'image diagonal',
      threshold: 0.5,
      statistics: { seed: 7, bootstrapResamples: 2000, permutations: 10_000 },
      prompts: { oracle: true, sources: { 'oracle-box': 2 } },
      stages: [{ key: 'stage1', title: 'Stage 1', checkpoint: 'feed' }],
      controls: [],
      ...summarise(cases, { tolerances: TOLERANCES, seed: 7 }),
      cases,
    };
    expect(EvaluationSchema.parse(JSON.parse(JSON.stringify(evaluation)))).toEqual(evaluation);
    expect(EvaluationSchema.safeParse({ ...evaluation, extra: 1 }).success).toBe(false);
    expect(EvaluationSchema.safeParse({ ...evaluation, schemaVersion: 2 }).success).toBe(false);
  });
});
