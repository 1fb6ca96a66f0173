// Proposals by a function in a whole run: the jobs take it in place of a name, and the run remembers whose they are.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cat } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alignRun } from '../../../../examples/custom-generator.ts';
import {
  alignJob,
  type CandidateGenerator,
  candidateMask,
  currentMask,
  type GeneratorChoice,
  inRun,
  openRatings,
  proposeJob,
  readRound,
  roundPath,
  runPaths,
} from '../../src/index.ts';
import { resolveGenerator } from '../../src/pipeline/proposal-generator.ts';
import { readJsonl } from '../../src/run/jsonl.ts';
import { resolveConfig } from '../../src/run/resolve.ts';
import { runCli } from '../cli/harness.ts';
import { makeData, must } from './prompt-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-own-generator-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const run = join(dir, 'run');
const copy = join(dir, 'copy');
const paths = runPaths(run);

/** The current mask, its left and right half, and its mirror image. */
const halves: CandidateGenerator = (context) => {
  const current = currentMask(context); // [B, 1, S, S]
  const left = current.clone();
  left.slice(3, context.imageSize / 2, context.imageSize).fill_(0);
  const right = current.logicalAnd(left.logicalNot());
  return cat([current, left, right, current.flip([3])], 1);
};
const own: GeneratorChoice = { generator: { name: 'halves', generate: halves } };
const quiet = { warn: () => {}, command: 'a test' };

beforeAll(async () => {
  const { data, config } = await makeData(dir, { cases: 16 });
  const settings = {
    ...JSON.parse(readFileSync(config, 'utf8')),
    prompts: { unlabelled: 'oracle-box', test: 'oracle-box', points: 0 },
    training: { steps: 2, batchSize: 2 },
    alignment: {
      steps: 2,
      batchSize: 4,
      skip: { minRegionPx: 1, maxRegionFraction: 1 },
      alarms: { action: 'warn' },
    },
  };
  writeFileSync(config, JSON.stringify(settings));
  await must(['finetune', data, '--run', run, '--config', config]);
  cpSync(run, copy, { recursive: true });
}, 60_000);

describe('a generator of one’s own in a run', () => {
  it('makes the round, under its name', async () => {
    const { path, units } = await inRun(run, (job) => proposeJob(job, own), quiet);
    expect(path).toBe(roundPath(paths.proposals, 0));
    const round = await readRound(path, null);
    expect(round?.facts).toMatchObject({ round: 0, generator: 'halves' });
    expect(round?.proposals).toHaveLength(units);
    for (const { candidates } of round?.proposals ?? []) {
      const [all, left, right] = candidates.bits.map((_, k) => candidateMask(candidates, k).data);
      expect(all).toEqual(left!.map((v, i) => v | right![i]!));
    }
  });

  it('is what judging and stage 2 go on with', async () => {
    await must(['rate', '--run', run]);
    const before = readFileSync(roundPath(paths.proposals, 0));
    const { steps, checkpoint } = await inRun(run, (job) => alignJob(job, own), quiet);
    expect([steps, existsSync(checkpoint)]).toEqual([2, true]);
    expect(readFileSync(roundPath(paths.proposals, 0))).toEqual(before);
    using ratings = openRatings(paths.ratings);
    expect(ratings.entries().length).toBeGreaterThan(0);
    const record = JSON.parse(readFileSync(paths.record, 'utf8'));
    expect(record.stages.stage2.madeFrom.generator).toBe('halves');
    expect(record.history.at(-1)).toMatchObject({ command: 'a test', exitCode: 0 });
    const log = readJsonl(paths.log, { what: 'log' }).entries as { msg: string; round?: object }[];
    expect(log.some(({ round }) => round !== undefined)).toBe(true); // for the report
  });

  it('is not exchanged for another on the way', async () => {
    const stranger = { generator: { name: 'thirds', generate: halves } };
    await expect(inRun(run, (job) => alignJob(job, stranger), quiet)).rejects.toThrow(
      /generator was halves, now thirds/,
    );
    expect((await runCli(['align', '--run', run])).stderr).toMatch(/generator was halves, now none/);
    const record = JSON.parse(readFileSync(paths.record, 'utf8'));
    expect(record.history.at(-1)).toMatchObject({ exitCode: 2 });
  });

  it('may begin anew with another', async () => {
    const other = { generator: halves, restart: true };
    await inRun(run, (job) => proposeJob(job, other), quiet);
    const round = await readRound(roundPath(paths.proposals, 0), null);
    expect(round?.facts.generator).toBe('halves');
    await must(['propose', '--run', run, '--restart']);
    const named = await readRound(roundPath(paths.proposals, 0), null);
    expect(named?.facts.generator).toBe('dropout');
  });
});

it('the example trains stage 2 of a run with its own', async () => {
  const { steps, rounds } = await alignRun(copy);
  expect([steps, rounds.length]).toEqual([2, 1]);
  const round = await readRound(roundPath(runPaths(copy).proposals, 0), null);
  expect(round?.facts.generator).toBe('variants');
}, 60_000);

describe('the choice of a generator', () => {
  const config = (name: string) => resolveConfig({ flags: { 'alignment.proposals.generator': name } }).config;

  it('is the configuration’s unless one is given', () => {
    const plain = { make: 'views', name: 'views', needsViews: true, isOwn: false };
    expect(resolveGenerator(config('views'), {})).toEqual(plain);
    const found = resolveGenerator(config('views'), own);
    expect(found).toEqual({ name: 'halves', make: halves, needsViews: false, isOwn: true });
    const seeing = { generator: { name: 'seeing', generate: halves, needsViews: true } };
    expect(resolveGenerator(config('dropout'), seeing).needsViews).toBe(true);
  });

  it.each([
    ['no name', (context: never) => halves(context)],
    ['an empty one', { name: ' ', generate: halves }],
    ['that of another', { name: 'dropout', generate: halves }],
  ])('refuses %s', (_, generator) => {
    expect(() => resolveGenerator(config('dropout'), { generator: generator as never })).toThrow(UsageError);
  });
});
