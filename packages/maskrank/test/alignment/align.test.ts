// Stage 2 on a toy: eight units, truth that the virtual annotator holds, proposals in rounds that are kept on disk.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTypedArray, memory, type Tensor, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import type { Alarm } from '../../src/alignment/alarms.ts';
import { align } from '../../src/alignment/align.ts';
import { OracleAnnotator } from '../../src/alignment/annotators/oracle.ts';
import { LiveEmbeddings } from '../../src/alignment/embedding-source.ts';
import { type Judged, judge } from '../../src/alignment/objectives/judging.ts';
import { labelAnchor } from '../../src/alignment/objectives/labels.ts';
import type { Active, Objective, Round } from '../../src/alignment/objectives/objective.ts';
import { preferenceObjective } from '../../src/alignment/objectives/preference.ts';
import { targetObjective } from '../../src/alignment/objectives/target.ts';
import { decodeUnits, type PolicyOptions } from '../../src/alignment/policy.ts';
import { PREFERENCE_LOSSES, type PreferenceLossKind } from '../../src/alignment/preference-loss.ts';
import { candidateMask } from '../../src/alignment/proposals/candidates.ts';
import { propose, readRound, roundPath, writeRound } from '../../src/alignment/proposals/round.ts';
import { roundUnits } from '../../src/alignment/schedule.ts';
import { selectTrainable } from '../../src/models/lora.ts';
import { logitsToCanvas, pickHead, type Sam } from '../../src/models/sam/index.ts';
import type { Config } from '../../src/run/config.ts';
import { MetricsLog } from '../../src/run/metrics.ts';
import {
  never,
  SIDE,
  snapshot,
  toyAlignment,
  toyInput,
  toyPolicy,
  toySam,
  toyTruth,
  toyUnits,
} from './toy.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-align-'));
afterAll(() => rmSync(dir, { recursive: true }));
let folders = 0;
const fresh = (): string => {
  const folder = join(dir, `run${folders++}`);
  mkdirSync(folder);
  return folder;
};

const units = toyUnits(8);
const header = { schemaVersion: 1, configHash: 'c0', madeFrom: { 'checkpoint stage1': 's0' } };
const STEPS = 9;
const base = {
  batchSize: 3,
  learningRate: 3e-3,
  checkpointEverySteps: 1000,
  logEverySteps: 1,
  refresh: { everySteps: 4 },
  skip: { minRegionPx: 1, maxRegionFraction: 1 },
};
type Changes = Parameters<typeof toyAlignment>[0];
const configOf = (change: Changes = {}) => toyAlignment({ ...base, ...change });

/** Judged proposals of a round as the pipeline has them: from the folder, else made and written there. */
function judgedIn(folder: string, policy: PolicyOptions, config: Config['alignment']) {
  const annotator = new OracleAnnotator({
    kind: 'ranking',
    noise: 0,
    randomOrders: 0,
    ratingBins: [0.4, 0.55, 0.7],
    seed: 1,
    truth: toyTruth,
  });
  return async (round: Round): Promise<readonly Judged[]> => {
    const path = roundPath(folder, round.index);
    const there = await readRound(path, { header, rerun: 'align' });
    const proposals =
      there?.proposals ??
      propose(round.units, {
        policy,
        options: config.proposals,
        round: round.index,
        seed: 1,
        signal: round.signal,
      });
    if (there === undefined) await writeRound(path, proposals, header, {});
    const { judged } = judge(proposals, {
      annotator,
      store: null,
      round: round.index,
      betas: config.loss,
      skip: config.skip,
    });
    return judged;
  };
}

type RunOptions = {
  readonly folder?: string;
  readonly change?: Changes;
  readonly totalSteps?: number;
  /** Steps done after which the run is told to stop. */
  readonly abortAt?: number;
  /** Steps done after which the process dies. */
  readonly dieAt?: number;
  readonly live?: boolean;
  /** Weight of the loss on labelled cases. */
  readonly labels?: number;
  readonly wrap?: <A extends Active>(objective: Objective<A>, sam: Sam) => Objective<A>;
};

const trainables = (sam: Sam, config: Config['alignment']) =>
  selectTrainable(sam, config.scope === 'decoder' ? 'decoder' : 'all');

