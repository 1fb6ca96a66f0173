// From the records of an evaluation to its summary by stage and class and to the paired comparisons of stages. Pure: the
// same records, options and seed give the same numbers, and nobody needs the masks again.
// The unit of every interval and test is the group (patient); images of one group are drawn together.

import { UsageError } from '@maskrank/torch/errors';
import { Random } from '../util/random.ts';
import { type Metric, metricsOf } from './metrics.ts';
import {
  ALL_CLASSES,
  type CaseResult,
  type ClassSummary,
  type Comparison,
  type PerImageSummary,
  type PooledSummary,
  type Tolerance,
} from './schema.ts';
import {
  betterWorse,
  differences,
  drawResamples,
  holm,
  mean,
  median,
  membersOf,
  pairedPermutation,
  percentileInterval,
  type Resamples,
  replicate,
  standardDeviation,
  weightedMean,
  wilcoxonSignedRank,
} from './statistics.ts';

export type SummariseOptions = {
  readonly tolerances: readonly Tolerance[];
  /** Seed of the bootstrap and of the permutation tests. */
  readonly seed: number | string;
  /** Default 2000. */
  readonly bootstrapResamples?: number;
  /** Sign patterns of a permutation test with more than 16 groups. Default 10 000. */
  readonly permutations?: number;
  /** Pairs of stage keys to compare. Default: every stage with the first one, then `stage2` with every other stage. */
  readonly pairs?: readonly StagePair[];
};

/** Differences are `stage` minus `baseline`. */
export type StagePair = { readonly baseline: string; readonly stage: string };

export type EvaluationSummary = {
  readonly summary: Record<string, Record<string, ClassSummary>>;
  readonly comparisons: Comparison[];
};

/** Summary and comparisons of all records. Stages appear in the order of their first record. */
export function summarise(records: readonly CaseResult[], options: SummariseOptions): EvaluationSummary {
  const table = new Table(records, options);
  const pairs = options.pairs ?? defaultPairs(table.stages);
  for (const key of pairs.flatMap((pair) => [pair.baseline, pair.stage])) {
    if (table.stages.includes(key)) continue;
    throw new UsageError(
      `summarise: no case has the stage "${key}" that is to be compared; stages: ${table.stages.join(', ')}.`,
    );
  }
  const single = table.classIds.length === 1 ? String(table.classIds[0]) : undefined;
  const classKeys = [...table.classIds.map(String), ...(single === undefined ? [ALL_CLASSES] : [])];
  const summary: EvaluationSummary['summary'] = {};
  for (const stage of table.stages) {
    const classes = Object.fromEntries(classKeys.map((key) => [key, summariseClass(table, stage, key)]));
    summary[stage] = single === undefined ? classes : { ...classes, [ALL_CLASSES]: classes[single]! };
  }
  const comparisons = classKeys.flatMap((classKey) =>
    table.metrics.flatMap((metric) =>
      correct(pairs.map((pair) => compare(table, pair, classKey, metric, options))),
    ),
  );
  if (single !== undefined) comparisons.push(...comparisons.map((c) => ({ ...c, class: ALL_CLASSES })));
  return { summary, comparisons };
}

/** Every stage with the first one, then `stage2` with each of the others. */
export function defaultPairs(stages: readonly string[]): StagePair[] {
  const [first, ...others] = stages;
  if (first === undefined) return [];
  const withFirst = others.map((stage) => ({ baseline: first, stage }));
  if (!others.includes('stage2')) return withFirst;
  const rivals = others.filter((stage) => stage !== 'stage2');
  return [...withFirst, ...rivals.map((baseline) => ({ baseline, stage: 'stage2' }))];
}

type Pooled = { readonly value: number; readonly replicates: Float64Array };

/** Records by stage, class and case; case order, groups and resamples are the same for every stage, class and metric. */
class Table {
  readonly stages: readonly string[];
  readonly classIds: readonly number[];
  readonly metrics: readonly Metric[];
  readonly groups: readonly string[];
  readonly resamples: Resamples;
  private readonly records: ReadonlyMap<string, CaseResult>;
  private readonly pools = new Map<string, Pooled>();
  private readonly cases: readonly string[];

