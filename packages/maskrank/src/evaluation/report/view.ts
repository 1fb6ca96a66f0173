// From evaluation.json to what the page shows: order, words, and the verdict on each control. Computes no metric and no
// interval: every number comes from the evaluation as it is.

import { EMPTIES_MEANING } from '../empties.ts';
import { metricsOf as evaluationMetrics } from '../metrics.ts';
import { ALL_CLASSES, type Comparison, type Evaluation } from '../schema.ts';
import { mean } from '../statistics.ts';
import type { BoxValue } from './charts/box-plot.ts';
import type { Tone } from './charts/figure.ts';
import type { PairedPoint } from './charts/paired-scatter.ts';
import { decimal, percent } from './format.ts';
import type { ReportInput } from './input.ts';
import type {
  Averaging,
  CaseRow,
  ClassView,
  ControlView,
  Estimate,
  MetricView,
  StageView,
  SummaryRow,
  View,
} from './view-types.ts';

const STAGE_1 = 'stage1';
const STAGE_2 = 'stage2';

/** Without these a gain cannot be attributed; those that the evaluation lacks are shown as not run. */
const EXPECTED_CONTROLS: readonly Pick<ControlView, 'key' | 'label' | 'kind' | 'question'>[] = [
  {
    key: 'continued',
    label: 'Stage 1 continued',
    kind: 'rival',
    question: 'Would more training on the same labels have done it?',
  },
  {
    key: 'best-only',
    label: 'Best candidate only',
    kind: 'rival',
    question: 'Is the order of the candidates needed, or only the winner?',
  },
  {
    key: 'threshold',
    label: 'Best single threshold',
    kind: 'rival',
    question: 'Is it only a better cut through the same probabilities?',
  },
  {
    key: 'ceiling',
    label: 'Ground-truth decoder ceiling',
    kind: 'ceiling',
    question: 'What would full masks of the ranked images have given?',
  },
];

export function viewOf({ evaluation }: ReportInput): View {
  const stages = stagesOf(evaluation);
  const classes = classesOf(evaluation);
  const stage1 = stages.find((stage) => stage.kind === 'stage1');
  const stage2 = stages.find((stage) => stage.kind === 'stage2');
  const headClass = classes[0]!.key;
  const find = (stage: string, baseline: string) =>
    evaluation.comparisons.find(
      (one) =>
        one.stage === stage && one.baseline === baseline && one.class === headClass && one.metric === 'dice',
    );
  const gained = find(STAGE_2, STAGE_1);
  return {
    stages,
    stage1,
    stage2,
    classes,
    metrics: metricsOf(evaluation),
    averagings: averagingsOf(evaluation, stages, classes),
    statistics: `Intervals: percentile bootstrap over groups, ${evaluation.statistics.bootstrapResamples} resamples.`,
    gain: differenceOf(gained),
    pooledGain: pooledDifferenceOf(gained),
    unchangedWithin: gained?.epsilon ?? 0.001,
    share: shareOf(gained),
    headline: new Map(
      stages.flatMap((stage) => {
        const dice = perImage(evaluation, stage.key, headClass).get('dice');
        return dice === undefined ? [] : [[stage.key, dice] as const];
      }),
    ),
    controls: controlsOf(evaluation, find),
    cases: casesOf(evaluation, classes),
    pairs: (one) => pairsOf(evaluation, one),
    values: (stage, one) => valuesOf(evaluation, stage.key, one),
  };
}

function stagesOf(evaluation: Evaluation): StageView[] {
  const ceilings = new Set(
    evaluation.controls.filter((one) => one.kind === 'ceiling').map((one) => one.stage),
  );
  const tone = (key: string): Tone =>
    key === STAGE_1 || key === STAGE_2 ? key : ceilings.has(key) ? 'truth' : 'control';
  return evaluation.stages.map(({ key, title }) => ({
    key,
    label: title,
    tone: tone(key),
    kind: key === STAGE_1 ? 'stage1' : key === STAGE_2 ? 'stage2' : 'other',
  }));
}

