// RUN/metrics.jsonl: the physics of training, a line a logged step. On resume the lines beyond the restored step are
// dropped, so the curve never shows steps that did not happen. Not here: drawing (report), deciding (training loops).

import { type FsyncPolicy, JsonlStore, type JsonObject, readJsonl } from './jsonl.ts';

/** A line; what was not measured is left out. Loss parts and timings are means over the steps since the line before. */
export type MetricsLine = JsonObject & {
  readonly stage: 'stage1' | 'stage2' | 'pretraining' | `baseline ${string}`;
  /** Optimiser steps done, from 1. */
  readonly step: number;
  /** Passes over the data, fractional. */
  readonly epoch: number;
  /** Loss parts by name, unweighted, and `total` as optimised. */
  readonly losses?: Readonly<Record<string, number>>;
  readonly learningRate?: number;
  readonly imagesPerSecond?: number;
  /** Where the step's time went, milliseconds a step by part: data, forward, backward, optimiser. */
  readonly ms?: Readonly<Record<string, number>>;
  readonly peakMemoryBytes?: number;
  /** Mean Dice 0..1 on the validation cases. */
  readonly validationDice?: number;
  /** Mean reward R of Eq. (5) over the cases with a signal. */
  readonly rewardMean?: number;
  /** Reward of the best candidate less that of the worst, mean over the cases with a signal. */
  readonly rewardMargin?: number;
  /** Part 0..1 of the cases with a preference signal. */
  readonly activeShare?: number;
  /** Part 0..1 of the pixels without a mask whose pseudo-label counted. */
  readonly sureShare?: number;
  /** The proposals were refreshed and the reference re-synchronised before this step. */
  readonly refreshed?: boolean;
  /** An alarm was raised at this step; its text stands in log.jsonl. */
  readonly alarm?: boolean;
};

/** A line of a run's own stages. */
export type RunMetricsLine = MetricsLine & { readonly stage: 'stage1' | 'stage2' };

export type MetricsOptions = {
  readonly fsync?: FsyncPolicy;
};

export class MetricsLog {
  readonly #store: JsonlStore<MetricsLine>;

  private constructor(store: JsonlStore<MetricsLine>) {
    this.#store = store;
  }

  static open(path: string, { fsync = 'close' }: MetricsOptions = {}): MetricsLog {
    return new MetricsLog(JsonlStore.open(path, { what: 'metrics log', parse: parseMetrics, fsync }));
  }

  log(line: MetricsLine): void {
    this.#store.append(roundNumbers(line) as MetricsLine);
  }

  /** Drops this stage's lines beyond `step` (0: all of them). Returns how many went. */
  async resumeAt(stage: MetricsLine['stage'], step: number): Promise<number> {
    return this.#store.retain((line) => line.stage !== stage || line.step <= step);
  }

  entries(): readonly MetricsLine[] {
    return this.#store.entries();
  }

  close(): void {
    this.#store.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** All lines of a run, for readers; a torn last line (a writer may be at work) is left out. */
export function readMetrics(path: string): readonly RunMetricsLine[] {
  const { entries } = readJsonl(path, { what: 'metrics log', parse: parseMetrics });
  return entries.filter((line): line is RunMetricsLine => line.stage === 'stage1' || line.stage === 'stage2');
}

function parseMetrics(value: JsonObject): MetricsLine {
  const { stage, step, epoch } = value;
  if (typeof stage !== 'string' || !/^(stage1|stage2|pretraining|baseline .+)$/.test(stage))
    throw new TypeError(
      `stage = ${JSON.stringify(stage)}, allowed: stage1, stage2, pretraining, "baseline NAME".`,
    );
  for (const [field, number] of Object.entries({ step, epoch }))
    if (typeof number !== 'number')
      throw new TypeError(`${field} = ${JSON.stringify(number)}, allowed: a number.`);
  return value as MetricsLine;
}

/** Six significant digits: what a curve can show. Integers stay whole; NaN and infinities become null, as JSON has none. */
function roundNumbers(value: unknown): unknown {
  if (typeof value === 'number')
    return Number.isInteger(value) ? value : Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
  if (Array.isArray(value)) return value.map(roundNumbers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, roundNumbers(child)]));
}
