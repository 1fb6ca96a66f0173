// Puts the configuration together: defaults < preset < the run's earlier values < configuration file < flags.
// Every value keeps its origin; every problem of every layer is reported at once. Not here: the schema (config.ts).

import { createHash } from 'node:crypto';
import { DataError, UsageError } from '@maskrank/torch/errors';
import type { Config, ConfigPart } from './config.ts';
import { configSchema, defaultConfig } from './config.ts';
import { isWithin } from './config-part.ts';
import { readText } from './files.ts';
import { isSection, type Leaf, leafAt, leaves, nearestKey, parseLeaf } from './leaves.ts';
import { alignmentPresets } from './presets.ts';

/** Where a value comes from: `default`, `preset paper`, `file my.json`, `flag --training.batch-size`. */
export type Origin = string;

/** Origin of each value by key path. */
export type Origins = Readonly<Record<string, Origin>>;

export type ResolvedConfig = { readonly config: Config; readonly origins: Origins };

/** A value given by key path with where it was given. */
export type Given = { readonly path: string; readonly value: unknown; readonly origin: Origin };

export type ResolveOptions = {
  /** Values of the command line, as text, by key path. */
  readonly flags?: Readonly<Record<string, string>>;
  /** The flag as typed by key path, where it is not the generated one (`--scoring` for `scoring.kind`). */
  readonly flagNames?: Readonly<Record<string, string>>;
  /** Parsed JSON of a configuration file, and its path for messages. */
  readonly file?: { readonly path: string; readonly value: unknown };
  /** What the run was last started with (run.json). */
  readonly run?: ResolvedConfig;
};

/** Reads a configuration file for `ResolveOptions.file`. */
export function readConfigFile(path: string): { path: string; value: unknown } {
  const text = readText(path, 'configuration file');
  try {
    return { path, value: JSON.parse(text) };
  } catch (cause) {
    throw new DataError(
      `${path}: not valid JSON (${(cause as Error).message}${lineOf(cause, text)}). Mend the file.`,
      { cause },
    );
  }
}

/** Resolves the configuration. Throws UsageError listing every unknown key and every bad value with its origin. */
export function resolveConfig(options: ResolveOptions = {}): ResolvedConfig {
  const problems: string[] = [];
  const fromFlags = givenByFlags(options, problems);
  const fromFile = options.file ? givenByTree(options.file.value, `file ${options.file.path}`, problems) : [];
  const fromRun = options.run ? givenByRun(options.run) : [];
  const presetName = lastValue([...fromRun, ...fromFile, ...fromFlags], 'alignment.preset') ?? 'recommended';
  const preset = Object.hasOwn(alignmentPresets, String(presetName))
    ? alignmentPresets[presetName as keyof typeof alignmentPresets]
    : {};
  const fromPreset = Object.entries(preset).map(([path, value]) => ({
    path,
    value,
    origin: `preset ${presetName}`,
  }));

  const origins: Record<string, Origin> = Object.fromEntries(leaves.map((leaf) => [leaf.path, 'default']));
  const tree = structuredClone(defaultConfig()) as unknown as Tree;
  for (const { path, value, origin } of [...fromPreset, ...fromRun, ...fromFile, ...fromFlags]) {
    setAt(tree, path, value);
    origins[path] = origin;
  }
  const parsed = configSchema.safeParse(tree);
  if (!parsed.success) {
    for (const issue of parsed.error.issues)
      problems.push(describeIssue(issue.path, issue.message, issue.code, tree, origins));
  }
  if (problems.length > 0) throw new UsageError(problemText(problems));
  return { config: deepFreeze(parsed.data!), origins: Object.freeze(origins) };
}

/** Value at a key path, `training.batchSize`; undefined for unknown keys. */
export function valueAt(config: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((at, key) => (isTree(at) ? at[key] : undefined), config);
}

/** Parts of the configuration that an artefact depends on; `device`, `threads` never count, `seed` always does. */
export type HashedSections = readonly ConfigPart[];

/** SHA-256 over the values (not their origins) of the seed and the given sections; all sections by default. */
export function configHash(config: Config, sections?: HashedSections): string {
  return createHash('sha256')
    .update(canonicalJson(hashedValues(config, sections)))
    .digest('hex');
}

/** The values that `configHash` covers, by key path. */
export function hashedValues(config: Config, sections?: HashedSections): Record<string, unknown> {
  const wanted = (leaf: Leaf) =>
    leaf.path === 'seed' ||
    (leaf.section !== '' && (sections === undefined || isWithin(leaf.path, sections)));
  return valuesToHash(config, wanted);
}

/** Values of the keys that are wanted, as hashes cover them: without later keys that are as they were before they came. */
export function valuesToHash(config: Config, wanted: (leaf: Leaf) => boolean): Record<string, unknown> {
  const values = leaves.filter(wanted).map((leaf) => ({ ...leaf, value: valueAt(config, leaf.path) }));
  const counted = values.filter(
    ({ isLater, value, default: before }) => !isLater || canonicalJson(value) !== canonicalJson(before),
  );
  return Object.fromEntries(counted.map(({ path, value }) => [path, value]));
}

