// What stage 2 minimises and what learns from it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fromTypedArray, type Tensor, tidy } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { align } from '../../src/alignment/align.ts';
import { LiveEmbeddings } from '../../src/alignment/embedding-source.ts';
import type { Judged } from '../../src/alignment/objectives/judging.ts';
import type { Active, Objective } from '../../src/alignment/objectives/objective.ts';
import { preferenceObjective } from '../../src/alignment/objectives/preference.ts';
import { targetObjective } from '../../src/alignment/objectives/target.ts';
import { decodeUnits } from '../../src/alignment/policy.ts';
import { PREFERENCE_LOSSES, type PreferenceLossKind } from '../../src/alignment/preference-loss.ts';
import { candidateMask } from '../../src/alignment/proposals/candidates.ts';
import { roundPath } from '../../src/alignment/proposals/round.ts';
import { logitsToCanvas, pickHead, type Sam } from '../../src/models/sam/index.ts';
import {
  configOf,
  fresh,
  header,
  judgedIn,
  losses,
  type RunOptions,
  run,
  STEPS,
  trainables,
  units,
} from './align-toy.ts';
import { never, SIDE, snapshot, toyPolicy, toySam, toyTruth } from './toy.ts';

describe('Eq. (5) on the toy', () => {
  it('starts at ln 2, falls, and moves the decoder alone', async () => {
    const before = snapshot(toySam());
    const change = { refresh: { everySteps: 0 }, batchSize: 8, learningRate: 1e-2 };
    const offline = await run({ change, totalSteps: 18 });
    expect(offline.failure).toBeUndefined();
    expect(losses(offline)[0]).toBeCloseTo(Math.LN2, 4);
    expect(losses(offline).at(-1)).toBeLessThan(0.8 * Math.LN2);
    expect(offline.lines.at(-1)?.rewardMean).toBeGreaterThan(0.1);
    expect(offline.lines.at(-1)?.rewardMargin).toBeGreaterThan(0);
    for (const [name, values] of Object.entries(offline.weights))
      if (!name.startsWith('mask_decoder.')) expect(values, name).toEqual(before[name]);
    expect(offline.weights).not.toEqual(before);
  });

  it('a refresh takes the policy as reference: the loss is ln 2 again, once a round', async () => {
    const refreshed = await run();
    expect(losses(refreshed)).toHaveLength(STEPS);
    for (const step of [0, 4, 8]) expect(losses(refreshed)[step]).toBeCloseTo(Math.LN2, 4);
    for (const step of [2, 3, 6, 7])
      expect(Math.abs((losses(refreshed)[step] as number) - Math.LN2)).toBeGreaterThan(1e-3);
    expect(refreshed.lines.map((line) => line.refreshed ?? false)).toEqual(
      Array.from({ length: STEPS }, (_, step) => step % 4 === 0),
    );
    for (const round of [0, 1, 2]) expect(existsSync(roundPath(refreshed.folder, round))).toBe(true);
  });

  it.each([0, 0.5, 1])('with resync %d the reference moves that part of the way', async (resync) => {
    const policies: Record<string, number[]>[] = [];
    const references: Record<string, number[]>[] = [];
    const wrap = <A extends Active>(objective: Objective<A>, sam: Sam): Objective<A> => ({
      ...objective,
      begin: (round, withReference) => {
        policies.push(snapshot(sam));
        references.push(withReference(() => snapshot(sam)));
        expect(snapshot(sam)).toEqual(policies.at(-1)); // the policy is back in its place
        return objective.begin(round, withReference);
      },
    });
    await run({ change: { refresh: { everySteps: 4, resync } }, totalSteps: 5, wrap });
    expect(references[0]).toEqual(policies[0]);
    const [first, second, policy] = [references[0], references[1], policies[1]] as [
      Record<string, number[]>,
      Record<string, number[]>,
      Record<string, number[]>,
    ];
    for (const [name, values] of Object.entries(second)) {
      for (const [i, value] of values.entries()) {
        const expected = (1 - resync) * (first[name]?.[i] as number) + resync * (policy[name]?.[i] as number);
        expect(Math.abs(value - expected)).toBeLessThan(1e-6);
      }
    }
  });

  it('equals the full likelihood: every pixel, softplus and all, in float64', async () => {
    const sam = toySam();
    const policy = toyPolicy(sam);
    const config = configOf({ anchor: { reference: 0 } });
    const objective = preferenceObjective({
      policy,
      loss: config.loss,
      anchor: 0,
      judgedOf: judgedIn(fresh(), policy, config),
    });
    const active = await objective.begin({ index: 0, units, signal: never }, (body) => body());
    const canvas = (): Float64Array[] =>
      tidy(() => {
        const { decoded } = decodeUnits(policy, units);
        const heads = fromTypedArray(
          BigInt64Array.from(active, (a) => BigInt(headOf(a))),
          [units.length],
        );
        const z = logitsToCanvas(pickHead(decoded, heads).masks, SIDE).toFloat32Array();
        return units.map((_, i) => Float64Array.from(z.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE)));
      });
    const reference = canvas();
    tidy(() => {
      for (const [, parameter] of trainables(sam, config)) {
        parameter.requiresGrad = false;
        parameter.add_(parameter, 0.2); // a policy that has moved
      }
    });
    const moved = canvas();
    const got = tidy(
      () => objective.loss(active, decodeUnits(policy, units), 0).parts.preference?.item() as number,
    );
    const expected = active.map((a, i) => {
      const { judged } = a as unknown as { judged: Judged };
      const { candidates, regionPx } = judged.proposal;
      const reward = judged.coefficients.reduce((sum, c, k) => {
        const y = candidateMask(candidates, k).data;
        const likelihood = (z: Float64Array) =>
          z.reduce((total, zi, p) => total + (y[p] as number) * zi - Math.log1p(Math.exp(zi)), 0);
        return sum + c * (likelihood(moved[i] as Float64Array) - likelihood(reference[i] as Float64Array));
      }, 0);
      return Math.log1p(Math.exp((-config.loss.kappa / regionPx) * reward));
    });
    expect(got).toBeCloseTo(expected.reduce((a, b) => a + b, 0) / units.length, 4);
    sam.dispose();
  });
});

