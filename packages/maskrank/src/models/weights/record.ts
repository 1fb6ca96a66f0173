// HOME/weights/NAME/record.json: which file stands under the name, and what it was when it came.

import * as z from 'zod';

export const RECORD_FILE = 'record.json';

export const WeightRecordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string().min(1),
  /** Beside the record. */
  file: z.string().regex(/^[^/\\]+$/, 'allowed: a file name without folders'),
  /** Name of the network's configuration; `sam` for one that this program has no name for. */
  architecture: z.string().min(1),
  /** The network in a few words. */
  network: z.string(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'allowed: 64 hexadecimal digits'),
  bytes: z.int().min(1),
  /** ISO time. */
  addedAt: z.string(),
  /** Address or path that it came from. */
  origin: z.string(),
});

export type WeightRecord = z.output<typeof WeightRecordSchema>;