/** JSON with sorted keys and no spaces: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isTree(value)) return JSON.stringify(value) ?? 'null';
  const entries = Object.keys(value)
    .sort()
    .filter((key) => value[key] !== undefined);
  return `{${entries.map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`).join(',')}}`;
}

/** The resolved configuration as lines `training.batchSize = 4   flag --training.batch-size`. */
export function formatConfig({ config, origins }: ResolvedConfig): string {
  const rows = leaves.map(
    (leaf) => [`${leaf.path} = ${valueText(valueAt(config, leaf.path))}`, origins[leaf.path]!] as const,
  );
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, origin]) => `${left.padEnd(width)}   ${origin}`).join('\n');
}

/** A value as a flag would spell it. */
export function valueText(value: unknown): string {
  return value === null
    ? 'none'
    : Array.isArray(value)
      ? value.join(',')
      : typeof value === 'string'
        ? value
        : JSON.stringify(value);
}

type Tree = { [key: string]: unknown };
const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function givenByFlags({ flags = {}, flagNames = {} }: ResolveOptions, problems: string[]): Given[] {
  return Object.entries(flags).flatMap(([path, text]) => {
    const leaf = leafAt(path);
    if (leaf === undefined) throw new Error(`no configuration key ${path}`);
    const origin = `flag ${flagNames[path] ?? leaf.flag}`;
    try {
      return [{ path, value: parseLeaf(leaf, text, origin), origin }];
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      problems.push(error.message);
      return [];
    }
  });
}

/** Flattens a parsed file; unknown keys become problems that name the nearest known one. */
function givenByTree(value: unknown, origin: Origin, problems: string[], path = ''): Given[] {
  if (!isTree(value)) {
    problems.push(
      `${path || 'the configuration'} (${origin}): found ${JSON.stringify(value)}, allowed: an object of keys.`,
    );
    return [];
  }
  return Object.entries(value).flatMap(([key, child]) => {
    const childPath = path === '' ? key : `${path}.${key}`;
    if (path === '' && key === '$schema') return [];
    if (isSection(childPath)) return givenByTree(child, origin, problems, childPath);
    if (leafAt(childPath)) return [{ path: childPath, value: child, origin }];
    const near = nearestKey(childPath);
    problems.push(`unknown key ${childPath} (${origin}).${near ? ` Did you mean ${near}?` : ''}`);
    return [];
  });
}

/** What the run fixed: everything not default or preset, and recorded defaults that a newer version changed. */
function givenByRun(run: ResolvedConfig): Given[] {
  const defaults = defaultConfig();
  return leaves.flatMap((leaf) => {
    const value = valueAt(run.config, leaf.path);
    const origin = run.origins[leaf.path];
    if (value === undefined || origin === undefined || origin.startsWith('preset ')) return [];
    const isDefault = origin === 'default';
    if (isDefault && canonicalJson(value) === canonicalJson(valueAt(defaults, leaf.path))) return [];
    return [
      { path: leaf.path, value, origin: isDefault ? 'run (default of the version that began it)' : origin },
    ];
  });
}

const lastValue = (given: readonly Given[], path: string) =>
  given.findLast((entry) => entry.path === path)?.value;

function setAt(tree: Tree, path: string, value: unknown): void {
  const keys = path.split('.');
  const parent = keys.slice(0, -1).reduce<Tree>((at, key) => at[key] as Tree, tree);
  parent[keys.at(-1)!] = value;
}

/** `training.batchSize (flag --training.batch-size) = 0, allowed: integer, at least 1.` */
function describeIssue(
  path: readonly PropertyKey[],
  message: string,
  code: string,
  tree: Tree,
  origins: Origins,
): string {
  const names = path.map(String);
  const leaf = names
    .map((_, i) => leafAt(names.slice(0, i + 1).join('.')))
    .find((found) => found !== undefined);
  if (leaf === undefined) return `${names.join('.')}: ${message}`;
  const found = JSON.stringify(valueAt(tree, leaf.path)) ?? 'undefined';
  const where = `${leaf.path} (${origins[leaf.path]}) = ${found}`;
  return code === 'custom' ? `${where}: ${message}.` : `${where}, allowed: ${leaf.allowed}.`;
}

const problemText = (problems: readonly string[]) =>
  problems.length === 1
    ? problems[0]!
    : `the configuration has ${problems.length} problems:${problems.map((p) => `\n  ${p}`).join('')}`;

/** ` at line 3, column 7` where the parser says at which position it stopped. */
function lineOf(error: unknown, text: string): string {
  const message = (error as Error).message;
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position === undefined || message.includes('line ')) return '';
  const before = text.slice(0, Number(position)).split('\n');
  return `, line ${before.length}, column ${before.at(-1)!.length + 1}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}
