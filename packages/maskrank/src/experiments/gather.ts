// What there is of an experiment's numbers: for each the evaluation that it stands in, the commands behind it, and what people did for it.
// Not here: the numbers themselves (collect.ts), taking them to another machine (pack.ts).

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { parseArtefact } from '../datasets/artefact.ts';
import { SplitsSchema } from '../datasets/schema.ts';
import { type Evaluation, EvaluationSchema } from '../evaluation/schema.ts';
import { readJson } from '../run/files.ts';
import { valueAt } from '../run/resolve.ts';
import type { Labour } from './annotation-cost.ts';
import type { Definition } from './definition.ts';
import { type Cell, chainOf, type Graph, type Job } from './graph.ts';
import type { Row } from './rows.ts';
import { evaluationPath, type Store, type StoredJob } from './store.ts';

/** Of a number: row, data set and seed. */
export type Place = { readonly row: string; readonly data: string; readonly seed: number };

/** A number whose evaluation is there. */
export type Found = {
  readonly row: Row;
  readonly data: string;
  readonly seed: number;
  readonly job: StoredJob;
  readonly evaluation: Evaluation;
  /** Of the whole chain, in their order. */
  readonly commands: readonly string[];
  /** What people would have done; unknown where its division is gone. */
  readonly labour?: Labour | undefined;
};

export type Gathered = {
  readonly definition: Definition;
  readonly rows: readonly Row[];
  readonly store: Store;
  /** Names of the data sets. */
  readonly data: readonly string[];
  readonly seeds: readonly number[];
  readonly found: readonly Found[];
  readonly missing: readonly Place[];
};

export type GatherOptions = {
  readonly definition: Definition;
  readonly rows: readonly Row[];
  readonly graph: Graph;
  readonly store: Store;
};

/** Everything that is done. Throws DataError for an evaluation that is not what its job wrote. */
export async function gather(options: GatherOptions, signal?: AbortSignal): Promise<Gathered> {
  const { definition, rows, graph, store } = options;
  const evaluationOf = evaluationReader(store, 'Give the command without --collect: the job is done again.');
  const found: Found[] = [];
  const missing: Place[] = [];
  for (const cell of graph.cells) {
    signal?.throwIfAborted();
    const { row, data, seed } = cell;
    const job = graph.jobs.get(cell.job)!;
    const evaluation = await evaluationOf(job);
    if (evaluation?.summary[row.stageKey] === undefined) {
      missing.push({ row: row.id, data: data.name, seed });
      continue;
    }
    found.push({
      row,
      data: data.name,
      seed,
      job,
      evaluation,
      commands: commandsOf(job, graph, store),
      labour: labourOf(cell, evaluation, options),
    });
  }
  return {
    definition,
    rows,
    store,
    data: [...new Set(graph.cells.map(({ data }) => data.name))],
    seeds: [...new Set(graph.cells.map(({ seed }) => seed))],
    found,
    missing,
  };
}

/** Reads evaluations, each once; undefined where a job is not done. `remedy` closes the message about a corrupt one. */
export function evaluationReader(
  store: Store,
  remedy: string,
): (job: StoredJob) => Promise<Evaluation | undefined> {
  const known = new Map<string, Evaluation | undefined>();
  const read = async (job: StoredJob): Promise<Evaluation | undefined> => {
    const state = await store.check(job);
    if (state.state === 'corrupt') throw new DataError(`${store.folder(job)}: ${state.why}. ${remedy}`);
    if (state.state === 'absent') return undefined;
    const path = evaluationPath(store, job);
    return parseArtefact(readJson(path, 'evaluation'), EvaluationSchema, path);
  };
  return async (job) => {
    if (!known.has(job.key)) known.set(job.key, await read(job));
    return known.get(job.key);
  };
}

function commandsOf(job: Job, graph: Graph, store: Store): readonly string[] {
  const chain = new Map(chainOf(graph, job.key).map((link) => [link.key, link]));
  return [...chain.values()].flatMap((link) => store.record(link)?.steps.map(({ command }) => command) ?? []);
}

/** What people would have done for a row: counted in its division and its ratings. */
function labourOf(
  { job, row }: Cell,
  evaluation: Evaluation,
  { graph, store }: GatherOptions,
): Labour | undefined {
  const chain = chainOf(graph, job);
  const { config } = graph.jobs.get(job)!;
  const division = chain.findLast(({ kind, division: d }) => kind === 'split' && d?.unlabelled !== undefined);
  if (division === undefined) return undefined;
  const path = store.splits(division);
  if (!existsSync(path)) return undefined;
  const splits = parseArtefact(readJson(path, 'division'), SplitsSchema, path);
  const names = evaluation.dataset.classes.map(({ name }) => name);
  const masksOf = (split: string, most: number | null): number => {
    const { cases = 0, classes = {} } = splits.achieved?.[split] ?? {};
    const all = names.reduce((sum, name) => sum + (classes[name] ?? 0), 0);
    return most === null || most >= cases ? all : (all * most) / cases;
  };
  const ranked = chain.findLast(({ kind }) => kind === 'stage2');
  const judged = ranked === undefined ? [] : judgementsIn(join(store.run(ranked), 'ratings.jsonl'));
  return {
    masks: row.method.baseline?.needsMasks === false ? 0 : masksOf('labelled', config.data.maxLabelled),
    validationMasks: usesValidation(row, graph.jobs.get(job)!) ? masksOf('validation', null) : 0,
    boxes: ranked?.config.prompts.unlabelled === 'oracle-box' ? new Set(judged).size : 0,
    judgements: judged.length,
    judging: config.scoring.kind,
  };
}

/** Whether a method chooses its weights by the validation cases. */
function usesValidation({ method }: Row, { config }: Job): boolean {
  const isStage1 = method.baseline === undefined || method.baseline.sections.includes('training');
  if (isStage1) return config.training.earlyStopping.patienceEpochs > 0;
  return method.baseline.sections.some((section) => {
    const every = valueAt(config, `${section}.validateEverySteps`);
    return typeof every === 'number' && every > 0;
  });
}

/** Case and class of each judgement, all rounds. */
function judgementsIn(path: string): string[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const { case: id, class: classId } = JSON.parse(line) as { case: string; class: number };
      return `${id} ${classId}`;
    });
}
