// The job of `maskrank evaluate`: every checkpoint of a run on untouched cases, to RUN/evaluation.json. The masks of stage 1, stage
// 2 and baselines are kept in RUN/predictions, for the report and for people.

import { existsSync } from 'node:fs';
import { UsageError } from '@maskrank/torch/errors';
import type { EmbeddingCache } from '../alignment/embeddings.ts';
import type { AlignUnit } from '../alignment/policy.ts';
import type { LabelledCase } from '../datasets/cases.ts';
import { measure } from '../evaluation/measure.ts';
import { tolerance } from '../evaluation/metrics.ts';
import type { CaseResult, Evaluation } from '../evaluation/schema.ts';
import { gridOf } from '../evaluation/surface-distance.ts';
import type { Mask } from '../imaging/types.ts';
import type { Prompt, PromptSource } from '../prompting/prompt.ts';
import { type Unit, unitKey } from '../training/units.ts';
import { baselinesOf, measureBaseline } from './baselines/measure.ts';
import { viewOf } from './baselines/method.ts';
import { CONTROLS, type ControlName, controlPath, controlThreshold } from './controls.ts';
import { embedCases } from './embed.ts';
import {
  assembleEvaluation,
  type EvaluatedRow,
  keepMask,
  predictionPath,
  writeEvaluation,
} from './evaluation-file.ts';
import { checkTextModel, type LoadedModel, loadModel, otherPrompts } from './model.ts';
import { writePanels } from './panels.ts';
import { predictUnits } from './predict-units.ts';
import { ensurePrompts, isOracle, makePrompts } from './prompts.ts';
import { loadTexts, type UnitTexts } from './text.ts';
import { allUnits, byId, promptedUnits } from './units.ts';
import { VolumeMasks } from './volumes.ts';
import {
  type JobContext,
  openWorkspace,
  promptKinds,
  promptSource,
  splitIds,
  textParts,
  type Workspace,
} from './workspace.ts';

/** One line of the table: a checkpoint with a source of prompts and a threshold. */
type Row = {
  readonly key: string;
  readonly title: string;
  readonly checkpoint: string;
  readonly source: PromptSource;
  /** With the configured texts; the further rows show what the model does without any help. */
  readonly withText: boolean;
  readonly threshold: number;
  /** Masks are written to RUN/predictions/KEY. */
  readonly keepMasks: boolean;
};

/** Further rows by their configuration name ('none' would mean an empty list there). */
const ALSO = {
  self: { source: 'self', title: 'prompting itself' },
  'no-prompt': { source: 'none', title: 'without a prompt' },
} as const satisfies Readonly<Record<string, { source: PromptSource; title: string }>>;

/** Every row that the checkpoints of the stages and controls allow. */
function rowsOf({ run, config }: JobContext): Row[] {
  const { checkpoints, stage1, stage2 } = run.paths;
  if (!existsSync(stage1) && baselinesOf(run).length > 0) return [];
  if (!existsSync(stage1))
    throw new UsageError(
      `${stage1}: there is no checkpoint to measure yet. Make one: maskrank finetune DATASET --run ${run.dir}`,
    );
  const { threshold, alsoPrompts } = config.evaluation;
  const source = promptSource(config, 'test');
  const hasText = textParts(config).length > 0;
  const stages = [
    { key: 'stage1', title: 'stage 1', checkpoint: stage1 },
    { key: 'stage2', title: 'stage 2', checkpoint: stage2 },
  ].filter(({ checkpoint }) => existsSync(checkpoint));
  const own = stages.map((stage) => ({ ...stage, source, withText: true, threshold, keepMasks: true }));
  const controls = (Object.keys(CONTROLS) as ControlName[])
    .filter((name) => existsSync(controlPath(checkpoints, name)))
    .map((name) => ({
      key: name,
      title: CONTROLS[name].title,
      checkpoint: name === 'threshold' ? stage1 : controlPath(checkpoints, name),
      source,
      withText: true,
      threshold: name === 'threshold' ? controlThreshold(checkpoints) : threshold,
      keepMasks: false,
    }));
  const others = alsoPrompts
    .filter((other) => ALSO[other].source !== source || hasText)
    .flatMap((other) =>
      stages.map((stage) => ({
        ...stage,
        key: `${stage.key}-${other}`,
        title: `${stage.title}, ${ALSO[other].title}`,
        source: ALSO[other].source,
        withText: false,
        threshold,
        keepMasks: false,
      })),
    );
  return [...own, ...controls, ...others];
}

/** Prompts of the evaluated units: the run's own from the store, those that depend on the measured model made anew. */
async function promptsFor(
  row: Row,
  units: readonly Unit[],
  model: LoadedModel,
  embeddings: EmbeddingCache,
  context: JobContext,
  { workspace, texts }: Setting,
  truth: ReadonlyMap<string, LabelledCase>,
): Promise<ReadonlyMap<string, Prompt>> {
  const { config, run, signal } = context;
  const inputs = { workspace, config, labelled: truth, self: { sam: model.sam, embeddings }, texts };
  if (row.source === 'self' || row.source === 'none') return makePrompts(units, row.source, inputs, signal);
  return ensurePrompts(run.paths.prompts, units, row.source, inputs, signal);
}

