// A store that can be carried: everything that tables are made of, without weights, caches and masks, in a folder that is a store itself.
// Tables are made from it where neither data sets nor weights are (OUT/NAME/pack.json stands for the graph). Where they are, the experiment
// goes on in it: no finished number is made again, and what further jobs stand on is.

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import * as z from 'zod';
import { readArtefact } from '../datasets/artefact.ts';
import { writeJson } from '../run/files.ts';
import { LabourSchema } from './annotation-cost.ts';
import { DefinitionSchema, readDefinition } from './definition.ts';
import type { ExperimentRequest } from './experiment.ts';
import { evaluationReader, type Found, type Gathered } from './gather.ts';
import { chainOf, type Graph } from './graph.ts';
import { allMethods } from './methods.ts';
import { rowsOf } from './rows.ts';
import { Store } from './store.ts';

const Text = z.string().min(1);
const Seed = z.int().min(0);
const place = { row: Text, data: Text, seed: Seed };

const PackSchema = z.strictObject({
  schemaVersion: z.literal(1),
  definition: DefinitionSchema,
  /** Names of the data sets. */
  data: z.array(Text),
  seeds: z.array(Seed),
  numbers: z.array(
    z.strictObject({
      ...place,
      job: z.strictObject({ key: Text, folder: Text, kind: z.enum(['evaluation', 'baseline']) }),
      commands: z.array(Text),
      labour: LabourSchema.optional(),
    }),
  ),
  missing: z.array(z.strictObject(place)),
});

const packPath = (dir: string, name: string): string => join(dir, name, 'pack.json');

/** Writes what there is into the folder `dir`, to which other experiments may be packed as well; returns its jobs. */
export async function pack(
  gathered: Gathered,
  graph: Graph,
  dir: string,
): Promise<{ readonly jobs: number }> {
  const { definition, store, data, seeds, found, missing } = gathered;
  if (resolve(dir) === store.dir)
    throw new UsageError(`--pack ${dir}: is the store itself; name another folder.`);
  const target = new Store(resolve(dir));
  const jobs = new Map(found.flatMap(({ job }) => chainOf(graph, job.key).map((link) => [link.key, link])));
  for (const job of jobs.values()) await store.carry(job, target);
  const numbers = found.map(({ row, evaluation, job: { key, folder, kind }, ...number }) => ({
    ...number,
    row: row.id,
    job: { key, folder, kind },
  }));
  const packed = { schemaVersion: 1, definition, data, seeds, numbers, missing };
  const path = packPath(target.dir, definition.name);
  await mkdir(dirname(path), { recursive: true });
  await writeJson(path, packed);
  return { jobs: jobs.size };
}

/** As for an experiment, of what is packed in the folder `out`; seeds default to those. */
export type PackRequest = Omit<ExperimentRequest, 'data' | 'person'>;

/** What was packed. Throws DataError for what is damaged, UsageError where nothing is. */
export async function openPack(request: PackRequest): Promise<Gathered> {
  const { definition: nameOrFile, out, arms, verbs } = request;
  const name = nameOrFile.endsWith('.json') ? readDefinition(nameOrFile).name : nameOrFile;
  const path = packPath(resolve(out), name);
  if (!existsSync(path))
    throw new UsageError(
      `there is no data set, and ${path} does not exist; name the data sets (chest=FOLDER), or pack ${name} where they are: --pack DIR.`,
    );
  const { definition, data, numbers, missing, ...packed } = await readArtefact(path, PackSchema);
  const seeds = request.seeds ?? packed.seeds;
  const store = new Store(resolve(out));
  const rows = rowsOf(definition, allMethods(verbs), arms);
  const evaluationOf = evaluationReader(store, 'Carry the folder again, or pack it anew.');
  const found: Found[] = [];
  for (const { row: id, ...number } of numbers) {
    const row = rows.find((candidate) => candidate.id === id);
    if (row === undefined || !seeds.includes(number.seed)) continue;
    const evaluation = await evaluationOf(number.job);
    if (evaluation === undefined)
      throw new DataError(
        `${store.folder(number.job)}: the evaluation of ${id} on ${number.data}, seed ${number.seed}, is not there. Carry the folder again, or pack it anew.`,
      );
    found.push({ ...number, row, evaluation });
  }
  const isWanted = ({ row, seed }: (typeof missing)[number]) =>
    seeds.includes(seed) && rows.some(({ id }) => id === row);
  return { definition, rows, store, data, seeds, found, missing: missing.filter(isWanted) };
}
