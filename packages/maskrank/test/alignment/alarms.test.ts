import { describe, expect, it } from 'vitest';
import { roundAlarms, stepAlarms } from '../../src/alignment/alarms.ts';
import { toyAlignment } from './toy.ts';

const options = toyAlignment().alarms;
const warn = { ...options, action: 'warn' as const };
const counts = { active: 0, identical: 0, oversized: 0, undecided: 0, unanswered: 0 };

describe('alarms of a step', () => {
  it('are silent in a healthy run and where nothing was measured', () => {
    expect(stepAlarms({ rewardAbs: 6, regionShift: 8 }, options, false)).toEqual([]);
    expect(stepAlarms({}, options, false)).toEqual([]);
    expect(stepAlarms({ rewardAbs: Number.NaN, regionShift: Number.NaN }, options, false)).toEqual([]);
  });

  it('saturation: only where no new proposals will come', () => {
    const [alarm, ...rest] = stepAlarms({ rewardAbs: 6.1 }, options, false);
    expect(rest).toEqual([]);
    expect(alarm).toMatchObject({ kind: 'saturation', fatal: true });
    expect(alarm?.text).toMatch(/6\.1, above 6: .*alignment\.refresh\.everySteps.*alignment\.loss\.kappa/);
    expect(stepAlarms({ rewardAbs: 60 }, options, true)).toEqual([]);
  });

  it('runaway: refreshed or not', () => {
    for (const refreshed of [false, true]) {
      const [alarm] = stepAlarms({ rewardAbs: 0, regionShift: 8.3 }, options, refreshed);
      expect(alarm).toMatchObject({ kind: 'runaway', fatal: true });
      expect(alarm?.text).toContain('8.3 logits');
    }
  });

  it('do not stop the run where they shall only warn', () => {
    const both = stepAlarms({ rewardAbs: 100, regionShift: 100 }, warn, false);
    expect(both.map(({ kind, fatal }) => [kind, fatal])).toEqual([
      ['saturation', false],
      ['runaway', false],
    ]);
  });
});

describe('alarms of a round', () => {
  it('are silent while enough units have a signal', () => {
    expect(roundAlarms({ ...counts, active: 75, oversized: 25 }, options)).toEqual([]);
    expect(roundAlarms(counts, options)).toEqual([]); // no unit at all: not a matter of the proposals
  });

  it('oversized: too many candidates differ in too much of the image', () => {
    const [alarm] = roundAlarms({ ...counts, active: 74, oversized: 26 }, options);
    expect(alarm).toMatchObject({ kind: 'oversized', fatal: true });
    expect(alarm?.text).toContain('26 of 100 units');
    expect(roundAlarms({ ...counts, active: 74, oversized: 26 }, warn)[0]?.fatal).toBe(false);
  });

  it('no signal: always the end, but not while answers are awaited', () => {
    const [alarm] = roundAlarms({ ...counts, identical: 3, undecided: 2 }, warn);
    expect(alarm).toMatchObject({ kind: 'no-signal', fatal: true });
    expect(alarm?.text).toMatch(/3 with identical candidates, 0 oversized, 2 undecided/);
    expect(roundAlarms({ ...counts, identical: 3, unanswered: 1 }, options)).toEqual([]);
  });
});