const headOf = (active: Active): number => (active as unknown as { judged: Judged }).judged.proposal.head;

describe('the parts of the loss', () => {
  const steps = { change: { refresh: { everySteps: 0 } }, totalSteps: 3 } satisfies RunOptions;

  it.each(Object.keys(PREFERENCE_LOSSES) as PreferenceLossKind[])('%s trains', async (kind) => {
    const { failure, lines, weights } = await run({ ...steps, change: { ...steps.change, loss: { kind } } });
    expect(failure).toBeUndefined();
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(Number.isFinite(line.losses?.preference)).toBe(true);
    expect(weights).not.toEqual(snapshot(toySam()));
  });

  it('the anchor to the reference is weighed into the total, and off without a weight', async () => {
    for (const reference of [0, 0.3]) {
      const { lines } = await run({ ...steps, change: { ...steps.change, anchor: { reference } } });
      for (const { losses: l } of lines)
        expect(l?.total).toBeCloseTo((l?.preference as number) + reference * (l?.anchor as number), 4);
    }
  });

  it("the anchor to labels is stage 1's loss on cases that a step draws for itself", async () => {
    const o: RunOptions = { ...steps, labels: 0.5, change: { ...steps.change, anchor: { reference: 0 } } };
    const whole = await run(o);
    for (const { losses: l } of whole.lines)
      expect(l?.total).toBeCloseTo((l?.preference as number) + 0.5 * (l?.labels as number), 4);
    const { folder } = await run({ ...o, abortAt: 1 });
    expect((await run({ ...o, folder })).weights).toEqual(whole.weights);
    expect(whole.weights).not.toEqual((await run({ ...o, labels: 0.25 })).weights);
  });
});

describe('what learns', () => {
  it('with scope all the encoder learns too, from live embeddings, and a stopped run goes on exactly', async () => {
    const o: RunOptions = {
      live: true,
      change: { scope: 'all', refresh: { everySteps: 0 }, batchSize: 4 },
      totalSteps: 6,
    };
    const before = snapshot(toySam());
    const whole = await run(o);
    expect(whole.failure).toBeUndefined();
    expect(losses(whole).at(-1)).toBeLessThan(losses(whole)[0] as number);
    const moved = Object.keys(before).filter(
      (name) => JSON.stringify(whole.weights[name]) !== JSON.stringify(before[name]),
    );
    expect(moved.some((name) => name.startsWith('image_encoder.'))).toBe(true);
    expect(moved.some((name) => name.startsWith('prompt_encoder.'))).toBe(true);
    const { folder } = await run({ ...o, abortAt: 3 });
    expect((await run({ ...o, folder })).weights).toEqual(whole.weights);
  });

  it('live embeddings without an image say which case', () => {
    const sam = toySam();
    const live = new LiveEmbeddings(sam, new Map());
    expect(() => tidy(() => live.tensor(['case7'], 'cpu'))).toThrow(/case case7: its image was not loaded/);
    sam.dispose();
  });
});

describe('training towards a mask', () => {
  it('lowers the loss of stage 1 on that mask', async () => {
    const sam = toySam();
    const policy = toyPolicy(sam);
    const config = configOf({ learningRate: 3e-2, batchSize: 8, refresh: { everySteps: 0 } });
    const totals: number[] = [];
    const target = targetObjective({
      policy,
      loss: { scope: 'mask' },
      targets: async (round) => round.units.map((unit) => ({ unit, target: toyTruth(unit.caseId) })),
    });
    await align({
      policy,
      trainable: trainables(sam, config),
      units,
      objective: {
        ...target,
        loss: (active, batch, step) => {
          const loss = target.loss(active, batch, step);
          totals.push((loss.total as Tensor).item());
          expect(Object.keys(loss.parts).sort()).toEqual(['dice', 'focal', 'iou']);
          return loss;
        },
      },
      config,
      totalSteps: 40,
      seed: 1,
      stream: 'control ceiling',
      loop: {
        label: 'toy',
        statePath: join(fresh(), 'state.safetensors'),
        header,
        rerun: 'align',
        metrics: null,
        signal: never,
        onProgress: () => {},
      },
      onAlarm: () => {
        throw new Error('a target has no rewards to raise an alarm about');
      },
    });
    expect(totals.at(-1)).toBeLessThan(0.8 * (totals[0] as number));
    sam.dispose();
  });
});
