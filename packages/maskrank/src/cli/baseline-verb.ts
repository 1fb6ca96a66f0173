// The shape of every baseline's verb: train a method in a run, print what came out and the table. A verb says what its method is and
// which of the configuration shapes it.

import type { AnyBaseline } from '../pipeline/baselines/registry.ts';
import type { ConfigPart } from '../run/config.ts';
import type { RunFolder } from '../run/run-folder.ts';
import { evaluationTable, withoutCases } from './evaluation-table.ts';
import { defineVerb, type Verb, type VerbContext, type VerbResult } from './verb.ts';

const ARGS = {
  dataset: { name: 'DATASET', describe: 'folder of the dataset; known already in a run', optional: true },
} as const;
const OPTIONS = { restart: { describe: 'discard what was trained and begin anew' } } as const;

type BaselineContext = VerbContext<typeof ARGS, typeof OPTIONS, RunFolder>;

/** Sections of the configuration that shape baselines on a SAM, beside their own. */
export const PROMPTABLE_SECTIONS = ['data', 'model', 'prompts', 'training', 'evaluation'] as const;

/** Sections that shape a U-Net, and steps and batch as short flags; those of methods that train one stand beside their own. */
export const UNET_SECTIONS = [
  'data',
  'baselines.classes',
  'baselines.unet',
  'training.augmentation',
  'evaluation',
] as const;
export const UNET_SHORTCUTS = { steps: 'baselines.unet.steps', 'batch-size': 'baselines.unet.batchSize' };

/** Short flags of a method that starts from weights, for its section of the configuration. */
export const tuningShortcuts = (section: string) => ({
  steps: `${section}.steps`,
  'batch-size': `${section}.batchSize`,
  weights: `${section}.weights`,
});

export type BaselineVerb = Pick<Verb, 'name' | 'summary' | 'examples'> & {
  readonly details: string;
  readonly sections: readonly ConfigPart[];
  readonly shortcuts: Readonly<Record<string, string>>;
  /** In the line that says what was done. */
  readonly title: string;
  /** Imports the method, which is heavy. */
  readonly method: () => Promise<AnyBaseline>;
};

/** Defines the verb of a baseline. */
export function defineBaseline({ title, method, ...spec }: BaselineVerb): Verb {
  return defineVerb({
    ...spec,
    args: ARGS,
    options: OPTIONS,
    runFolder: { mode: 'create' },
    run: async (context) => runBaseline(context, title, await method()),
  });
}

async function runBaseline(
  context: BaselineContext,
  title: string,
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
    `${title}: ${words}; ${(result.parameters / 1e6).toFixed(1)} M parameters\nwrote ${result.checkpoint}`,
  );
  context.out(evaluationTable(evaluation));
  return {
    result: { ...result, evaluation: withoutCases(evaluation) },
    next: `maskrank report --run ${context.runFolder.dir}`,
  };
}
