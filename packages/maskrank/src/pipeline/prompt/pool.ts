// Lines that are there, wherever: in prompts.jsonl and in the files of parts. A line is good when its identity is the one that
// would be made now, so it does not matter who made it, in how many parts, or when. Not here: making lines (job.ts).

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type PromptLine, promptKey, readPrompts } from '../../prompting/prompt-store.ts';
import { SHARD_FILE } from './shard.ts';

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
  const files = shardFiles(dir);
  try {
    const parts = files.map(readPrompts);
    return { main: existsSync(mainPath) ? readPrompts(mainPath) : new Map(), parts };
  } catch (error) {
    // Put together and deleted meanwhile: their lines stand in prompts.jsonl now.
    if (files.some((path) => !existsSync(path))) return readPool(dir, mainPath);
    throw error;
  }
}

/** The good line of a case and class, wherever it stands. */
export function findMade({ main, parts }: Pool, wanted: WantedLine): PromptLine | undefined {
  const key = promptKey(wanted);
  return [main, ...parts].map((lines) => lines.get(key)).find((line) => isMade(line, wanted));
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
