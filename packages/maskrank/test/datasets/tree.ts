// Tiny source trees in a temporary folder for the tests of datasets.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll } from 'vitest';
import { type ImportOptions, importDataset } from '../../src/datasets/index.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A new temporary folder that disappears after the test file. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'maskrank-datasets-'));
  folders.push(folder);
  return folder;
}

type Paint = (x: number, y: number) => number;

/** A square from (a, a) to (b, b), exclusive, of the given value. */
export const square =
  (a: number, b: number, value = 255): Paint =>
  (x, y) =>
    x >= a && x < b && y >= a && y < b ? value : 0;

/** A picture that differs for every seed, in shape as well as in detail. */
export const texture =
  (seed: number): Paint =>
  (x, y) => {
    const hash = Math.imul((x >> 1) * 73856093 + (y >> 1) * 19349663 + seed * 83492791, 2654435761);
    return (hash >>> 24) & 255;
  };

export type GreyOptions = {
  readonly depth?: 8 | 16;
  readonly channels?: 1 | 2 | 3 | 4;
  readonly format?: 'png' | 'jpeg' | 'tiff';
};

/** Writes a grey picture; extra channels repeat the value, alpha is opaque. */
export async function picture(
  path: string,
  width: number,
  height: number,
  paint: Paint,
  { depth = 8, channels = 1, format = 'png' }: GreyOptions = {},
): Promise<void> {
  const data =
    depth === 8 ? new Uint8Array(width * height * channels) : new Uint16Array(width * height * channels);
  const hasAlpha = channels === 2 || channels === 4;
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < channels; c++) {
      const alpha = hasAlpha && c === channels - 1;
      data[i * channels + c] = alpha ? (depth === 8 ? 255 : 65535) : paint(i % width, Math.floor(i / width));
    }
  }
  let image = sharp(data, { raw: { width, height, channels } });
  if (depth === 16) image = image.toColourspace(channels < 3 ? 'grey16' : 'rgb16');
  else if (channels === 1) image = image.toColourspace('b-w');
  const encoded = await image.toFormat(format, format === 'jpeg' ? { quality: 92 } : {}).toBuffer();
  file(path, encoded);
}

/** Writes any file, making its folders. */
export function file(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** The message of the error that `run` throws; fails when it throws nothing. */
export async function messageOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  throw new Error('expected an error, none was thrown');
}

/** Imports `source` into a folder of its own. */
export const importAt = (name: string, source: string, options: ImportOptions = {}) =>
  importDataset(name, { source, out: join(scratch(), 'dataset'), options });

/** Message of the error that an import ends with. */
export const importFault = (name: string, source: string, options: ImportOptions = {}) =>
  messageOf(() => importAt(name, source, options));
