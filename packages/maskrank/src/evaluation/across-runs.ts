// Several runs of one study (seeds) on the same test cases: means and deviations over runs, and paired differences between stages
// whose interval is over cases, each case being the mean over its runs. The spread over runs is reported beside it, not in it.
// Pure. Not here: one run's own summary (summarise.ts).

import { UsageError } from '@maskrank/torch/errors';
import { Random } from '../util/random.ts';
import type { CaseResult, Evaluation } from './schema.ts';
import { bootstrapMean, mean, membersOf, pairedPermutation, standardDeviation } from './statistics.ts';

/** Which number of a record is compared. */
export type CaseValue = (record: CaseResult) => number | null;

export type StageAcrossRuns = {
  readonly stage: string;
  readonly title: string;
  /** Mean over cases, one a run. */
  readonly perRun: readonly number[];
  readonly mean: number;
  /** Over runs (n - 1); null for one run. */
  readonly sd: number | null;
};

export type DifferenceAcrossRuns = {
  readonly baseline: string;
  readonly stage: string;
  /** Mean difference of each run. */
  readonly perRun: readonly number[];
  readonly mean: number;
  readonly sd: number | null;
  /** Bootstrap over groups of the cases' mean differences, 95 %. */
  readonly ci95: readonly [number, number] | null;
  /** Paired permutation test over groups of the same, two-sided. */
  readonly p: number;
  /** Cases with a value in both stages of every run. */
  readonly n: number;
  /** Cases left out because one stage has no value in some run where the other has: a rightly empty mask beside a false alarm. */
  readonly unpaired: number;
  /** Share of the case-run pairs that changed by more than `epsilon`. */
  readonly shareBetter: number;
  readonly shareWorse: number;
};

/** Changes up to this size count as unchanged. */
const EPSILON = 0.001;

const keyOf = (r: CaseResult): string => `${r.case}\u0000${r.class}`;

function valuesOf(evaluation: Evaluation, stage: string, value: CaseValue): Map<string, number> {
  const found = evaluation.cases.filter((r) => r.stage === stage);
  return new Map(found.flatMap((r) => (value(r) === null ? [] : [[keyOf(r), value(r) as number] as const])));
}

/** Stages that every run has, in the order of the first. */
export function commonStages(evaluations: readonly Evaluation[]): readonly { key: string; title: string }[] {
  const [first, ...others] = evaluations;
  if (first === undefined)
    throw new UsageError('across runs: no evaluation was given; name at least one run.');
  return first.stages.filter(({ key }) => others.every((e) => e.stages.some((s) => s.key === key)));
}

export function stageAcrossRuns(
  evaluations: readonly Evaluation[],
  stage: { key: string; title: string },
  value: CaseValue,
): StageAcrossRuns {
  const perRun = evaluations.map((e) => mean([...valuesOf(e, stage.key, value).values()]));
  return {
    stage: stage.key,
    title: stage.title,
    perRun,
    mean: mean(perRun),
    sd: perRun.length > 1 ? standardDeviation(perRun) : null,
  };
}

export function differenceAcrossRuns(
  evaluations: readonly Evaluation[],
  pair: { readonly baseline: string; readonly stage: string },
  value: CaseValue,
  seed: number,
): DifferenceAcrossRuns {
  const single = new Set<string>();
  const runs = evaluations.map((e) => {
    const before = valuesOf(e, pair.baseline, value);
    const after = valuesOf(e, pair.stage, value);
    for (const key of new Set([...before.keys(), ...after.keys()]))
      if (before.has(key) !== after.has(key)) single.add(key);
    return new Map(
      [...before].flatMap(([key, v]) =>
        after.has(key) ? [[key, (after.get(key) as number) - v] as const] : [],
      ),
    );
  });
  const groupOf = new Map(
    evaluations.flatMap((e) => e.cases.map((r) => [keyOf(r), r.group ?? r.case] as const)),
  );
  const common = [...(runs[0]?.keys() ?? [])].filter((key) => runs.every((run) => run.has(key)));
  if (common.length === 0)
    throw new UsageError(
      `across runs: no case has ${pair.baseline} and ${pair.stage} in every run; do the runs share their test set?`,
    );
  const ofCase = common.map((key) => mean(runs.map((run) => run.get(key) as number)));
  const perRun = runs.map((run) => mean([...run.values()]));
  const all = runs.flatMap((run) => [...run.values()]);
  const random = new Random(`${seed}/across runs/${pair.baseline}/${pair.stage}`);
  const groups = common.map((key) => groupOf.get(key));
  const ofGroup = membersOf(groups).map((members) => mean(members.map((i) => ofCase[i] as number)));
  return {
    ...pair,
    perRun,
    mean: mean(perRun),
    sd: perRun.length > 1 ? standardDeviation(perRun) : null,
    ci95: bootstrapMean(ofCase, { random, groups }) ?? null,
    p: pairedPermutation(ofGroup, { random: random.fork('permutation') }),
    n: common.length,
    unpaired: single.size,
    shareBetter: all.filter((d) => d > EPSILON).length / all.length,
    shareWorse: all.filter((d) => d < -EPSILON).length / all.length,
  };
}
