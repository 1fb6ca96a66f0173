import { UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Question } from '../../src/alignment/annotators/annotator.ts';
import { maskIou, OracleAnnotator, type OracleOptions } from '../../src/alignment/annotators/oracle.ts';
import { bestFirst } from '../../src/alignment/coefficients.ts';
import type { Mask } from '../../src/imaging/types.ts';

const row = (...bits: number[]): Mask => ({ width: bits.length, height: 1, data: Uint8Array.from(bits) });
// The truth is ten pixels; candidate k covers so many of them and nothing else: IoU 0.8, 0.2, 1, 0.6.
const truth = row(...Array.from({ length: 10 }, () => 1));
const candidates = [8, 2, 10, 6].map((n) => row(...Array.from({ length: 10 }, (_, i) => Number(i < n))));
const best = [2, 0, 3, 1];

const question = (change: Partial<Question> = {}): Question => ({
  caseId: 'case0',
  classId: 1,
  round: 0,
  candidates,
  proposalsHash: 'h',
  ...change,
});
const oracle = (change: Partial<OracleOptions> = {}) =>
  new OracleAnnotator({
    kind: 'ranking',
    noise: 0,
    randomOrders: 0,
    ratingBins: [0.4, 0.55, 0.7],
    seed: 1,
    truth: () => truth,
    ...change,
  });
const orderOf = (answer: ReturnType<OracleAnnotator['judge']>): readonly number[] =>
  'order' in answer ? answer.order : [];
const cases = Array.from({ length: 400 }, (_, i) => question({ caseId: `case${i}` }));

/** Positions in which two lists differ. */
const differences = (a: readonly number[], b: readonly number[]) =>
  a.flatMap((x, i) => (x === b[i] ? [] : [i]));

