// What propose, rate, align and the controls share: the stage-1 model, the unlabelled units with prompts and embeddings, and
// the annotator. The unlabelled cases reach stage 2 without masks; only the virtual annotator is made with them.

import { existsSync } from 'node:fs';
import { fromTypedArray, stack } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import type { Annotator } from '../alignment/annotators/annotator.ts';
import { OracleAnnotator } from '../alignment/annotators/oracle.ts';
import { type EmbeddingSource, LiveEmbeddings } from '../alignment/embedding-source.ts';
import { type EmbeddingCache, networkInput } from '../alignment/embeddings.ts';
import type { AlignUnit, PolicyOptions } from '../alignment/policy.ts';
import { applyView, type GeneratorContext } from '../alignment/proposals/generators.ts';
import { type RatingLine, recordedAnnotator } from '../alignment/ratings.ts';
import type { LabelledCase, UnlabelledCase } from '../datasets/cases.ts';
import type { Sam } from '../models/sam/index.ts';
import type { Config } from '../run/config.ts';
import type { JsonlStore } from '../run/jsonl.ts';
import { embedCases } from './embed.ts';
import { checkTextModel, type LoadedModel, loadModel, otherPrompts } from './model.ts';
import { ensurePrompts, isOracle, promptsHash } from './prompts.ts';
import { type GeneratorChoice, type ResolvedGenerator, resolveGenerator } from './proposal-generator.ts';
import { loadTexts, type UnitTexts } from './text.ts';
import { allUnits, byId, promptedUnits } from './units.ts';
import {
  type JobContext,
  loadLabelled,
  openWorkspace,
  promptKinds,
  promptSource,
  splitIds,
  type Workspace,
} from './workspace.ts';

export type Stage2Inputs = {
  readonly workspace: Workspace;
  readonly stage1: LoadedModel;
  readonly policy: PolicyOptions;
  readonly units: readonly AlignUnit[];
  /** The units' cases, without masks. */
  readonly cases: readonly UnlabelledCase[];
  readonly cached: EmbeddingCache;
  readonly texts: UnitTexts | undefined;
  /** Where the candidates come from. */
  readonly generator: ResolvedGenerator;
  /** Hashes of everything above: prompts too, where they come from outside. */
  readonly madeFrom: Readonly<Record<string, string>>;
};

/** Loads stage 1 and everything about the unlabelled cases but their masks. */
export async function loadStage2Inputs(
  context: JobContext,
  choice: GeneratorChoice = {},
): Promise<Stage2Inputs> {
  const { run, config, signal } = context;
  const generator = resolveGenerator(config, choice);
  const workspace = await openWorkspace(context);
  if (!existsSync(run.paths.stage1)) {
    throw new DataError(
      `${run.paths.stage1}: there is no stage-1 checkpoint yet. Make one: maskrank finetune DATASET --run ${run.dir}`,
    );
  }
  const stage1 = await loadModel(run.paths.stage1, workspace.device);
  const ids = splitIds(workspace, config, 'unlabelled');
  const cases = workspace.dataset.unlabelled(ids);
  const cached = await embedCases(cases, 'unlabelled', stage1.sam, workspace, context);
  const source = promptSource(config, 'unlabelled');
  const all = allUnits(workspace, ids);
  const texts = await loadTexts(context, workspace, all);
  checkTextModel(run.paths.stage1, stage1.recipe, texts?.model);
  const others = otherPrompts(stage1.recipe, promptKinds(config));
  if (others !== undefined) context.warn(others);
  // The only use of hidden masks outside the annotator, and marked as such in every line and output.
  const labelled = source === 'oracle-box' ? byId(workspace.dataset.labelled(ids)) : undefined;
  const prompts = await ensurePrompts(
    run.paths.prompts,
    all,
    source,
    {
      workspace,
      config,
      self: { sam: stage1.sam, embeddings: cached },
      texts,
      ...(labelled ? { labelled } : {}),
    },
    signal,
    source === 'self' ? stage1.hash : undefined,
  );
  const oracles = [...prompts.values()].filter(isOracle).length;
  if (source === 'file' && oracles > 0)
    context.warn(
      `${oracles} of ${prompts.size} prompts of the unlabelled cases in prompts.jsonl were drawn from their hidden masks (oracle): for benchmarks only.`,
    );
  const isOutside = texts !== undefined || source === 'saliency' || source === 'file';
  const units = promptedUnits(all, prompts, cached, texts);
  if (units.length === 0)
    throw new DataError(
      'no unlabelled case has a usable prompt; see prompts.jsonl and the --prompts.unlabelled setting',
    );
  const embeddings = await embeddingSource(config, stage1.sam, workspace, cases, cached);
  return {
    workspace,
    stage1,
    policy: { sam: stage1.sam, embeddings, layout: workspace.layout, device: workspace.device },
    units,
    cases,
    cached,
    texts,
    generator,
    madeFrom: {
      'checkpoint stage1': stage1.hash,
      dataset: workspace.dataset.hash,
      ...(isOutside ? { prompts: promptsHash(all, prompts, texts) } : {}),
      ...(generator.isOwn ? { generator: generator.name } : {}),
    },
  };
}

