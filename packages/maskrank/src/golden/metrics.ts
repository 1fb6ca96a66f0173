// Fixture sammed2d_losses_metrics, the part that measures: IoU and Dice of logits against masks.
// Not here: the fixture's losses (losses of training/), boxes and points (prompting/).

import { countOverlap, dice, iou, type OverlapCounts } from '../evaluation/overlap.ts';
import { compareElements, type Numbers, need, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const TOLERANCE = { absolute: 1e-6, relative: 0 };

/** The reference adds 1e-7 to both sides of each ratio, so that empty against empty is 1: our policy `one`. */
const METRICS: Readonly<Record<string, (counts: OverlapCounts) => number>> = {
  metric_iou: (counts) => iou(counts, 'one'),
  metric_dice: (counts) => dice(counts, 'one'),
};

/**
 * What the reference thresholds: its scores pass through a sigmoid only if the smallest of the whole batch is negative,
 * so a batch of positive logits is taken for probabilities. For comparison only: elsewhere the caller says what it has.
 */
function asProbabilities(scores: Numbers): Float64Array {
  const values = Float64Array.from(scores);
  return values.some((x) => x < 0) ? values.map((x) => 1 / (1 + Math.exp(-x))) : values;
}

/** Counts of each image of a batch [B, 1, H, W], foreground above the threshold. */
function countsOf(scores: Numbers, truth: Uint8Array, images: number, threshold: number): OverlapCounts[] {
  const prediction = Uint8Array.from(asProbabilities(scores), (p) => (p > threshold ? 1 : 0));
  const pixels = truth.length / images;
  return Array.from({ length: images }, (_, i) =>
    countOverlap(
      truth.subarray(i * pixels, (i + 1) * pixels),
      prediction.subarray(i * pixels, (i + 1) * pixels),
    ),
  );
}

function compareCase(fixture: Fixture, name: string): CheckResult[] {
  const logits = numbers(fixture, `in/${name}.logits`);
  const { shape, data } = need(fixture, `in/${name}.mask`);
  const probabilities = Float64Array.from(logits, (x) => 1 / (1 + Math.exp(-x)));
  const count = (scores: Numbers, threshold: number) =>
    countsOf(scores, data as Uint8Array, shape[0]!, threshold);
  const mean = (xs: readonly number[]) => xs.reduce((sum, x) => sum + x, 0) / xs.length;
  const ofLogits = count(logits, 0.5);
  const expected = {
    metric_iou: ofLogits.map(METRICS.metric_iou!),
    metric_dice: ofLogits.map(METRICS.metric_dice!),
    metric_iou_of_probabilities: count(probabilities, 0.5).map(METRICS.metric_iou!),
    'metric_dice_thr0.3_of_probabilities': count(probabilities, 0.3).map(METRICS.metric_dice!),
    SegMetrics: [mean(ofLogits.map(METRICS.metric_iou!)), mean(ofLogits.map(METRICS.metric_dice!))],
  };
  return Object.entries(expected).map(([key, got]) =>
    compareElements(`${name} ${key}`, got, numbers(fixture, `out/${name}.${key}`), TOLERANCE),
  );
}

/** Empty predictions against empty masks; the fixture stores no inputs for these. */
function compareEmpty(fixture: Fixture): CheckResult[] {
  return Object.entries(METRICS).map(([key, metric]) => {
    const ref = numbers(fixture, `out/both_empty.${key}`);
    const empty = { truePositive: 0, falsePositive: 0, falseNegative: 0 };
    return compareElements(
      `both_empty ${key}`,
      Array.from(ref, () => metric(empty)),
      ref,
      TOLERANCE,
    );
  });
}

export const metrics: GoldenCheck = {
  covers: (name) => name === 'sammed2d_losses_metrics',
  run: (fixture) => [
    ...(fixture.json.cases as string[]).flatMap((name) => compareCase(fixture, name)),
    ...compareEmpty(fixture),
  ],
};
