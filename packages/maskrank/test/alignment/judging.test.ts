import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Annotator, Answer, Question } from '../../src/alignment/annotators/annotator.ts';
import { interpret, judge } from '../../src/alignment/objectives/judging.ts';
import { candidatesHash, packCandidates, regionSize } from '../../src/alignment/proposals/candidates.ts';
import type { Proposal } from '../../src/alignment/proposals/round.ts';
import { openRatings } from '../../src/alignment/ratings.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-judging-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${files++}.jsonl`);

const betas = { beta1: 1, beta2: 0.5 };
const skip = { minRegionPx: 2, maxRegionFraction: 0.5 };

/** Four 4 x 4 candidates that differ in exactly the first `regionPx` pixels. */
function proposal(caseId: string, regionPx: number): Proposal {
  const data = new Uint8Array(4 * 16).fill(0);
  data.fill(1, 0, regionPx);
  const candidates = packCandidates(data, 4, 4, 4);
  expect(regionSize(candidates)).toBe(regionPx);
  return { caseId, classId: 1, candidates, head: 0, regionPx, hash: candidatesHash(candidates) };
}

class Fake implements Annotator {
  readonly name = 'fake';
  readonly asked: Question[] = [];
  readonly #answers: (question: Question) => Answer | undefined;
  constructor(answers: (question: Question) => Answer | undefined) {
    this.#answers = answers;
  }
  judge(question: Question): Answer | undefined {
    this.asked.push(question);
    return this.#answers(question);
  }
}