  constructor(records: readonly CaseResult[], options: SummariseOptions) {
    const unique = <T>(values: readonly T[]) => [...new Set(values)];
    this.stages = unique(records.map((r) => r.stage));
    this.classIds = unique(records.map((r) => r.class)).sort((a, b) => a - b);
    // Sorted, so that the order in which cases were measured does not change the draws.
    this.cases = unique(records.map((r) => r.case)).sort();
    const groupOf = new Map(records.map((r) => [r.case, r.group ?? r.case]));
    this.groups = this.cases.map((id) => groupOf.get(id)!);
    this.metrics = metricsOf(
      options.tolerances,
      records.some((r) => r.spacingMm !== undefined),
    );
    const byKey = new Map<string, CaseResult>();
    for (const record of records) {
      const key = keyOf(record.stage, record.class, record.case);
      if (byKey.has(key)) {
        throw new UsageError(
          `summarise: case "${record.case}", class ${record.class}, stage "${record.stage}" occurs twice; allowed: once.`,
        );
      }
      byKey.set(key, record);
    }
    this.records = byKey;
    this.resamples = drawResamples(this.cases.length, {
      random: new Random(options.seed).fork('bootstrap'),
      groups: this.groups,
      ...(options.bootstrapResamples !== undefined && { resamples: options.bootstrapResamples }),
    });
  }

  /** Records of a stage and class, in case order; undefined where the case was not evaluated. */
  of(stage: string, classId: number): (CaseResult | undefined)[] {
    return this.cases.map((id) => this.records.get(keyOf(stage, classId, id)));
  }

  /** Value of each case by class of the key, NaN where there is none. */
  values(stage: string, classKey: string, metric: Metric): Float64Array[] {
    return this.idsOf(classKey).map((id) =>
      Float64Array.from(this.of(stage, id), (record) => (record && metric.value(record)) ?? Number.NaN),
    );
  }

  /** Pooled value and its bootstrap replicates. For `all`, the mean over classes that have one. */
  pooled(stage: string, classKey: string, metric: Metric, alongside = stage): Pooled {
    const classes = this.idsOf(classKey).map((id) => this.pooledOfClass(stage, id, metric, alongside));
    if (classes.length === 1) return classes[0]!;
    const overPresent = (values: readonly number[]) => mean(values.filter((v) => !Number.isNaN(v)));
    return {
      value: overPresent(classes.map((c) => c.value)),
      replicates: classes[0]!.replicates.map((_, r) => overPresent(classes.map((c) => c.replicates[r]!))),
    };
  }

  /** @param alongside only cases evaluated in this stage too go in */
  private pooledOfClass(stage: string, id: number, metric: Metric, alongside: string): Pooled {
    const others = this.of(alongside, id);
    const taken = this.of(stage, id).map((record, i) => (others[i] === undefined ? undefined : record));
    const cases = taken.map((record) => (record === undefined ? '-' : '+')).join('');
    const key = JSON.stringify([stage, id, metric.key, cases]);
    const known = this.pools.get(key);
    if (known !== undefined) return known;
    const sums = taken.map((record) => record && metric.pooled?.(record));
    const part = Float64Array.from(sums, (sum) => sum?.part ?? 0);
    const whole = Float64Array.from(sums, (sum) => sum?.whole ?? 0);
    const ratio = (weights: Uint16Array): number => {
      let [p, w] = [0, 0];
      for (let i = 0; i < weights.length; i++) {
        p += weights[i]! * part[i]!;
        w += weights[i]! * whole[i]!;
      }
      return p / w;
    };
    const pooled = {
      value: ratio(new Uint16Array(part.length).fill(1)),
      replicates: replicate(this.resamples, ratio),
    };
    this.pools.set(key, pooled);
    return pooled;
  }

  /** Interval of the mean over cases; null where fewer than two groups have a value. */
  interval(values: Float64Array): [number, number] | null {
    const present = [...values.keys()].filter((i) => !Number.isNaN(values[i]!));
    if (new Set(present.map((i) => this.groups[i]!)).size < 2) return null;
    return percentiles(replicate(this.resamples, (weights) => weightedMean(values, weights)));
  }

  /** Interval of a pooled value. */
  pooledInterval(replicates: Float64Array): [number, number] | null {
    return this.resamples.groups < 2 ? null : percentiles(replicates);
  }

  idsOf(classKey: string): readonly number[] {
    return classKey === ALL_CLASSES ? this.classIds : [Number(classKey)];
  }
}

