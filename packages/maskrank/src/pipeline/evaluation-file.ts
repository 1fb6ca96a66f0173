// RUN/evaluation.json and RUN/predictions: rows of stages, controls and baselines put together with their statistics, whichever
// command measured them. Not here: measuring (evaluate.ts, baselines/measure.ts).

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { readArtefact } from '../datasets/artefact.ts';
import { tolerance } from '../evaluation/metrics.ts';
import {
  type CaseResult,
  EVALUATION_VERSION,
  type Evaluation,
  EvaluationSchema,
} from '../evaluation/schema.ts';
import { summarise } from '../evaluation/summarise.ts';
import { writeMaskPng } from '../formats/raster.ts';
import type { Mask } from '../imaging/types.ts';
import type { ConfigSection } from '../run/config.ts';
import { writeJson } from '../run/files.ts';
import { configHash } from '../run/resolve.ts';
import type { Unit } from '../training/units.ts';
import { CONTROLS, type ControlName } from './controls.ts';
import { splitsHash } from './finetune.ts';
import { volumeTolerances } from './volumes.ts';
import { type JobContext, promptKinds, type Workspace } from './workspace.ts';

const SECTIONS: readonly ConfigSection[] = ['data', 'prompts', 'evaluation'];

/** A line of the table. */
export type EvaluatedRow = {
  readonly key: string;
  readonly title: string;
  /** Hash of the weights. */
  readonly checkpoint: string;
  /** Probability from which a pixel is foreground; absent where it is not known any more. */
  readonly threshold?: number;
};

/** Rows and records of an evaluation. */
export type EvaluatedRows = {
  readonly rows: readonly EvaluatedRow[];
  readonly results: readonly CaseResult[];
  /** Records by volume, of cases that are slices. */
  readonly volumes: readonly CaseResult[];
};

/** RUN/predictions/stage2/1/CASE.png */
export const predictionPath = (runDir: string, stage: string, classId: number, caseId: string): string =>
  join(runDir, 'predictions', stage, String(classId), `${caseId}.png`);

export async function keepMask(runDir: string, stage: string, unit: Unit, mask: Mask): Promise<void> {
  const path = predictionPath(runDir, stage, unit.classId, unit.caseId);
  mkdirSync(join(path, '..'), { recursive: true });
  await writeMaskPng(path, mask);
}

/** What an evaluation is of, beside the rows. */
const identity = ({ config }: Pick<JobContext, 'config'>, workspace: Workspace) => ({
  configHash: configHash(config, SECTIONS),
  madeFrom: { dataset: workspace.dataset.hash, splits: splitsHash(workspace) },
});

/** The whole evaluation: rows in the order to show, summaries and paired comparisons of them. */
export function assembleEvaluation(
  context: Pick<JobContext, 'config'>,
  workspace: Workspace,
  { rows, results: cases, volumes }: EvaluatedRows,
): Evaluation {
  const { config } = context;
  const { tolerancesPx, empties, split, threshold, bootstrapSamples, permutations } = config.evaluation;
  const tolerances = tolerancesPx.map((value) => tolerance(value, 'px'));
  const statistics = { seed: config.seed, bootstrapResamples: bootstrapSamples, permutations };
  const sources: Record<string, number> = {};
  for (const { prompt } of cases) sources[prompt.source] = (sources[prompt.source] ?? 0) + 1;
  const { configHash: hash, madeFrom } = identity(context, workspace);
  const own = rows.filter(({ key }) => /^(stage[12]|baseline-.+)$/.test(key));
  const isPrompted = rows.some(({ key }) => !key.startsWith('baseline-'));
  const controls = rows.flatMap((row) => {
    const control = (CONTROLS as Readonly<Record<string, (typeof CONTROLS)[ControlName]>>)[row.key];
    return control === undefined ? [] : [{ stage: row.key, kind: control.kind, question: control.question }];
  });
  return EvaluationSchema.parse({
    schemaVersion: EVALUATION_VERSION,
    configHash: hash,
    madeFrom: {
      ...madeFrom,
      ...Object.fromEntries(own.map(({ key, checkpoint }) => [`checkpoint ${key}`, checkpoint])),
    },
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
    prompts: {
      oracle: cases.some(({ prompt }) => prompt.oracle),
      sources,
      use: isPrompted ? promptKinds(config) : [],
    },
    stages: rows.map(({ key, title, checkpoint }) => ({ key, title, checkpoint })),
    controls,
    cases,
    ...summarise(cases, { ...statistics, tolerances }),
    ...(volumes.length === 0 ? {} : { volumes: byVolume(volumes, config, statistics) }),
  });
}

function byVolume(
  cases: readonly CaseResult[],
  config: JobContext['config'],
  statistics: Evaluation['statistics'],
): NonNullable<Evaluation['volumes']> {
  const tolerances = volumeTolerances(config, cases);
  return { tolerances, ...summarise(cases, { ...statistics, tolerances }), cases: [...cases] };
}

/** The rows of the evaluation that stands in the run, but for `key`; none, with a warning, where it was made with other settings. */
export async function keptRows(
  context: JobContext,
  workspace: Workspace,
  key: string,
): Promise<EvaluatedRows> {
  const { run, config, warn } = context;
  const path = run.paths.evaluation;
  if (!existsSync(path)) return { rows: [], results: [], volumes: [] };
  const before = await readArtefact(path, EvaluationSchema);
  const now = identity(context, workspace);
  const isSame =
    before.configHash === now.configHash &&
    before.madeFrom.dataset === now.madeFrom.dataset &&
    before.madeFrom.splits === now.madeFrom.splits;
  if (!isSame) {
    warn(
      `${path}: its rows were measured with other settings and are left out. Measure all anew: maskrank evaluate --run ${run.dir}`,
    );
    return { rows: [], results: [], volumes: [] };
  }
  const threshold = before.threshold === undefined ? {} : { threshold: config.evaluation.threshold };
  return {
    rows: before.stages
      .filter((stage) => stage.key !== key)
      .map(({ key: name, title, checkpoint = 'unknown' }) => ({
        key: name,
        title,
        checkpoint,
        ...threshold,
      })),
    results: before.cases.filter(({ stage }) => stage !== key),
    volumes: (before.volumes?.cases ?? []).filter(({ stage }) => stage !== key),
  };
}

export const writeEvaluation = ({ run }: Pick<JobContext, 'run'>, evaluation: Evaluation): Promise<void> =>
  writeJson(run.paths.evaluation, evaluation);
