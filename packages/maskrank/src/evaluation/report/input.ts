// What the report is written from: plain data only, so that any caller (a run folder, a test, another tool) can fill it.
// Everything but `title`, `evaluation` and `dataset` may be missing; the report then says what is missing and why it matters.

import type { Evaluation } from '../schema.ts';

export type ReportInput = {
  /** Name of the run as its owner knows it; stands in the page title. */
  readonly title: string;
  /** ISO time of writing; the renderer reads no clock, so equal input gives equal bytes. */
  readonly generatedAt?: string;
  readonly evaluation: Evaluation;
  readonly dataset: DatasetFacts;
  /** Training curves, in any order; stage 1 and stage 2 together. */
  readonly metrics?: readonly MetricsLine[];
  readonly run?: RunFacts;
  /** How the prompts were made, in a few words: `boxes with 12 % side jitter`. Their sources stand in the evaluation. */
  readonly promptDescription?: string;
  /** Prompts that were made from saliency and text, where they were. */
  readonly prompting?: PromptingFacts;
  readonly proposals?: ProposalFacts;
  readonly warnings?: readonly ReportWarning[];
  readonly panels?: readonly CasePanels[];
};

/** One logged step. Fields that were not measured are left out, not zero. */
export type MetricsLine = {
  readonly stage: 'stage1' | 'stage2';
  readonly step: number;
  readonly epoch?: number;
  /** Loss parts by name (`total`, `focal`, `dice`, `iou`, `preference`, `anchor`); `total` is drawn strongest. */
  readonly losses?: Readonly<Record<string, number>>;
  readonly learningRate?: number;
  /** Mean reward R of Eq. (5) over the step's active cases. */
  readonly rewardMean?: number;
  /** Reward of the best candidate less that of the worst, mean over active cases. */
  readonly rewardMargin?: number;
  /** Share 0..1 of the step's cases with a preference signal. */
  readonly activeShare?: number;
  /** Mean Dice 0..1 on the validation split. */
  readonly validationDice?: number;
  /** The proposals were refreshed and the reference re-synchronised before this step. */
  readonly refreshed?: boolean;
  /** An alarm was raised at this step; its text stands in `warnings`. */
  readonly alarm?: boolean;
};

export type DatasetFacts = {
  readonly name: string;
  /** `ultrasound`, `x-ray`, `ct`. */
  readonly modality?: string;
  readonly classes: readonly { readonly id: number; readonly name: string }[];
  /** In the order to show; sizes in cases, groups (patients) where known. */
  readonly splits: readonly SplitFacts[];
  /** Remarks of the verification: duplicates, leakage between splits, unreadable files. */
  readonly findings?: readonly string[];
};

export type SplitFacts = {
  /** `labelled`, `unlabelled`, `validation`, `test`. */
  readonly name: string;
  readonly cases: number;
  readonly groups?: number;
};

export type RunFacts = {
  readonly configuration?: readonly ConfigurationValue[];
  readonly configurationHash?: string;
  /** Version by component: maskrank, engine, BLAS, Node. */
  readonly versions?: Readonly<Record<string, string>>;
  /** Hash by artefact, beside those that the evaluation names: proposals, ratings. */
  readonly hashes?: Readonly<Record<string, string>>;
  readonly seed?: number | string;
  readonly device?: string;
  readonly commands?: readonly CommandRecord[];
};

export type ConfigurationValue = {
  /** Dotted name: `training.batchSize`. */
  readonly key: string;
  readonly value: unknown;
  /** `default`, `preset recommended`, `file config.json`, `flag`. */
  readonly origin: string;
};

export type CommandRecord = {
  readonly command: string;
  /** ISO time of the start. */
  readonly at?: string;
  readonly elapsedMs?: number;
  readonly exitCode?: number;
};

