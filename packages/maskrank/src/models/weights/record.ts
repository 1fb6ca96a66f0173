// HOME/weights/NAME/record.json: which files stand under the name, and what they were when they came.

import * as z from 'zod';
import { FAMILIES, type FamilyName } from './families.ts';

const FAMILY_NAMES = Object.keys(FAMILIES) as [FamilyName, ...FamilyName[]];

export const RECORD_FILE = 'record.json';

const fileName = z.string().regex(/^[^/\\]+$/, 'allowed: a file name without folders');
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'allowed: 64 hexadecimal digits');
const bytes = z.int().min(1);

export const WeightRecordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string().min(1),
  /** Beside the record. */
  file: fileName,
  /** What kind of network it holds. */
  family: z.enum(FAMILY_NAMES).default('sam'),
  /** Name of the network's configuration; the family's for one that this program has no name for. */
  architecture: z.string().min(1),
  /** The network in a few words. */
  network: z.string(),
  sha256,
  bytes,
  /** Files that belong to it, beside it under their own names. */
  beside: z.array(z.strictObject({ file: fileName, sha256, bytes })).default([]),
  /** ISO time. */
  addedAt: z.string(),
  /** Address or path that it came from. */
  origin: z.string(),
});

export type WeightRecord = z.output<typeof WeightRecordSchema>;
