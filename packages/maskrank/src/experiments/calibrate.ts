// A short trial of every kind of job of an experiment, to know what a step costs before it begins: a few steps on a few cases, in
// OUT/calibration. Not here: what is made of the times (estimate.ts).

import { join } from 'node:path';
import { openDataset } from '../datasets/cases.ts';
import { leafAt } from '../run/leaves.ts';
import { rateNames } from './estimate.ts';
import type { Experiment } from './experiment.ts';
import { buildGraph, chainOf, type Graph, PROMPT_SEED } from './graph.ts';
import { sectionOf } from './methods.ts';
import type { Overrides } from './settings.ts';
import { Store } from './store.ts';

export type Trial = { readonly graph: Graph; readonly store: Store };

/** Cases of each split, and steps: enough for a time that is not the first step's. */
const CASES = 8;
const STEPS = 6;

/** The trials of an experiment, one a data set: graphs to run as they are, with their own store. */
export async function trialsOf(
  { definition, rows, data, store }: Pick<Experiment, 'definition' | 'rows' | 'data' | 'store'>,
  person: Overrides,
): Promise<readonly Trial[]> {
  const own = new Store(join(store.dir, 'calibration'));
  const trials: Trial[] = [];
  const known = new Set<string>();
  for (const item of data) {
    const { dataset } = await openDataset(item.dir);
    const share = Math.min(0.2, CASES / dataset.cases.length);
    const graph = await buildGraph({
      definition: { ...definition, split: { ...definition.split, test: share, validation: share } },
      rows: rows.map((row) => ({
        ...row,
        labelled: share,
        unlabelled: row.unlabelled > 0 ? share : 0,
        set: { ...row.set, ...short(row.method.name) },
      })),
      data: [item],
      seeds: [PROMPT_SEED],
      person,
      prompted: { labelled: share, unlabelled: share },
    });
    // One of each kind will do.
    const cells = graph.cells.filter(({ job }) => {
      const names = chainOf(graph, job).flatMap(rateNames);
      const isNew = names.some((name) => !known.has(name));
      for (const name of names) known.add(name);
      return isNew;
    });
    trials.push({ graph: { ...graph, cells }, store: own });
  }
  return trials;
}

/** Few steps, each told. */
function short(method: string): Overrides {
  const wanted = {
    'training.steps': STEPS,
    'training.logEverySteps': 1,
    'alignment.steps': STEPS,
    'alignment.logEverySteps': 1,
    'alignment.alarms.action': 'warn',
    // Of the U-Net, and of methods that train one.
    'baselines.unet.steps': STEPS,
    'baselines.unet.logEverySteps': 1,
    [`baselines.${sectionOf(method)}.steps`]: STEPS,
    [`baselines.${sectionOf(method)}.logEverySteps`]: 1,
  };
  return Object.fromEntries(Object.entries(wanted).filter(([path]) => leafAt(path) !== undefined));
}
