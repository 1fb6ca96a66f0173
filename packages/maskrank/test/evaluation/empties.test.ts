// An evaluation valued anew under another policy for empty masks is the one that the policy itself would have made.

import { describe, expect, it } from 'vitest';
import { withEmpties } from '../../src/evaluation/empties.ts';
import { measure } from '../../src/evaluation/measure.ts';
import { tolerance } from '../../src/evaluation/metrics.ts';
import { EMPTIES_POLICIES, type EmptiesPolicy } from '../../src/evaluation/overlap.ts';
import { type CaseResult, type Evaluation, EvaluationSchema } from '../../src/evaluation/schema.ts';
import { summarise } from '../../src/evaluation/summarise.ts';

const TOLERANCES = [tolerance(1, 'px'), tolerance(1, 'mm')];
const STATISTICS = { seed: 1, bootstrapResamples: 100, permutations: 100 };

const grid = (text: string) => ({
  shape: [1, text.length],
  data: Uint8Array.from(text, (c) => (c === '#' ? 1 : 0)),
});

/** Truth, what a cautious stage finds, and what one that always paints finds. */
const CASES = [
  ['.##.....', '.#......', '.###....'],
  ['........', '........', '...##...'],
  ['.###....', '........', '......#.'],
  ['....##..', '#.......', '....##..'],
] as const;

function evaluationUnder(empties: EmptiesPolicy): Evaluation {
  const records = CASES.flatMap(([truth, cautious, painting], i) =>
    [cautious, painting].map(
      (found, k): CaseResult => ({
        case: `case${i}`,
        class: 1,
        stage: ['cautious', 'painting'][k]!,
        prompt: { source: 'none', oracle: false },
        ...measure(grid(truth), grid(found), { tolerances: TOLERANCES, empties, spacingMm: [2, 0.5] }),
      }),
    ),
  );
  const results = {
    tolerances: TOLERANCES,
    cases: records,
    ...summarise(records, { ...STATISTICS, tolerances: TOLERANCES }),
  };
  return EvaluationSchema.parse({
    ...results,
    schemaVersion: 1,
    configHash: 'c',
    madeFrom: {},
    dataset: { name: 'd', split: 'test', classes: [{ id: 1, name: 'organ' }] },
    empties,
    missedDistance: 'image diagonal',
    statistics: STATISTICS,
    prompts: { oracle: false, sources: {} },
    stages: ['cautious', 'painting'].map((key) => ({ key, title: key })),
    controls: [],
    volumes: results,
  });
}

describe.each(EMPTIES_POLICIES)('made under %s', (made) => {
  it.each(EMPTIES_POLICIES)('valued under %s', (wanted) => {
    expect(withEmpties(evaluationUnder(made), wanted)).toEqual(evaluationUnder(wanted));
  });
});

it('a rightly empty mask and a false alarm are told apart by one, not by exclude', () => {
  const dice = (empties: EmptiesPolicy, stage: string) =>
    withEmpties(evaluationUnder('exclude'), empties).summary[stage]!.all!.perImage.dice!;
  // Cautious: 2/3, nothing to find, missed, beside it. Painting: 4/5, a false alarm, beside it, whole.
  expect(dice('exclude', 'cautious')).toMatchObject({ mean: 2 / 9, n: 3, nExcluded: 1 });
  expect(dice('one', 'cautious').mean).toBeCloseTo((2 / 3 + 1) / 4, 12);
  expect(dice('one', 'painting').mean).toBeCloseTo(1.8 / 4, 12);
  expect(dice('exclude', 'painting')).toMatchObject({ mean: dice('one', 'painting').mean, n: 4 });
});
