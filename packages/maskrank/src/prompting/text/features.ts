// Features of texts in one file that later stages read, so that they need neither the text network nor its tokeniser: a table of
// unit vectors, found by the SHA-256 of the whole text (parts.ts, `wholeText`).
// Unit length, as in the contrastive training that gave the features their meaning: the length of what a text tower puts out was
// never trained for anything, and the projection behind learns the scale that it needs. The file says so (`scale`).
// Not here: how features come to be (encode.ts).

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { readSafetensors, type TensorData, writeSafetensors } from '@maskrank/torch/io';
import { tidyText } from './parts.ts';

/** Format of the file. */
const VERSION = '1';
const SCALE = 'unit';
const KEY_BYTES = 32;
/** A length may differ from 1 by so much: float32 rounding, with room. */
const LENGTH_TOLERANCE = 1e-3;

/** Which network made features, and how. */
export type TextFeaturesIdentity = {
  /** `clipFingerprint` of the network. */
  readonly model: string;
  /** `encodingIdentity` (encode.ts): vocabulary, budget of word pieces and rule of the cut. */
  readonly encoding: string;
};

/** A file of features, read: found by their texts. */
export type TextFeatures = TextFeaturesIdentity & {
  /** Values of a feature, 512 for BiomedCLIP; 0 while there are none. */
  readonly dim: number;
  readonly size: number;
  /** Feature of a whole text, of unit length; undefined where it was never encoded. A view: do not change it. */
  get(text: string): Float32Array | undefined;
};

/** SHA-256 of a text, white space tidied, hexadecimal. */
export function textKey(text: string): string {
  return createHash('sha256').update(tidyText(text)).digest('hex');
}

type Table = TextFeaturesIdentity & {
  readonly dim: number;
  readonly rows: ReadonlyMap<string, Float32Array>;
};

async function readTable(path: string): Promise<Table> {
  const { tensors, metadata } = await readSafetensors(path);
  const { version, scale, model = '', encoding = '' } = metadata;
  const [keys, features] = [tensors.get('keys'), tensors.get('features')];
  const isTable =
    keys?.data instanceof Uint8Array &&
    features?.data instanceof Float32Array &&
    keys.shape.length === 2 &&
    features.shape.length === 2 &&
    keys.shape[1] === KEY_BYTES &&
    keys.shape[0] === features.shape[0];
  if (!isTable || version !== VERSION || scale !== SCALE || model === '')
    throw new DataError(
      `${path}: not a file of text features of this version (version ${version ?? 'none'}, scale ${scale ?? 'none'}; allowed: ${VERSION}, ${SCALE}). Make it anew with 'maskrank prompt'.`,
    );
  const [dim, values] = [features.shape[1] as number, features.data as Float32Array];
  const bytes = Buffer.from(keys.data.buffer, keys.data.byteOffset, keys.data.byteLength);
  const rows = new Map<string, Float32Array>();
  for (let i = 0; i < (keys.shape[0] as number); i++) {
    const key = bytes.toString('hex', i * KEY_BYTES, (i + 1) * KEY_BYTES);
    rows.set(key, values.subarray(i * dim, (i + 1) * dim));
  }
  return { model, encoding, dim, rows };
}

/** Reads a file of text features. DataError where it is missing or something else. */
export async function readTextFeatures(path: string): Promise<TextFeatures> {
  const { model, encoding, dim, rows } = await readTable(path);
  return { model, encoding, dim, size: rows.size, get: (text) => rows.get(textKey(text)) };
}

/** The features of a file, or undefined where there is no file. */
export async function findTextFeatures(path: string): Promise<TextFeatures | undefined> {
  return existsSync(path) ? readTextFeatures(path) : undefined;
}

/** DataError unless the features are of that network and way of encoding. */
export function checkTextFeatures(
  path: string,
  found: TextFeaturesIdentity,
  wanted: TextFeaturesIdentity,
): void {
  const differences = [
    found.model !== wanted.model && `network ${short(found.model)}, now it is ${short(wanted.model)}`,
    found.encoding !== wanted.encoding &&
      `tokeniser and budget ${short(found.encoding)}, now ${short(wanted.encoding)}`,
  ].filter((difference) => difference !== false);
  if (differences.length > 0)
    throw new DataError(
      `${path}: its text features were made with ${differences.join('; ')}. Features of two networks cannot be mixed: take the same network, or delete the file and make it anew.`,
    );
}

/**
 * Adds features to a file, or makes it: killed at any moment, the old or the new file stands. One writer at a time (the
 * run's lock). The file's bytes do not depend on the order or the number of the writes.
 * @param features whole texts and their features, of unit length
 */
export async function writeTextFeatures(
  path: string,
  identity: TextFeaturesIdentity,
  features: Iterable<readonly [text: string, feature: Float32Array]>,
): Promise<void> {
  const old = existsSync(path) ? await readTable(path) : undefined;
  if (old !== undefined) checkTextFeatures(path, old, identity);
  const rows = new Map(old?.rows);
  for (const [text, feature] of features) rows.set(textKey(text), checked(text, feature));
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
  const dim = sorted[0]?.[1].length ?? 0;
  const other = sorted.find(([, feature]) => feature.length !== dim);
  if (other !== undefined)
    throw new UsageError(
      `writeTextFeatures(${path}): features of ${dim} and of ${other[1].length} values; all need the same.`,
    );
  const table = new Float32Array(sorted.length * dim);
  for (const [i, [, feature]] of sorted.entries()) table.set(feature, i * dim);
  const keys = new Uint8Array(Buffer.from(sorted.map(([key]) => key).join(''), 'hex'));
  const tensors: [string, TensorData][] = [
    ['features', { dtype: 'F32', shape: [sorted.length, dim], data: table }],
    ['keys', { dtype: 'U8', shape: [sorted.length, KEY_BYTES], data: keys }],
  ];
  await mkdir(dirname(path), { recursive: true });
  const { model, encoding } = identity;
  await writeSafetensors(path, tensors, { version: VERSION, scale: SCALE, model, encoding });
}

function checked(text: string, feature: Float32Array): Float32Array {
  const length = Math.hypot(...feature);
  if (Math.abs(length - 1) <= LENGTH_TOLERANCE) return feature;
  throw new UsageError(
    `writeTextFeatures: the feature of ${JSON.stringify(text.slice(0, 40))} has length ${length}, allowed: 1.`,
  );
}

const short = (hash: string): string => (hash === '' ? '(unknown)' : hash.slice(0, 12));