/** Mean over the classes that have a value, case by case; NaN where none has. */
function overClasses(byClass: readonly Float64Array[]): Float64Array {
  return byClass[0]!.map((_, i) =>
    mean(byClass.map((values) => values[i]!).filter((value) => !Number.isNaN(value))),
  );
}

const keyOf = (stage: string, classId: number, id: string): string => JSON.stringify([stage, classId, id]);

function summariseClass(table: Table, stage: string, classKey: string): ClassSummary {
  const records = table.idsOf(classKey).flatMap((id) => table.of(stage, id).filter((r) => r !== undefined));
  const evaluated = new Set(records.map((r) => r.case)).size;
  const perImage: Record<string, PerImageSummary> = {};
  const pooled: Record<string, PooledSummary> = {};
  for (const metric of table.metrics) {
    const values = overClasses(table.values(stage, classKey, metric));
    const present = values.filter((value) => !Number.isNaN(value));
    const oneEmpty = records.filter((r) => r.empty === 'truth' || r.empty === 'prediction');
    const penalised =
      metric.unit === 'share' ? [] : oneEmpty.filter((r) => typeof metric.value(r) === 'number');
    perImage[metric.key] = {
      mean: orNull(mean(present)),
      sd: orNull(standardDeviation(present)),
      median: orNull(median(present)),
      ci95: table.interval(values),
      n: present.length,
      nExcluded: evaluated - present.length,
      nPenalised: new Set(penalised.map((r) => r.case)).size,
    };
    if (metric.pooled === undefined) continue;
    const pool = table.pooled(stage, classKey, metric);
    pooled[metric.key] = {
      value: orNull(pool.value),
      ci95: table.pooledInterval(pool.replicates),
      n: evaluated,
    };
  }
  return { perImage, pooled };
}

function compare(
  table: Table,
  pair: StagePair,
  classKey: string,
  metric: Metric,
  options: SummariseOptions,
): Comparison {
  // Differences class by class before the mean over classes: a class counts only where both stages have a value.
  const before = table.values(pair.baseline, classKey, metric);
  const after = table.values(pair.stage, classKey, metric);
  const change = overClasses(before.map((values, i) => differences(values, after[i]!)));
  const paired = [...change.keys()].filter((i) => !Number.isNaN(change[i]!));
  const present = paired.map((i) => change[i]!);
  const groupMeans = membersOf(paired.map((i) => table.groups[i]!)).map((members) =>
    mean(members.map((m) => present[m]!)),
  );
  const random = new Random(options.seed).fork(
    `permutation ${pair.baseline} ${pair.stage} ${classKey} ${metric.key}`,
  );
  const { permutations } = options;
  const { better, worse } = betterWorse(present, metric.epsilon, metric.higherIsBetter);
  return {
    ...pair,
    class: classKey,
    metric: metric.key,
    n: present.length,
    nGroups: groupMeans.length,
    nExcluded: change.length - present.length,
    meanDifference: orNull(mean(present)),
    medianDifference: orNull(median(present)),
    ci95: table.interval(change),
    ...(metric.pooled !== undefined && { pooled: comparePooled(table, pair, classKey, metric) }),
    pWilcoxon: orNull(wilcoxonSignedRank(groupMeans).p),
    pWilcoxonHolm: null, // set by `correct`, which knows the family
    pPermutation: orNull(
      pairedPermutation(groupMeans, { random, ...(permutations !== undefined && { permutations }) }),
    ),
    shareBetter: orNull(better),
    shareWorse: orNull(worse),
    epsilon: metric.epsilon,
  };
}

function comparePooled(table: Table, pair: StagePair, classKey: string, metric: Metric) {
  const before = table.pooled(pair.baseline, classKey, metric, pair.stage);
  const after = table.pooled(pair.stage, classKey, metric, pair.baseline);
  return {
    difference: orNull(after.value - before.value),
    ci95: table.pooledInterval(differences(before.replicates, after.replicates)),
  };
}

/** Holm's correction over the comparisons of one class and metric. */
function correct(family: readonly Comparison[]): Comparison[] {
  const corrected = holm(family.map((c) => c.pWilcoxon ?? Number.NaN));
  return family.map((c, i) => ({ ...c, pWilcoxonHolm: orNull(corrected[i]!) }));
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);

function percentiles(replicates: Float64Array): [number, number] | null {
  const interval = percentileInterval(replicates);
  return interval === undefined ? null : [interval[0], interval[1]];
}
