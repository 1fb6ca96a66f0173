// Parts of the work that run side by side: which cases are whose, and which file is whose. Light: the command line reads it.

import { join } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';

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

/** Names of the files of parts. */
export const SHARD_FILE = /^prompts\.shard-\d+-of-\d+\.jsonl$/;

/** The file of a part, beside prompts.jsonl. */
export const shardPath = (dir: string, { index, count }: Shard): string =>
  join(dir, `prompts.shard-${index}-of-${count}.jsonl`);
