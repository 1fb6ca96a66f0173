// The example programs, each with a few steps: they must run and do what they say.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, setThreads } from '@maskrank/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alignWith, preference } from '../../../../examples/align-40-lines.ts';
import { judgeRun, roundest, roundness } from '../../../../examples/custom-annotator-30-lines.ts';
import { proposeVariants } from '../../../../examples/custom-generator.ts';
import { softLabelObjective } from '../../../../examples/custom-objective.ts';
import { learn } from '../../../../examples/finetune-60-lines.ts';
import { read, show } from '../../../../examples/rank-by-hand.ts';
import { embedOnce, LAYOUT, meanDice, paint } from '../../../../examples/toy.ts';
import type { Mask, Sam } from '../../src/index.ts';
import { candidateMask, openRatings, readImage, runPaths } from '../../src/index.ts';
import { runCli } from '../cli/harness.ts';

beforeAll(() => setThreads(1));
const area = ({ data }: Mask) => data.reduce((sum, bit) => sum + bit, 0);

describe('in memory', () => {
  const pictures = paint(0, 40);
  let sam: Sam;
  let tensorsBefore = 0;
  beforeAll(() => {
    tensorsBefore = memory().tensors;
    sam = learn(pictures, 100);
  });
  afterAll(() => sam.dispose());
  const values = () => new Map([...sam.stateDict()].map(([name, t]) => [name, [...t.toFloat32Array()]]));

  it('stage 1 learns, and leaves no tensors behind but the network', () => {
    expect(memory().tensors - tensorsBefore).toBe(sam.stateDict().size);
    expect(meanDice(sam, pictures)).toBeGreaterThan(0.4);
  });

  it("one's own generator gives proposals that differ near the outline", () => {
    const units = pictures.map(({ prompt }, i) => ({ caseId: String(i), classId: 1, prompt }));
    const policy = { sam, embeddings: embedOnce(sam, pictures), layout: LAYOUT, device: 'cpu' };
    const proposals = proposeVariants(units, policy);
    expect(proposals).toHaveLength(pictures.length);
    expect(Math.max(...proposals.map(({ regionPx }) => regionPx))).toBeGreaterThan(0);
    expect(new Set(proposals.map(({ hash }) => hash)).size).toBeGreaterThan(1);
    for (const { candidates } of proposals) {
      const [current, grown, shrunk] = candidates.bits.map((_, k) => area(candidateMask(candidates, k)));
      expect(grown).toBeGreaterThanOrEqual(current as number);
      expect(shrunk).toBeLessThanOrEqual(current as number);
    }
  });

  it.each([
    ['the preference loss', preference],
    ['soft labels', softLabelObjective],
  ])('stage 2 with %s changes the decoder alone', async (_, objective) => {
    const before = values();
    const rounds = await alignWith(objective as typeof preference, {
      sam,
      samples: pictures,
      totalSteps: 24,
    });
    expect(rounds).toHaveLength(2); // refreshed after 20 steps
    expect(rounds[0]?.active).toBeGreaterThan(0);
    const changed = [...values()].filter(([name, v]) => v.some((x, i) => x !== before.get(name)?.[i]));
    expect(changed.length).toBeGreaterThan(0);
    expect(changed.every(([name]) => name.startsWith('mask_decoder.'))).toBe(true);
  });

  it('roundness is largest for a disc', () => {
    const draw = (inside: (x: number, y: number) => boolean): Mask => ({
      width: 48,
      height: 48,
      data: Uint8Array.from({ length: 48 * 48 }, (_, i) =>
        Number(inside((i % 48) - 24, Math.floor(i / 48) - 24)),
      ),
    });
    const disc = roundness(draw((x, y) => x * x + y * y < 15 ** 2));
    const bar = roundness(draw((x, y) => Math.abs(x) < 20 && Math.abs(y) < 3));
    expect(disc).toBeGreaterThan(0.8);
    expect(disc).toBeGreaterThan(bar);
    expect(roundness(draw(() => false))).toBe(0);
  });
});

describe('on a run', () => {
  const dir = mkdtempSync(join(tmpdir(), 'maskrank-examples-'));
  const [data, run] = [join(dir, 'data'), join(dir, 'run')];
  afterAll(() => rmSync(dir, { recursive: true }));
  const cli = async (...argv: string[]) => {
    const { code, stderr } = await runCli([...argv, '--threads', '1']);
    expect(stderr).not.toMatch(/error:/);
    return code;
  };

  beforeAll(async () => {
    await cli('dataset', 'phantom', 'breast', '--cases', '16', '--size', '64', '--out', data);
    await cli('dataset', 'split', data, '--labelled', '0.3', '--test', '0.2', '--validation', '0.1');
    const small = ['--data.image-size', '64', '--prompts.unlabelled', 'oracle-box', '--prompts.points', '0'];
    const skip = ['--alignment.skip.min-region-px', '1', '--alignment.skip.max-region-fraction', '1'];
    await cli('finetune', data, '--run', run, '--steps', '2', '--batch-size', '2', ...small);
    expect(await cli('propose', '--run', run, ...skip)).toBe(0);
  });

  it("one's own annotator answers every proposal once", async () => {
    const copy = join(dir, 'annotated');
    cpSync(run, copy, { recursive: true });
    const counts = await judgeRun(copy, roundest);
    expect(counts).toMatchObject({ unanswered: 0 });
    expect(counts.active).toBeGreaterThan(0);
    using ratings = openRatings(runPaths(copy).ratings);
    expect(ratings.entries().map((line) => line.annotator)).toContain('roundest outline');
    const again = await judgeRun(copy, { name: 'nobody', judge: () => undefined });
    expect(again).toEqual(counts);
  });

  it('rankings by hand go out as pictures and come back as letters', async () => {
    const folder = join(dir, 'pictures');
    const count = await show(run, folder, 64);
    expect(count).toBeGreaterThan(1);
    const answers = join(folder, 'answers.csv');
    const [head, first = '', ...rest] = readFileSync(answers, 'utf8').trim().split('\n');
    // Two by two candidates of the picture's shape, and what stands between them.
    const { width, height } = await readImage(join(folder, '0001.png'));
    const picture = await readImage(join(data, 'images', `${/breast_\d+/.exec(first)?.[0]}.png`));
    expect([width, height]).toEqual([2 * picture.width + 10, 2 * picture.height + 10]);
    writeFileSync(answers, [head, `${first}bacd`, ...rest].join('\n'));
    expect(read(run, folder, 'Ada')).toBe(1);
    {
      using ratings = openRatings(runPaths(run).ratings);
      const shown = first.split(',')[5] as string;
      expect(ratings.entries()).toMatchObject([
        { annotator: 'Ada', order: [1, 0, 2, 3].map((place) => Number(shown[place])) },
      ]);
    }
    expect(await show(run, folder, 64)).toBe(count - 1);
    writeFileSync(answers, [head, `${first}BBCD`].join('\n'));
    expect(() => read(run, folder, 'Ada')).toThrow(/does not name each of A, B, C, D once/);
  });

  it('stage 2 waits for the answers that are missing', async () => {
    const { code, stderr } = await runCli([
      'align',
      '--run',
      run,
      '--annotator',
      'recorded',
      '--threads',
      '1',
    ]);
    expect(stderr).toMatch(/proposals are not judged yet/);
    expect(code).toBe(3);
  });
});