function classesOf(evaluation: Evaluation): ClassView[] {
  const single = evaluation.dataset.classes.map(({ id, name }) => ({ key: String(id), label: name }));
  return single.length > 1 ? [{ key: ALL_CLASSES, label: 'All classes' }, ...single] : single;
}

function metricsOf(evaluation: Evaluation): MetricView[] {
  const summaries = Object.values(evaluation.summary).flatMap((byClass) => Object.values(byClass));
  const keys = new Set(
    summaries.flatMap((summary) => [...Object.keys(summary.perImage), ...Object.keys(summary.pooled)]),
  );
  const millimetres = [...keys].some((key) => key.endsWith('Mm'));
  return evaluationMetrics(evaluation.tolerances, millimetres)
    .filter((metric) => keys.has(metric.key))
    .map(({ key, title, unit }) => ({
      key,
      label: key.startsWith('hd95') ? 'HD95' : title.replace(/ at .*/, ''),
      detail: title.match(/ (at .*)/)?.[1],
      unit: unit === 'share' ? '%' : unit,
      write: unit === 'share' ? asPercent : asDistance,
      main: !SECONDARY.test(key) && !(millimetres && key === 'hd95Px'),
    }));
}

const SECONDARY = /^(precision|recall|averageDistance)/;
const asPercent = (value: number | undefined) => percent(value);
const asDistance = (value: number | undefined) => decimal(value, 1);

function averagingsOf(
  evaluation: Evaluation,
  stages: readonly StageView[],
  classes: readonly ClassView[],
): Averaging[] {
  const rows = (read: typeof perImage): SummaryRow[] =>
    classes.flatMap((one) =>
      stages
        .map((stage) => ({ stage, class: one, values: read(evaluation, stage.key, one.key) }))
        .filter((row) => row.values.size > 0),
    );
  return [
    {
      key: 'image',
      label: 'Per image',
      meaning: `A value an image, then mean ± standard deviation over images; every image weighs the same. ${EMPTIES_MEANING[evaluation.empties]}`,
      rows: rows(perImage),
    },
    {
      key: 'pooled',
      label: 'Pooled',
      meaning:
        'All pixels of all images taken as one; large structures weigh more, and nothing needs to be excluded. Distances cannot be pooled.',
      rows: rows(pooled),
    },
  ];
}

function perImage(evaluation: Evaluation, stage: string, one: string): ReadonlyMap<string, Estimate> {
  const summaries = Object.entries(evaluation.summary[stage]?.[one]?.perImage ?? {});
  return new Map(
    summaries.map(([metric, summary]) => [
      metric,
      {
        mean: summary.mean ?? Number.NaN,
        sd: summary.sd ?? undefined,
        ci95: summary.ci95 ?? undefined,
        n: summary.n,
        excluded: summary.nExcluded,
        penalised: summary.nPenalised,
      },
    ]),
  );
}

function pooled(evaluation: Evaluation, stage: string, one: string): ReadonlyMap<string, Estimate> {
  const summaries = Object.entries(evaluation.summary[stage]?.[one]?.pooled ?? {});
  return new Map(
    summaries.map(([metric, { value, ci95, n }]) => [
      metric,
      { mean: value ?? Number.NaN, ci95: ci95 ?? undefined, n },
    ]),
  );
}

function differenceOf(comparison: Comparison | undefined): Estimate | undefined {
  if (comparison === undefined || comparison.meanDifference === null) return undefined;
  return {
    mean: comparison.meanDifference,
    ci95: comparison.ci95 ?? undefined,
    n: comparison.n,
    excluded: comparison.nExcluded,
    p: comparison.pWilcoxonHolm ?? undefined,
  };
}

function pooledDifferenceOf(comparison: Comparison | undefined): Estimate | undefined {
  const difference = comparison?.pooled?.difference;
  if (difference === undefined || difference === null) return undefined;
  return { mean: difference, ci95: comparison?.pooled?.ci95 ?? undefined };
}

function shareOf(comparison: Comparison | undefined): View['share'] {
  if (comparison === undefined || comparison.shareBetter === null || comparison.shareWorse === null)
    return undefined;
  return { better: comparison.shareBetter, worse: comparison.shareWorse, n: comparison.n };
}