/** The cache while the encoder stands still; the images themselves when it learns. */
export async function embeddingSource(
  config: Config,
  sam: Sam,
  workspace: Workspace,
  cases: readonly (LabelledCase | UnlabelledCase)[],
  cached: EmbeddingCache,
): Promise<EmbeddingSource> {
  if (config.alignment.scope === 'decoder') return cached;
  const inputs = new Map<string, Float32Array<ArrayBuffer>>();
  for (const item of cases)
    inputs.set(item.id, networkInput(await workspace.dataset.loadImage(item), workspace.canvas).data);
  return new LiveEmbeddings(sam, inputs);
}

/** For generators that look at changed images: their embeddings; undefined for the others. */
export async function viewEmbedder({
  workspace,
  cases,
  policy,
  generator,
}: Pick<Stage2Inputs, 'workspace' | 'cases' | 'policy' | 'generator'>): Promise<
  ((units: readonly AlignUnit[]) => NonNullable<GeneratorContext['embedView']>) | undefined
> {
  if (!generator.needsViews) return undefined;
  const side = workspace.canvas.imageSize;
  const inputs = new Map<string, Float32Array<ArrayBuffer>>();
  for (const item of cases)
    inputs.set(item.id, networkInput(await workspace.dataset.loadImage(item), workspace.canvas).data);
  return (units) => (view) => {
    const images = stack(
      units.map((unit) =>
        fromTypedArray(inputs.get(unit.caseId) as Float32Array<ArrayBuffer>, [3, side, side], {
          share: true,
        }),
      ),
    );
    return policy.sam.embed(applyView(images.to(policy.device as 'cuda'), view));
  };
}

/** The hidden masks of the unlabelled cases: for the virtual annotator and for controls that say they use them. */
export async function hiddenTruth(
  { workspace, units }: Stage2Inputs,
  signal: AbortSignal,
): Promise<LabelledCase[]> {
  return loadLabelled(workspace, [...new Set(units.map((unit) => unit.caseId))], signal);
}

export type AnnotatorKind = 'virtual' | 'recorded';

/** The paper's virtual annotator, made with the hidden masks. */
export async function virtualAnnotator(
  inputs: Stage2Inputs,
  { config, signal }: JobContext,
): Promise<Annotator> {
  await hiddenTruth(inputs, signal);
  const { cache } = inputs.workspace;
  return new OracleAnnotator({
    ...config.scoring,
    seed: config.seed,
    truth: (caseId, classId) => cache.mask(caseId, classId),
  });
}

/** The annotator of a run: virtual, or whoever wrote ratings.jsonl. */
export async function makeAnnotator(
  kind: AnnotatorKind,
  inputs: Stage2Inputs,
  context: JobContext,
  store: JsonlStore<RatingLine>,
): Promise<Annotator> {
  return kind === 'recorded' ? recordedAnnotator(store) : virtualAnnotator(inputs, context);
}
