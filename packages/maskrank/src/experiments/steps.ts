// The commands of a job, as a person would type them. Not here: running them (child.ts, schedule.ts).

import { join, relative } from 'node:path';
import type { Job, JobKind } from './graph.ts';
import type { Store } from './store.ts';

export type StepContext = {
  readonly store: Store;
  /** `auto`, `cpu`, `cuda` */
  readonly device: string;
  /** Engine threads of a job. */
  readonly threads: number;
};

/** Words of a command: everything behind `maskrank`. */
type Words = readonly string[];

const COMMANDS: Readonly<Record<JobKind, (job: Job, common: Words, run: Words) => Words[]>> = {
  split: (job, common) => [splitCommand(job, common)],
  prompts: ({ data }, _common, run) => [['prompt', data.dir, ...run]],
  stage1: ({ data }, _common, run) => [['finetune', data.dir, ...run]],
  stage2: ({ controls }, _common, run) => [
    ['align', ...run, ...(controls.length === 0 ? ['--no-controls'] : ['--controls', controls.join(',')])],
  ],
  evaluation: (_job, _common, run) => [['evaluate', ...run]],
  baseline: ({ data, method = '' }, _common, run) => [['baseline', method, data.dir, ...run]],
};

export function stepsOf(job: Job, { store, device, threads }: StepContext): readonly Words[] {
  const common = ['--device', device, '--threads', String(threads)];
  const run = ['--run', store.run(job), '--config', store.config(job), ...common];
  return COMMANDS[job.kind](job, common, run).map((words) =>
    job.kind === 'split' ? [...words, '--file', splitsFile(job, store)] : words,
  );
}

function splitCommand({ data, seed, division }: Job, common: Words): Words {
  const { labelled, unlabelled, test, validation, holdOutSeed, stratifyBy, emptyCases } = division!;
  return [
    ...['dataset', 'split', data.dir, '--seed', String(seed), '--hold-out-seed', String(holdOutSeed)],
    ...['--labelled', String(labelled)],
    ...(unlabelled === undefined ? [] : ['--unlabelled', String(unlabelled)]),
    ...['--test', String(test), '--validation', String(validation), '--empty-cases', emptyCases],
    ...(stratifyBy === undefined ? [] : ['--stratify-by', stratifyBy.join(',')]),
    '--replace',
    ...common,
  ];
}

/** The division as the data set's folder sees it: where `data.splits` looks. */
export const splitsFile = (job: Pick<Job, 'folder' | 'data'>, store: Store): string =>
  relative(job.data.dir, join(store.folder(job), 'splits.json'));
