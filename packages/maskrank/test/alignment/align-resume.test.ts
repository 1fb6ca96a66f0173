// A run of stage 2 that is stopped or killed goes on to exactly the same end, and no run leaves tensors behind.

import { memory } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import type { Active, Objective } from '../../src/alignment/objectives/objective.ts';
import { run, STEPS } from './align-toy.ts';

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
    const killed = await run({ change, dieAt: 8 });
    expect(String(killed.failure)).toBe('Error: killed');
    const second = await run({ change, folder: killed.folder });
    expect(second.lines[0]?.step).toBe(7);
    expect(second.weights).toEqual((await whole).weights);
  });

  it('stopped while a round begins, keeps the steps before it', async () => {
    const begun: number[] = [];
    const dying = <A extends Active>(objective: Objective<A>): Objective<A> => ({
      ...objective,
      begin: (round, withReference) => {
        begun.push(round.index);
        if (round.index === 1) throw new Error('judgements are missing');
        return objective.begin(round, withReference);
      },
    });
    for (const resync of [1, 0.5]) {
      const change = { refresh: { everySteps: 4, resync } };
      const stopped = await run({ change, wrap: dying });
      expect(String(stopped.failure)).toBe('Error: judgements are missing');
      const second = await run({ change, folder: stopped.folder });
      expect(second.lines[0]?.step).toBe(5); // four steps were done
      expect(second.weights).toEqual((await run({ change })).weights);
    }
    expect(begun).toEqual([0, 1, 0, 1]);
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