const labelled = toyUnits(12).slice(8);
const anchorTo = (of: typeof labelled, policy: PolicyOptions, weight: number) =>
  labelAnchor({
    policy,
    units: of,
    target: (unit) => toyTruth(unit.caseId),
    loss: { scope: 'mask' },
    batchSize: 3,
    weight,
    seed: 1,
  });

async function run(o: RunOptions = {}) {
  const { folder = fresh(), totalSteps = STEPS } = o;
  const config = configOf(o.change);
  const sam = toySam();
  const live = new LiveEmbeddings(sam, new Map(units.map(({ caseId }) => [caseId, toyInput(caseId)])));
  const policy = o.live === true ? toyPolicy(sam, live) : toyPolicy(sam);
  const objective = preferenceObjective({
    policy,
    loss: config.loss,
    anchor: config.anchor.reference,
    judgedOf: judgedIn(folder, policy, config),
    ...(o.labels === undefined ? {} : { labels: anchorTo(labelled, policy, o.labels) }),
  });
  const controller = new AbortController();
  const alarms: [Alarm['kind'], number][] = [];
  const metrics = MetricsLog.open(join(dir, `metrics${folders++}.jsonl`));
  let failure: unknown;
  let steps = -1;
  try {
    const done = await align({
      policy,
      trainable: trainables(sam, config),
      units,
      objective: o.wrap?.(objective, sam) ?? objective,
      config,
      totalSteps,
      seed: 1,
      stream: 'stage2',
      loop: {
        label: 'toy',
        statePath: join(folder, 'state.safetensors'),
        header,
        rerun: 'align --restart',
        metrics,
        signal: controller.signal,
        onProgress: (doneSteps) => {
          if (doneSteps === o.abortAt) controller.abort(new Error('stopped by request'));
          if (doneSteps === o.dieAt) throw new Error('killed');
        },
      },
      onAlarm: ({ kind }, step) => alarms.push([kind, step]),
    });
    steps = done.steps;
  } catch (error) {
    failure = error;
  }
  const lines = metrics.entries();
  metrics.close();
  const weights = snapshot(sam);
  sam.dispose();
  return { folder, steps, weights, lines, alarms, failure };
}

const losses = ({ lines }: { lines: Awaited<ReturnType<typeof run>>['lines'] }) =>
  lines.map((line) => line.losses?.preference as number);

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

describe('a stopped run', () => {
  const whole = run();

  it.each(Array.from({ length: STEPS }, (_, i) => i))(
    'told to stop after %d steps, goes on to exactly the same weights and curve',
    async (abortAt) => {
      const { weights, lines } = await whole;
      const first = await run({ abortAt });
      expect(String(first.failure)).toBe('Error: stopped by request');
      expect(first.lines).toHaveLength(abortAt);
      const second = await run({ folder: first.folder });
      expect(second.failure).toBeUndefined();
      expect(second.steps).toBe(STEPS);
      expect(second.weights).toEqual(weights);
      const curve = (list: typeof lines) =>
        list.map(({ step, losses: l, rewardMean, refreshed }) => ({ step, l, rewardMean, refreshed }));
      expect(curve([...first.lines, ...second.lines])).toEqual(curve(lines));
    },
  );

  it('killed between two saved states, repeats what was lost', async () => {
    const change = { checkpointEverySteps: 3 };
    const killed = await run({ change, dieAt: 5 });
    expect(String(killed.failure)).toBe('Error: killed');
    const second = await run({ change, folder: killed.folder });
    expect(second.lines[0]?.step).toBe(4);
    expect(second.weights).toEqual((await whole).weights);
  });

  it('with a reference that moves half the way, too', async () => {
    const change = { refresh: { everySteps: 4, resync: 0.5 } };
    const { weights } = await run({ change });
    for (const abortAt of [4, 6]) {
      const { folder } = await run({ change, abortAt });
      expect((await run({ change, folder })).weights).toEqual(weights);
    }
  });

  it('that is finished does nothing more', async () => {
    const done = await run();
    const again = await run({ folder: done.folder });
    expect(again.steps).toBe(STEPS);
    expect(again.lines).toEqual([]);
    expect(again.weights).toEqual(done.weights);
  });
});

