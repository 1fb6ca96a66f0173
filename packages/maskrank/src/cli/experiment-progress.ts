// An experiment as a person watches it: what is at work, what is done, the time left; and its plan. Not here: the jobs (experiments/).

import { availableParallelism } from 'node:os';
import { trialsOf } from '../experiments/calibrate.ts';
import { type RunStep, runChild } from '../experiments/child.ts';
import { type Estimator, makeEstimator } from '../experiments/estimate.ts';
import type { Experiment } from '../experiments/experiment.ts';
import { chainOf, type Graph, type Job, type JobKind, shardOf } from '../experiments/graph.ts';
import { runJobs, type ScheduleEvent, type ScheduleResult } from '../experiments/schedule.ts';
import type { Overrides } from '../experiments/settings.ts';
import type { Store } from '../experiments/store.ts';
import type { Shard } from '../pipeline/prompt/shard.ts';
import { duration } from './progress.ts';
import { textTable } from './table.ts';
import type { VerbContext } from './verb.ts';

type Context = Pick<VerbContext, 'progress' | 'warn' | 'out' | 'signal' | 'command'>;

type Running = {
  readonly context: Context;
  readonly parallel: number;
  readonly device: string;
  /** Of the configuration; 0 shares the processors out. */
  readonly threads: number;
  /** Replaceable for tests. */
  readonly runStep?: RunStep;
};

/** Threads of one of several jobs at a time. */
const threadsFor = ({ threads, parallel }: Pick<Running, 'threads' | 'parallel'>): number =>
  threads > 0 ? threads : Math.max(1, Math.floor(availableParallelism() / parallel));

/** Does the jobs with a line for each and the time left. */
export async function runExperiment(
  { graph, store }: Pick<Experiment, 'graph' | 'store'>,
  { shard, ...running }: Running & { readonly shard?: Shard | undefined },
): Promise<ScheduleResult & { readonly seconds: number }> {
  const started = performance.now();
  const mine = shard === undefined ? undefined : shardOf(graph, shard);
  const estimate = await makeEstimator(graph, store);
  const result = await runWatched(graph, store, running, mine, estimate);
  return { ...result, seconds: (performance.now() - started) / 1000 };
}

async function runWatched(
  graph: Graph,
  store: Store,
  { context, parallel, device, threads, runStep = runChild() }: Running,
  mine: ReadonlySet<string> | undefined,
  firstEstimate: Estimator,
): Promise<ScheduleResult> {
  const { progress, warn, signal, command } = context;
  const keys = [...graph.jobs.keys()].filter((key) => mine === undefined || mine.has(key));
  const done = new Set<string>();
  const said = new Set<string>();
  let estimate = firstEstimate;
  // Without a total: its rate would tell a time left that counts a division like a training.
  const task = progress.task('done', { unit: 'jobs' });
  /** Estimated work that is not done, over the jobs at a time; nothing where a kind is unknown. */
  const left = (): string => {
    const open = keys.filter((key) => !done.has(key)).map((key) => estimate(graph.jobs.get(key)!).seconds);
    if (open.some((seconds) => seconds === null)) return `of ${keys.length}`;
    const sum = open.reduce<number>((total, seconds) => total + (seconds as number), 0);
    return `of ${keys.length}, about ${duration(sum / parallel)} left`;
  };
  const once = (text: string, say: (text: string) => void): void => {
    if (said.has(text)) return;
    said.add(text);
    say(text);
  };
  const events: { [K in ScheduleEvent['kind']]: (event: Extract<ScheduleEvent, { kind: K }>) => void } = {
    // What a finished job stood on is not asked for any more.
    found: ({ job }) => {
      for (const { key } of chainOf(graph, job.key)) done.add(key);
    },
    corrupt: ({ job, why }) => warn(`${job.title}: ${why}; it is done again (${store.folder(job)})`),
    started: ({ job, resumed }) => task.update(done.size, `${job.title}${resumed ? ' goes on' : ''}`),
    line: ({ job, line }) => task.update(done.size, `${left()}  ${job.title}: ${line}`),
    finished: ({ job, record }) => {
      done.add(job.key);
      const seconds = record.seconds === null ? '' : ` in ${duration(record.seconds)}`;
      progress.note(`${job.title}: done${seconds}`);
      // Every finished job tells more of those to come.
      makeEstimator(graph, store).then(
        (better) => {
          estimate = better;
        },
        () => {},
      );
      task.update(done.size, left());
    },
    failed: ({ job, message }) => warn(`${job.title} failed: ${message}`),
    waiting: ({ job, why }) => once(`${job.title} waits: ${why}`, progress.note),
  };
  try {
    return await runJobs({
      graph,
      store,
      runStep,
      parallel,
      device,
      threads: threadsFor({ threads, parallel }),
      mine,
      signal,
      command,
      on: (event) => (events[event.kind] as (event: ScheduleEvent) => void)(event),
    });
  } finally {
    task.end();
  }
}