function controlsOf(
  evaluation: Evaluation,
  find: (stage: string, baseline: string) => Comparison | undefined,
): ControlView[] {
  const gained = differenceOf(find(STAGE_2, STAGE_1));
  const run = evaluation.controls.map(({ stage, kind, question }): ControlView => {
    const gain = differenceOf(find(stage, STAGE_1));
    const gap = differenceOf(find(STAGE_2, stage));
    return {
      key: stage,
      label: evaluation.stages.find((one) => one.key === stage)?.title ?? stage,
      kind,
      question,
      gain,
      pooledGain: pooledDifferenceOf(find(stage, STAGE_1)),
      gap,
      explains: kind === 'rival' ? explanation(gained, gain, gap) : undefined,
    };
  });
  const known = new Set(run.map((control) => control.key));
  return [...run, ...EXPECTED_CONTROLS.filter((control) => !known.has(control.key))];
}

// The paired difference decides; without one, means and intervals of the two gains.
function explanation(
  gained: Estimate | undefined,
  gain: Estimate | undefined,
  gap: Estimate | undefined,
): ControlView['explains'] {
  if (gap !== undefined) {
    if (gap.mean <= 0) return 'explains';
    return gap.ci95 !== undefined && gap.ci95[0] > 0 ? 'no' : 'may';
  }
  if (gained === undefined || gain === undefined) return undefined;
  if (gain.mean >= gained.mean) return 'explains';
  const apart = gained.ci95 !== undefined && gain.ci95 !== undefined && gain.ci95[1] < gained.ci95[0];
  return apart ? 'no' : 'may';
}

function casesOf(evaluation: Evaluation, classes: readonly ClassView[]): CaseRow[] {
  const rows = new Map<string, CaseRow>();
  const names = new Map(classes.map((one) => [one.key, one]));
  for (const result of evaluation.cases) {
    if (result.stage !== STAGE_1 && result.stage !== STAGE_2) continue;
    const one = names.get(String(result.class)) ?? { key: String(result.class), label: String(result.class) };
    const id = JSON.stringify([result.case, result.class]);
    const row = rows.get(id) ?? { case: result.case, class: one };
    const dice = result.dice ?? undefined;
    const hd95Px = result.hd95Px ?? undefined;
    rows.set(
      id,
      result.stage === STAGE_1
        ? { ...row, before: dice, hd95Before: hd95Px }
        : { ...row, after: dice, hd95After: hd95Px },
    );
  }
  return [...rows.values()].map((row) =>
    row.before === undefined || row.after === undefined ? row : { ...row, change: row.after - row.before },
  );
}

// Dice before and after by case, from the classes that have a value in both stages.
function pairsOf(evaluation: Evaluation, one: ClassView): PairedPoint[] {
  const after = diceByCase(evaluation, STAGE_2, one);
  return [...diceByCase(evaluation, STAGE_1, one)].flatMap(([label, before]) => {
    const both = [...before.keys()].filter((id) => after.get(label)?.has(id));
    if (both.length === 0) return [];
    const average = (values: ReadonlyMap<number, number>) => mean(both.map((id) => values.get(id)!));
    return [{ label, before: average(before), after: average(after.get(label)!) }];
  });
}

function valuesOf(evaluation: Evaluation, stage: string, one: ClassView): BoxValue[] {
  return [...diceByCase(evaluation, stage, one)].map(([label, values]) => ({
    label,
    value: mean([...values.values()]),
  }));
}

function diceByCase(evaluation: Evaluation, stage: string, one: ClassView): Map<string, Map<number, number>> {
  const byCase = new Map<string, Map<number, number>>();
  for (const result of evaluation.cases) {
    if (result.stage !== stage || result.dice === null) continue;
    if (one.key !== ALL_CLASSES && one.key !== String(result.class)) continue;
    const values = byCase.get(result.case) ?? new Map<number, number>();
    byCase.set(result.case, values.set(result.class, result.dice));
  }
  return byCase;
}
