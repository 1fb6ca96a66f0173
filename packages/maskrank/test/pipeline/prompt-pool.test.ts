// Which lines count, wherever they stand, and what the whole file is made of.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { findMade, mergedLines, readPool, removeShardFiles } from '../../src/pipeline/prompt/pool.ts';
import { isOfShard, parseShard, shardPath } from '../../src/pipeline/prompt/shard.ts';
import type { PromptLine } from '../../src/prompting/prompt-store.ts';

const root = mkdtempSync(join(tmpdir(), 'maskrank-pool-'));
afterAll(() => rmSync(root, { recursive: true }));

const line = (
  id: string,
  identity: string,
  source: 'saliency' | 'file' | 'self' = 'saliency',
): PromptLine => ({
  case: id,
  class: 1,
  boxes: [],
  points: [],
  provenance: { source, identity },
});
const wanted = (id: string, identity = 'now') => ({ case: id, class: 1, identity });
const write = (path: string, lines: readonly PromptLine[]) =>
  writeFileSync(path, lines.map((one) => `${JSON.stringify(one)}\n`).join(''));

describe('parts', () => {
  it.each(['0/2', '3/2', '1', '1/2/3', '-1/2', '1/0', 'a/b', ''])('%j is none', (text) => {
    expect(() => parseShard(text)).toThrow(UsageError);
  });

  it('divide the cases: each is of exactly one part, and parts differ by one case at most', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 1, max: 12 }), (cases, count) => {
        const sizes = Array.from({ length: count }, () => 0);
        for (let at = 0; at < cases; at++) {
          const own = sizes.flatMap((_, i) => (isOfShard(at, { index: i + 1, count }) ? [i] : []));
          expect(own).toHaveLength(1);
          sizes[own[0] as number]! += 1;
        }
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('the pool', () => {
  const main = join(root, 'prompts.jsonl');
  write(main, [line('z', 'x', 'self'), line('c', 'old'), line('b', '', 'file')]);
  write(shardPath(root, { index: 1, count: 2 }), [line('a', 'now'), line('c', 'older')]);
  write(shardPath(root, { index: 2, count: 3 }), [line('c', 'now'), line('a', 'old')]);
  const pool = readPool(root, main);

  it('finds the line that would be made now in whichever file, and no other', () => {
    expect(findMade(pool, wanted('a'))?.provenance.identity).toBe('now');
    expect(findMade(pool, wanted('c'))?.provenance.identity).toBe('now');
    expect(findMade(pool, wanted('b', ''))).toBeUndefined(); // a person's line is nobody's making
    expect(findMade(pool, wanted('z', 'x'))).toBeUndefined();
  });

  it('gives the whole file in the order asked for: own lines, a person’s, then the rest', () => {
    const isKept = ({ provenance }: PromptLine) => provenance.source === 'file';
    const lines = mergedLines(
      pool,
      ['c', 'b', 'a'].map((id) => wanted(id)),
      isKept,
    );
    expect(lines.map((one) => [one.case, one.provenance.source])).toEqual([
      ['c', 'saliency'],
      ['b', 'file'],
      ['a', 'saliency'],
      ['z', 'self'],
    ]);
    expect(
      lines.every((one) => one.provenance.source !== 'saliency' || one.provenance.identity === 'now'),
    ).toBe(true);
  });

  it('deletes the files of parts and nothing else', () => {
    removeShardFiles(root);
    expect(readdirSync(root)).toEqual(['prompts.jsonl']);
  });
});
