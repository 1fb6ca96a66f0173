import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, noGrad, tidy } from '@maskrank/torch';
import { afterAll, describe, expect, it } from 'vitest';
import { makeRound, PART, partsFolder } from '../../src/alignment/proposals/resumable.ts';
import { propose, type RoundOptions, readRound } from '../../src/alignment/proposals/round.ts';
import { never, toyAlignment, toyPolicy, toySam, toyUnits } from './toy.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-resumable-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${files++}`, 'round-000.safetensors');

const header = { schemaVersion: 1, configHash: 'c0', madeFrom: { 'checkpoint stage1': 's0' } };
const units = toyUnits(PART + 5);
const sam = toySam();
const options = (change: Partial<RoundOptions> = {}): RoundOptions => ({
  policy: toyPolicy(sam),
  options: { ...toyAlignment().proposals, dropoutProbability: 0.9 },
  round: 2,
  seed: 5,
  signal: never,
  ...change,
});
const whole = propose(units, options());

/** Makes a round and says how many units were proposed for it now; told to stop, after how many. */
async function make(path: string, change: Partial<RoundOptions> = {}, stopAfter = Number.POSITIVE_INFINITY) {
  const controller = new AbortController();
  let made = 0;
  const onProgress = (done: number): void => {
    made = done;
    if (done >= stopAfter) controller.abort(new Error('enough'));
  };
  const o = options({ ...change, signal: controller.signal, onProgress });
  const looked: string[] = [];
  const tensor: RoundOptions['policy']['embeddings']['tensor'] = (ids, device) => {
    looked.push(...ids);
    return (change.policy ?? o.policy).embeddings.tensor(ids, device);
  };
  const round = makeRound(path, units, { ...o, policy: { ...o.policy, embeddings: { tensor } } }, header, {});
  const result = await round.catch((error: Error) => error);
  return { result, made, proposed: looked.length };
}

describe('makeRound', () => {
  it('makes what propose makes at once, writes it, and leaves no parts', async () => {
    const path = fresh();
    const before = memory().tensors;
    const { result, made } = await make(path);
    expect(memory().tensors).toBe(before);
    expect(result).toEqual(whole);
    expect(made).toBe(units.length);
    expect((await readRound(path, { header, rerun: '' }))?.proposals).toEqual(whole);
    expect(existsSync(partsFolder(path))).toBe(false);
  });

  it.each([16, PART])(
    'stopped after %d units, goes on after the finished parts to the same round',
    async (stopAfter) => {
      const path = fresh();
      const stopped = await make(path, {}, stopAfter);
      expect(String(stopped.result)).toBe('Error: enough');
      expect(existsSync(path)).toBe(false);
      const { result, proposed } = await make(path);
      expect(result).toEqual(whole);
      expect(proposed).toBe(units.length - PART * Math.floor(stopAfter / PART));
      expect(existsSync(partsFolder(path))).toBe(false);
    },
  );

  it.each<[string, Partial<RoundOptions> | (() => Partial<RoundOptions>)]>([
    ['another policy', () => ({ policy: toyPolicy(moved()) })],
    ['another round', { round: 3 }],
    ['another seed', { seed: 6 }],
    ['another generator', { options: toyAlignment({ proposals: { generator: 'wide' } }).proposals }],
  ])('a part of %s is made anew', async (_, change) => {
    const path = fresh();
    await make(path, {}, PART);
    const other = typeof change === 'function' ? change() : change;
    const { result, proposed } = await make(path, other);
    expect(proposed).toBe(units.length);
    expect(result).toEqual(propose(units, options(other)));
  });

  it('a damaged part is made anew', async () => {
    const path = fresh();
    await make(path, {}, PART);
    const [part] = readdirSync(partsFolder(path)) as [string];
    writeFileSync(join(partsFolder(path), part), 'garbage');
    const { result, proposed } = await make(path);
    expect(proposed).toBe(units.length);
    expect(result).toEqual(whole);
  });
});

/** The toy's policy after some learning. */
function moved() {
  const other = toySam();
  tidy(() =>
    noGrad(() => {
      for (const [, parameter] of other.mask_decoder.namedParameters()) parameter.mul_(1.2);
    }),
  );
  return other;
}
