// The job of `maskrank evaluate`: every checkpoint of a run on untouched cases, to RUN/evaluation.json. The masks of stage 1
// and 2 are kept in RUN/predictions, for the report and for people.

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import type { EmbeddingCache } from '../alignment/embeddings.ts';
import type { AlignUnit } from '../alignment/policy.ts';
import type { LabelledCase } from '../datasets/cases.ts';
import { measure } from '../evaluation/measure.ts';
import { tolerance } from '../evaluation/metrics.ts';
import {
  type CaseResult,
  EVALUATION_VERSION,
  type Evaluation,
  EvaluationSchema,
} from '../evaluation/schema.ts';
import { summarise } from '../evaluation/summarise.ts';
import { gridOf } from '../evaluation/surface-distance.ts';
import { writeMaskPng } from '../formats/raster.ts';
import type { Mask } from '../imaging/types.ts';
import type { Prompt, PromptSource } from '../prompting/prompt.ts';
import type { ConfigSection } from '../run/config.ts';
import { writeJson } from '../run/files.ts';
import { configHash } from '../run/resolve.ts';
import { type Unit, unitKey } from '../training/units.ts';
import { CONTROLS, type ControlName, controlPath, controlThreshold } from './controls.ts';
import { embedCases } from './embed.ts';
import { splitsHash } from './finetune.ts';
import { checkTextModel, type LoadedModel, loadModel, otherPrompts } from './model.ts';
import { writePanels } from './panels.ts';
import { predictUnits } from './predict-units.ts';
import { ensurePrompts, isOracle, makePrompts } from './prompts.ts';
import { loadTexts, type UnitTexts } from './text.ts';
import { allUnits, byId, promptedUnits } from './units.ts';
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

const SECTIONS: readonly ConfigSection[] = ['data', 'prompts', 'evaluation'];

/** Further rows by their configuration name ('none' would mean an empty list there). */
const ALSO = {
  self: { source: 'self', title: 'prompting itself' },
  'no-prompt': { source: 'none', title: 'without a prompt' },
} as const satisfies Readonly<Record<string, { source: PromptSource; title: string }>>;

/** Every row that the run's checkpoints allow. */
function rowsOf({ run, config }: JobContext): Row[] {
  const { checkpoints, stage1, stage2 } = run.paths;
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
  for (const { unit, mask } of masks) {
    const item = truth.get(unit.caseId) as LabelledCase;
    const reference = await workspace.dataset.loadMask(item, unit.classId);
    const { source } = prompts.get(unitKey(unit.caseId, unit.classId)) as Prompt;
    results.push({
      case: unit.caseId,
      group: item.group,
      class: unit.classId,
      stage: row.key,
      prompt: { source, oracle: isOracle({ source }) },
      ...measure(gridOf(reference), gridOf(mask), { tolerances, empties: config.evaluation.empties }),
    });
    if (row.keepMasks) await keepMask(run.dir, row.key, unit, mask);
  }
  return { results, model, embeddings, units: prompted };
}

/** RUN/predictions/stage2/1/CASE.png */
export const predictionPath = (runDir: string, stage: string, classId: number, caseId: string): string =>
  join(runDir, 'predictions', stage, String(classId), `${caseId}.png`);

async function keepMask(runDir: string, stage: string, unit: AlignUnit, mask: Mask): Promise<void> {
  const path = predictionPath(runDir, stage, unit.classId, unit.caseId);
  mkdirSync(join(path, '..'), { recursive: true });
  await writeMaskPng(path, mask);
}

export async function evaluateJob(context: JobContext): Promise<Evaluation> {
  const { run, config } = context;
  const workspace = await openWorkspace(context);
  const rows = rowsOf(context);
  const cases = workspace.dataset.labelled(splitIds(workspace, config, config.evaluation.split));
  const ids = cases.map((item) => item.id);
  const texts = await loadTexts(context, workspace, allUnits(workspace, ids));
  const all: CaseResult[] = [];
  const hashes: Record<string, string> = {};
  let first: Measured | undefined;
  for (const row of rows) {
    const measured = await measureRow(row, context, { workspace, texts }, cases);
    all.push(...measured.results);
    hashes[row.key] = measured.model.hash;
    const others = otherPrompts(measured.model.recipe, promptKinds(config));
    if (row.key === 'stage1' && others !== undefined) context.warn(others);
    if (row.key === 'stage1') first = measured;
    else measured.model.sam.dispose();
  }
  const evaluation = assemble(context, workspace, rows, all, hashes);
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
  await writeJson(run.paths.evaluation, evaluation);
  return evaluation;
}

function assemble(
  { config }: JobContext,
  workspace: Workspace,
  rows: readonly Row[],
  cases: CaseResult[],
  hashes: Readonly<Record<string, string>>,
): Evaluation {
  const { tolerancesPx, empties, split, threshold, bootstrapSamples, permutations } = config.evaluation;
  const tolerances = tolerancesPx.map((value) => tolerance(value, 'px'));
  const statistics = { seed: config.seed, bootstrapResamples: bootstrapSamples, permutations };
  const sources: Record<string, number> = {};
  for (const { prompt } of cases) sources[prompt.source] = (sources[prompt.source] ?? 0) + 1;
  const own = Object.fromEntries(
    ['stage1', 'stage2'].flatMap((key) =>
      hashes[key] === undefined ? [] : [[`checkpoint ${key}`, hashes[key]]],
    ),
  );
  const controls = rows.flatMap((row) => {
    const control = (CONTROLS as Readonly<Record<string, (typeof CONTROLS)[ControlName]>>)[row.key];
    return control === undefined ? [] : [{ stage: row.key, kind: control.kind, question: control.question }];
  });
  return EvaluationSchema.parse({
    schemaVersion: EVALUATION_VERSION,
    configHash: configHash(config, SECTIONS),
    madeFrom: { dataset: workspace.dataset.hash, splits: splitsHash(workspace), ...own },
    dataset: {
      name: workspace.dataset.dataset.name,
      split,
      classes: workspace.classes.map(({ id, name }) => ({ id, name })),
    },
    tolerances,
    empties,
    missedDistance: 'image diagonal',
    ...(rows.every((row) => row.threshold === threshold) ? { threshold } : {}),
    statistics,
    prompts: { oracle: cases.some(({ prompt }) => prompt.oracle), sources, use: promptKinds(config) },
    stages: rows.map(({ key, title }) => ({ key, title, checkpoint: hashes[key] as string })),
    controls,
    cases,
    ...summarise(cases, {
      tolerances,
      seed: config.seed,
      bootstrapResamples: bootstrapSamples,
      permutations,
    }),
  });
}
