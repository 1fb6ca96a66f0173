// What a baseline is: a method that learns masks from the labelled cases of a run, to stand beside stage 1 and 2 in one table. It
// says how it sees the run's configuration, and how its network is made, trained and asked; splits, classes, resuming, checkpoint,
// measuring and the table are the job's (job.ts, measure.ts), new images predictor.ts's. A method is one file and one line in registry.ts.

import { fromTypedArray, type nn, noGrad, type Tensor, tidy } from '@maskrank/torch';
import type { LabelledCase, UnlabelledCase } from '../../datasets/cases.ts';
import type { Dataset } from '../../datasets/schema.ts';
import type { Mask } from '../../imaging/types.ts';
import type { PromptKind } from '../../run/config/inputs.ts';
import type { Config } from '../../run/config.ts';
import type { HashedSections } from '../../run/resolve.ts';
import { type DenseSample, denseSamples } from '../../training/baselines/batch.ts';
import { type ClassRelation, outputsOf } from '../../training/baselines/loss.ts';
import type {
  BaselineLoop,
  SupervisedConfig,
  SupervisedOptions,
  TrainingResult,
} from '../../training/baselines/supervised.ts';
import { normaliseCanvas } from '../../training/canvas.ts';
import { Random } from '../../util/random.ts';
import { augmentation } from '../finetune.ts';
import type { GivenPrompts } from '../predictor.ts';
import type { CollectedMask } from '../volumes.ts';
import { type JobContext, loadLabelled, openWorkspace, splitIds, type Workspace } from '../workspace.ts';

export type BaselineMethod<N extends nn.Module = nn.Layer, P = undefined> = {
  /** Letters, digits and hyphens; in file names and as the key `baseline-NAME` in tables. */
  readonly name: string;
  /** In tables. */
  readonly title: string;
  /** What of the run's configuration shapes it, beside classes, canvas and augmentation, which all share. */
  readonly sections: HashedSections;
  /**
   * The run's configuration as the method sees it, with a canvas, a network or prompts of its own; a function of `sections` and what
   * all share. Left out, or the same object: as it is. Names of what is made are hashes of the run's.
   */
  readonly view?: (config: Config) => Config | Promise<Config>;
  /** It learns from the unlabelled cases too, and is refused where the division has none. */
  readonly usesUnlabelled?: true;
  /** What only its masks depend on, not its weights: where the prompts of measured cases come from. */
  readonly asksWith?: HashedSections;
  /** Of a method that answers for each class by itself; else configuration and masks decide. */
  readonly relation?: ClassRelation;
  /** It learns from no mask. */
  readonly needsMasks?: false;
  /** Kinds of what `maskrank prompt` makes that it takes. */
  readonly storedPrompts?: (config: Config) => readonly PromptKind[];
  /** Optimiser steps on so many labelled cases, for estimates. */
  readonly steps?: (config: Config, cases: number) => number;
  /** Throws UsageError or DataError, with a remedy, where it cannot be done with this configuration and data set. */
  readonly check?: (config: Config, dataset: Dataset) => void | Promise<void>;
  /** Hashes of what else it is made from, by name: weights, stored prompts. */
  readonly madeFrom?: (seen: OpenRun) => Promise<Readonly<Record<string, string>>>;
  /** The untrained network, of the same shape each time: also what a checkpoint is loaded into. */
  readonly prepare: (setting: BaselineSetting) => N | Promise<N>;
  /** Names of the tensors that training changes, and a checkpoint holds; the others are as prepared. Default: all. */
  readonly learns?: (name: string, config: Config) => boolean;
  /** Trains it in place; goes on from `loop.statePath` where that stands. */
  readonly train: (network: N, setting: BaselineSetting, loop: BaselineLoop) => Promise<TrainingResult>;
  /**
   * Images [B, 3, S, S] -> scores [B, C, S, S] of the setting's classes, above 0 where a pixel has the class, log-odds where
   * it has probabilities. Called without gradients, the network in evaluation mode.
   */
  readonly predict: (network: N, images: Tensor, setting: BaselineSetting) => Tensor;
  /**
   * For a method that does without the canvas, looks at several cases at a time (slices of a volume), or is prompted: masks of
   * cases and classes at the cases' own size, the classes of a case in order; what it leaves out has no record. Measured cases and
   * new images then go through it instead of `predict`.
   */
  readonly masks?: (
    network: N,
    cases: readonly UnlabelledCase[],
    setting: BaselineSetting,
    prompts: P,
  ) => AsyncIterable<CaseMask>;
  /** Of a method that is prompted from outside: what `masks` is given. */
  readonly prompting?: Prompting<N, P>;
};

/** Where prompts come from. Of all that makes masks, only `measured` may look at those that are measured against. */
export type Prompting<N extends nn.Module, P> = {
  /** Of cases of the run, as configured. */
  readonly measured: (network: N, cases: readonly LabelledCase[], setting: BaselineSetting) => Promise<P>;
  /** Of new images, from what a person gave. Throws UsageError or DataError where that is not enough. */
  readonly given: (
    network: N,
    cases: readonly UnlabelledCase[],
    setting: BaselineSetting,
    given: GivenPrompts,
  ) => Promise<P>;
};

/** A class's mask of a case, what it was made from, and the IoU that the network expects, if it does. */
export type CaseMask = CollectedMask & { readonly predictedIou?: number };