export type Plan = {
  readonly jobs: number;
  readonly done: number;
  /** Null where a kind of job was never measured. */
  readonly seconds: number | null;
  readonly kinds: readonly PlanLine[];
};

type PlanLine = {
  readonly kind: string;
  readonly jobs: number;
  readonly done: number;
  readonly units: number | null;
  readonly seconds: number | null;
};

const UNIT: Readonly<Record<JobKind, string>> = {
  split: 'divisions',
  prompts: 'cases and classes',
  stage1: 'steps',
  stage2: 'steps',
  evaluation: 'masks',
  baseline: 'steps',
};

/** Counts what there is to do, with its cost where a job of its kind was measured. */
export async function planExperiment(
  experiment: Pick<Experiment, 'definition' | 'rows' | 'data' | 'graph' | 'store'>,
  running: Running & { readonly calibrate: boolean; readonly person: Overrides },
): Promise<Plan> {
  const { graph, store } = experiment;
  const { context, parallel } = running;
  const trials = running.calibrate ? await trialsOf(experiment, running.person) : [];
  for (const trial of trials) {
    const estimate = await makeEstimator(trial.graph, trial.store);
    const { failed } = await runWatched(
      trial.graph,
      trial.store,
      { ...running, parallel: 1 },
      undefined,
      estimate,
    );
    for (const { job } of failed)
      context.warn(`calibration of ${job.title} failed: ${trial.store.error(job)} says why`);
  }
  const estimate = await makeEstimator(graph, store, trials);
  const isDone = (job: Job) => store.record(job) !== undefined;
  const nameOf = ({ kind, method }: Job) => (kind === 'baseline' ? `baseline ${method}` : kind);
  const jobs = [...graph.jobs.values()];
  const kinds = [...new Set(jobs.map(nameOf))].map((kind): PlanLine => {
    const own = jobs.filter((job) => nameOf(job) === kind);
    const open = own.filter((job) => !isDone(job)).map(estimate);
    return {
      kind,
      jobs: own.length,
      done: own.length - open.length,
      units: total(open.map(({ units }) => units)),
      seconds: total(open.map(({ seconds }) => seconds)),
    };
  });
  const seconds = total(kinds.map((line) => line.seconds));
  const unitOf = (kind: string) => UNIT[jobs.find((job) => nameOf(job) === kind)!.kind];
  context.out(
    textTable([
      ['job', 'number', 'done', 'to do', 'time'],
      ...kinds.map(({ kind, jobs: count, done, units, seconds: time }) => [
        kind,
        count,
        done,
        units === null ? '–' : `${units} ${unitOf(kind)}`,
        time === null ? 'not measured yet' : duration(time),
      ]),
    ]),
  );
  const done = kinds.reduce((sum, line) => sum + line.done, 0);
  context.out(
    seconds === null
      ? `${jobs.length - done} of ${jobs.length} jobs to do; --calibrate measures what they cost`
      : `${jobs.length - done} of ${jobs.length} jobs to do, about ${duration(seconds)} of work, ${duration(seconds / parallel)} with ${parallel} at a time if the machine has as much for each`,
  );
  return { jobs: jobs.length, done, seconds, kinds };
}

const total = (values: readonly (number | null)[]): number | null =>
  values.some((value) => value === null)
    ? null
    : values.reduce<number>((sum, value) => sum + (value as number), 0);