/** What all rows share, and the texts of those that have them. */
type Setting = { readonly workspace: Workspace; readonly texts: UnitTexts | undefined };

type Measured = {
  readonly results: CaseResult[];
  readonly volumes: CaseResult[];
  readonly model: LoadedModel;
  readonly embeddings: EmbeddingCache;
  readonly units: readonly AlignUnit[];
};

async function measureRow(
  row: Row,
  context: JobContext,
  { workspace, ...all }: Setting,
  cases: readonly LabelledCase[],
): Promise<Measured> {
  const { config, run, signal, onProgress } = context;
  const model = await loadModel(row.checkpoint, workspace.device);
  const texts = row.withText ? all.texts : undefined;
  checkTextModel(row.checkpoint, model.recipe, texts?.model);
  const embeddings = await embedCases(cases, config.evaluation.split, model.sam, workspace, context);
  const truth = byId(cases);
  const units = allUnits(
    workspace,
    cases.map((item) => item.id),
  );
  const prompts = await promptsFor(row, units, model, embeddings, context, { workspace, texts }, truth);
  const prompted = promptedUnits(units, prompts, embeddings, texts);
  const policy = { sam: model.sam, embeddings, layout: workspace.layout, device: workspace.device };
  const masks: { unit: AlignUnit; mask: Mask }[] = [];
  predictUnits(prompted, { policy, embeddings, threshold: row.threshold, signal }, (unit, mask) => {
    masks.push({ unit, mask });
    onProgress(`evaluate ${row.title}`, masks.length, prompted.length);
  });
  const tolerances = config.evaluation.tolerancesPx.map((value) => tolerance(value, 'px'));
  const results: CaseResult[] = [];
  const slices = new VolumeMasks(cases);
  for (const { unit, mask } of masks) {
    const item = truth.get(unit.caseId) as LabelledCase;
    const reference = await workspace.dataset.loadMask(item, unit.classId);
    const { source } = prompts.get(unitKey(unit.caseId, unit.classId)) as Prompt;
    const prompt = { source, oracle: isOracle({ source }) };
    slices.add({ caseId: unit.caseId, classId: unit.classId, mask, prompt });
    results.push({
      case: unit.caseId,
      group: item.group,
      class: unit.classId,
      stage: row.key,
      prompt,
      ...measure(gridOf(reference), gridOf(mask), { tolerances, empties: config.evaluation.empties }),
    });
    if (row.keepMasks) await keepMask(run.dir, row.key, unit, mask);
  }
  const volumes = await slices.measure(workspace.dataset, {
    stage: row.key,
    classIds: workspace.classes.map(({ id }) => id),
    config,
    empties: config.evaluation.empties,
    signal,
    onProgress: (done, total) => onProgress(`evaluate ${row.title} by volume`, done, total),
    warn: context.warn,
  });
  return { results, volumes, model, embeddings, units: prompted };
}

export async function evaluateJob(context: JobContext): Promise<Evaluation> {
  const { run, config } = context;
  const workspace = await openWorkspace(context);
  const rows = rowsOf(context);
  const cases = workspace.dataset.labelled(splitIds(workspace, config, config.evaluation.split));
  const ids = cases.map((item) => item.id);
  const texts = rows.length === 0 ? undefined : await loadTexts(context, workspace, allUnits(workspace, ids));
  const all: CaseResult[] = [];
  const volumes: CaseResult[] = [];
  const shown: EvaluatedRow[] = [];
  let first: Measured | undefined;
  for (const row of rows) {
    const measured = await measureRow(row, context, { workspace, texts }, cases);
    all.push(...measured.results);
    volumes.push(...measured.volumes);
    shown.push({
      key: row.key,
      title: row.title,
      checkpoint: measured.model.hash,
      threshold: row.threshold,
    });
    const others = otherPrompts(measured.model.recipe, promptKinds(config));
    if (row.key === 'stage1' && others !== undefined) context.warn(others);
    if (row.key === 'stage1') first = measured;
    else measured.model.sam.dispose();
  }
  for (const method of baselinesOf(run)) {
    const seen = await viewOf({ context, workspace }, method);
    const measured = await measureBaseline(context, seen, method);
    all.push(...measured.results);
    volumes.push(...measured.volumes);
    shown.push(measured.row);
  }
  const evaluation = assembleEvaluation(context, workspace, { rows: shown, results: all, volumes });
  if (first !== undefined) {
    const { model: stage1, embeddings, units } = first;
    await writePanels(context, workspace, {
      results: all,
      stage1,
      embeddings,
      units,
      predictionPath: (stage, classId, caseId) => predictionPath(run.dir, stage, classId, caseId),
    });
    stage1.sam.dispose();
  }
  await writeEvaluation(context, evaluation);
  return evaluation;
}
