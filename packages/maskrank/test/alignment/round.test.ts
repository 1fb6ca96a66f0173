import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cat, fromTypedArray, memory, tidy } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { writeSafetensors } from '@maskrank/torch/io';
import { afterAll, describe, expect, it } from 'vitest';
import { logitsOf } from '../../src/alignment/policy.ts';
import { candidateMask, candidatesHash, regionSize } from '../../src/alignment/proposals/candidates.ts';
import { type CandidateGenerator, currentMask } from '../../src/alignment/proposals/generators.ts';
import {
  type Proposal,
  propose,
  type RoundOptions,
  readRound,
  roundPath,
  writeRound,
} from '../../src/alignment/proposals/round.ts';
import { logitsToCanvas } from '../../src/models/sam/index.ts';
import { headerToMetadata } from '../../src/run/header.ts';
import { never, SIDE, toyAlignment, toyPolicy, toySam, toyUnits } from './toy.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-round-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${files}`, `${files++}.safetensors`); // in a folder that does not exist yet

const header = { schemaVersion: 1, configHash: 'c0', madeFrom: { 'checkpoint stage1': 's0', dataset: 'd0' } };
const rerun = 'maskrank propose --run r --restart';
const sam = toySam();
const options = (change: Partial<RoundOptions> = {}): RoundOptions => ({
  policy: toyPolicy(sam),
  options: toyAlignment().proposals,
  round: 0,
  seed: 5,
  signal: never,
  ...change,
});
const units = toyUnits(19); // more than one chunk of 16

describe('propose', () => {
  it('gives every unit four candidates, the first its mask at the head that it names', () => {
    const proposals = propose(units, options());
    expect(proposals.map(({ caseId, classId }) => [caseId, classId])).toEqual(
      units.map((u) => [u.caseId, u.classId]),
    );
    const logits = logitsOf(toyPolicy(sam), units, never);
    for (const [i, { candidates, head, regionPx, hash }] of proposals.entries()) {
      expect([candidates.width, candidates.height, candidates.bits.length]).toEqual([SIDE, SIDE, 4]);
      expect(head).toBe(logits[i]?.head);
      expect(regionPx).toBe(regionSize(candidates));
      expect(hash).toBe(candidatesHash(candidates));
      const current = tidy(() => {
        const low = fromTypedArray(logits[i]?.logits as Float32Array<ArrayBuffer>, [
          1,
          1,
          SIDE / 4,
          SIDE / 4,
        ]);
        return logitsToCanvas(low, SIDE).gt(0).toTypedArray();
      });
      expect(candidateMask(candidates, 0).data).toEqual(current);
    }
  });

  it('says which candidate is the current mask, where one is', () => {
    const some = units.slice(0, 2);
    const currents = (generator: RoundOptions['options']['generator'], change = {}) =>
      propose(some, options({ options: { ...toyAlignment().proposals, ...change, generator } })).map(
        (p) => p.current,
      );
    expect(currents('dropout')).toEqual([0, 0]);
    const last: CandidateGenerator = (context) => {
      const mask = currentMask(context);
      return cat([mask.logicalNot(), mask.logicalNot(), mask.logicalNot(), mask], 1);
    };
    expect(currents(last)).toEqual([3, 3]);
    const none: CandidateGenerator = (context) => {
      const other = currentMask(context).logicalNot();
      return cat([other, other, other, other], 1);
    };
    expect(currents(none)).toEqual([undefined, undefined]);
  });

  it('draws from streams of seed and round: the same again, others elsewhere, whatever was drawn before', () => {
    const hashes = (change: Partial<RoundOptions> = {}) => propose(units, options(change)).map((p) => p.hash);
    const wide = { ...toyAlignment().proposals, dropoutProbability: 0.9 };
    const first = hashes({ options: wide });
    expect(hashes({ options: wide })).toEqual(first);
    expect(hashes({ options: wide, seed: 6 })).not.toEqual(first);
    expect(hashes({ options: wide, round: 1 })).not.toEqual(first);
  });

  it('leaves no tensor behind, reports its progress, and stops when asked', () => {
    const seen: number[][] = [];
    const before = memory().tensors;
    propose(units, options({ onProgress: (done, total) => seen.push([done, total]) }));
    expect(memory().tensors).toBe(before);
    expect(seen).toEqual([
      [16, 19],
      [19, 19],
    ]);
    const controller = new AbortController();
    const stopped = () =>
      propose(
        units,
        options({ signal: controller.signal, onProgress: () => controller.abort(new Error('enough')) }),
      );
    expect(stopped).toThrow('enough');
    expect(memory().tensors).toBe(before);
  });
});

describe('the round file', () => {
  const proposals = propose(units, options());
  const write = async (path: string, list: readonly Proposal[] = proposals) =>
    writeRound(path, list, header, { round: 3, generator: 'dropout' });

  it('is named by its round', () => {
    expect(roundPath('a', 7)).toBe(join('a', 'round-007.safetensors'));
  });

  it('gives back exactly what was written', async () => {
    const path = fresh();
    await write(path);
    const read = await readRound(path, { header, rerun });
    expect(read?.proposals).toEqual(proposals);
    expect(read?.proposals[0]?.current).toBe(0);
    expect(read?.facts).toEqual({ round: 3, generator: 'dropout' });
    expect((await readRound(path, null))?.proposals).toEqual(proposals); // a reader that does not care
  });

  it('keeps that no candidate is the current mask', async () => {
    const path = fresh();
    const without = proposals.map(({ current: _, ...rest }) => rest);
    await write(path, without);
    expect((await readRound(path, null))?.proposals).toStrictEqual(without);
  });

  it('of no proposals is read as none', async () => {
    const path = fresh();
    await write(path, []);
    expect((await readRound(path, { header, rerun }))?.proposals).toEqual([]);
  });

  it('that is not there is undefined', async () => {
    expect(await readRound(fresh(), { header, rerun })).toBeUndefined();
  });

  it.each([
    [
      'another stage 1',
      { ...header, madeFrom: { ...header.madeFrom, 'checkpoint stage1': 's1' } },
      /made from checkpoint stage1 s0, now it is s1/,
    ],
    ['another configuration', { ...header, configHash: 'c1' }, /made with configuration c0, now it is c1/],
    ['another version', { ...header, schemaVersion: 2 }, /schemaVersion = 1, allowed: 2/],
  ])('made with %s is refused, with the way out', async (_what, expected, message) => {
    const path = fresh();
    await write(path);
    const read = readRound(path, { header: expected, rerun });
    await expect(read).rejects.toThrow(DataError);
    await expect(readRound(path, { header: expected, rerun })).rejects.toThrow(message);
    await expect(readRound(path, { header: expected, rerun })).rejects.toThrow(`Make it anew: ${rerun}`);
  });

  it('that is something else or damaged is refused', async () => {
    const other = join(dir, 'other.safetensors');
    await writeSafetensors(
      other,
      new Map([['x', { dtype: 'U8', shape: [1], data: Uint8Array.of(1) }]]),
      headerToMetadata(header),
    );
    await expect(readRound(other, { header, rerun })).rejects.toThrow(/is no round of proposals/);
    const torn = fresh();
    await write(torn);
    writeFileSync(torn, readFileSync(torn).subarray(0, -10));
    await expect(readRound(torn, { header, rerun })).rejects.toThrow(DataError);
    const changed = fresh();
    await write(
      changed,
      proposals.map((p, i) => (i === 2 ? { ...p, hash: 'f'.repeat(32) } : p)),
    );
    await expect(readRound(changed, { header, rerun })).rejects.toThrow(/case case2, class 1 .*damaged/);
  });
});
