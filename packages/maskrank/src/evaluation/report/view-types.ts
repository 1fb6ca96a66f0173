// What the sections of the report see: the evaluation put in the order and the words of the page. Values keep full precision.

import type { BoxValue } from './charts/box-plot.ts';
import type { Tone } from './charts/figure.ts';
import type { PairedPoint } from './charts/paired-scatter.ts';

/** A mean with what is known about its spread. Units as the metric's: fractions 0..1, pixels or millimetres. */
export type Estimate = {
  readonly mean: number;
  readonly sd?: number | undefined;
  readonly ci95?: readonly [number, number] | undefined;
  readonly n?: number | undefined;
  /** Cases left out by the empties policy. */
  readonly excluded?: number | undefined;
  /** Cases among `n` whose distance is the image's diagonal because one mask is empty. */
  readonly penalised?: number | undefined;
  /** Wilcoxon signed-rank test over groups, Holm-corrected. */
  readonly p?: number | undefined;
};

export type StageView = {
  readonly key: string;
  readonly label: string;
  readonly tone: Tone;
  readonly kind: 'stage1' | 'stage2' | 'other';
};

export type MetricView = {
  readonly key: string;
  /** `Dice`, `Surface Dice`. */
  readonly label: string;
  /** `at 2 px`. */
  readonly detail?: string | undefined;
  /** `%`, `px`. */
  readonly unit: string;
  /** Value in the metric's unit -> text in the shown unit. */
  readonly write: (value: number | undefined) => string;
  /** Shown in the main table; the others in a second one. */
  readonly main: boolean;
};

export type ClassView = { readonly key: string; readonly label: string };

export type Averaging = {
  readonly key: string;
  readonly label: string;
  /** One sentence: what is averaged over what. */
  readonly meaning: string;
  readonly rows: readonly SummaryRow[];
};

export type SummaryRow = {
  readonly stage: StageView;
  readonly class: ClassView;
  readonly values: ReadonlyMap<string, Estimate>;
};

export type ControlView = {
  readonly key: string;
  readonly label: string;
  /** What it tells. */
  readonly question: string;
  /** `rival`: could explain the gain without rankings. `ceiling`: what masks would have given. */
  readonly kind: 'rival' | 'ceiling';
  /** Dice of the control less Dice of stage 1; undefined: not run. */
  readonly gain?: Estimate | undefined;
  /** The same from pooled pixels. */
  readonly pooledGain?: Estimate | undefined;
  /** Dice of stage 2 less Dice of the control, paired. */
  readonly gap?: Estimate | undefined;
  /** `explains`: at least as good as alignment. `may`: the intervals do not tell them apart. `no`: alignment is better. */
  readonly explains?: 'explains' | 'may' | 'no' | undefined;
};

export type CaseRow = {
  readonly case: string;
  readonly class: ClassView;
  readonly before?: number | undefined;
  readonly after?: number | undefined;
  readonly change?: number | undefined;
  readonly hd95Before?: number | undefined;
  readonly hd95After?: number | undefined;
};

export type View = {
  /** In the order to show: stage 1, stage 2, controls. */
  readonly stages: readonly StageView[];
  readonly stage1?: StageView | undefined;
  readonly stage2?: StageView | undefined;
  /** First `All classes` where there are several, then one entry a class. */
  readonly classes: readonly ClassView[];
  readonly metrics: readonly MetricView[];
  readonly averagings: readonly Averaging[];
  /** How intervals were drawn, in words. */
  readonly statistics: string;
  /** Dice of stage 2 less Dice of stage 1, paired over cases. */
  readonly gain?: Estimate | undefined;
  readonly pooledGain?: Estimate | undefined;
  /** Changes of Dice up to this size count as unchanged. */
  readonly unchangedWithin: number;
  /** Shares 0..1 of the paired cases. */
  readonly share?: { readonly better: number; readonly worse: number; readonly n: number } | undefined;
  /** Mean Dice of a stage by its key, for the head of the page. */
  readonly headline: ReadonlyMap<string, Estimate>;
  /** The controls that were run, and those that should have been. */
  readonly controls: readonly ControlView[];
  readonly cases: readonly CaseRow[];
  /** Dice of stage 1 and stage 2 by case; for all classes the mean over a case's classes. */
  pairs(one: ClassView): readonly PairedPoint[];
  values(stage: StageView, one: ClassView): readonly BoxValue[];
};
