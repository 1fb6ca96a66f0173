// What the jobs of an experiment that are not done will cost: steps times the measured time of a step, from finished jobs of the
// same kind, network and data set in the store (a short calibration puts some there). Not here: doing them (schedule.ts).

import { existsSync, readFileSync } from 'node:fs';
import { alignSteps } from '../alignment/schedule.ts';
import { openDataset } from '../datasets/cases.ts';
import type { Dataset, Splits } from '../datasets/schema.ts';
import { makeSplits } from '../datasets/splits.ts';
import { baselineSections } from '../pipeline/baselines/measure.ts';
import { BASELINES } from '../pipeline/baselines/registry.ts';
import { isWithin } from '../run/config-part.ts';
import { leaves } from '../run/leaves.ts';
import { valueAt } from '../run/resolve.ts';
import { runPaths } from '../run/run-folder.ts';
import { chainOf, type Graph, type Job } from './graph.ts';
import { sectionOf } from './methods.ts';
import type { Store } from './store.ts';

export type JobEstimate = {
  readonly job: Job;
  /** Steps, or cases and classes; null where the configuration does not tell. */
  readonly units: number | null;
  /** Null where nothing of its kind was measured. */
  readonly seconds: number | null;
};

export type Estimator = (job: Job) => JobEstimate;

/** Seconds of a job with any number of units. */
type Rate = { readonly fixed: number; readonly perUnit: number };

/** Jobs with one name have the same rate: of this data set, or else of any. */
export const rateNames = (job: Job): readonly string[] => {
  const { config, kind } = job;
  const network =
    kind === 'baseline' ? baselineSize(job) : `${config.model.name} ${config.data.imageSize ?? ''}`;
  const batch =
    { stage1: config.training.batchSize, stage2: config.alignment.batchSize }[kind as 'stage1' | 'stage2'] ??
    '';
  return [`${kind} ${network} ${batch} ${job.data.hash}`, `${kind} ${network} ${batch}`];
};

/** A baseline with the image and batch sizes of the sections that it reads; without a size of its own its canvas is the model's. */
function baselineSize({ config, method = '' }: Job): string {
  const found = BASELINES.find(({ name }) => name === method);
  const sections = found === undefined ? [] : baselineSections(found);
  const sizes = leaves
    .filter(({ path }) => /\.(imageSize|batchSize)$/.test(path) && isWithin(path, sections))
    .map(({ path }) => valueAt(config, path) ?? '');
  return [method, config.model.name, ...sizes].join(' ');
}

/** Prepares estimates for the jobs of a graph, with what `others` (a calibration) measured as well. */
export async function makeEstimator(
  graph: Graph,
  store: Store,
  others: readonly { readonly graph: Graph; readonly store: Store }[] = [],
): Promise<Estimator> {
  const count = await unitCounter([graph, ...others.map((other) => other.graph)]);
  const measured = new Map<string, Rate[]>();
  for (const source of [{ graph, store }, ...others])
    for (const job of source.graph.jobs.values()) {
      const rate = rateOf(job, source.store, count(job));
      if (rate === undefined) continue;
      for (const name of rateNames(job)) measured.set(name, [...(measured.get(name) ?? []), rate]);
    }
  const average = (rates: readonly Rate[], pick: (rate: Rate) => number) =>
    rates.reduce((sum, rate) => sum + pick(rate), 0) / rates.length;
  return (job) => {
    const units = count(job);
    const rates = rateNames(job)
      .map((name) => measured.get(name))
      .find((found) => found !== undefined);
    if (rates === undefined || units === null) return { job, units, seconds: null };
    const seconds = average(rates, ({ fixed }) => fixed) + units * average(rates, ({ perUnit }) => perUnit);
    return { job, units, seconds };
  };
}

/** From the time of the steps in metrics.jsonl where there are any, else from the whole. */
function rateOf(job: Job, store: Store, units: number | null): Rate | undefined {
  const record = store.record(job);
  if (record === undefined || record.seconds === null || units === null || units === 0) return undefined;
  const step = stepSeconds(job, store);
  if (step === undefined) return { fixed: 0, perUnit: record.seconds / units };
  return { fixed: Math.max(0, record.seconds - units * step), perUnit: step };
}

const STAGES: Readonly<Partial<Record<Job['kind'], (job: Job) => string>>> = {
  stage1: () => 'stage1',
  stage2: () => 'stage2',
  baseline: ({ method }) => `baseline ${method}`,
};

