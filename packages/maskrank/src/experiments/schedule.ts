// Does the jobs of a graph: several at a time where memory allows, each claimed, in processes of their own; what is done is not
// repeated, what is corrupt is done again, what fails stops only those that need it. A full disk stops everything, and nothing is lost.
// Not here: what a job is (graph.ts, steps.ts), where results lie (store.ts), tables (collect.ts).

import { existsSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { freemem, hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError } from '@maskrank/torch/errors';
import { InUseError } from '../run/in-use.ts';
import type { RunStep, StepOutcome } from './child.ts';
import type { Graph, Job, JobKind } from './graph.ts';
import { splitsFile, stepsOf } from './steps.ts';
import type { JobRecord, Store } from './store.ts';

export type ScheduleOptions = {
  readonly graph: Graph;
  readonly store: Store;
  readonly runStep: RunStep;
  /** Jobs at a time. */
  readonly parallel: number;
  /** Engine threads of a job. */
  readonly threads: number;
  readonly device: string;
  /** Keys to do; default all. */
  readonly mine?: ReadonlySet<string> | undefined;
  readonly signal: AbortSignal;
  readonly command: string;
  readonly on: (event: ScheduleEvent) => void;
  /** Between two looks at jobs that another command has, ms. Default 2000. */
  readonly pollMs?: number;
  /** Bytes that are free to the store; replaceable for tests. */
  readonly freeDisk?: () => number;
  /** Bytes that a new process may take; replaceable for tests. */
  readonly freeMemory?: () => number;
};

export type ScheduleEvent =
  | { readonly kind: 'found'; readonly job: Job }
  | { readonly kind: 'corrupt'; readonly job: Job; readonly why: string }
  | { readonly kind: 'started'; readonly job: Job; readonly resumed: boolean }
  | { readonly kind: 'line'; readonly job: Job; readonly line: string }
  | { readonly kind: 'finished'; readonly job: Job; readonly record: JobRecord }
  | { readonly kind: 'failed'; readonly job: Job; readonly message: string }
  | { readonly kind: 'waiting'; readonly job: Job; readonly why: string };

export type Failure = { readonly job: Job; readonly message: string };

export type ScheduleResult = {
  /** Keys that were done here and now, and that were done before. */
  readonly done: ReadonlySet<string>;
  readonly found: ReadonlySet<string>;
  readonly failed: readonly Failure[];
  /** Jobs that wait for a failed one. */
  readonly blocked: readonly Job[];
};

/** Below this nothing new is begun. */
const LEAST_FREE_BYTES = 64 * 2 ** 20;
/** What a job is expected to need where none of its kind was measured. */
const EXPECTED_BYTES: Readonly<Record<JobKind, number>> = {
  split: 0.2 * 2 ** 30,
  prompts: 2 * 2 ** 30,
  stage1: 2 * 2 ** 30,
  stage2: 1.5 * 2 ** 30,
  evaluation: 1 * 2 ** 30,
  baseline: 2 * 2 ** 30,
};

/** The disk is full: everything stops. */
class DiskFull extends DataError {}

export async function runJobs(options: ScheduleOptions): Promise<ScheduleResult> {
  const { graph, store, parallel, signal, on, pollMs = 2000 } = options;
  const found = new Set<string>();
  const done = new Set<string>();
  const failed = new Map<string, string>();
  const wanted = await stillToDo(options, found);
  const running = new Map<string, Promise<void>>();
  /** Jobs that another command has, and when to look again. */
  const elsewhere = new Map<string, number>();
  const isThere = (key: string) => done.has(key) || found.has(key);
  const canNeverRun = (key: string): boolean =>
    failed.has(key) || graph.jobs.get(key)!.needs.some((need) => wanted.has(need) && canNeverRun(need));
  const isReady = (key: string) =>
    !isThere(key) &&
    !failed.has(key) &&
    !running.has(key) &&
    (elsewhere.get(key) ?? 0) <= performance.now() &&
    graph.jobs.get(key)!.needs.every(isThere);
  // Also ends the others when the disk is full.
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  let fatal: unknown;

  const begin = (job: Job): void => {
    elsewhere.delete(job.key);
    const work = doJob(job, { ...options, signal: both })
      .then((outcome) => {
        if (outcome === 'elsewhere') {
          elsewhere.set(job.key, performance.now() + pollMs);
          return;
        }
        (outcome === 'found' ? found : done).add(job.key);
      })
      .catch((error: unknown) => {
        if (both.aborted && !(error instanceof JobFailed)) return;
        if (error instanceof JobFailed) {
          failed.set(job.key, error.message);
          on({ kind: 'failed', job, message: error.message });
          return;
        }
        fatal ??= error;
        stop.abort(error);
      })
      .finally(() => running.delete(job.key));
    running.set(job.key, work);
  };

  while (!both.aborted) {
    const ready = [...wanted].filter(isReady);
    for (const key of ready) {
      if (running.size >= parallel) break;
      const job = graph.jobs.get(key)!;
      if (running.size > 0 && !fitsInMemory(job, options)) break;
      const free = (options.freeDisk ?? (() => freeDisk(store.dir)))();
      if (free < LEAST_FREE_BYTES) {
        fatal ??= fullDisk(store, `${Math.floor(free / 2 ** 20)} MiB are left`);
        stop.abort(fatal);
        break;
      }
      begin(job);
    }
    if (running.size === 0 && elsewhere.size === 0) break;
    const pause = sleep(pollMs, undefined, { signal: both }).catch(() => {});
    await Promise.race([...running.values(), pause]);
  }
  await Promise.all(running.values());
  if (fatal !== undefined) throw fatal;
  signal.throwIfAborted();
  const blocked = [...wanted].filter((key) => !isThere(key) && !failed.has(key) && canNeverRun(key));
  return {
    done,
    found,
    failed: [...failed].map(([key, message]) => ({ job: graph.jobs.get(key)!, message })),
    blocked: blocked.map((key) => graph.jobs.get(key)!),
  };
}

/** Keys in the order of the graph of what is not done: ends first looked at, what they stand on only where they need it. */
async function stillToDo(
  { graph, store, mine, on, signal }: ScheduleOptions,
  found: Set<string>,
): Promise<ReadonlySet<string>> {
  const missing = new Set<string>();
  const look = async (key: string): Promise<void> => {
    if (found.has(key) || missing.has(key)) return;
    signal.throwIfAborted();
    const job = graph.jobs.get(key)!;
    const state = await store.check(job);
    if (state.state === 'done') {
      found.add(key);
      on({ kind: 'found', job });
      return;
    }
    if (state.state === 'corrupt') on({ kind: 'corrupt', job, why: state.why });
    missing.add(key);
    for (const need of job.needs) await look(need);
  };
  for (const { job } of graph.cells) if (mine === undefined || mine.has(job)) await look(job);
  return new Set([...graph.jobs.keys()].filter((key) => missing.has(key)));
}

class JobFailed extends Error {}

async function doJob(job: Job, options: ScheduleOptions): Promise<'done' | 'found' | 'elsewhere'> {
  const { graph, store, signal, command, on } = options;
  let claim: ReturnType<Store['claim']>;
  try {
    claim = store.claim(job, command);
  } catch (error) {
    if (!(error instanceof InUseError)) throw asDiskFull(error, store);
    on({ kind: 'waiting', job, why: error.message });
    return 'elsewhere';
  }
  try {
    // Another command may have done it before the claim.
    const state = await store.check(job);
    if (state.state === 'done') {
      on({ kind: 'found', job });
      return 'found';
    }
    if (state.state === 'corrupt' || isSpoilt(job, store)) store.discard(job);
    const from = job.from === undefined ? undefined : graph.jobs.get(job.from)!;
    const splits = job.splits === undefined ? undefined : splitsFile(graph.jobs.get(job.splits)!, store);
    const resumed = await store.prepare(job, from, splits);
    on({ kind: 'started', job, resumed });
    const startedAt = new Date().toISOString();
    const steps: JobRecord['steps'] = [];
    let peak: number | null = null;
    for (const argv of stepsOf(job, options)) {
      const outcome = await runStep(job, argv, options);
      if (outcome.interrupted) {
        signal.throwIfAborted();
        throw new JobFailed('it was asked to stop, though not by this command');
      }
      if (outcome.failure !== null) throw failure(job, argv, outcome, store);
      steps.push({ command: commandText(argv), seconds: round(outcome.seconds) });
      if (outcome.peakMemoryBytes !== null) peak = Math.max(peak ?? 0, outcome.peakMemoryBytes);
    }
    const record = await store.finish(job, {
      steps,
      seconds: resumed ? null : round(steps.reduce((sum, { seconds }) => sum + seconds, 0)),
      peakMemoryBytes: peak,
      startedAt,
      finishedAt: new Date().toISOString(),
      host: hostname(),
    });
    on({ kind: 'finished', job, record });
    return 'done';
  } catch (error) {
    throw error instanceof JobFailed ? error : asDiskFull(error, store);
  } finally {
    claim.release();
  }
}

/** One command; one that a killed command left behind may still be at work in the run, and is waited for. */
async function runStep(
  job: Job,
  argv: readonly string[],
  { store, threads, signal, on, runStep: run, pollMs = 2000 }: ScheduleOptions,
): Promise<StepOutcome> {
  for (;;) {
    signal.throwIfAborted();
    store.note(job, `\n$ ${commandText(argv)}\n`);
    const onLine = (line: string) => on({ kind: 'line', job, line });
    const outcome = await run({ argv, threads, log: store.log(job), signal, onLine });
    // Asked to stop before it could listen.
    if (outcome.failure?.kind === 'killed') signal.throwIfAborted();
    if (outcome.failure?.kind !== 'in-use') return outcome;
    on({ kind: 'waiting', job, why: outcome.failure.message });
    await sleep(pollMs, undefined, { signal }).catch(() => {});
  }
}

/** Keeps the whole error and says where; a full disk is no fault of the job. */
function failure(job: Job, argv: readonly string[], outcome: StepOutcome, store: Store): Error {
  const { message, kind } = outcome.failure!;
  if (isAboutSpace(`${message}\n${outcome.stderr}`)) return fullDisk(store, message);
  const code = outcome.code === null ? `signal ${outcome.killedBy}` : `exit code ${outcome.code}`;
  writeFileSync(
    store.error(job),
    `${job.title}\n$ ${commandText(argv)}\n${kind}, ${code}\n\n${outcome.stderr}\n`,
  );
  return new JobFailed(message);
}

/** What a job left that failed on its data: going on with it would fail again. */
const isSpoilt = (job: Job, store: Store): boolean =>
  existsSync(store.error(job)) && /^(data|usage), exit code/m.test(readFileSync(store.error(job), 'utf8'));

const isAboutSpace = (text: string): boolean => /ENOSPC|EDQUOT|no space left|quota exceeded/i.test(text);

function asDiskFull(error: unknown, store: Store): unknown {
  const text = error instanceof Error ? `${error.message} ${(error as NodeJS.ErrnoException).code}` : '';
  return isAboutSpace(text) ? fullDisk(store, (error as Error).message) : error;
}

const fullDisk = (store: Store, what: string): DiskFull =>
  new DiskFull(
    `${store.dir}: the disk is full (${what}). Every finished job is kept; jobs at work stopped and go on where they were. Free some space, then give the same command again.`,
  );

const freeDisk = (dir: string): number => {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
};

/** Whether another job may begin beside those that run, by what jobs of its kind needed. */
function fitsInMemory(job: Job, { store, freeMemory = availableMemory }: ScheduleOptions): boolean {
  const measured = store
    .records()
    .filter(({ kind, peakMemoryBytes }) => kind === job.kind && peakMemoryBytes !== null)
    .map(({ peakMemoryBytes }) => peakMemoryBytes as number);
  const expected = measured.length === 0 ? EXPECTED_BYTES[job.kind] : 1.1 * Math.max(...measured);
  return freeMemory() > expected;
}

/** Bytes that a new process may take without others being moved out. */
export function availableMemory(): number {
  try {
    const found = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    if (found !== undefined) return Number(found) * 1024;
  } catch {
    // Not Linux: what the system calls free.
  }
  return freemem();
}

const round = (seconds: number): number => Math.round(seconds * 10) / 10;

/** As a person would type it. */
export const commandText = (argv: readonly string[]): string =>
  ['maskrank', ...argv].map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`)).join(' ');
