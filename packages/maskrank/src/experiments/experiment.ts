// An experiment from its definition to its tables: reads, expands, estimates or does the jobs, writes OUT/NAME. Not here: the command
// line (cli/verbs/experiment.ts).

import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import { writeFileAtomic } from '@maskrank/torch/io';
import { openDataset } from '../datasets/cases.ts';
import type { EmptiesPolicy } from '../evaluation/overlap.ts';
import { writeJson } from '../run/files.ts';
import { readAnnotationCost } from './annotation-cost.ts';
import { collect, type Results } from './collect.ts';
import { type Definition, readDefinition } from './definition.ts';
import { drawFigures, toPng } from './figures.ts';
import type { Gathered } from './gather.ts';
import { buildGraph, type ExperimentData, type Graph } from './graph.ts';
import { allMethods } from './methods.ts';
import { readPaper } from './paper.ts';
import { type Row, rowsOf } from './rows.ts';
import type { Overrides } from './settings.ts';
import { Store } from './store.ts';
import { csvTable, csvValues, latexTable, markdownTable } from './tables.ts';

export type ExperimentRequest = {
  /** Name of a definition that comes with maskrank, or a file. */
  readonly definition: string;
  /** `chest=data/chest`, or a folder alone, which then goes by its data set's name. */
  readonly data: readonly string[];
  readonly out: string;
  /** Default: the definition's. */
  readonly seeds?: readonly number[] | undefined;
  /** Arms; default all. */
  readonly arms?: readonly string[] | undefined;
  /** Values of the configuration over the definition's. */
  readonly person: Overrides;
  /** Verbs that there are: a baseline needs one. */
  readonly verbs: readonly { readonly name: string }[];
};

/** How the tables of what is done are made. */
export type ResultsOptions = {
  /** Model of the annotation cost; default the one that comes with maskrank. */
  readonly annotationCost?: string | undefined;
  /** Policy for empty masks; default that of each evaluation. */
  readonly empties?: EmptiesPolicy | undefined;
};

export type Experiment = {
  readonly definition: Definition;
  readonly rows: readonly Row[];
  readonly data: readonly ExperimentData[];
  readonly seeds: readonly number[];
  readonly graph: Graph;
  readonly store: Store;
};

/** Reads everything and says what is wrong with it before anything is done. */
export async function openExperiment(request: ExperimentRequest): Promise<Experiment> {
  const definition = readDefinition(request.definition);
  const rows = rowsOf(definition, allMethods(request.verbs), request.arms);
  const seeds = request.seeds ?? definition.seeds;
  const data: ExperimentData[] = [];
  for (const text of request.data) {
    const [, given, folder] = /^([a-z0-9][a-z0-9.-]*)=(.+)$/i.exec(text) ?? [undefined, undefined, text];
    const { dataset, dir, hash } = await openDataset(folder as string);
    const name = (given ?? dataset.name).toLowerCase();
    if (data.some((other) => other.name === name))
      throw new UsageError(`two data sets are called "${name}"; name them: chest=FOLDER breast=FOLDER.`);
    data.push({ name, dir, hash, dataset });
  }
  if (data.length === 0)
    throw new UsageError(
      'there is no data set; name one: chest=FOLDER, or several. Tables of a packed store need none: add --collect.',
    );
  const graph = await buildGraph({ definition, rows, data, seeds, person: request.person });
  return { definition, rows, data, seeds, graph, store: new Store(resolve(request.out)) };
}

/** Where an experiment's tables and figures lie; those under another policy for empty masks beside the others. */
export const resultsFolder = (
  { store, definition }: Pick<Experiment, 'store' | 'definition'>,
  { empties }: ResultsOptions = {},
): string =>
  join(store.dir, empties === undefined ? definition.name : `${definition.name}-empties-${empties}`);

/** Writes tables and figures of everything that is done; returns the files. */
export async function writeResults(
  gathered: Gathered,
  options: ResultsOptions = {},
): Promise<{ readonly results: Results; readonly files: readonly string[]; readonly markdown: string }> {
  const paper = readPaper();
  const cost = readAnnotationCost(options.annotationCost);
  const results = collect(gathered, { paper, cost, empties: options.empties });
  const folder = resultsFolder(gathered, options);
  mkdirSync(join(folder, 'figures'), { recursive: true });
  const markdown = markdownTable(results, paper);
  const figures = drawFigures(results);
  const texts: (readonly [string, string | Uint8Array])[] = [
    ['table.md', markdown],
    ['table.tex', latexTable(results, paper)],
    ['table.csv', csvTable(results)],
    ['values.csv', csvValues(results)],
    ...figures.map(({ name, svg }) => [`figures/${name}.svg`, svg] as const),
  ];
  for (const { name, svg } of figures) texts.push([`figures/${name}.png`, await toPng(svg)]);
  for (const [name, content] of texts) await writeFileAtomic(join(folder, name), content);
  await writeJson(join(folder, 'results.json'), {
    schemaVersion: 1,
    ...results,
    rows: results.rows.map(({ method, ...row }) => ({ ...row, method: method.name })),
  });
  const files = [...texts.map(([name]) => name), 'results.json'].map((name) => join(folder, name));
  return { results, files, markdown };
}
