// What baselines on a SAM share: their view of the run's configuration, with a network, prompts and steps of their own, from which all
// of stage 1 follows (canvas, prompts, batches, loop); and masks by prompts. Not here: the methods (sam.ts, self-prompt.ts, medclip-sam.ts).

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Generator } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { EmbeddingCache } from '../../alignment/embeddings.ts';
import type { LabelledCase, UnlabelledCase } from '../../datasets/cases.ts';
import { attachLora } from '../../models/lora.ts';
import { isSamConfigName, type Sam } from '../../models/sam/index.ts';
import { inspectWeights } from '../../models/weights/families.ts';
import { resolveWeights } from '../../models/weights/index.ts';
import type { Prompt } from '../../prompting/prompt.ts';
import { promptKey, readPrompts } from '../../prompting/prompt-store.ts';
import type { PromptKind } from '../../run/config/inputs.ts';
import type { Config } from '../../run/config.ts';
import { canonicalJson, type HashedSections } from '../../run/resolve.ts';
import { stage1Steps } from '../../training/stage1.ts';
import { type Unit, unitKey } from '../../training/units.ts';
import { embedCases } from '../embed.ts';
import { weightsHash } from '../model.ts';
import { predictUnits } from '../predict-units.ts';
import { checkGiven, type GivenPrompts, givenPrompt, isGiven } from '../predictor.ts';
import { ensurePrompts, isOracle, makePrompts } from '../prompts.ts';
import type { UnitTexts } from '../text.ts';
import { allUnits, byId, promptedUnits } from '../units.ts';
import { promptSource, splitIds, type Workspace } from '../workspace.ts';
import type { BaselineSetting, CaseMask, OpenRun } from './method.ts';

/** What shapes a tuning on prompts from masks or from the store, beside the method's own keys. */
export const TUNED_WITH: HashedSections = [
  'model',
  'training',
  'prompts.labelled',
  'prompts.use',
  'prompts.maxBoxes',
  'prompts.points',
  'prompts.negativePoints',
  'prompts.jitter',
];

/** Keys of a method that stand over the run's; what is left out, none or `run` is the run's. */
export type OwnKeys = {
  readonly weights: string | null;
  readonly steps?: number | null;
  readonly epochs?: number | null;
  readonly batchSize?: number | null;
  readonly learningRate?: number | null;
  readonly prompts?: Config['baselines']['sam']['prompts'];
};

/** The run's configuration with the method's keys over it, but for the network that its weights hold. */
export function configOf(config: Config, own: OwnKeys): Config {
  const { training, prompts } = config;
  const { labelled = 'run', test = 'run', use = null } = own.prompts ?? {};
  return {
    ...config,
    model: { ...config.model, weights: own.weights ?? config.model.weights },
    training: {
      ...training,
      steps: own.steps ?? (own.epochs == null ? training.steps : null),
      epochs: own.epochs ?? training.epochs,
      batchSize: own.batchSize ?? training.batchSize,
      learningRate: own.learningRate ?? training.learningRate,
    },
    prompts: {
      ...prompts,
      labelled: labelled === 'run' ? prompts.labelled : labelled,
      test: test === 'run' ? prompts.test : test,
      use: use ?? prompts.use.filter((kind) => kind === 'box' || kind === 'point'),
    },
  };
}

/** What stage 1 would be given to be the method. `changes` of the network hold whatever the weights are. */
export async function viewOf(
  run: Config,
  own: OwnKeys,
  changes: Partial<Pick<Config['model'], 'adapters'>> = {},
): Promise<Config> {
  const config = configOf(run, own);
  const network =
    own.weights === null ? {} : { name: await networkIn(own.weights), adapters: null, textDim: null };
  return { ...config, model: { ...config.model, ...network, lora: { rank: 0 }, ...changes } };
}

/** Name of the network that a file of weights holds. */
async function networkIn(weights: string): Promise<string> {
  const { family, architecture, network } = await inspectWeights(await resolveWeights(weights));
  if (family === 'sam' && isSamConfigName(architecture)) return architecture;
  throw new UsageError(
    `${weights}: holds ${network}, which is no SAM or SAM-Med2D that is known by name; see maskrank weights list.`,
  );
}

/** Throws where a method has no weights, or they are not on this machine. `section` holds its keys. */
export async function checkWeights({ baselines, model }: Config, section: PromptableSection): Promise<void> {
  const weights = baselines[section].weights ?? model.weights;
  if (weights === null)
    throw new UsageError(
      `baselines.${section} starts from a trained SAM, but there are no weights (baselines.${section}.weights and model.weights are none); name some: maskrank weights list`,
    );
  await resolveWeights(weights);
}

export type PromptableSection = 'sam' | 'samMed2d' | 'selfPrompt' | 'medclipSam';

/** Hashes of the starting weights, and of stored prompts that training takes. */
export async function madeFrom({
  context: { run, config },
  workspace,
}: OpenRun): Promise<Readonly<Record<string, string>>> {
  const { weights } = config.model;
  const start = weights === null ? {} : { weights: await weightsHash(weights) };
  const source = promptSource(config, 'labelled');
  if (source !== 'saliency' && source !== 'file') return start;
  const { prompts: path } = run.paths;
  const lines = existsSync(path) ? readPrompts(path) : new Map();
  const taken = allUnits(workspace, splitIds(workspace, config, 'labelled')).map(({ caseId, classId }) => {
    const line = lines.get(promptKey({ case: caseId, class: classId }));
    return [caseId, classId, line?.boxes ?? null, line?.points ?? null];
  });
  return { ...start, prompts: createHash('sha256').update(canonicalJson(taken)).digest('hex') };
}