export type PromptingFacts = {
  readonly classes: readonly PromptedClassFacts[];
  /** Measured against masks; empty where none might be read. */
  readonly quality: readonly PromptQualityRow[];
  /** Image, saliency, foreground, boxes and points of a few cases. */
  readonly sheet?: Picture;
  /** A text or more for each class, as the model was given them. */
  readonly texts: readonly PromptTextExample[];
};

export type PromptedClassFacts = {
  readonly name: string;
  /** Cases prompted, and those of them in which regions were found. */
  readonly prompts: number;
  readonly found: number;
  /** Mean number of boxes and points of a prompt. */
  readonly boxes: number;
  readonly points: number;
  /** Prompts with an answer to the visual question, and with general knowledge. */
  readonly answers: number;
  readonly knowledge: number;
};

export type PromptQualityRow = {
  readonly split: string;
  readonly class: string;
  /** `saliency`, or a prompt that looks at nothing: `centre box`, `whole image`. */
  readonly source: string;
  /** Cases in which the class is present. */
  readonly cases: number;
  /** 0..1; null where nothing could be measured. Definitions: prompt-quality.json. */
  readonly boxIou: number | null;
  readonly boxIou50: number | null;
  readonly boxHit: number | null;
  readonly pointPrecision: number | null;
};

export type PromptTextExample = {
  readonly case: string;
  readonly class: string;
  readonly answer?: string;
  readonly knowledge?: string;
};

export type ProposalFacts = {
  /** Candidates a case and class. */
  readonly candidates: number;
  /** `dropout`, `thresholds .3/.4/.5/.6`. */
  readonly generator: string;
  /** `virtual annotator, ranking`, `studio, 2 people`. */
  readonly annotator: string;
  /** Share 0..1 of rankings disturbed on purpose. */
  readonly noise?: number;
  /** In order; one entry where the proposals were never refreshed. */
  readonly rounds: readonly RoundFacts[];
};

export type RoundFacts = {
  readonly round: number;
  /** First training step of the round. */
  readonly step?: number;
  /** Case-class pairs proposed. */
  readonly cases: number;
  /** Left out, by reason: identical candidates, region under 16 px, region over 30 %. */
  readonly skipped?: Readonly<Record<string, number>>;
  /** Dice (0..1) of the best candidate less that of the current mask, mean over the sets shown; needs ground truth. */
  readonly oracleHeadroom?: number;
  /** Dice (0..1) of the mean candidate less that of the current mask. */
  readonly meanHeadroom?: number;
  /** Pixels on which the candidates are not all equal, median. */
  readonly disagreementPx?: number;
  /** Mean reward R when the round ended, and whether that raised the saturation alarm; absent: not recorded. */
  readonly rewardAtEnd?: number;
  readonly saturated?: boolean;
  /** Time people spent, where people ranked. */
  readonly elapsedMs?: number;
};

export type ReportWarning = {
  /** `alarm`: the result is in doubt. `caution`: read it with care. `note`: good to know. */
  readonly severity: 'alarm' | 'caution' | 'note';
  /** A few words. */
  readonly title: string;
  /** What was found, what it means, what to do. */
  readonly text: string;
};

/** Pictures of one case, drawn by the caller (contours in the colours of CONTOUR_COLOURS, see contours.ts). */
export type CasePanels = {
  readonly role: 'best' | 'median' | 'worst' | 'example';
  readonly case: string;
  /** Class id as in the evaluation. */
  readonly class: number;
  readonly image?: Picture;
  readonly groundTruth?: Picture;
  readonly stage1?: Picture;
  readonly stage2?: Picture;
  /** The candidates, best first as ranked. */
  readonly candidates?: readonly RankedCandidate[];
};

export type Picture = {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
};

export type RankedCandidate = Picture & {
  /** 1 is best; equal ranks are ties. */
  readonly rank: number;
  /** 4 best .. 1 worst, where the annotator graded. */
  readonly grade?: number;
  /** Agreement 0..1 with the ground truth, where known. */
  readonly iou?: number;
  readonly dice?: number;
  /** What made it: `current mask`, `dropout 2`, `threshold 0.4`. */
  readonly made?: string;
};
