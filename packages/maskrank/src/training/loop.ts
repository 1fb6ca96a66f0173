// The frame of a training loop: go on from the saved state, step, log, save, stop when asked, and lose nothing.
// What a step does is the caller's. Both stages and every control run in it.

import type { ArtefactHeader } from '../run/header.ts';
import type { MetricsLine, MetricsLog } from '../run/metrics.ts';
import { type LoopFacts, type LoopState, loadLoopState, saveLoopState } from './state.ts';

/** What one step reports. Numbers are averaged over the steps since the last logged line. */
export type StepReport = {
  /** Loss parts by name, unweighted, and `total`. */
  readonly losses: Readonly<Record<string, number>>;
  /** Milliseconds by part: data, forward, backward, optimiser. */
  readonly ms: Readonly<Record<string, number>>;
  readonly images: number;
  readonly learningRate: number;
  /** Passes over the data so far. */
  readonly epoch: number;
  /** Further fields of the line: of several steps, each field from the last one that has it. */
  readonly extra?: Partial<MetricsLine>;
  /** Ends the loop after this step (early stopping, an alarm). */
  readonly stop?: boolean;
};

export type LoopOptions = {
  readonly stage: MetricsLine['stage'];
  /** Name in messages and of the progress bar. */
  readonly label: string;
  readonly totalSteps: number;
  readonly state: LoopState;
  readonly statePath: string;
  readonly header: ArtefactHeader;
  /** Command that begins the stage anew, for messages about a stale state. */
  readonly rerun: string;
  readonly checkpointEverySteps: number;
  readonly logEverySteps: number;
  readonly metrics: MetricsLog | null;
  readonly signal: AbortSignal;
  /** Steps done, of how many, and a few words. */
  readonly onProgress: (done: number, total: number, note: string) => void;
  /** Facts that belong to the saved state beside the step (best validation so far, ...). */
  readonly facts?: () => Readonly<Record<string, unknown>>;
  /** Called once with what was restored, before the first step. */
  readonly onRestore?: (facts: LoopFacts) => void | Promise<void>;
};

/** Mean of each named number over several reports. */
function meanOf(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))];
  return Object.fromEntries(
    names.map((name) => {
      const values = records.map((record) => record[name]).filter((value) => value !== undefined);
      return [name, values.reduce((sum, value) => sum + value, 0) / values.length];
    }),
  );
}

function lineOf(
  stage: MetricsLine['stage'],
  step: number,
  reports: readonly StepReport[],
  elapsedMs: number,
): MetricsLine {
  const last = reports.at(-1) as StepReport;
  const images = reports.reduce((sum, report) => sum + report.images, 0);
  return {
    stage,
    step,
    epoch: last.epoch,
    losses: meanOf(reports.map((report) => report.losses)),
    learningRate: last.learningRate,
    imagesPerSecond: images / (elapsedMs / 1000),
    ms: meanOf(reports.map((report) => report.ms)),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    ...reports.reduce((fields, report) => Object.assign(fields, report.extra), {}),
  };
}

/** Lets timers and signal handlers run between steps. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Runs `step` for every step from the restored one to `totalSteps`. When `signal` is aborted the state is saved and its
 * reason is thrown. Returns the number of steps done. A step that is about to take long calls `keep` before it changes
 * anything: whatever ends it, the steps before it are not lost.
 */
export async function runLoop(
  options: LoopOptions,
  step: (index: number, keep: () => Promise<void>) => StepReport | Promise<StepReport>,
): Promise<number> {
  const { stage, totalSteps, state, statePath, header, metrics, signal } = options;
  const restored = await loadLoopState(statePath, state, { header, rerun: options.rerun });
  const facts = restored ?? { step: 0 };
  await options.onRestore?.(facts);
  await metrics?.resumeAt(stage, facts.step);
  let saved = restored?.step;
  const save = async (done: number, stopped: boolean): Promise<void> => {
    await saveLoopState(statePath, state, { step: done, stopped, ...options.facts?.() }, header);
    saved = done;
  };

  let pending: StepReport[] = [];
  let since = performance.now();
  let done = facts.step;
  options.onProgress(done, totalSteps, done > 0 ? `resumed at step ${done}` : '');
  if (facts.stopped === true) return done;
  while (done < totalSteps) {
    if (signal.aborted) {
      await save(done, false);
      signal.throwIfAborted();
    }
    const report = await step(done, async () => {
      if (saved !== done) await save(done, false);
    });
    done += 1;
    pending.push(report);
    const last = done === totalSteps || report.stop === true;
    if (done % options.logEverySteps === 0 || last) {
      metrics?.log(lineOf(stage, done, pending, performance.now() - since));
      pending = [];
      since = performance.now();
    }
    options.onProgress(done, totalSteps, `loss ${(report.losses.total ?? Number.NaN).toFixed(4)}`);
    if (done % options.checkpointEverySteps === 0 || last) await save(done, report.stop === true);
    if (report.stop) break;
    await breathe();
  }
  return done;
}
