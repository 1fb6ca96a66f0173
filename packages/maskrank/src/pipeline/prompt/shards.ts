// Parts of the work that run side by side, and the lines that they write: which cases are whose, which file is whose, and which
// lines anywhere in the run are good. A line is good when its identity is the one that would be made now, so it does not matter
// who made it, in how many parts, or when. Not here: making lines (job.ts).

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import { type PromptLine, promptKey, readPrompts } from '../../prompting/prompt-store.ts';

/** Part `index` (from 1) of `count`. */
export type Shard = { readonly index: number; readonly count: number };

/** `2/8` */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d{1,5})\/(\d{1,5})$/.exec(text.trim())?.map(Number) ?? [];
  if (index !== undefined && count !== undefined && index >= 1 && index <= count) return { index, count };
  throw new UsageError(`'${text}' is no part, allowed: i/n with 1 <= i <= n, as 2/8.`);
}

/** Every n-th case, beginning with the i-th: parts differ by at most one case. */
export const isOfShard = (position: number, shard: Shard | null): boolean =>
  shard === null || position % shard.count === shard.index - 1;

const SHARD_FILE = /^prompts\.shard-\d+-of-\d+\.jsonl$/;

/** The file of a part, beside prompts.jsonl. */
export const shardPath = (dir: string, { index, count }: Shard): string =>
  join(dir, `prompts.shard-${index}-of-${count}.jsonl`);

/** Files of parts in a run, in a fixed order. */
export const shardFiles = (dir: string): string[] =>
  readdirSync(dir)
    .filter((name) => SHARD_FILE.test(name))
    .sort()
    .map((name) => join(dir, name));

/** A case and class, and the identity of the line that belongs there. */
export type WantedLine = { readonly case: string; readonly class: number; readonly identity: string };

export const isMade = (line: PromptLine | undefined, wanted: WantedLine): line is PromptLine =>
  line?.provenance.source === 'saliency' && line.provenance.identity === wanted.identity;

/** Lines of prompts.jsonl and of every part. */
export type Pool = {
  /** prompts.jsonl as it is. */
  readonly main: ReadonlyMap<string, PromptLine>;
  readonly parts: readonly ReadonlyMap<string, PromptLine>[];
};

export function readPool(dir: string, mainPath: string): Pool {
  return {
    main: existsSync(mainPath) ? readPrompts(mainPath) : new Map(),
    parts: shardFiles(dir).map(readPrompts),
  };
}

/** The good line of a case and class, wherever it stands. */
export function findMade({ main, parts }: Pool, wanted: WantedLine): PromptLine | undefined {
  const key = promptKey(wanted);
  return [main, ...parts].map((lines) => lines.get(key)).find((line) => isMade(line, wanted));
}

/** Lines of a case and class that saliency made some time, good or not: their answers may still hold. */
export function earlierLines({ main, parts }: Pool, wanted: WantedLine): PromptLine[] {
  const key = promptKey(wanted);
  return [main, ...parts].flatMap((lines) => {
    const line = lines.get(key);
    return line?.provenance.source === 'saliency' ? [line] : [];
  });
}

/** Deletes the files of parts once all of their lines are in prompts.jsonl. */
export function removeShardFiles(dir: string): void {
  for (const path of shardFiles(dir)) rmSync(path, { force: true });
}

/**
 * The whole file: wanted lines in their order, those of `keep` where a person's line stands, then whatever else was there.
 */
export function mergedLines(
  pool: Pool,
  wanted: readonly WantedLine[],
  isKept: (line: PromptLine) => boolean,
): PromptLine[] {
  const keys = new Set(wanted.map(promptKey));
  const lines = wanted.flatMap((one) => {
    const old = pool.main.get(promptKey(one));
    if (old !== undefined && isKept(old)) return [old];
    const made = findMade(pool, one);
    return made === undefined ? [] : [made];
  });
  const others = [...pool.main].filter(([key]) => !keys.has(key)).map(([, line]) => line);
  return [...lines, ...others];
}