describe('memory', () => {
  it('holds as many tensors after a run as before, finished or stopped', async () => {
    await run();
    const before = memory().tensors;
    expect((await run()).steps).toBe(STEPS);
    expect(memory().tensors).toBe(before);
    await run({ abortAt: 5 });
    expect(memory().tensors).toBe(before);
    await run({ dieAt: 5 });
    expect(memory().tensors).toBe(before);
  });

  it('does not grow from step to step', async () => {
    const counts: number[] = [];
    const wrap = <A extends Active>(objective: Objective<A>): Objective<A> => ({
      ...objective,
      loss: (active, batch, step) => {
        counts.push(memory().tensors);
        return objective.loss(active, batch, step);
      },
    });
    await run({ wrap });
    expect(new Set(counts.slice(1)).size).toBe(1); // the first step is before Adam has its memory
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

describe('rounds', () => {
  it('disjoint: a round learns from its own units alone', async () => {
    const seen: string[][] = [];
    const wrap = <A extends Active>(objective: Objective<A>): Objective<A> => ({
      begin: (round, withReference) => {
        seen.push([]);
        return objective.begin(round, withReference);
      },
      loss: (active, batch, step) => {
        seen.at(-1)?.push(...active.map((a) => a.unit.caseId));
        return objective.loss(active, batch, step);
      },
    });
    const change: Changes = { refresh: { rounds: 'disjoint', roundCount: 3, everySteps: 1 }, batchSize: 2 };
    await run({ change, totalSteps: 9, wrap });
    const config = configOf(change);
    expect(seen).toHaveLength(3);
    for (const [round, ids] of seen.entries()) {
      const own = roundUnits(units, round, config, 1).map((unit) => unit.caseId);
      expect([...new Set(ids)].sort()).toEqual([...own].sort());
    }
  });

  it('without a unit that has a signal end with advice', async () => {
    const { failure } = await run({
      change: { skip: { minRegionPx: SIDE * SIDE + 1, maxRegionFraction: 1 } },
    });
    expect(failure).toBeInstanceOf(UsageError);
    expect(String(failure)).toMatch(/round 0: no unit has a signal/);
  });

  it('a state of another configuration is refused', async () => {
    const { folder } = await run({ abortAt: 2 });
    const sam = toySam();
    const policy = toyPolicy(sam);
    const config = configOf();
    const going = align({
      policy,
      trainable: trainables(sam, config),
      units,
      objective: preferenceObjective({
        policy,
        loss: config.loss,
        anchor: 0,
        judgedOf: judgedIn(folder, policy, config),
      }),
      config,
      totalSteps: STEPS,
      seed: 1,
      stream: 'stage2',
      loop: {
        label: 'toy',
        statePath: join(folder, 'state.safetensors'),
        header: { ...header, configHash: 'c1' },
        rerun: 'align --restart',
        metrics: null,
        signal: never,
        onProgress: () => {},
      },
      onAlarm: () => {},
    });
    await expect(going).rejects.toThrow(DataError);
    sam.dispose();
  });
});

describe('alarms', () => {
  // Any movement at all counts as running away, from the twentieth step on.
  const change: Changes = {
    refresh: { everySteps: 0 },
    alarms: { runawayLogit: 1e-9, saturationReward: 1e9 },
  };

  it('stop the run, which then is finished; a warning does not', async () => {
    const stopped = await run({ change, totalSteps: 24 });
    expect(stopped.alarms).toEqual([['runaway', 19]]);
    expect(stopped.steps).toBe(20);
    const again = await run({ change, totalSteps: 24, folder: stopped.folder });
    expect(again.steps).toBe(20);
    expect(again.lines).toEqual([]);
    expect(again.weights).toEqual(stopped.weights);
    const warned = await run({
      change: { ...change, alarms: { ...change?.alarms, action: 'warn' } },
      totalSteps: 24,
    });
    expect(warned.steps).toBe(24);
    expect(warned.alarms.map(([, step]) => step)).toEqual([19, 20, 21, 22, 23]);
  });

  it('come at the same step in a run that was stopped in between', async () => {
    const { folder } = await run({ change, totalSteps: 24, abortAt: 11 });
    const second = await run({ change, totalSteps: 24, folder });
    expect(second.alarms).toEqual([['runaway', 19]]);
    expect(second.steps).toBe(20);
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
