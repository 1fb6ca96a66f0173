// Warns where a model's published weights may have seen a dataset: a test on such cases is too good to be true.
// What is known comes from the files that the weights' authors released with them; everything else public is "possible",
// because large collections rarely list their sources case by case. Not here: comparing pixels with a training set.

import type { Dataset } from './schema.ts';

export type Overlap = {
  /** `known`: the weights' own material shows the set. `possible`: the set is public and older than the weights. */
  readonly certainty: 'known' | 'possible';
  /** Name of the public set, as in the tag `collection` or in the case ids. */
  readonly set: string;
  /** Cases concerned. */
  readonly cases: number;
  /** A sentence for people. */
  readonly message: string;
};

type Pretraining = {
  /** Sets that are known to be inside, by a pattern for `collection` tags and case ids. */
  readonly known: Readonly<Record<string, RegExp>>;
  readonly source: string;
};

/** By the beginning of the weights' name. */
const PRETRAINING: Readonly<Record<string, Pretraining>> = {
  'sam-med2d': {
    known: { AMOS: /^amos(_|\b)/i, TotalSegmentator: /^(totalsegmentator\b|s\d{4}_)/i },
    source: 'its demonstration data hold slices of it',
  },
};

/** What is to be said about testing `weights` (e.g. `sam-med2d_b`) on this dataset; `[]` for weights trained from scratch. */
export function pretrainingOverlaps(dataset: Dataset, weights: string): Overlap[] {
  const entry = Object.entries(PRETRAINING).find(([name]) => weights.toLowerCase().startsWith(name));
  if (entry === undefined) return [];
  const { known, source } = entry[1];
  const counts = new Map<string, { certainty: Overlap['certainty']; cases: number }>();
  for (const record of dataset.cases) {
    const collection = record.tags?.collection;
    const sure = Object.entries(known).find(
      ([, pattern]) => pattern.test(collection ?? '') || pattern.test(record.id),
    );
    const set = sure?.[0] ?? collection;
    if (set === undefined || set === 'phantoms') continue;
    const count = counts.get(set) ?? {
      certainty: sure ? ('known' as const) : ('possible' as const),
      cases: 0,
    };
    count.cases++;
    counts.set(set, count);
  }
  return [...counts].map(([set, { certainty, cases }]) => ({
    certainty,
    set,
    cases,
    message:
      certainty === 'known'
        ? `${weights} was trained on ${set} (${source}): results on these ${cases} cases say nothing about new patients.`
        : `${set} is public, so ${weights} may have been trained on these ${cases} cases: compare with a model that was not.`,
  }));
}
