// What every job of a run starts from: the dataset and its division, the classes worked on, the architecture, the canvas and
// the slots for prompts, all resolved from the run's configuration. Not here: weights (model.ts), prompts (prompts.ts).

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { bestDevice, engineVersion, setThreads } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { type LabelledCase, type OpenDataset, openDataset, type UnlabelledCase } from '../datasets/cases.ts';
import type { DatasetClass, SplitName, Splits } from '../datasets/schema.ts';
import { readSplits } from '../datasets/splits.ts';
import { NORMALISATIONS } from '../imaging/normalise.ts';
import { SAM_CONFIGS, type SamConfig } from '../models/sam/index.ts';
import type { PromptLayout } from '../prompting/collate.ts';
import type { FromMaskOptions } from '../prompting/from-mask.ts';
import { TEXT_PARTS } from '../prompting/text/parts.ts';
import type { TextPart } from '../prompting/text/types.ts';
import type { PromptKind } from '../run/config/inputs.ts';
import type { Config } from '../run/config.ts';
import type { RunFolder } from '../run/run-folder.ts';
import { CanvasCache, type CanvasOptions } from '../training/canvas.ts';
import type { Unit } from '../training/units.ts';
import { Random } from '../util/random.ts';

/** What a job gets from whoever calls it: the command line, a test, another program. */
export type JobContext = {
  readonly run: RunFolder;
  readonly config: Config;
  readonly signal: AbortSignal;
  /** Steps or cases done, of how many, and a few words. */
  readonly onProgress: (label: string, done: number, total: number, note?: string) => void;
  readonly warn: (text: string) => void;
  /** Facts worth a line in the run's log. */
  readonly note: (facts: Readonly<Record<string, unknown>>, text: string) => void;
};

export type Workspace = {
  readonly dataset: OpenDataset;
  readonly splits: Splits;
  readonly classes: readonly DatasetClass[];
  readonly architecture: SamConfig;
  readonly canvas: CanvasOptions;
  /** Masks and images on the canvas. */
  readonly cache: CanvasCache;
  readonly layout: PromptLayout;
  /** `cpu`, `cuda`. */
  readonly device: string;
};

/** Opens the run's dataset (or binds the run to the one at `datasetDir`) and resolves everything that jobs share. */
export async function openWorkspace(
  { run, config }: Pick<JobContext, 'run' | 'config'>,
  datasetDir?: string,
): Promise<Workspace> {
  const dataset = await openDataset(datasetDir ?? run.requireDataset().path);
  if (run.mode !== 'read') await run.setDataset(dataset.dir, dataset.hash);
  const splits = await readSplits(join(dataset.dir, config.data.splits), dataset);
  const architecture = resolveArchitecture(config);
  const canvas: CanvasOptions = {
    imageSize: architecture.imageSize,
    rule: architecture.geometry,
    normalisation: NORMALISATIONS[config.data.normalisation],
  };
  const classes = chooseClasses(dataset, config);
  setThreads(config.threads > 0 ? config.threads : availableParallelism());
  const device = resolveDevice(config);
  if (run.mode !== 'read') await run.setEngine(`libtorch ${engineVersion().version} on ${device}`);
  const layout = promptLayout(config, classes, architecture.textDim);
  return {
    dataset,
    splits,
    classes,
    architecture,
    canvas,
    cache: new CanvasCache(dataset, canvas),
    layout,
    device,
  };
}

/** Slots for prompts: as many as any class may need of what is in use. */
export function promptLayout(
  config: Config,
  classes: readonly DatasetClass[],
  textDim: number,
): PromptLayout {
  const { use, points, negativePoints } = config.prompts;
  const tokens = textTokens(config);
  if (tokens > 0 && textDim === 0)
    throw new UsageError(
      `prompts.use = ${use.join(',')}: model ${config.model.name} has no branch for text.`,
    );
  return {
    points: use.includes('point') ? points + negativePoints : 0,
    boxes: use.includes('box') ? Math.max(...classes.map((c) => maxBoxes(config, c))) : 0,
    ...(tokens === 0 ? {} : { text: { tokens, dim: textDim } }),
  };
}

/** What the model is given: the kinds in use, but for points where their number is 0. */
export const promptKinds = ({ prompts }: Pick<Config, 'prompts'>): PromptKind[] =>
  prompts.use.filter((kind) => kind !== 'point' || prompts.points + prompts.negativePoints > 0);

/** The texts in use. */
export const textParts = ({ prompts }: Pick<Config, 'prompts'>): TextPart[] =>
  TEXT_PARTS.filter((part) => prompts.use.includes(part));

