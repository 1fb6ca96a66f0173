// What every pretraining job shares: it learns from the training splits of datasets into one file FILE. Beside FILE lie
// FILE.state.safetensors, from which a stopped training goes on exactly, and FILE.metrics.jsonl. FILE tells from what it was made;
// one that was made otherwise is refused, not overwritten. Not here: what is learned (the recipes beside this file).

import { existsSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setThreads } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { openSafetensors } from '@maskrank/torch/io';
import { type OpenDataset, openDataset } from '../../datasets/cases.ts';
import type { Splits } from '../../datasets/schema.ts';
import { readSplits } from '../../datasets/splits.ts';
import type { Config, ConfigSection } from '../../run/config.ts';
import { type ArtefactHeader, headerFromMetadata, refuseStale } from '../../run/header.ts';
import { Lock } from '../../run/lock.ts';
import { MetricsLog } from '../../run/metrics.ts';
import { configHash } from '../../run/resolve.ts';
import type { PretrainingLoop } from '../../training/pretraining.ts';
import { splitsHash } from '../finetune.ts';

export type PretrainRequest = {
  /** Folders of the datasets. */
  readonly datasets: readonly string[];
  /** The .safetensors to write. */
  readonly out: string;
  readonly config: Config;
  /** Discards what was trained. */
  readonly restart: boolean;
  readonly command: string;
  readonly signal: AbortSignal;
  readonly onProgress: (label: string, done: number, total: number, note?: string) => void;
  readonly warn: (text: string) => void;
};

/** A dataset with its division. */
export type Source = { readonly opened: OpenDataset; readonly splits: Splits };

export type PretrainFrame = {
  readonly sources: readonly Source[];
  /** What the weights depend on; belongs into FILE's metadata. */
  readonly header: ArtefactHeader;
  /** FILE is there already, made from the same. */
  readonly isDone: boolean;
  /** Runs `train` with its metrics open. */
  readonly withLoop: <T>(train: (loop: PretrainingLoop) => Promise<T>) => Promise<T>;
};

/** What one recipe depends on besides the datasets: its section of the configuration and files or lists by name. */
export type Recipe = {
  readonly section: ConfigSection;
  readonly madeFrom: Readonly<Record<string, string>>;
};

/**
 * Runs `body` while nobody else may write `request.out`.
 * @throws UsageError for another ending; DataError for a FILE made from other data or settings; LockedError
 */
export async function pretrainInto<T>(
  request: PretrainRequest,
  recipe: Recipe,
  body: (frame: PretrainFrame) => Promise<T>,
): Promise<T> {
  const { out, config, command, restart } = request;
  if (!out.endsWith('.safetensors'))
    throw new UsageError(`--out ${out}: allowed is a file that ends in .safetensors.`);
  const lock = Lock.acquire(`${out}.lock`, { command });
  try {
    setThreads(config.threads > 0 ? config.threads : availableParallelism());
    if (restart)
      for (const path of [out, statePathOf(out), metricsPathOf(out)]) rmSync(path, { force: true });
    const sources = await openSources(request);
    const header = headerOf(config, recipe, sources);
    const rerun = `${command} --restart`;
    const isDone = existsSync(out);
    if (isDone) await refuseOther(out, header, rerun);
    return await body({
      sources,
      header,
      isDone,
      withLoop: async (train) => {
        using metrics = MetricsLog.open(metricsPathOf(out));
        return await train({
          statePath: statePathOf(out),
          header,
          rerun,
          metrics,
          signal: request.signal,
          onProgress: (done, total, note) => request.onProgress('training', done, total, note),
        });
      },
    });
  } finally {
    lock.release();
  }
}

const statePathOf = (out: string): string => `${out}.state.safetensors`;
const metricsPathOf = (out: string): string => `${out}.metrics.jsonl`;

async function openSources({ datasets, config }: PretrainRequest): Promise<Source[]> {
  const sources: Source[] = [];
  for (const dir of datasets) {
    const opened = await openDataset(dir);
    sources.push({ opened, splits: await readSplits(join(opened.dir, config.data.splits), opened) });
  }
  return sources;
}

function headerOf(config: Config, { section, madeFrom }: Recipe, sources: readonly Source[]): ArtefactHeader {
  const inputs = sources.flatMap(({ opened, splits }, i) => [
    [`dataset ${i + 1}`, opened.hash],
    [`splits ${i + 1}`, splitsHash({ splits })],
  ]);
  return {
    schemaVersion: 1,
    configHash: configHash(config, [section]),
    madeFrom: { ...Object.fromEntries(inputs), ...madeFrom },
  };
}

async function refuseOther(out: string, header: ArtefactHeader, rerun: string): Promise<void> {
  await using file = await openSafetensors(out);
  const { schemaVersion, configHash, madeFrom } = header;
  refuseStale(out, headerFromMetadata(file.metadata), { schemaVersion, configHash, madeFrom, rerun });
}

/** Items of small sources several times, so that each source has about as many as the largest. */
export function evened<T extends { readonly source: number }>(items: readonly T[]): T[] {
  const counts = new Map<number, number>();
  for (const { source } of items) counts.set(source, (counts.get(source) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return items.flatMap((item) => {
    const times = Math.round(most / (counts.get(item.source) as number));
    return new Array<T>(times).fill(item);
  });
}

/** Whether a class is one of a pair: in a mirrored image its name would be wrong. */
export const namesSides = ({ dataset }: OpenDataset): boolean =>
  dataset.classes.some(({ name }) => /\b(left|right)\b/i.test(name));