describe('judge', () => {
  it('counts every proposal exactly once', () => {
    const kinds = fc.array(
      fc.record({
        regionPx: fc.integer({ min: 0, max: 16 }),
        says: fc.constantFrom('order', 'tie', 'nothing'),
      }),
      {
        maxLength: 12,
      },
    );
    fc.assert(
      fc.property(kinds, (list) => {
        const proposals = list.map(({ regionPx }, i) => proposal(`case${i}`, regionPx));
        const annotator = new Fake(({ caseId }) => {
          const { says } = list[Number(caseId.slice(4))] as (typeof list)[number];
          if (says === 'nothing') return undefined;
          return says === 'tie' ? { grades: [2, 2, 2, 2] } : { order: [3, 1, 0, 2] };
        });
        const { judged, counts } = judge(proposals, { annotator, store: null, round: 0, betas, skip });
        const asked = list.filter(({ regionPx }) => regionPx >= 2 && regionPx <= 8);
        expect(counts).toEqual({
          identical: list.filter(({ regionPx }) => regionPx < 2).length,
          oversized: list.filter(({ regionPx }) => regionPx > 8).length,
          undecided: asked.filter(({ says }) => says === 'tie').length,
          unanswered: asked.filter(({ says }) => says === 'nothing').length,
          active: asked.filter(({ says }) => says === 'order').length,
        });
        expect(annotator.asked).toHaveLength(asked.length); // what has no signal is not shown
        expect(judged).toHaveLength(counts.active);
        for (const { order, coefficients } of judged) {
          expect(order).toEqual([3, 1, 0, 2]);
          expect(coefficients).toEqual([-0.5, 0.5, -1, 1]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('shows the candidates as masks, with hash and round', () => {
    const annotator = new Fake(() => ({ order: [0, 1, 2, 3] }));
    const one = proposal('a', 4);
    judge([one], { annotator, store: null, round: 7, betas, skip });
    const [question] = annotator.asked as [Question];
    expect(question).toMatchObject({ caseId: 'a', classId: 1, round: 7, proposalsHash: one.hash });
    expect(question.candidates.map((mask) => mask.data.reduce((a, b) => a + b, 0))).toEqual([4, 0, 0, 0]);
  });

  it('writes down what was said, and does not ask again: not now, not after opening the file anew', () => {
    const path = fresh();
    const proposals = [proposal('a', 4), proposal('b', 5)];
    const answers = new Fake(({ caseId }) =>
      caseId === 'a' ? { order: [3, 2, 1, 0] } : { grades: [1, 4, 4, 2] },
    );
    const options = { round: 2, betas, skip };
    const store = openRatings(path);
    const first = judge(proposals, { ...options, annotator: answers, store });
    expect(answers.asked).toHaveLength(2);
    expect(store.entries()).toMatchObject([
      {
        case: 'a',
        class: 1,
        round: 2,
        proposals: proposals[0]?.hash,
        order: [3, 2, 1, 0],
        annotator: 'fake',
      },
      {
        case: 'b',
        class: 1,
        round: 2,
        proposals: proposals[1]?.hash,
        grades: [1, 4, 4, 2],
        annotator: 'fake',
      },
    ]);
    const again = judge(proposals, { ...options, annotator: answers, store });
    store.close();
    using reopened = openRatings(path);
    const silent = new Fake(() => undefined);
    const later = judge(proposals, { ...options, annotator: silent, store: reopened });
    expect(answers.asked).toHaveLength(2);
    expect(silent.asked).toHaveLength(0);
    expect(again).toEqual(first);
    expect(later).toEqual(first);
  });

  it('an answer to other candidates of the same case does not count; no answer leaves no line', () => {
    using store = openRatings(fresh());
    const options = { store, round: 0, betas, skip };
    judge([proposal('a', 4)], { ...options, annotator: new Fake(() => ({ order: [0, 1, 2, 3] })) });
    const silent = new Fake(() => undefined);
    const { counts } = judge([proposal('a', 5)], { ...options, annotator: silent });
    expect(counts).toMatchObject({ active: 0, unanswered: 1 });
    expect(silent.asked).toHaveLength(1);
    expect(store.size).toBe(1);
  });

  it.each([
    ['an order that is none', { order: [0, 1, 1, 3] }],
    ['grades beside the scale', { grades: [0, 1, 2, 5] }],
    ['too few grades', { grades: [1, 2] }],
  ])('refuses %s, names who gave it, and writes nothing', (_, answer) => {
    using store = openRatings(fresh());
    const ask = (into: typeof store | null) =>
      judge([proposal('a', 4)], {
        annotator: new Fake(() => answer),
        store: into,
        round: 0,
        betas,
        skip,
      });
    for (const into of [store, null]) {
      expect(() => ask(into)).toThrow(UsageError);
      expect(() => ask(into)).toThrow(/^annotator fake: answered .* about case a, class 1; allowed: /);
    }
    expect(store.size).toBe(0);
  });

  it('records what the candidates offered above the current mask, of those shown, where the truth is known', () => {
    const order = { order: [0, 1, 2, 3] };
    const dices: Record<string, number[]> = { a: [0.5, 0.7, 0.4, 0.6], b: [0.2, 0.8, 0.8, 0.8] };
    const knowing = Object.assign(new Fake(() => order), {
      agreement: ({ caseId }: Question) => dices[caseId] as number[],
    });
    const [a, b] = [
      { ...proposal('a', 4), current: 0 },
      { ...proposal('b', 4), current: 1 },
    ];
    const headroomOf = (list: Proposal[], annotator: Annotator = knowing) =>
      judge(list, { annotator, store: null, round: 0, betas, skip }).counts.headroom;
    expect(headroomOf([a])?.best).toBeCloseTo(0.2, 12);
    expect(headroomOf([a])?.mean).toBeCloseTo(0.05, 12);
    expect(headroomOf([b])).toMatchObject({ best: 0, mean: expect.closeTo(-0.15, 12) });
    expect(headroomOf([a, b])).toMatchObject({ best: expect.closeTo(0.1), mean: expect.closeTo(-0.05) });
    // not shown; no current mask among the candidates; nobody who knows
    expect(headroomOf([{ ...proposal('a', 1), current: 0 }])).toBeUndefined();
    expect(headroomOf([proposal('a', 4)])).toBeUndefined();
    expect(headroomOf([a], new Fake(() => order))).toBeUndefined();
  });

  it('keeps to the edges of what is skipped', () => {
    const annotator = new Fake(() => ({ order: [0, 1, 2, 3] }));
    const countsAt = (regionPx: number) =>
      judge([proposal('a', regionPx)], { annotator, store: null, round: 0, betas, skip }).counts;
    expect(countsAt(1).identical).toBe(1);
    expect(countsAt(2).active).toBe(1);
    expect(countsAt(8).active).toBe(1); // exactly half of the image
    expect(countsAt(9).oversized).toBe(1);
  });
});

it('interpret takes an order, grades or the best alone', () => {
  expect(interpret({ best: 2 }, { beta1: 3, beta2: 1 })).toEqual({
    order: [2, 0, 1, 3],
    coefficients: [-1, -1, 3, -1],
  });
  expect(interpret({ order: [1, 0, 3, 2] }, betas)).toEqual({
    order: [1, 0, 3, 2],
    coefficients: [0.5, 1, -1, -0.5],
  });
  const graded = interpret({ grades: [1, 4, 2, 4] }, betas);
  expect(graded.order).toEqual([1, 3, 2, 0]);
  expect(graded.coefficients).toEqual([-1, 0.75, -0.5, 0.75]);
});
