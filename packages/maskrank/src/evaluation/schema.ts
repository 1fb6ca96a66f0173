// RUN/evaluation.json: what every stage and control reached on every case, and the summary of it, as a zod schema.
// One record a case, class and stage; summaries and comparisons can be recomputed from the records alone (summarise.ts).
// A value that a metric does not have (see overlap.ts on empty masks) is null and counted, never zero by accident.
// Not here: how values are measured (measure.ts), how they are shown (report/).

import * as z from 'zod';
import { EMPTIES_POLICIES } from './overlap.ts';

export const EVALUATION_FILE = 'evaluation.json';
export const EVALUATION_VERSION = 1;

/** Key of the mean over classes beside the class ids in summaries and comparisons. */
export const ALL_CLASSES = 'all';

const Text = z.string().min(1);
const Count = z.int().min(0);
const Share = z.number().min(0).max(1);
const Distance = z.number().min(0);
/** Lower and upper end. */
const Interval = z.tuple([z.number(), z.number()]);
/** Class id as text, or `all`. */
const ClassKey = z.string().regex(/^([1-9][0-9]*|all)$/, 'allowed: class ids and "all"');
/** `dice`, `surfaceDice@2px`, `hd95Px`, …: the keys of metricsOf (metrics.ts). */
const MetricKey = Text;

export const ToleranceSchema = z.strictObject({
  /** Key of this tolerance in the records: `2px`, `1.5mm`. */
  key: z.string().regex(/^[0-9.]+(px|mm)$/, 'allowed: a number and its unit, "2px" or "1.5mm"'),
  value: z.number().min(0),
  /** Pixels of the original image, or millimetres (only where every case has a spacing). */
  unit: z.enum(['px', 'mm']),
});

/** Which of the two masks holds nothing. */
export const EmptinessSchema = z.enum(['neither', 'truth', 'prediction', 'both']);

export const CaseResultSchema = z.strictObject({
  case: Text,
  /** Patient, or whatever belongs together: the unit that the bootstrap and the tests draw. Default: the case itself. */
  group: Text.exactOptional(),
  /** Class id of the dataset. */
  class: z.int().min(1).max(255),
  /** Key of one of `stages`. */
  stage: Text,
  /** Size of the image or volume by axis (rows, columns or slices, rows, columns), in pixels. */
  shape: z.array(z.int().min(1)).min(2).max(3),
  /** Size of a pixel by axis in the order of `shape`, mm; absent where the source has none. */
  spacingMm: z.array(z.number().positive()).min(2).max(3).exactOptional(),
  prompt: z.strictObject({
    /** `oracle-box`, `mask`, `self`, `file`, `none`, …: the prompt's provenance. */
    source: Text,
    /** The prompt was made from this very case's ground truth. */
    oracle: z.boolean(),
  }),
  empty: EmptinessSchema,
  /** Pixels, from which all overlap metrics follow and which add up for the pooled ones. */
  counts: z.strictObject({ truePositive: Count, falsePositive: Count, falseNegative: Count }),
  dice: Share.nullable(),
  iou: Share.nullable(),
  precision: Share.nullable(),
  recall: Share.nullable(),
  /** By tolerance key. */
  surfaceDice: z.record(z.string(), Share.nullable()),
  /** By tolerance key: contour length (or surface area) of both masks within the tolerance, in px or mm (squared in 3-D). */
  surfaceWithin: z.record(z.string(), z.number().min(0)),
  /** Contour length (or surface area) of both masks, by unit. */
  surfaceTotal: z.strictObject({ px: z.number().min(0), mm: z.number().min(0).exactOptional() }),
  /** 95th percentile of the surface distances, the larger direction, pixels. Diagonal of the image where one mask is empty. */
  hd95Px: Distance.nullable(),
  /** The same in mm. */
  hd95Mm: Distance.nullable().exactOptional(),
  /** Mean surface distance, mean of both directions, pixels. Diagonal of the image where one mask is empty. */
  averageDistancePx: Distance.nullable(),
  /** The same in mm. */
  averageDistanceMm: Distance.nullable().exactOptional(),
});

export const PerImageSummarySchema = z.strictObject({
  /** Mean over cases; null when no case has a value. Unit of the metric: share 0..1, px or mm. */
  mean: z.number().nullable(),
  /** Standard deviation over cases (n - 1); null below two cases. */
  sd: z.number().nullable(),
  median: z.number().nullable(),
  /** Percentile bootstrap of the mean over groups, 95 %; null below two groups. */
  ci95: Interval.nullable(),
  /** Cases with a value. */
  n: Count,
  /** Cases without one, by the empties policy. */
  nExcluded: Count,
  /** Cases among `n` where one mask is empty and the distance is the image's diagonal; 0 for other metrics. */
  nPenalised: Count,
});

export const PooledSummarySchema = z.strictObject({
  /** The metric of all cases' pixels (or surfaces) together; null where they hold nothing. */
  value: z.number().nullable(),
  /** Percentile bootstrap over groups, 95 %; null below two groups. */
  ci95: Interval.nullable(),
  /** Cases that went in: all, since nothing needs to be excluded. */
  n: Count,
});

export const ClassSummarySchema = z.strictObject({
  /** A value an image, then the mean over images. For `all`: a case's value is the mean over its classes that have one. */
  perImage: z.record(MetricKey, PerImageSummarySchema),
  /** All pixels in one; overlap and surface Dice only. For `all`: the mean over classes. */
  pooled: z.record(MetricKey, PooledSummarySchema),
});

