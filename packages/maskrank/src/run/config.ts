// The one configuration of the whole chain: every key, its default, its range, its unit and the reason for the default.
// The defaults of `alignment` are the preset `recommended`; other presets are overlays (presets.ts).
// Not here: where values come from and in which order (resolve.ts), the table that makes flags of keys (leaves.ts).

import { z } from 'zod';
import { alignment, scoring } from './config/alignment.ts';
import { baselines } from './config/baselines.ts';
import { clipPretraining } from './config/clip-pretraining.ts';
import { evaluation } from './config/evaluation.ts';
import { data, model, prompts } from './config/inputs.ts';
import { clip, crf, regions, saliency, text } from './config/prompting.ts';
import { samPretraining } from './config/sam-pretraining.ts';
import { training } from './config/training.ts';
import { vqaPretraining } from './config/vqa-pretraining.ts';

/** Whole configuration; `configSchema.parse({})` gives every default. */
export const configSchema = z
  .strictObject({
    seed: z
      .int()
      .min(0)
      .max(0xffff_ffff)
      .default(7)
      .describe('of every random stream; the same seed gives the same result on the same device and threads'),
    device: z
      .enum(['auto', 'cpu', 'cuda'])
      .default('auto')
      .describe('auto takes a CUDA device when there is one'),
    threads: z
      .int()
      .min(0)
      .max(1024)
      .default(0)
      .describe('CPU threads of the engine; 0 leaves the choice to it. Fix it for bit-equal repeats'),
    data: data.prefault({}),
    model: model.prefault({}),
    prompts: prompts.prefault({}),
    clip: clip.prefault({}),
    saliency: saliency.prefault({}),
    crf: crf.prefault({}),
    regions: regions.prefault({}),
    text: text.prefault({}),
    clipPretraining: clipPretraining.prefault({}),
    samPretraining: samPretraining.prefault({}),
    vqaPretraining: vqaPretraining.prefault({}),
    training: training.prefault({}),
    alignment: alignment.prefault({}),
    scoring: scoring.prefault({}),
    evaluation: evaluation.prefault({}),
    baselines: baselines.prefault({}),
  })
  .superRefine((config, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: path.split('.'), message });
    if (config.training.trainable === 'lora' && config.model.lora.rank === 0)
      refuse('training.trainable', 'needs low-rank updates: set model.lora.rank (4 is usual)');
    if (config.training.trainable === 'adapters' && config.model.adapters === false)
      refuse('training.trainable', 'needs adapters: set model.adapters to true');
    if (!isAscending(config.scoring.ratingBins)) refuse('scoring.ratingBins', 'must ascend, as 0.4,0.55,0.7');
    for (const key of ['thresholds', 'wideThresholds'] as const)
      if (!isAscending(config.alignment.proposals[key]))
        refuse(`alignment.proposals.${key}`, 'must ascend, as 0.3,0.4,0.5,0.6');
    if (config.alignment.refresh.rounds === 'disjoint' && config.alignment.refresh.everySteps === 0)
      refuse('alignment.refresh.rounds', 'disjoint rounds need refresh.everySteps above 0');
    if (config.alignment.maxSteps !== null && config.alignment.maxSteps < config.alignment.minSteps)
      refuse('alignment.maxSteps', `is below alignment.minSteps = ${config.alignment.minSteps}`);
  });

const isAscending = (xs: readonly number[]) => xs.every((x, i) => i === 0 || xs[i - 1]! < x);

type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly U[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/** The resolved configuration: complete and frozen. */
export type Config = DeepReadonly<z.output<typeof configSchema>>;

/** Top-level sections (objects) of the configuration. */
export type ConfigSection = { [K in keyof Config]: Config[K] extends object ? K : never }[keyof Config];

/** A section, a section within it, or one of its keys: `training`, `training.augmentation`, `training.steps`. */
export type ConfigPart = ConfigSection | `${ConfigSection}.${string}`;

/** Every default, frozen only by its type. */
export const defaultConfig = (): Config => configSchema.parse({});

/** A choice that is allowed but known to go wrong; of interest to verbs that use the section. */
export type ConfigWarning = { readonly section: ConfigSection; readonly text: string };

/** Every such choice in a configuration. */
export function configWarnings(config: Config): ConfigWarning[] {
  const warnings: ConfigWarning[] = [];
  const warn = (section: ConfigSection, text: string) => warnings.push({ section, text });
  const { loss, refresh, learningRate, anchor } = config.alignment;
  if (loss.reduction === 'mean')
    warn(
      'alignment',
      'alignment.loss.reduction = mean collapsed in every measured run (14 to 33 Dice points lost): use region.',
    );
  if (loss.reduction === 'region' && refresh.everySteps === 0 && loss.kappa > 3)
    warn(
      'alignment',
      `alignment.loss.kappa = ${loss.kappa} is for refreshed proposals; offline 1 to 3 gained more.`,
    );
  if (refresh.everySteps > 0 && refresh.resync === 0)
    warn(
      'alignment',
      'alignment.refresh.resync = 0 keeps the old reference; refreshing then gained nothing over offline.',
    );
  if (learningRate > 5e-4)
    warn('alignment', `alignment.learningRate = ${learningRate}: 1e-3 lost up to 10 points; use 1e-4.`);
  if (loss.kind === 'robust' && anchor.reference === 0)
    warn(
      'alignment',
      'alignment.loss.kind = robust without alignment.anchor.reference ran away under label noise.',
    );
  if (config.prompts.use.length === 0)
    warn('prompts', 'prompts.use is empty: the model is given nothing, whatever the sources say.');
  if (config.prompts.unlabelled === 'oracle-box' || config.prompts.test === 'oracle-box')
    warn(
      'prompts',
      'oracle-box prompts are drawn from hidden ground truth: for benchmarks only, and marked as oracle in every output.',
    );
  return warnings;
}
