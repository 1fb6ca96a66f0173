import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { answerOf, openRatings, type RatingLine, recordedAnnotator } from '../../src/alignment/ratings.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-ratings-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${files++}.jsonl`);

const line: RatingLine = {
  case: 'a',
  class: 1,
  round: 0,
  proposals: 'h1',
  order: [2, 0, 1, 3],
  annotator: 'Dr. Who',
  elapsedMs: 1200,
  at: '2026-01-01T00:00:00.000Z',
};
const { order: _, ...unanswered } = line;
const question = (change: object = {}) => ({
  caseId: 'a',
  classId: 1,
  round: 5,
  candidates: [],
  proposalsHash: 'h1',
  ...change,
});

describe('the rating store', () => {
  it('keeps one answer for a set of candidates, the last one', () => {
    const path = fresh();
    {
      using store = openRatings(path);
      store.append(line);
      store.append({ ...line, proposals: 'h2' });
      store.append({ ...line, order: [3, 2, 1, 0] });
      expect(store.size).toBe(2);
    }
    expect(readFileSync(path, 'utf8').trim().split('\n')).toHaveLength(3); // nothing is lost
    using store = openRatings(path);
    expect(store.entries().map(({ proposals, order }) => [proposals, order])).toEqual([
      ['h1', [3, 2, 1, 0]],
      ['h2', [2, 0, 1, 3]],
    ]);
  });

  it('what was said there is an annotator', () => {
    using store = openRatings(fresh());
    store.append(line);
    store.append({ ...unanswered, case: 'b', grades: [1, 2, 3, 4] });
    store.append({ ...unanswered, case: 'c', best: 3 });
    const annotator = recordedAnnotator(store);
    expect(annotator.judge(question())).toEqual({ order: [2, 0, 1, 3] });
    expect(annotator.judge(question({ caseId: 'b' }))).toEqual({ grades: [1, 2, 3, 4] });
    expect(annotator.judge(question({ caseId: 'c' }))).toEqual({ best: 3 });
    expect(annotator.judge(question({ proposalsHash: 'h9' }))).toBeUndefined();
    expect(annotator.judge(question({ classId: 2 }))).toBeUndefined();
    expect(answerOf(line)).toEqual({ order: [2, 0, 1, 3] });
  });

  it.each([
    [
      'an order that names one twice',
      { ...line, order: [0, 1, 1, 3] },
      /order = \[0,1,1,3\]: must name each of 0\.\.3 once/,
    ],
    ['an order that is too short', { ...line, order: [0, 1, 2] }, /order = \[0,1,2\]: .*4/],
    ['a candidate that is not there', { ...line, order: [0, 1, 2, 4] }, /order\[3\] = 4: .*3/],
    ['order and grades', { ...line, grades: [1, 2, 3, 4] }, /needs one of order, grades and best/],
    ['an order and the best', { ...line, best: 1 }, /needs one of order, grades and best/],
    ['none of them', unanswered, /needs one of order, grades and best/],
    ['a best that is not there', { ...unanswered, best: 4 }, /best = 4: .*3/],
    [
      'grades as words',
      { ...unanswered, grades: ['a', 2, 3, 4] },
      /grades\[0\] = "a": allowed: 1 \(worst\) to 4 \(best\)/,
    ],
    [
      'a grade below the scale',
      { ...unanswered, grades: [1, 2, 0, 4] },
      /grades\[2\] = 0: allowed: 1 \(worst\) to 4 \(best\)/,
    ],
    [
      'a grade above the scale',
      { ...unanswered, grades: [1, 5, 3, 4] },
      /grades\[1\] = 5: allowed: 1 \(worst\) to 4 \(best\)/,
    ],
    ['a grade for three of them', { ...unanswered, grades: [1, 2, 3] }, /grades = \[1,2,3\]: .*4/],
    ['no annotator', { ...line, annotator: '' }, /annotator = "": /],
    ['a missing field', { ...line, at: undefined }, /at is missing: .*string/],
    ['a negative time', { ...line, elapsedMs: -1 }, /elapsedMs = -1: .*0/],
    ['a key that means nothing', { ...line, note: 'x' }, /unknown key note/],
  ])('refuses %s: file, line, field, what was found and what is allowed', (_what, bad, message) => {
    const path = fresh();
    writeFileSync(path, `${JSON.stringify(line)}\n${JSON.stringify(bad)}\n`);
    const open = () => openRatings(path);
    expect(open).toThrow(DataError);
    expect(open).toThrow(message);
    expect(open).toThrow(`${path}: line 2 of the rating store: `);
    expect(open).toThrow(/Correct or delete that line\.$/);
  });
});
