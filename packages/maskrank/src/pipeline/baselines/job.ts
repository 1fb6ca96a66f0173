// The job of `maskrank baseline NAME`: trains a method on the labelled cases of a run's dataset, to
// RUN/checkpoints/baseline-NAME.safetensors, measures it, and puts its row into RUN/evaluation.json beside those that stand there.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { nn } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import type { Evaluation } from '../../evaluation/schema.ts';
import { MetricsLog } from '../../run/metrics.ts';
import { areExclusive } from '../../training/baselines/batch.ts';
import type { ClassRelation } from '../../training/baselines/loss.ts';
import type { TrainingResult } from '../../training/baselines/supervised.ts';
import { assembleEvaluation, keptRows, writeEvaluation } from '../evaluation-file.ts';
import { type JobContext, openWorkspace, splitIds, type Workspace } from '../workspace.ts';
import {
  baselineInputs,
  baselineKey,
  baselinePath,
  baselineSections,
  hasBaseline,
  measureBaseline,
  saveBaseline,
} from './measure.ts';
import { loadSamples, type OpenRun, settingOf, viewOf } from './method.ts';
import type { AnyBaseline } from './registry.ts';

export type BaselineResult = TrainingResult & {
  readonly checkpoint: string;
  readonly cases: number;
  readonly relation: ClassRelation;
  /** Steps are 0: it was trained before. */
  readonly resumed: boolean;
  readonly parameters: number;
  readonly evaluation: Evaluation;
};

export async function baselineJob(
  context: JobContext,
  method: AnyBaseline,
  datasetDir: string | undefined,
  { restart = false }: { readonly restart?: boolean } = {},
): Promise<BaselineResult> {
  const workspace = await openWorkspace(context, datasetDir);
  requireUnlabelled(workspace, method);
  await method.check?.(context.config, workspace.dataset.dataset);
  const seen = await viewOf({ context, workspace }, method);
  const trained = await trainBaseline(context, seen, method, restart);
  const { row, results, volumes } = await measureBaseline(context, seen, method);
  const others = await keptRows(context, workspace, row.key);
  const evaluation = assembleEvaluation(context, workspace, {
    rows: [...others.rows, row],
    results: [...others.results, ...results],
    volumes: [...others.volumes, ...volumes],
  });
  await writeEvaluation(context, evaluation);
  return { ...trained, evaluation };
}

async function trainBaseline(
  context: JobContext,
  seen: OpenRun,
  method: AnyBaseline,
  restart: boolean,
): Promise<Omit<BaselineResult, 'evaluation'>> {
  const { run, config, signal } = context;
  const { checkpoints } = run.paths;
  const name = `baseline ${method.name}` as const;
  const stage = await run.enterStage(name, config, {
    sections: baselineSections(method),
    madeFrom: await baselineInputs(seen, method),
    restart,
  });
  if (restart) removeStates(checkpoints, method);
  const relation = method.relation ?? (await relationOf(seen));
  const setting = settingOf(seen, config, relation);
  const { workspace } = seen;
  const network: nn.Module = await method.prepare(setting);
  const checkpoint = baselinePath(checkpoints, method);
  const known = {
    checkpoint,
    cases: method.needsMasks === false ? 0 : splitIds(workspace, config, 'labelled').length,
    relation,
    parameters: [...network.parameters()].reduce((sum, { numel }) => sum + numel, 0),
  };
  try {
    if (stage.finished && hasBaseline(checkpoints, method))
      return { ...known, steps: 0, bestValidation: null, bestStep: 0, resumed: true };
    network.to(workspace.device as 'cuda');
    using metrics = MetricsLog.open(run.paths.metrics);
    const result = await method.train(network, setting, {
      stage: name,
      label: method.title,
      statePath: join(checkpoints, `${baselineKey(method)}.state.safetensors`),
      header: stage.header,
      rerun: `maskrank ${name} --run ${run.dir} --restart`,
      metrics,
      signal,
      onProgress: (done, total, note) => context.onProgress(`train ${method.title}`, done, total, note),
    });
    await saveBaseline(checkpoint, method, network, setting, stage.header);
    await run.finishStage(name);
    context.note(
      { baseline: method.name, ...result, relation },
      `${method.title}: ${result.steps} steps, ${relation} classes`,
    );
    return { ...known, ...result, resumed: stage.resumed };
  } finally {
    network.dispose();
  }
}

/** Before anything is trained: a method that learns from unlabelled cases needs some. */
function requireUnlabelled({ dataset, splits }: Workspace, { name, usesUnlabelled }: AnyBaseline): void {
  if (usesUnlabelled !== true || splits.unlabelled.length > 0) return;
  throw new DataError(
    `baseline ${name} learns from unlabelled cases too, and the division of ${dataset.dir} has none beside ${splits.labelled.length} labelled. Divide with a smaller --labelled share (maskrank dataset split), or take a method that learns from masks alone (maskrank baseline unet).`,
  );
}

/** As configured, else as the labelled masks show. */
async function relationOf(seen: OpenRun): Promise<ClassRelation> {
  const { classes } = seen.context.config.baselines;
  if (classes !== 'auto') return classes;
  const classIds = seen.workspace.classes.map(({ id }) => id);
  if (classIds.length === 1) return 'overlapping'; // one class: a yes or no
  const samples = await loadSamples(seen, 'labelled');
  return areExclusive(samples, classIds) ? 'exclusive' : 'overlapping';
}

/** A method may train in several phases, each with a state of its own. */
function removeStates(checkpoints: string, method: AnyBaseline): void {
  const key = baselineKey(method);
  for (const file of readdirSync(checkpoints)) {
    if (
      file === `${key}.state.safetensors` ||
      (file.startsWith(`${key}-`) && file.endsWith('.state.safetensors'))
    )
      rmSync(join(checkpoints, file), { force: true });
  }
}
