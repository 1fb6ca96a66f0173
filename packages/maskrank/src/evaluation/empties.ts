// An evaluation under another policy for empty masks than the one it was made with: records keep what was measured, so no mask is needed
// again. Pure. Not here: the policies themselves (overlap.ts). What was chosen on validation cases by the evaluation's own policy stays chosen.

import { valuesUnder } from './measure.ts';
import type { EmptiesPolicy } from './overlap.ts';
import type { CaseResult, Evaluation, Tolerance } from './schema.ts';
import { summarise } from './summarise.ts';

/** What a policy does, in a sentence for readers of tables. */
export const EMPTIES_MEANING: Readonly<Record<EmptiesPolicy, string>> = {
  exclude:
    'Where truth and prediction are both empty a case has no value: it is excluded and counted. A missed object and a false alarm count as 0.',
  one: 'Where truth and prediction are both empty a case counts as perfect (1), which raises means by the share of empty images.',
  zero: 'Where truth and prediction are both empty a case counts as 0.',
  'zero-if-missed':
    'Only cases whose truth holds the object count; the others are excluded and counted. A missed object counts as 0.',
};

/** The evaluation as the same measurement would be under the policy: records, summaries and comparisons, by volume as well. */
export function withEmpties(evaluation: Evaluation, empties: EmptiesPolicy): Evaluation {
  const { statistics, volumes } = evaluation;
  if (evaluation.empties === empties) return evaluation;
  const again = (records: readonly CaseResult[], tolerances: readonly Tolerance[]) => {
    const cases = records.map((record) => ({ ...record, ...valuesUnder(record, tolerances, empties) }));
    return { cases, ...summarise(cases, { ...statistics, tolerances }) };
  };
  return {
    ...evaluation,
    empties,
    ...again(evaluation.cases, evaluation.tolerances),
    ...(volumes && { volumes: { ...volumes, ...again(volumes.cases, volumes.tolerances) } }),
  };
}
