// The configuration of a job from layers of values by key path: the definition's, the data set's, the command line's, the arm's, the
// variant's. Not here: the schema (run/config.ts), which of it shapes which job (graph.ts).

import { existsSync, statSync } from 'node:fs';
import { fileHash } from '../datasets/hash.ts';
import type { Config, ConfigPart } from '../run/config.ts';
import { isWithin } from '../run/config-part.ts';
import { leafAt, leaves } from '../run/leaves.ts';
import { type Origins, resolveConfig, valueAt, valuesToHash } from '../run/resolve.ts';

/** Values by key path: `{ 'scoring.noise': 0.1 }`. */
export type Overrides = Readonly<Record<string, unknown>>;

export type Settings = {
  readonly config: Config;
  /** Values that some layer gave. */
  readonly given: Overrides;
};

/** Later layers win. Throws UsageError with every unknown key and bad value; `where` names the definition. */
export function resolveSettings(layers: readonly Overrides[], where: string): Settings {
  const given = Object.assign({}, ...layers) as Record<string, unknown>;
  const { config } = resolveConfig({ file: { path: where, value: nested(given) } });
  // As the configuration has them: lists in order, defaults filled in.
  const values = Object.keys(given).map((path) => [path, valueAt(config, path)] as const);
  return { config, given: Object.fromEntries(values) };
}

/** What a person gave on the command line or in a file; the seed is the experiment's, device and threads shape no result. */
export const givenByPerson = (config: Config, origins: Origins): Overrides =>
  Object.fromEntries(
    leaves
      .filter(({ path, section }) => section !== '' && /^(flag|file) /.test(origins[path] ?? ''))
      .map(({ path }) => [path, valueAt(config, path)]),
  );

/** `{ 'a.b': 1 }` as `{ a: { b: 1 } }`: the form of a configuration file. */
export function nested(values: Overrides): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(values)) {
    const keys = path.split('.');
    let at = tree;
    for (const key of keys.slice(0, -1)) {
      at[key] ??= {};
      at = at[key] as Record<string, unknown>;
    }
    at[keys.at(-1) as string] = value;
  }
  return tree;
}

/** Values of the given parts of the configuration, as hashes cover them, but for some keys. */
export function valuesOf(
  config: Config,
  parts: readonly ConfigPart[],
  without: readonly string[] = [],
): Record<string, unknown> {
  return valuesToHash(config, ({ path }) => isWithin(path, parts) && !without.includes(path));
}

/** Hashes of the files that values name, by key path: a name stays the same when the file's content does not. */
export async function contentsOf(
  values: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, string>>> {
  const contents: Record<string, string> = {};
  for (const [path, value] of Object.entries(values)) {
    if (typeof value !== 'string' || leafAt(path)?.kind !== 'text') continue;
    const hash = await (path.endsWith('.weights') ? hashOfWeights(value) : hashOfFile(value));
    if (hash !== undefined) contents[path] = hash;
  }
  return contents;
}

const known = new Map<string, Promise<string>>();

function hashOfFile(path: string): Promise<string> | undefined {
  if (!existsSync(path) || !statSync(path).isFile()) return undefined;
  const { mtimeMs, size } = statSync(path);
  const key = `${path} ${mtimeMs} ${size}`;
  const hash = known.get(key) ?? fileHash(path).then(({ sha256 }) => sha256);
  known.set(key, hash);
  return hash;
}

/** Weights that are not there yet are the jobs' to refuse. */
async function hashOfWeights(nameOrPath: string): Promise<string | undefined> {
  const { resolveWeights } = await import('../models/weights/index.ts');
  const path = await resolveWeights(nameOrPath).catch(() => undefined);
  return path === undefined ? undefined : hashOfFile(path);
}
