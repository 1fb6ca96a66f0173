// An experiment whose commands only write small files, so that order, failure and resumption are tested in milliseconds.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { RunStep, StepOutcome } from '../../src/experiments/child.ts';
import { DefinitionSchema } from '../../src/experiments/definition.ts';
import { buildGraph, type ExperimentData, type Graph } from '../../src/experiments/graph.ts';
import type { Method } from '../../src/experiments/methods.ts';
import { rowsOf } from '../../src/experiments/rows.ts';
import { runJobs, type ScheduleEvent, type ScheduleOptions } from '../../src/experiments/schedule.ts';
import type { Store } from '../../src/experiments/store.ts';

export const METHODS: readonly Method[] = [
  { name: 'stage1', title: 'Stage 1', stageKey: 'stage1' },
  { name: 'stage2', title: 'Stage 2', stageKey: 'stage2' },
  {
    name: 'unet',
    title: 'U-Net',
    stageKey: 'baseline-unet',
    baseline: { sections: ['data', 'training.augmentation', 'baselines.classes', 'baselines.unet'] },
  },
];

export const definitionOf = (arms: unknown[], more: object = {}) =>
  DefinitionSchema.parse({ schemaVersion: 1, name: 'fake', title: 'Fake', about: 'Nothing.', arms, ...more });

export const ARMS = [
  { name: 'unet', title: 'U-Net', method: 'unet', labelled: 0.1 },
  { name: 'only', title: 'Stage 1', method: 'stage1', labelled: 0.1 },
  {
    name: 'ours',
    title: 'Ours',
    method: 'stage2',
    labelled: 0.1,
    unlabelled: 0.4,
    variants: ['a', 'b'].map((name, i) => ({ name, title: name, set: { 'scoring.noise': i / 10 } })),
  },
];

export const graphOf = (
  dir: string,
  arms: unknown[] = ARMS,
  { seeds = [0], more = {}, person = {} }: { seeds?: number[]; more?: object; person?: object } = {},
): Promise<Graph> => {
  const data: ExperimentData[] = [{ name: 'breast', dir: join(dir, 'data'), hash: 'h' }];
  const definition = definitionOf(arms, more);
  return buildGraph({ definition, rows: rowsOf(definition, METHODS), data, seeds, person: { ...person } });
};

const OUTCOME: StepOutcome = {
  code: 0,
  killedBy: null,
  failure: null,
  interrupted: false,
  stderr: '',
  seconds: 1,
  peakMemoryBytes: 1000,
};

export const failed = (kind: string, message: string, code: number | null = 3): StepOutcome => ({
  ...OUTCOME,
  code,
  failure: { kind, message },
  stderr: `error: ${message}\n    at somewhere (file.js:1:1)\n`,
});

const after = (argv: readonly string[], flag: string): string => argv[argv.indexOf(flag) + 1] as string;

/** Writes what a command would leave. `before` may refuse, wait, or stand in for it. */
export const fakeStep =
  (before: (verb: string, argv: readonly string[], signal: AbortSignal) => unknown = () => {}): RunStep =>
  async ({ argv, signal }) => {
    const instead = await before(argv[0] as string, argv, signal);
    if (instead !== undefined) return instead as StepOutcome;
    const write = (path: string) => {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, JSON.stringify(argv));
    };
    if (argv[0] === 'dataset') write(resolve(argv[2] as string, after(argv, '--file')));
    else {
      const run = after(argv, '--run');
      const left = {
        prompt: ['prompts.jsonl'],
        finetune: ['checkpoints/stage1.safetensors', 'run.json'],
        align: ['checkpoints/stage2.safetensors', 'ratings.jsonl'],
        evaluate: ['evaluation.json'],
        baseline: ['evaluation.json'],
      }[argv[0] as string]!;
      for (const name of left) write(join(run, name));
    }
    return OUTCOME;
  };

export const schedule = (
  graph: Graph,
  store: Store,
  runStep: RunStep,
  more: Partial<ScheduleOptions> = {},
) => {
  const events: ScheduleEvent[] = [];
  const result = runJobs({
    graph,
    store,
    runStep,
    parallel: 1,
    threads: 1,
    device: 'cpu',
    signal: new AbortController().signal,
    command: 'test',
    on: (event) => events.push(event),
    pollMs: 5,
    freeDisk: () => 2 ** 40,
    freeMemory: () => 2 ** 40,
    ...more,
  });
  return { result, events };
};
