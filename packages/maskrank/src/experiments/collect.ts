// From the evaluations of finished jobs to the numbers of a table: mean and deviation over seeds, paired differences from the
// reference row, minutes of an annotator, the paper's number where the setting is the same. Each number keeps the runs that it is from.
// Not here: what is there (gather.ts), how it is written
// (tables.ts, figures.ts).

import { differenceAcrossRuns } from '../evaluation/across-runs.ts';
import { withEmpties } from '../evaluation/empties.ts';
import { metricsOf } from '../evaluation/metrics.ts';
import type { EmptiesPolicy } from '../evaluation/overlap.ts';
import { ALL_CLASSES, type Evaluation } from '../evaluation/schema.ts';
import { holm, mean, standardDeviation } from '../evaluation/statistics.ts';
import { type AnnotationCost, annotatorMinutes, type Labour } from './annotation-cost.ts';
import type { Definition } from './definition.ts';
import type { Found, Gathered, Place } from './gather.ts';
import { type Paper, type PaperNumber, paperNumber } from './paper.ts';
import { type Row, shareOf } from './rows.ts';

/** A row's number on a data set. */
export type Result = {
  readonly row: string;
  readonly data: string;
  /** Key as in evaluations: dice, iou, surfaceDice@2px, hd95Px. */
  readonly metric: string;
  /** Mean over test images, one a seed; of several classes, a case's value is the mean over its classes. */
  readonly perSeed: readonly { readonly seed: number; readonly value: number }[];
  readonly mean: number;
  /** Over seeds (n - 1); null for one. */
  readonly sd: number | null;
  readonly paper?: PaperNumber;
  /** This row minus the reference row, on the same cases and seeds. */
  readonly difference?: Difference;
};

export type Difference = {
  readonly reference: string;
  readonly mean: number;
  readonly ci95: readonly [number, number] | null;
  /** Paired permutation test over patients, and corrected by Holm over the rows of this data set and metric. */
  readonly p: number;
  readonly pHolm: number;
  readonly n: number;
  /** Cases left out, as only one of the rows has a number there. */
  readonly unpaired: number;
};

/** Where a number is from. */
export type Source = {
  readonly row: string;
  readonly data: string;
  readonly seed: number;
  readonly run: string;
  readonly stage: string;
  /** Commands of the whole chain, in their order. */
  readonly commands: readonly string[];
};

/** What the labels of a row cost, mean over seeds. */
export type Cost = {
  readonly row: string;
  readonly data: string;
  readonly minutes: number;
  readonly labour: Labour;
};

export type Results = {
  readonly definition: Definition;
  readonly rows: readonly Row[];
  /** Data sets with the metrics of their table. */
  readonly data: readonly { readonly name: string; readonly metrics: readonly string[] }[];
  readonly seeds: readonly number[];
  /** Policies for empty masks behind the numbers: one, unless the definition varies it. */
  readonly empties: readonly EmptiesPolicy[];
  readonly results: readonly Result[];
  readonly costs: readonly Cost[];
  readonly sources: readonly Source[];
  /** Numbers that are not there yet, or never will be: the evaluation has no such row. */
  readonly missing: readonly Place[];
};

export type CollectOptions = {
  readonly paper: Paper;
  readonly cost: AnnotationCost;
  /** Policy for empty masks; default that of each evaluation. */
  readonly empties?: EmptiesPolicy | undefined;
};

/** The table of everything that is there. */
export function collect(gathered: Gathered, { paper, cost, empties }: CollectOptions): Results {
  const { definition, rows, store } = gathered;
  const found = empties === undefined ? gathered.found : valuedUnder(gathered.found, empties);
  const data = gathered.data.map((name) => ({ name, metrics: metricsFor(name, definition, found) }));
  const results = data.flatMap(({ name, metrics }) =>
    metrics.flatMap((metric) => {
      const own = rows.flatMap((row) => {
        const result = resultOf(row, name, metric, found);
        if (result === undefined) return [];
        const theirs = paperNumber(paper, definition.paper, { row: row.id, data: name, metric });
        return [theirs === undefined ? result : { ...result, paper: theirs }];
      });
      return withDifferences(own, definition, rows, found);
    }),
  );
  return {
    definition,
    rows,
    data,
    seeds: gathered.seeds,
    empties: [...new Set(found.map(({ evaluation }) => evaluation.empties))],
    results,
    costs: gathered.data.flatMap((name) => rows.flatMap((row) => costOf(row, name, cost, found))),
    sources: found.map(({ row, data: name, seed, job, commands }) => ({
      row: row.id,
      data: name,
      seed,
      run: store.run(job),
      stage: row.stageKey,
      commands,
    })),
    missing: gathered.missing,
  };
}

/** Evaluations that several rows share are valued once. */
function valuedUnder(found: readonly Found[], empties: EmptiesPolicy): Found[] {
  const valued = new Map<Evaluation, Evaluation>();
  return found.map(({ evaluation, ...rest }) => {
    const again = valued.get(evaluation) ?? withEmpties(evaluation, empties);
    valued.set(evaluation, again);
    return { ...rest, evaluation: again };
  });
}