export const ComparisonSchema = z.strictObject({
  /** Stage keys; every difference is `stage` minus `baseline`. */
  baseline: Text,
  stage: Text,
  class: ClassKey,
  metric: MetricKey,
  /** Cases with a value in both stages. */
  n: Count,
  /** Independent groups among them: the units of interval and tests. */
  nGroups: Count,
  /** Cases with a value in one of the stages only, or in neither. */
  nExcluded: Count,
  /** Mean over cases, in the metric's unit (shares: 0.01 is one point); null when n is 0. */
  meanDifference: z.number().nullable(),
  medianDifference: z.number().nullable(),
  /** Paired percentile bootstrap over groups, 95 %; null below two groups. */
  ci95: Interval.nullable(),
  /** Difference of the pooled values; absent for metrics that cannot be pooled. */
  pooled: z.strictObject({ difference: z.number().nullable(), ci95: Interval.nullable() }).exactOptional(),
  /** Two-sided Wilcoxon signed-rank test on the groups' mean differences; null when all are zero. */
  pWilcoxon: Share.nullable(),
  /** The same after Holm's correction over all comparisons of this class and metric. */
  pWilcoxonHolm: Share.nullable(),
  /** Two-sided sign-flip permutation test of the groups' mean differences. */
  pPermutation: Share.nullable(),
  /** Share of the cases that got better by more than `epsilon` (for distances: smaller). */
  shareBetter: Share.nullable(),
  shareWorse: Share.nullable(),
  /** Smallest change that counts, in the metric's unit. */
  epsilon: z.number().min(0),
});

export const StageSchema = z.strictObject({
  /** `stage1`, `stage2`, and a short name for each control: `continued`, `best-only`, `threshold`, `ceiling`. */
  key: Text,
  title: Text,
  /** Hash of the weights that predicted; absent where a stage has none of its own. */
  checkpoint: Text.exactOptional(),
});

export const ControlSchema = z.strictObject({
  /** Key of the stage that is the control. */
  stage: Text,
  /** `rival`: could explain the gain without rankings. `ceiling`: uses ground truth that stage 2 does not have. */
  kind: z.enum(['rival', 'ceiling']),
  /** What comparing with it tells, in a sentence. */
  question: Text,
});

/** The same by volume, where cases are slices of volumes. */
export const VolumesSchema = z.strictObject({
  tolerances: z.array(ToleranceSchema),
  summary: z.record(Text, z.record(ClassKey, ClassSummarySchema)),
  comparisons: z.array(ComparisonSchema),
  /** `case` is the volume's name. */
  cases: z.array(CaseResultSchema),
});

export const EvaluationSchema = z.strictObject({
  schemaVersion: z.literal(EVALUATION_VERSION),
  /** Hash of the configuration that shaped the evaluation. */
  configHash: Text,
  /** Hash of what was evaluated, by name: `dataset`, `splits`, `checkpoint stage1`, `prompts`, … */
  madeFrom: z.record(Text, Text),
  dataset: z.strictObject({
    name: Text,
    /** `test` or `validation`. */
    split: Text,
    classes: z.array(z.strictObject({ id: z.int().min(1).max(255), name: Text })).min(1),
  }),
  tolerances: z.array(ToleranceSchema),
  /** What a metric is worth where a mask is empty. */
  empties: z.enum(EMPTIES_POLICIES),
  /** Surface distance where exactly one mask is empty: the diagonal of the image. */
  missedDistance: z.literal('image diagonal'),
  /** Foreground from this probability on; absent where stages differ. */
  threshold: z.number().min(0).max(1).exactOptional(),
  /** How intervals and permutation tests were drawn. */
  statistics: z.strictObject({
    seed: z.union([z.number(), z.string()]),
    bootstrapResamples: z.int().min(1),
    permutations: z.int().min(1),
  }),
  prompts: z.strictObject({
    /** Any prompt of an evaluated case was made from its ground truth. */
    oracle: z.boolean(),
    /** Case-class-stage records by provenance. */
    sources: z.record(Text, Count),
    /** What of it the model was given, and texts: `box`, `point`, `vqa`, `knowledge`. Rows by themselves have no text. */
    use: z.array(Text).exactOptional(),
  }),
  /** In the order to show. */
  stages: z.array(StageSchema).min(1),
  controls: z.array(ControlSchema),
  /** By stage key, then class id or `all`. */
  summary: z.record(Text, z.record(ClassKey, ClassSummarySchema)),
  comparisons: z.array(ComparisonSchema),
  cases: z.array(CaseResultSchema),
  volumes: VolumesSchema.exactOptional(),
});

export type Tolerance = z.output<typeof ToleranceSchema>;
export type CaseResult = z.output<typeof CaseResultSchema>;
export type PerImageSummary = z.output<typeof PerImageSummarySchema>;
export type PooledSummary = z.output<typeof PooledSummarySchema>;
export type ClassSummary = z.output<typeof ClassSummarySchema>;
export type Comparison = z.output<typeof ComparisonSchema>;
export type Stage = z.output<typeof StageSchema>;
export type Control = z.output<typeof ControlSchema>;
export type Evaluation = z.output<typeof EvaluationSchema>;