/** Mean time of a step by the run's own record; the first is left out, it warms up. */
function stepSeconds(job: Job, store: Store): number | undefined {
  const stage = STAGES[job.kind]?.(job);
  const path = runPaths(store.run(job)).metrics;
  if (stage === undefined || !existsSync(path)) return undefined;
  const times = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as { stage: string; ms?: Record<string, number> })
    .filter((line) => line.stage === stage && line.ms !== undefined)
    .map(({ ms = {} }) => Object.values(ms).reduce((sum, value) => sum + value, 0) / 1000);
  const warm = times.length > 1 ? times.slice(1) : times;
  return warm.length === 0 ? undefined : warm.reduce((sum, value) => sum + value, 0) / warm.length;
}

/** How many units each job has: the divisions are made in memory, as the jobs will make them. */
async function unitCounter(graphs: readonly Graph[]): Promise<(job: Job) => number | null> {
  const datasets = new Map<string, { readonly dataset: Dataset; readonly hash: string }>();
  const divisions = new Map<string, Splits>();
  const all = new Map(graphs.flatMap(({ jobs }) => [...jobs]));
  for (const { data } of all.values())
    if (!datasets.has(data.dir)) datasets.set(data.dir, await openDataset(data.dir));
  for (const { key, kind, data, division, seed } of all.values()) {
    if (kind !== 'split') continue;
    const { dataset, hash } = datasets.get(data.dir)!;
    divisions.set(key, makeSplits(dataset, hash, { ...division!, seed }));
  }
  return (job) => {
    const { dataset } = datasets.get(job.data.dir)!;
    const classes = job.config.data.classes?.length ?? dataset.classes.length;
    const splits = job.splits === undefined ? undefined : divisions.get(job.splits);
    return UNITS[job.kind](job, { splits, classes, jobs: all });
  };
}

type Counts = {
  readonly splits: Splits | undefined;
  readonly classes: number;
  readonly jobs: ReadonlyMap<string, Job>;
};

const least = (count: number, most: number | null): number => Math.min(count, most ?? count);

const UNITS: Readonly<Record<Job['kind'], (job: Job, counts: Counts) => number | null>> = {
  split: () => 1,
  prompts: (_job, { splits, classes }) =>
    splits === undefined
      ? null
      : classes *
        (splits.labelled.length + splits.unlabelled.length + splits.validation.length + splits.test.length),
  stage1: ({ config: { training, data } }, { splits }) =>
    splits === undefined ? null : stepsFor(training, least(splits.labelled.length, data.maxLabelled)),
  stage2: ({ config: { alignment, data }, controls }, { splits, classes }) =>
    splits === undefined
      ? null
      : (1 + controls.length) *
        alignSteps(alignment, classes * least(splits.unlabelled.length, data.maxUnlabelled)),
  evaluation: (job, { splits, classes, jobs }) => {
    if (splits === undefined) return null;
    const { split, alsoPrompts } = job.config.evaluation;
    const stage2 = chainOf({ jobs }, job.key).find(({ kind }) => kind === 'stage2');
    const stages = stage2 === undefined ? 1 : 2;
    const rows = stages * (1 + alsoPrompts.length) + (stage2?.controls.length ?? 0);
    return classes * splits[split].length * rows;
  },
  baseline: ({ config, method = '' }, { splits }) => {
    if (splits === undefined) return null;
    const cases = least(splits.labelled.length, config.data.maxLabelled);
    const steps = BASELINES.find(({ name }) => name === method)?.steps;
    if (steps !== undefined) return steps(config, cases);
    const section = valueAt(config, `baselines.${sectionOf(method)}`) as Partial<Training> | undefined;
    if (section === undefined || typeof section.epochs !== 'number') return null;
    return stepsFor({ steps: null, batchSize: 1, ...section } as Training, cases);
  },
};

type Training = {
  readonly steps: number | null;
  readonly epochs: number;
  readonly batchSize: number;
  /** Of methods whose epoch is so many steps, whatever the data. */
  readonly iterationsPerEpoch?: number;
};

const stepsFor = ({ steps, epochs, batchSize, iterationsPerEpoch }: Training, cases: number): number =>
  steps ?? epochs * (iterationsPerEpoch ?? Math.max(1, Math.ceil(cases / batchSize)));
