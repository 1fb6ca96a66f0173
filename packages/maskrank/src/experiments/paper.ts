// The paper's own numbers, to stand beside ours where the setting is the same: experiments/paper.json, by section, row, data set and
// metric. Other data and other weights give other numbers; the tables say so. Not here: tables (tables.ts).

import { join } from 'node:path';
import * as z from 'zod';
import { parseArtefact } from '../datasets/artefact.ts';
import { readJson } from '../run/files.ts';
import { definitionsFolder } from './definition.ts';

const PaperSchema = z.strictObject({
  schemaVersion: z.literal(1),
  source: z.string().min(1),
  /** What `high` and `medium` mean here. */
  confidence: z.record(z.enum(['high', 'medium']), z.string().min(1)),
  /** What the paper's data sets are, by the name that a data set must have to stand beside them. */
  data: z.record(z.string(), z.string().min(1)),
  sections: z.record(
    z.string(),
    z.record(
      z.string(),
      z.record(
        z.string(),
        z.strictObject({
          confidence: z.enum(['high', 'medium']),
          /** Per cent, by metric: iou, dice, surfaceDice. */
          values: z.record(z.string(), z.number()),
        }),
      ),
    ),
  ),
});

export type Paper = z.output<typeof PaperSchema>;

export type PaperNumber = { readonly value: number; readonly confidence: 'high' | 'medium' };

export function readPaper(): Paper {
  const path = join(definitionsFolder(), 'paper.json');
  return parseArtefact(readJson(path, "paper's numbers"), PaperSchema, path);
}

/** The paper's number for a row, data set and metric, as a share 0..1; undefined where there is none. */
export function paperNumber(
  paper: Paper,
  section: string | undefined,
  { row, data, metric }: { readonly row: string; readonly data: string; readonly metric: string },
): PaperNumber | undefined {
  const found = section === undefined ? undefined : paper.sections[section]?.[row]?.[data];
  // The paper states no tolerance of its surface Dice.
  const value = found?.values[metric.replace(/@.*$/, '')];
  return found === undefined || value === undefined
    ? undefined
    : { value: value / 100, confidence: found.confidence };
}
