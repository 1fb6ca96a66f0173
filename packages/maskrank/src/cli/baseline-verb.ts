// What the verbs of all baselines share: train a method in a run, print what came out and the table.

import type { AnyBaseline } from '../pipeline/baselines/registry.ts';
import type { RunFolder } from '../run/run-folder.ts';
import { evaluationTable, withoutCases } from './evaluation-table.ts';
import type { VerbContext, VerbResult } from './verb.ts';

/** Arguments and flags of a baseline's verb. */
export const BASELINE_ARGS = {
  dataset: { name: 'DATASET', describe: 'folder of the dataset; known already in a run', optional: true },
} as const;
export const BASELINE_OPTIONS = { restart: { describe: 'discard what was trained and begin anew' } } as const;

/** Sections of the configuration that shape baselines on a SAM, beside their own. */
export const PROMPTABLE_SECTIONS = ['data', 'model', 'prompts', 'training', 'evaluation'] as const;

type BaselineContext = VerbContext<typeof BASELINE_ARGS, typeof BASELINE_OPTIONS, RunFolder>;

/** @param name in the line that says what was done */
export async function runBaseline(
  context: BaselineContext,
  name: string,
  method: AnyBaseline,
): Promise<VerbResult> {
  const { runJob } = await import('./job-context.ts');
  const { baselineJob } = await import('../pipeline/baselines/job.ts');
  const { evaluation, ...result } = await runJob(context, (job) =>
    baselineJob(job, method, context.args.dataset, { restart: context.options.restart }),
  );
  const untrained = method.needsMasks === false ? 'nothing to train' : 'was trained already';
  const words =
    result.steps === 0
      ? untrained
      : `${result.steps} steps on ${result.cases} labelled cases, the weights after step ${result.bestStep}`;
  context.out(
    `${name}: ${words}; ${(result.parameters / 1e6).toFixed(1)} M parameters\nwrote ${result.checkpoint}`,
  );
  context.out(evaluationTable(evaluation));
  return {
    result: { ...result, evaluation: withoutCases(evaluation) },
    next: `maskrank report --run ${context.runFolder.dir}`,
  };
}
