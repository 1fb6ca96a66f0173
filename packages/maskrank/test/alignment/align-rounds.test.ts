// Rounds of stage 2 and its alarms.

import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { describe, expect, it } from 'vitest';
import { align } from '../../src/alignment/align.ts';
import type { Active, Objective } from '../../src/alignment/objectives/objective.ts';
import { preferenceObjective } from '../../src/alignment/objectives/preference.ts';
import { roundUnits } from '../../src/alignment/schedule.ts';
import { type Changes, configOf, header, judgedIn, run, STEPS, trainables, units } from './align-toy.ts';
import { never, SIDE, toyPolicy, toySam } from './toy.ts';

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
