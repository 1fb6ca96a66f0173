// Models of a run: built from the configuration, and saved so that a checkpoint alone says how images must be brought to it.

import { join } from 'node:path';
import { Generator, nn } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { readSafetensors, writeSafetensors } from '@maskrank/torch/io';
import { fileHash } from '../datasets/hash.ts';
import { halved } from '../models/half.ts';
import { type LoadSamOptions, loadSam } from '../models/sam/checkpoint.ts';
import { createSam, Sam, type SamConfig } from '../models/sam/index.ts';
import { overlapWarnings, resolveWeights } from '../models/weights/index.ts';
import type { PromptLayout } from '../prompting/collate.ts';
import type { PromptKind } from '../run/config/inputs.ts';
import type { Config } from '../run/config.ts';
import { type ArtefactHeader, headerFromMetadata, headerToMetadata } from '../run/header.ts';
import type { CanvasOptions } from '../training/canvas.ts';
import { Random } from '../util/random.ts';
import type { UnitTexts } from './text.ts';
import { maxBoxes, promptKinds, type Workspace } from './workspace.ts';

/** How images and prompts reach the model: saved beside its weights, so that no other path can differ from training. */
export type InputRecipe = {
  readonly canvas: CanvasOptions;
  readonly layout: PromptLayout;
  /** What the model was given in training; absent in checkpoints of before it was recorded. */
  readonly prompts?: {
    readonly use: readonly PromptKind[];
    /** Positive points of a prompt, where points are used. */
    readonly points: number;
    /** Fingerprint of the text network whose features it was given. */
    readonly textModel?: string;
  };
  /** Factor on the adapters' branch. */
  readonly adapterScale: number;
  /** What the model was trained to outline; `maxBoxes` regions of a class at most. */
  readonly classes: readonly { readonly id: number; readonly name: string; readonly maxBoxes: number }[];
};

/** The recipe of a run's workspace; `texts` where text is in use. */
export function recipeOf(
  { canvas, layout, classes }: Workspace,
  config: Config,
  texts: UnitTexts | undefined,
): InputRecipe {
  return {
    canvas,
    layout,
    prompts: {
      use: promptKinds(config),
      points: config.prompts.points,
      ...(texts === undefined ? {} : { textModel: texts.model }),
    },
    adapterScale: config.model.adapterScale,
    classes: classes.map((cls) => ({ id: cls.id, name: cls.name, maxBoxes: maxBoxes(config, cls) })),
  };
}

/** What a checkpoint was given in training, as `--prompts` names it. */
export const promptKindsOf = ({ prompts, layout }: InputRecipe): readonly PromptKind[] =>
  prompts?.use ?? [
    ...(layout.boxes > 0 ? (['box'] as const) : []),
    ...(layout.points > 0 ? (['point'] as const) : []),
  ];

/** Words for a checkpoint that is given other prompts than in training: an ablation, or an oversight; undefined for the same. */
export function otherPrompts(recipe: InputRecipe, now: readonly PromptKind[]): string | undefined {
  const [trained, given] = [promptKindsOf(recipe), now].map((kinds) => kinds.join(',') || 'none');
  if (trained === given) return undefined;
  return `the model was trained with prompts ${trained} and is now given ${given} (prompts.use).`;
}

/** Refuses text features of another network than the checkpoint was trained with. */
export function checkTextModel(checkpoint: string, recipe: InputRecipe, found: string | undefined): void {
  const { textModel } = recipe.prompts ?? {};
  if (textModel === undefined || found === undefined || textModel === found) return;
  throw new DataError(
    `${checkpoint}: was trained with text features of network ${textModel.slice(0, 12)}, these are of ${found.slice(0, 12)}: their numbers mean something else. Make features with the same network, or train again.`,
  );
}

/** The model that stage 1 starts from: the configured weights, else random ones drawn from the run's seed. */
export async function startingModel(
  { architecture, dataset, device }: Workspace,
  config: Config,
  warn: (text: string) => void,
  parts: Pick<LoadSamOptions, 'heads' | 'text'> = {},
): Promise<Sam> {
  const seed = new Random(`${config.seed}/weights`).int(0, 0x7fffffff);
  const { weights } = config.model;
  if (weights !== null) for (const text of overlapWarnings(dataset.dataset, weights)) warn(text);
  const sam =
    weights === null
      ? createSam(architecture, Generator.seeded(seed))
      : await loadSam(await resolveWeights(weights), {
          ...parts,
          config: architecture,
          generator: Generator.seeded(seed),
          warn,
        });
  sam.image_encoder.mode.adapterScale = config.model.adapterScale;
  sam.to(device as 'cuda');
  return sam;
}

/** Content hash of the starting weights, by registered name or path. */
export async function weightsHash(nameOrPath: string): Promise<string> {
  return (await fileHash(await resolveWeights(nameOrPath))).sha256;
}

/** Saves weights, architecture and input recipe; returns the file's hash. `storage`: numbers in the file; both load alike. */
export async function saveModel(
  path: string,
  sam: Sam,
  recipe: InputRecipe,
  header: ArtefactHeader,
  { storage = 'float32' }: { readonly storage?: 'float16' | 'float32' } = {},
): Promise<string> {
  const state = nn.saveStateDict(sam);
  await writeSafetensors(path, storage === 'float32' ? state : halved(state), {
    ...headerToMetadata(header),
    format: 'maskrank-sam',
    architecture: JSON.stringify(sam.config),
    recipe: JSON.stringify(recipe),
  });
  return (await fileHash(path)).sha256;
}

/** In the metadata of a baseline's checkpoint (baselines/measure.ts). */
export const BASELINE_FORMAT = 'maskrank-baseline';

export type LoadedModel = {
  readonly sam: Sam;
  readonly recipe: InputRecipe;
  readonly header: ArtefactHeader | undefined;
  readonly hash: string;
};

/** Loads what `saveModel` wrote. Throws DataError when the file is something else. */
export async function loadModel(path: string, device: string): Promise<LoadedModel> {
  const { tensors, metadata } = await readSafetensors(path);
  if (metadata.format === BASELINE_FORMAT)
    throw new UsageError(
      `${path}: is the baseline ${metadata.method} of a run, and how images are brought to it stands in the run. Give it as --run ${join(path, '..', '..')} --baseline ${metadata.method}`,
    );
  if (
    metadata.format !== 'maskrank-sam' ||
    metadata.architecture === undefined ||
    metadata.recipe === undefined
  ) {
    throw new DataError(
      `${path}: is no checkpoint of a run (its metadata name no architecture and recipe). Give RUN/checkpoints/stage1.safetensors or stage2.safetensors.`,
    );
  }
  const saved = JSON.parse(metadata.architecture) as SamConfig;
  // Checkpoints of before there was a refinement do not say that they have none.
  const sam = new Sam({ ...saved, decoder: { ...saved.decoder, refine: saved.decoder.refine ?? null } });
  nn.loadStateDict(sam, tensors, { source: path });
  const recipe = JSON.parse(metadata.recipe) as InputRecipe;
  sam.image_encoder.mode.adapterScale = recipe.adapterScale;
  sam.to(device as 'cuda');
  sam.eval();
  return {
    sam,
    recipe,
    header: headerFromMetadata(metadata),
    hash: (await fileHash(path)).sha256,
  };
}
