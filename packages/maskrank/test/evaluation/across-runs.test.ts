import { expect, it } from 'vitest';
import { commonStages, differenceAcrossRuns, stageAcrossRuns } from '../../src/evaluation/across-runs.ts';
import type { CaseResult, Evaluation } from '../../src/evaluation/schema.ts';

const record = (id: string, stage: string, dice: number | null) =>
  ({ case: id, class: 1, stage, group: id, dice }) as unknown as CaseResult;
/** Dice of cases a, b, c in two stages. */
const run = (before: (number | null)[], after: (number | null)[], extra: string[] = []) =>
  ({
    stages: ['stage1', 'stage2', ...extra].map((key) => ({ key, title: key })),
    cases: [
      ...before.map((d, i) => record('abc'[i] as string, 'stage1', d)),
      ...after.map((d, i) => record('abc'[i] as string, 'stage2', d)),
    ],
  }) as unknown as Evaluation;
const dice = (r: CaseResult) => r.dice;
const runs = [run([0.5, 0.6, 0.7], [0.6, 0.6, 0.8], ['ceiling']), run([0.4, 0.6, 0.8], [0.7, 0.6, 0.7])];

it('averages over cases within a run, then over runs', () => {
  const stage = stageAcrossRuns(runs, { key: 'stage1', title: 'stage 1' }, dice);
  expect(stage.perRun).toEqual([expect.closeTo(0.6), expect.closeTo(0.6)]);
  expect(stage.sd).toBeCloseTo(0);
});

it('pairs cases, and counts who got better or worse', () => {
  const d = differenceAcrossRuns(runs, { baseline: 'stage1', stage: 'stage2' }, dice, 1);
  expect(d.perRun).toEqual([expect.closeTo(0.2 / 3), expect.closeTo(0.2 / 3)]);
  expect([d.n, d.unpaired, d.shareBetter, d.shareWorse]).toEqual([3, 0, 3 / 6, 1 / 6]);
  const [low, high] = d.ci95 as [number, number];
  expect(low).toBeLessThanOrEqual(d.mean);
  expect(high).toBeGreaterThanOrEqual(d.mean);
});

it('leaves out cases without a value in some run', () => {
  const d = differenceAcrossRuns(
    [run([0.5, null, 0.7], [0.6, 0.1, 0.8]), runs[1] as Evaluation],
    { baseline: 'stage1', stage: 'stage2' },
    dice,
    1,
  );
  expect([d.n, d.unpaired]).toEqual([2, 1]);
});

it('compares only stages that every run has', () => {
  expect(commonStages(runs).map((s) => s.key)).toEqual(['stage1', 'stage2']);
  expect(() => commonStages([])).toThrow(/at least one/);
});
