// What a promptable network does on datasets that it was not trained on, class by class, beside what the box alone tells.
// Not here: how one case is judged (promptable-quality.ts).

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Generator } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { openDataset } from '../datasets/cases.ts';
import { fileHash } from '../datasets/hash.ts';
import type { SplitName } from '../datasets/schema.ts';
import { readSplits } from '../datasets/splits.ts';
import { NORMALISATIONS } from '../imaging/normalise.ts';
import { loadSam } from '../models/sam/index.ts';
import { Random } from '../util/random.ts';
import { loadPromptable } from './promptable-cases.ts';
import { judgeCase, meanQuality, type UnitQuality, type Way } from './promptable-quality.ts';

export type ZeroShotRequest = {
  /** A checkpoint of a SAM. */
  readonly weights: string;
  /** Folders of datasets. */
  readonly datasets: readonly string[];
  /** Which cases; `all` needs no division. */
  readonly splits: readonly SplitName[] | 'all';
  /** Cases of each dataset at most, a seeded choice. */
  readonly mostCases?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (dataset: string, done: number, total: number) => void;
};

/** Mean Dice over the cases that show a class. */
export type ZeroShotRow = {
  readonly dataset: string;
  readonly class: string;
  readonly cases: number;
  /** Mean part of the canvas that the class covers, 0..1. */
  readonly size: number;
  readonly dice: Readonly<Record<Way, number>>;
};

export type ZeroShotResult = {
  readonly weightsHash: string;
  readonly datasets: readonly { readonly name: string; readonly hash: string; readonly cases: number }[];
  readonly rows: readonly ZeroShotRow[];
};

export async function zeroShot(request: ZeroShotRequest): Promise<ZeroShotResult> {
  const { weights, splits, mostCases = Infinity, signal = new AbortController().signal } = request;
  using sam = await loadSam(weights, { generator: Generator.seeded(0) });
  sam.eval();
  const canvas = {
    imageSize: sam.config.imageSize,
    rule: sam.config.geometry,
    normalisation: NORMALISATIONS.sam,
  };
  const datasets: { name: string; hash: string; cases: number }[] = [];
  const rows: ZeroShotRow[] = [];
  for (const [source, dir] of request.datasets.entries()) {
    const opened = await openDataset(dir);
    const { name, classes } = opened.dataset;
    const ids = await caseIds(opened, splits);
    const order = new Random(0).shuffle(ids).slice(0, mostCases);
    const units: UnitQuality[] = [];
    const sizes = new Map<string, number>();
    let done = 0;
    for (const id of order) {
      // One by one: a dataset need not fit into memory.
      for (const item of await loadPromptable(opened, [id], { ...canvas, source, signal })) {
        for (const { classId, areaPx } of item.classes)
          sizes.set(`${id}/${classId}`, areaPx / canvas.imageSize ** 2);
        units.push(...judgeCase(sam, item, canvas.normalisation));
      }
      done += 1;
      request.onProgress?.(name, done, order.length);
    }
    for (const cls of classes) {
      const own = units.filter(({ classId }) => classId === cls.id);
      if (own.length === 0) continue;
      const size =
        own.reduce((sum, { caseId }) => sum + (sizes.get(`${caseId}/${cls.id}`) as number), 0) / own.length;
      rows.push({ dataset: name, class: cls.name, cases: own.length, size, dice: meanQuality(own) });
    }
    datasets.push({ name, hash: opened.hash, cases: order.length });
  }
  return { weightsHash: (await fileHash(weights)).sha256, datasets, rows };
}

async function caseIds(
  opened: Awaited<ReturnType<typeof openDataset>>,
  splits: readonly SplitName[] | 'all',
): Promise<string[]> {
  if (splits === 'all') return opened.labelled().map(({ id }) => id);
  const path = join(opened.dir, 'splits.json');
  if (!existsSync(path))
    throw new DataError(
      `${path}: is not there; divide the dataset, or take all cases: maskrank dataset split`,
    );
  const division = await readSplits(path, opened);
  const withMasks = new Set(opened.labelled().map(({ id }) => id));
  return splits.flatMap((name) => division[name]).filter((id) => withMasks.has(id));
}
