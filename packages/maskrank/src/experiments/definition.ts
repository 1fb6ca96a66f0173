// What an experiment is: a short declarative file (JSON) that names methods, shares of the data, seeds and what of the configuration
// varies. The data sets are named on the command line. Those that come with maskrank lie in experiments/.
// Not here: what becomes of it (rows.ts, graph.ts), the configuration's keys (run/config.ts).

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import * as z from 'zod';
import { didYouMean, parseArtefact } from '../datasets/artefact.ts';
import { readJson } from '../run/files.ts';
import { folderBeside } from '../util/beside.ts';

const Text = z.string().min(1);
const Name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]*$/, 'allowed: small letters, digits, points and hyphens, as "no-text"');
const Share = z.number().min(0).max(1);
const Shares = z.union([Share, z.array(Share).min(1)]);

/** Values of the configuration by key path: `{ "scoring.noise": 0.1 }`. */
const Overrides = z.record(Text, z.unknown());

const VariantSchema = z.strictObject({
  name: Name,
  title: Text,
  set: Overrides.default({}),
  /** Place on the x axis of a figure over variants. */
  x: z.number().exactOptional(),
});

const ArmSchema = z.strictObject({
  name: Name,
  title: Text,
  /** `stage1`, `stage2`, a baseline's name, or `every-baseline` for all that learn without unlabelled cases. */
  method: Name,
  /** Shares of the training cases used with masks; a list makes a row of each. */
  labelled: Shares,
  /** Shares of the training cases used without; a list makes a row of each. */
  unlabelled: Shares.default(0),
  set: Overrides.default({}),
  /** A list, or the name of one of the definition's. */
  variants: z.union([Name, z.array(VariantSchema).min(1)]).exactOptional(),
  /** Rows of the evaluation to show, by stage key; default the method's own. */
  rows: z.array(Text).min(1).exactOptional(),
  /** Controls of stage 2 to train beside it. */
  controls: z.array(Text).default([]),
});

const FigureSchema = z.strictObject({
  name: Name,
  title: Text,
  /** What lies on the x axis: the share of the training cases used, the variants' own `x`, or minutes of an annotator. */
  x: z.enum(['share', 'variant', 'minutes']),
  xTitle: Text,
  metric: Text.default('dice'),
});

export const DefinitionSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: Name,
  title: Text,
  /** What it asks, in a sentence or two. */
  about: Text,
  seeds: z.array(z.int().min(0)).min(1).default([0, 1, 2]),
  /** How each data set is divided; the seed of labelled and unlabelled cases is the run's. */
  split: z
    .strictObject({
      test: Share.default(0.2),
      validation: Share.default(0.1),
      /** Seed of test and validation: the same cases for all seeds and shares. */
      holdOutSeed: z.int().min(0).default(7),
      stratifyBy: z.array(Text).min(1).exactOptional(),
      emptyCases: z.enum(['keep', 'leave-out']).default('leave-out'),
    })
    .prefault({}),
  /** For all arms; what is given on the command line goes over it, what an arm sets over that. */
  config: Overrides.default({}),
  /** For one data set, by the name that the command line gives it. */
  data: z.record(Name, z.strictObject({ set: Overrides })).default({}),
  variants: z.record(Name, z.array(VariantSchema).min(1)).default({}),
  arms: z.array(ArmSchema).min(1),
  /** The arm or row that the others are compared with. */
  reference: Text.exactOptional(),
  /** Section of paper.json with the paper's numbers. */
  paper: Text.exactOptional(),
  /** Metrics of the table; default IoU and Dice for one class, mean Dice and surface Dice for several, as in the paper. */
  metrics: z.array(Text).min(1).exactOptional(),
  /** `rows`: a line a row, columns of metrics. `shares`: a line an arm, columns of shares. */
  layout: z.enum(['rows', 'shares']).default('rows'),
  figures: z.array(FigureSchema).default([]),
});

export type Definition = z.output<typeof DefinitionSchema>;
export type Arm = Definition['arms'][number];
export type Variant = z.output<typeof VariantSchema>;
export type FigureDefinition = Definition['figures'][number];

/** Files beside the definitions that are none. */
const OTHER_FILES: ReadonlySet<string> = new Set(['paper.json', 'annotation-cost.json']);

/** Folder of the definitions that come with maskrank, absolute. */
export function definitionsFolder(): string {
  const found = folderBeside('experiments');
  if (found === null)
    throw new UsageError(
      'the definitions that come with maskrank were left out of this installation; name a file of your own.',
    );
  return found;
}

/** Names of the definitions that come with maskrank. */
export const definitionNames = (): string[] =>
  readdirSync(definitionsFolder())
    .filter((file) => file.endsWith('.json') && !OTHER_FILES.has(file))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();

/**
 * Reads a definition by name, or from a file.
 *
 * @throws UsageError for unknown names, DataError listing every fault of a file
 */
export function readDefinition(nameOrFile: string): Definition {
  const isFile = nameOrFile.endsWith('.json') || existsSync(nameOrFile);
  if (!isFile && !definitionNames().includes(nameOrFile))
    throw new UsageError(
      `there is no experiment "${nameOrFile}".${didYouMean(nameOrFile, definitionNames())} There are: ${definitionNames().join(', ')}; or name a JSON file.`,
    );
  const path = isFile ? nameOrFile : join(definitionsFolder(), `${nameOrFile}.json`);
  return checked(parseArtefact(readJson(path, 'definition of the experiment'), DefinitionSchema, path), path);
}

/** What the schema cannot say. */
function checked(definition: Definition, path: string): Definition {
  const { arms, variants } = definition;
  for (const { name, variants: wanted } of arms)
    if (typeof wanted === 'string' && variants[wanted] === undefined)
      throw new UsageError(
        `${path}: arm ${name} takes variants "${wanted}"; allowed: ${Object.keys(variants).join(', ') || 'a list, as the definition names none'}.`,
      );
  const twice = arms.find(({ name }, i) => arms.findIndex((other) => other.name === name) !== i);
  if (twice !== undefined) throw new UsageError(`${path}: two arms are called "${twice.name}".`);
  return definition;
}