/** Text tokens of a prompt: one, or one for each text in use; 0 without text. */
export const textTokens = (config: Pick<Config, 'prompts'>): number =>
  Math.min(textParts(config).length, config.prompts.textTokens);

/** Where prompts of a kind of images come from; from nowhere where nothing is in use. */
export const promptSource = <K extends 'labelled' | 'unlabelled' | 'test'>(
  { prompts }: Pick<Config, 'prompts'>,
  of: K,
): Config['prompts'][K] | 'none' => (prompts.use.length === 0 ? 'none' : prompts[of]);

/** The named architecture with the configuration's changes. */
export function resolveArchitecture({ data, model }: Pick<Config, 'data' | 'model'>): SamConfig {
  const known = SAM_CONFIGS as Readonly<Record<string, SamConfig>>;
  const base = known[model.name];
  if (base === undefined)
    throw new UsageError(`model.name = ${model.name}; allowed: ${Object.keys(known).join(', ')}`);
  return {
    ...base,
    imageSize: data.imageSize ?? base.imageSize,
    geometry: data.canvas ?? base.geometry,
    textDim: model.textDim ?? base.textDim,
    encoder: {
      ...base.encoder,
      adapters: model.adapters ?? base.encoder.adapters,
      loraRank: model.lora.rank,
    },
  };
}

/** `cpu` or `cuda`, as configured and as there is. */
export function resolveDevice(config: Pick<Config, 'device'>): string {
  const best = bestDevice();
  if (config.device === 'cuda' && best !== 'cuda') {
    throw new UsageError(
      'device = cuda, but this engine has no CUDA device; use --device cpu, or see `maskrank doctor`.',
    );
  }
  return config.device === 'auto' ? best : config.device;
}

function chooseClasses({ dataset }: OpenDataset, { data }: Config): readonly DatasetClass[] {
  if (data.classes === null) return dataset.classes;
  const wanted = data.classes;
  const strangers = wanted.filter((id) => !dataset.classes.some((c) => c.id === id));
  if (strangers.length > 0) {
    throw new UsageError(
      `data.classes: no class ${strangers.join(', ')} in ${dataset.name}; it has ${dataset.classes.map((c) => `${c.id}=${c.name}`).join(', ')}`,
    );
  }
  return dataset.classes.filter((c) => wanted.includes(c.id));
}

/** Boxes a prompt of this class may have. */
export const maxBoxes = (config: Config, cls: DatasetClass): number =>
  config.prompts.maxBoxes ?? cls.maxComponents ?? 1;

/** How prompts are drawn from masks of a class. */
export function fromMaskOptions(config: Config, cls: DatasetClass): FromMaskOptions {
  const { use, jitter } = config.prompts;
  const [points, negativePoints] = use.includes('point')
    ? [config.prompts.points, config.prompts.negativePoints]
    : [0, 0];
  return { boxes: use.includes('box'), points, negativePoints, jitter, maxBoxes: maxBoxes(config, cls) };
}

/** Ids of a split, cut to a seeded choice where the configuration limits it. */
export function splitIds({ splits }: Workspace, config: Config, name: SplitName): readonly string[] {
  const limits: Partial<Record<SplitName, number | null>> = {
    labelled: config.data.maxLabelled,
    unlabelled: config.data.maxUnlabelled,
  };
  const limit = limits[name] ?? null;
  const ids = splits[name];
  if (ids.length === 0)
    throw new DataError(`the division has no ${name} cases; make one: maskrank dataset split`);
  if (limit === null || ids.length <= limit) return ids;
  const chosen = new Set(new Random(`${config.seed}/limit/${name}`).shuffle([...ids]).slice(0, limit));
  return ids.filter((id) => chosen.has(id));
}

/** Labelled cases of a split, their images and masks on the canvas. */
export async function loadLabelled(
  workspace: Workspace,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<LabelledCase[]> {
  const cases = workspace.dataset.labelled(ids);
  for (const item of cases) {
    signal.throwIfAborted();
    await workspace.cache.loadImage(item);
    for (const cls of workspace.classes) await workspace.cache.loadMask(item, cls.id);
  }
  return cases;
}

/** Units of labelled cases whose class is in the image (on the canvas). */
export function presentUnits(workspace: Workspace, cases: readonly LabelledCase[]): Unit[] {
  return cases.flatMap((item) =>
    workspace.classes
      .filter((cls) => workspace.cache.mask(item.id, cls.id).data.includes(1))
      .map((cls) => ({ caseId: item.id, classId: cls.id })),
  );
}

/** The same cases without their masks. */
export function stripMasks(workspace: Workspace, cases: readonly LabelledCase[]): UnlabelledCase[] {
  return workspace.dataset.unlabelled(cases.map((item) => item.id));
}
