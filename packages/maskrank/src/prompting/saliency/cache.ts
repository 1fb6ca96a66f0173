// Maps kept between runs, found by content: the same network, image, text and options give the file that is there already. What
// is kept is the map at the layer's resolution, a small readable JSON; the map on the whole image follows from it exactly.

import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { bytesOf, writeFileAtomic } from '@maskrank/torch/io';
import * as z from 'zod';
import type { Image } from '../../imaging/types.ts';
import type { RawCam } from './methods.ts';

/** Version of what a map is computed by; part of every key. */
const RULE = 'maskrank saliency 1';

/** All that a map depends on. */
export type SaliencyIdentity = {
  /** `clipFingerprint` of the network. */
  readonly model: string;
  readonly image: Image;
  /** Embedding of unit length. */
  readonly text: Float32Array;
  /** Method, view and every option with its value; the batch changes nothing and stays out. */
  readonly options: Readonly<Record<string, string | number>>;
};

export type CachedCam = Pick<RawCam, 'grid' | 'warnings'>;

const side = z.int().min(1);
const fileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  width: side,
  height: side,
  data: z.array(z.number()),
  warnings: z.array(z.string()),
});

/** SHA-256 of an identity, hexadecimal. */
export function saliencyKey({ model, image, text, options }: SaliencyIdentity): string {
  const { width, height, channels } = image;
  const sorted = Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash('sha256');
  hash.update(JSON.stringify([RULE, model, width, height, channels, text.length, sorted]));
  hash.update(bytesOf(image.data));
  hash.update(bytesOf(text));
  return hash.digest('hex');
}

/** Maps kept in a folder, found by what they depend on. */
export class SaliencyCache {
  readonly #dir: string;

  /** @param dir folder of the files; made when the first map is written */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The map of that key, or null. DataError when its file is damaged. */
  async get(key: string): Promise<CachedCam | null> {
    const path = this.#path(key);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    const parsed = fileSchema.safeParse(parseJson(text));
    if (!parsed.success || parsed.data.data.length !== parsed.data.width * parsed.data.height) {
      throw new DataError(
        `${path}: not a saliency map of this version. Delete the file; it will be made anew.`,
      );
    }
    const { width, height, data, warnings } = parsed.data;
    return { grid: { width, height, data: Float32Array.from(data) }, warnings };
  }

  /** Writes a map; killed at any moment, the whole file stands or none. */
  async put(key: string, { grid, warnings }: CachedCam): Promise<void> {
    const path = this.#path(key);
    const { width, height, data } = grid;
    await mkdir(dirname(path), { recursive: true });
    const content = { schemaVersion: 1, width, height, data: Array.from(data), warnings };
    await writeFileAtomic(path, `${JSON.stringify(content)}\n`);
  }

  #path(key: string): string {
    return join(this.#dir, key.slice(0, 2), `${key}.json`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