/** Gives a network fresh low-rank updates, which change nothing yet. */
export function withLora<S extends Sam>(
  sam: S,
  { random }: Pick<BaselineSetting, 'random'>,
  { rank }: { readonly rank: number },
): S {
  attachLora(sam, { rank, generator: Generator.seeded(random('low-rank updates').int(0, 0x7fffffff)) });
  return sam;
}

/** Optimiser steps on so many labelled cases. */
export const tuningSteps = ({ training }: Config, cases: number): number => stage1Steps(training, cases);

/** Kinds of prompts that it takes from `maskrank prompt`. */
export const storedPrompts = ({ prompts: { use, labelled, test } }: Config): readonly PromptKind[] =>
  [labelled, test].includes('saliency') ? use : [];

/** The prompt of every class of every case, and the embeddings that its mask is decoded from. */
export type Asked = {
  readonly prompts: ReadonlyMap<string, Prompt>;
  readonly embeddings: EmbeddingCache;
};

/** Embeddings of the cases; those of measured cases are kept in the run. */
export const embed = (
  sam: Sam,
  cases: readonly (LabelledCase | UnlabelledCase)[],
  { context, workspace, images }: Pick<BaselineSetting, 'context' | 'workspace' | 'images'>,
): Promise<EmbeddingCache> =>
  embedCases(cases, images === 'new' ? null : context.config.evaluation.split, sam, workspace, context);

/** Prompts of measured cases as stages get them. The run's store is for prompts of the run's kinds. */
export async function testPrompts(
  sam: Sam,
  cases: readonly LabelledCase[],
  setting: BaselineSetting,
): Promise<Asked> {
  const { context, workspace, runConfig } = setting;
  const { config, run, signal } = context;
  const source = promptSource(config, 'test');
  const embeddings = await embed(sam, cases, setting);
  const units = unitsOf(workspace, cases);
  const inputs = { workspace, config, labelled: byId(cases), self: { sam, embeddings } };
  const isOwnKind = config.prompts.use.some((kind) => !runConfig.prompts.use.includes(kind));
  const isMade = source === 'self' || source === 'none' || (source === 'oracle-box' && isOwnKind);
  const prompts = isMade
    ? await makePrompts(units, source, inputs, signal)
    : await ensurePrompts(run.paths.prompts, units, source, inputs, signal);
  return { prompts, embeddings };
}

/** Says that a class is not in an image. */
const ABSENT: Prompt = { boxes: [], points: [], source: 'file' };

/** Prompts of new images: a person's, else the network's own. */
export async function givenPrompts(
  sam: Sam,
  cases: readonly UnlabelledCase[],
  setting: BaselineSetting,
  given: GivenPrompts,
): Promise<Asked> {
  const { workspace, config, signal } = setting;
  checkGiven(given, { kinds: config.prompts.use, classes: workspace.classes });
  const embeddings = await embed(sam, cases, setting);
  const units = unitsOf(workspace, cases);
  const prompts = isGiven(given)
    ? new Map(
        units.map(({ caseId, classId }) => [
          unitKey(caseId, classId),
          givenPrompt(given, caseId, classId) ?? ABSENT,
        ]),
      )
    : await makePrompts(units, 'self', { workspace, config, self: { sam, embeddings } }, signal);
  return { prompts, embeddings };
}

/** Every class of every case. */
export const unitsOf = (workspace: Workspace, cases: readonly { readonly id: string }[]): Unit[] =>
  allUnits(
    workspace,
    cases.map(({ id }) => id),
  );

/** Units decoded before their masks are handed on; a multiple of those that are decoded together. */
const AT_ONCE = 64;

/** Masks of cases by their prompts, as stages are measured. */
export async function* promptedMasks(
  sam: Sam,
  cases: readonly UnlabelledCase[],
  { context, workspace }: OpenRun,
  { prompts, embeddings, texts }: Asked & { readonly texts?: UnitTexts },
): AsyncGenerator<CaseMask> {
  const { config, signal } = context;
  const { layout, device } = workspace;
  const units = promptedUnits(unitsOf(workspace, cases), prompts, embeddings, texts);
  const policy = { sam, embeddings, layout, device };
  const { threshold } = config.evaluation;
  for (let start = 0; start < units.length; start += AT_ONCE) {
    const found: CaseMask[] = [];
    const some = units.slice(start, start + AT_ONCE);
    predictUnits(
      some,
      { policy, embeddings, threshold, signal },
      ({ caseId, classId }, mask, predictedIou) => {
        const { source } = prompts.get(unitKey(caseId, classId)) as Prompt;
        found.push({ caseId, classId, mask, predictedIou, prompt: { source, oracle: isOracle({ source }) } });
      },
    );
    yield* found;
  }
}

/** A method that is prompted has no scores of an image alone. */
export const noScores = (name: string) => (): never => {
  throw new UsageError(`baseline ${name}: answers prompts of cases, not single images.`);
};