/** As the definition says, else as the paper has it: IoU and Dice of one class, mean Dice and surface Dice of several. */
function metricsFor(name: string, { metrics }: Definition, found: readonly Found[]): readonly string[] {
  const evaluation = found.find(({ data }) => data === name)?.evaluation;
  const { tolerances = [], dataset } = evaluation ?? {};
  const surface = `surfaceDice@${tolerances[Math.min(1, tolerances.length - 1)]?.key ?? '2px'}`;
  const byPaper = (dataset?.classes.length ?? 1) > 1 ? ['dice', surface] : ['iou', 'dice'];
  return (metrics ?? byPaper).map((metric) => (metric === 'surfaceDice' ? surface : metric));
}

const of = (found: readonly Found[], row: string, data: string): Found[] =>
  found.filter((item) => item.row.id === row && item.data === data);

function resultOf(row: Row, data: string, metric: string, found: readonly Found[]): Result | undefined {
  const perSeed = of(found, row.id, data).flatMap(({ seed, evaluation }) => {
    const value = evaluation.summary[row.stageKey]?.[ALL_CLASSES]?.perImage[metric]?.mean;
    return typeof value === 'number' ? [{ seed, value }] : [];
  });
  if (perSeed.length === 0) return undefined;
  const values = perSeed.map(({ value }) => value);
  const sd = values.length > 1 ? standardDeviation(values) : null;
  return { row: row.id, data, metric, perSeed, mean: mean(values), sd };
}

/** Each result with its difference from that of the reference row, corrected for their number. */
function withDifferences(
  own: readonly Result[],
  definition: Definition,
  rows: readonly Row[],
  found: readonly Found[],
): Result[] {
  const all = own.map((result) => {
    const reference = referenceOf(result.row, definition, rows);
    return reference === undefined ? undefined : differenceOf(result, reference, rows, found);
  });
  const corrected = holm(all.map((difference) => difference?.p ?? Number.NaN));
  return own.map((result, i) => {
    const difference = all[i];
    return difference === undefined
      ? result
      : { ...result, difference: { ...difference, pHolm: corrected[i]! } };
  });
}

/** The row to compare with: the reference itself, or of the reference arm the row of the same share and variant. */
export function referenceOf(id: string, { reference }: Definition, rows: readonly Row[]): string | undefined {
  const row = rows.find((candidate) => candidate.id === id);
  if (reference === undefined || row === undefined || row.id === reference || row.arm === reference)
    return undefined;
  if (rows.some((candidate) => candidate.id === reference)) return reference;
  const arm = rows.filter((candidate) => candidate.arm === reference);
  const same = (candidates: readonly Row[], is: (candidate: Row) => boolean): readonly Row[] => {
    const some = candidates.filter(is);
    return some.length > 0 ? some : candidates;
  };
  const ofShare = same(arm, (candidate) => shareOf(candidate) === shareOf(row));
  const ofVariant = same(ofShare, (candidate) => candidate.variant?.name === row.variant?.name);
  return ofVariant.length === 1 ? ofVariant[0]!.id : undefined;
}

function differenceOf(
  { row, data, metric }: Result,
  reference: string,
  rows: readonly Row[],
  found: readonly Found[],
): Omit<Difference, 'pHolm'> | undefined {
  const stageOf = (id: string) => rows.find((candidate) => candidate.id === id)!.stageKey;
  const pairs = of(found, row, data).flatMap(({ seed, evaluation }) => {
    const other = of(found, reference, data).find((candidate) => candidate.seed === seed);
    if (other === undefined) return [];
    // Two rows of two evaluations, as if they were of one.
    const named = (from: Evaluation, id: string) =>
      from.cases.filter(({ stage }) => stage === stageOf(id)).map((record) => ({ ...record, stage: id }));
    return [{ ...evaluation, cases: [...named(other.evaluation, reference), ...named(evaluation, row)] }];
  });
  const [first] = pairs;
  if (first === undefined) return undefined;
  const known = metricsOf(first.tolerances, true).find(({ key }) => key === metric);
  if (known === undefined) return undefined;
  const value = (record: Evaluation['cases'][number]) => known.value(record) ?? null;
  const shared = (stage: string) =>
    pairs.every((evaluation) => evaluation.cases.some((r) => r.stage === stage && value(r) !== null));
  if (!shared(row) || !shared(reference)) return undefined;
  const {
    mean: difference,
    ci95,
    p,
    n,
    unpaired,
  } = differenceAcrossRuns(pairs, { baseline: reference, stage: row }, value, 0);
  return { reference, mean: difference, ci95, p, n, unpaired };
}

/** Mean over seeds; none where nothing was measured. */
function costOf(row: Row, data: string, cost: AnnotationCost, found: readonly Found[]): Cost[] {
  const labours = of(found, row.id, data).flatMap(({ labour }) => labour ?? []);
  if (labours.length === 0) return [];
  const average = (pick: (labour: Labour) => number) => mean(labours.map(pick));
  const labour: Labour = {
    masks: average(({ masks }) => masks),
    validationMasks: average(({ validationMasks }) => validationMasks),
    boxes: average(({ boxes }) => boxes),
    judgements: average(({ judgements }) => judgements),
    judging: labours[0]!.judging,
  };
  return [{ row: row.id, data, minutes: annotatorMinutes(labour, cost), labour }];
}