/** Of a method that is not prompted. */
export const UNPROMPTED = { source: 'none', oracle: false } as const;

/** A run's folder and configuration, and its data by that configuration. */
export type OpenRun = { readonly context: JobContext; readonly workspace: Workspace };

/** The run as a method sees it, opened anew where it sees another configuration. */
export async function viewOf(run: OpenRun, { view }: { readonly view?: Viewing }): Promise<OpenRun> {
  const { config } = run.context;
  const seen = (await view?.(config)) ?? config;
  if (seen === config) return run;
  const context = { ...run.context, config: seen };
  return { context, workspace: await openWorkspace(context) };
}
type Viewing = NonNullable<BaselineMethod['view']>;

/** What a method may use; configuration, job and data are those of its view. */
export type BaselineSetting = OpenRun & {
  readonly config: Config;
  /** The run's own configuration, by which the run's prompts were made. */
  readonly runConfig: Config;
  /** C class ids, in the order of the scores. */
  readonly classIds: readonly number[];
  /** Whether a pixel may have several classes. */
  readonly relation: ClassRelation;
  /** Logits that a network needs: C, or 1 + C with the background first where classes exclude each other. */
  readonly outputs: number;
  /** Images and masks of a split, on the canvas. Test cases are none of a method's business. */
  readonly samples: (split: 'labelled' | 'validation') => Promise<DenseSample[]>;
  /** Images of the unlabelled cases, on the canvas; they have no masks. */
  readonly unlabelled: () => Promise<DenseSample[]>;
  /** Of new images nothing is looked up in the run, and nothing is kept there. */
  readonly images: 'run' | 'new';
  /** A stream for initial weights and the like, by name. */
  readonly random: (name: string) => Random;
  readonly signal: AbortSignal;
};

export function settingOf(
  { context, workspace }: OpenRun,
  runConfig: Config,
  relation: ClassRelation,
): BaselineSetting {
  const { config, signal } = context;
  const classIds = workspace.classes.map(({ id }) => id);
  return {
    config,
    runConfig,
    context,
    workspace,
    classIds,
    relation,
    outputs: outputsOf(relation, classIds.length),
    samples: async (split) => loadSamples({ context, workspace }, split),
    unlabelled: async () => {
      const { dataset, cache } = workspace;
      const ids = splitIds(workspace, config, 'unlabelled');
      for (const item of dataset.unlabelled(ids)) {
        signal.throwIfAborted();
        await cache.loadImage(item);
      }
      return denseSamples(cache, ids, []);
    },
    images: 'run',
    random: (name) => new Random(`${config.seed}/baseline/${name}`),
    signal,
  };
}

/** Images and masks of a split. */
export async function loadSamples(
  { context: { config, signal }, workspace }: OpenRun,
  split: 'labelled' | 'validation',
): Promise<DenseSample[]> {
  const ids = splitIds(workspace, config, split);
  await loadLabelled(workspace, ids, signal);
  return denseSamples(
    workspace.cache,
    ids,
    workspace.classes.map(({ id }) => id),
  );
}

/** What `trainSupervised` needs beside the network, from the setting: the labelled cases, the validation cases, the same augmentation as stage 1. */
export async function supervisedOptions(
  setting: BaselineSetting,
  config: SupervisedConfig,
  loop: BaselineLoop,
): Promise<Omit<SupervisedOptions, 'network'>> {
  const { workspace, classIds, relation } = setting;
  return {
    samples: await setting.samples('labelled'),
    validation: config.validateEverySteps > 0 ? await setting.samples('validation') : [],
    batch: {
      classIds,
      normalisation: workspace.canvas.normalisation,
      augment: augmentation(setting.config),
    },
    relation,
    empties: setting.config.evaluation.empties,
    config,
    seed: setting.config.seed,
    device: workspace.device,
    loop,
  };
}

/** What a network says of an image on the canvas. */
export type Painted = {
  /** Masks of the classes that it finds. */
  readonly masks: ReadonlyMap<number, Mask>;
  /** Mean probability of their pixels by the scores, 0.5..1; 0 where it finds nothing. */
  readonly confidence: number;
};

export function paint<N extends nn.Module>(
  { predict }: Pick<BaselineMethod<N>, 'predict'>,
  network: N,
  { pixels, area }: DenseSample,
  setting: BaselineSetting,
): Painted {
  const { width, height } = pixels;
  const { canvas, device } = setting.workspace;
  const planes = normaliseCanvas(pixels, area, canvas.normalisation);
  network.eval();
  const scores = tidy(() =>
    noGrad(() => {
      const images = fromTypedArray(planes, [1, 3, height, width], { share: true }).to(device as 'cuda');
      return predict(network, images, setting).toFloat32Array(); // [1, C, S, S]
    }),
  );
  const masks = new Map<number, Mask>();
  let [pixelsFound, probability] = [0, 0];
  for (const [c, classId] of setting.classIds.entries()) {
    const own = scores.subarray(c * width * height, (c + 1) * width * height);
    const found = own.filter((score) => score > 0);
    if (found.length === 0) continue;
    masks.set(classId, { width, height, data: Uint8Array.from(own, (score) => Number(score > 0)) });
    pixelsFound += found.length;
    probability += found.reduce((sum, score) => sum + 1 / (1 + Math.exp(-score)), 0);
  }
  return { masks, confidence: pixelsFound === 0 ? 0 : probability / pixelsFound };
}