describe('the virtual annotator', () => {
  it('without noise orders by overlap, whatever it is asked', () => {
    for (const q of cases.slice(0, 50)) expect(oracle().judge(q)).toEqual({ order: best });
  });

  it('asked for the best says nothing of the others; a mistake names the second in one of three cases', () => {
    for (const q of cases.slice(0, 50)) expect(oracle({ kind: 'best' }).judge(q)).toEqual({ best: best[0] });
    const said = cases.map((q) => oracle({ kind: 'best', noise: 1 }).judge(q));
    const seconds = said.filter((answer) => 'best' in answer && answer.best === best[1]).length;
    expect(said.filter((answer) => 'best' in answer && answer.best === best[0])).toHaveLength(
      cases.length - seconds,
    );
    expect(seconds / cases.length).toBeGreaterThan(0.24);
    expect(seconds / cases.length).toBeLessThan(0.43);
  });

  it('knows the Dice of each candidate, whatever mistakes it makes', () => {
    const mistaken = oracle({ kind: 'rating', noise: 1, randomOrders: 1 }).agreement(question());
    for (const [k, dice] of [16 / 18, 4 / 12, 1, 12 / 16].entries())
      expect(mistaken[k]).toBeCloseTo(dice, 12);
    const nothing = row(...truth.data.map(() => 0));
    const empty = oracle({ truth: () => nothing }).agreement(question({ candidates: [nothing, truth] }));
    expect(empty).toEqual([1, 0]);
  });

  it('without noise grades by the bins', () => {
    expect(oracle({ kind: 'rating' }).judge(question())).toEqual({ grades: [4, 1, 4, 3] });
  });

  it('with noise 1 always swaps two neighbours, each place as often as another', () => {
    const places = cases.map((q) => {
      const order = orderOf(oracle({ noise: 1 }).judge(q));
      const at = differences(order, best);
      expect(at).toHaveLength(2);
      const [i, j] = at as [number, number];
      expect(j).toBe(i + 1);
      expect([order[i], order[j]]).toEqual([best[j], best[i]]);
      return i;
    });
    for (const place of [0, 1, 2]) {
      const share = places.filter((p) => p === place).length / places.length;
      expect(share).toBeGreaterThan(0.24);
      expect(share).toBeLessThan(0.43);
    }
  });

  it('with noise 1 moves exactly one grade by one step, inside 1 to 4', () => {
    for (const q of cases) {
      const answer = oracle({ kind: 'rating', noise: 1 }).judge(q);
      const grades = 'grades' in answer ? answer.grades : [];
      const clean = [4, 1, 4, 3];
      const at = differences(grades, clean);
      expect(at).toHaveLength(1);
      const [i] = at as [number];
      expect(Math.abs((grades[i] as number) - (clean[i] as number))).toBe(1);
      for (const grade of grades) expect([1, 2, 3, 4]).toContain(grade);
    }
  });

  it('the noise is the share of the cases', () => {
    for (const noise of [0.1, 0.4]) {
      const wrong = cases.filter((q) => differences(orderOf(oracle({ noise }).judge(q)), best).length > 0);
      expect(Math.abs(wrong.length / cases.length - noise)).toBeLessThan(0.08);
    }
  });

  it('random orders are that share of the cases, and every order comes', () => {
    const all = cases.map((q) => orderOf(oracle({ randomOrders: 1 }).judge(q)).join(''));
    expect(new Set(all).size).toBe(24);
    const some = cases.filter(
      (q) => orderOf(oracle({ randomOrders: 0.5 }).judge(q)).join('') !== best.join(''),
    );
    // one random order in 24 is the right one
    expect(Math.abs(some.length / cases.length - 0.5 * (23 / 24))).toBeLessThan(0.08);
  });

  it('the same question gets the same answer; another seed, round, case or class its own draw', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.nat(5),
        fc.string(),
        fc.integer({ min: 1, max: 4 }),
        (seed, round, caseId, classId) => {
          const options = { noise: 0.5, randomOrders: 0.5, seed };
          const q = question({ round, caseId, classId });
          expect(oracle(options).judge(q)).toEqual(oracle(options).judge(q));
        },
      ),
    );
    const answers = (change: (i: number) => { q?: Partial<Question>; o?: Partial<OracleOptions> }) =>
      new Set(
        Array.from({ length: 60 }, (_, i) => {
          const { q = {}, o = {} } = change(i);
          return orderOf(oracle({ randomOrders: 1, ...o }).judge(question(q))).join('');
        }),
      ).size;
    expect(answers((i) => ({ o: { seed: i } }))).toBeGreaterThan(10);
    expect(answers((i) => ({ q: { round: i } }))).toBeGreaterThan(10);
    expect(answers((i) => ({ q: { classId: i + 1 } }))).toBeGreaterThan(10);
    expect(answers(() => ({}))).toBe(1);
  });

  it('looks up the truth of the case and class it is asked about', () => {
    const asked: unknown[] = [];
    const annotator = oracle({
      truth: (...of) => {
        asked.push(of);
        return truth;
      },
    });
    annotator.judge(question({ caseId: 'x', classId: 3 }));
    expect(asked).toEqual([['x', 3]]);
  });

  it('names itself with its mistakes, and needs three bins', () => {
    expect(oracle().name).toBe('virtual ranking');
    expect(oracle({ kind: 'rating', noise: 0.1, randomOrders: 0.2 }).name).toBe(
      'virtual rating noise 0.1 random 0.2',
    );
    expect(() => oracle({ ratingBins: [0.5] })).toThrow(UsageError);
  });
});

describe('maskIou', () => {
  it('counts pixels; nothing and nothing is 1', () => {
    const bits = fc.uint8Array({ min: 0, max: 1, minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(bits, bits, (a, b) => {
        const both = a.filter((x, i) => x === 1 && b[i] === 1).length;
        const either = a.filter((x, i) => x === 1 || b[i] === 1).length;
        const iou = maskIou(row(...a), row(...b));
        expect(iou).toBe(either === 0 ? 1 : both / either);
        expect(maskIou(row(...b), row(...a))).toBe(iou);
      }),
    );
  });

  it('bestFirst of overlaps is the order that the annotator gives', () => {
    expect(bestFirst(candidates.map((c) => maskIou(c, truth)))).toEqual(best);
  });
});
