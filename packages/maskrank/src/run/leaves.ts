// The configuration as a flat table: one row a value, with its key path, flag, kind, default and description.
// Made from the schema's JSON Schema, so a key is written once. Not here: layers and origins (resolve.ts).

import { UsageError } from '@maskrank/torch/errors';
import { z } from 'zod';
import { nearestName } from '../datasets/artefact.ts';
import { LATER } from './config/later.ts';
import { configSchema } from './config.ts';
import { flagName } from './flag-name.ts';

/** What a value may be. Numbers in a list are written `1,2,3`; `none` stands for null. */
export type LeafKind =
  | 'boolean'
  | 'integer'
  | 'number'
  | 'choice'
  | 'choices'
  | 'text'
  | 'integers'
  | 'numbers';

/** One value of the configuration. */
export type Leaf = {
  /** `training.batchSize` */
  readonly path: string;
  /** `--training.batch-size` */
  readonly flag: string;
  /** First part of the path; '' for `seed`, `device` and `threads`. */
  readonly section: string;
  readonly kind: LeafKind;
  readonly nullable: boolean;
  /** For kinds `choice` and `choices`. */
  readonly choices: readonly string[];
  readonly default: unknown;
  /** Unit and reason. */
  readonly description: string;
  /** `integer, at least 1` */
  readonly allowed: string;
  /** It came after results were made without it: at its default it enters no hash. */
  readonly isLater: boolean;
};

/** The part of JSON Schema that this configuration uses. */
type Node = {
  type?: string | string[];
  properties?: Record<string, Node>;
  anyOf?: Node[];
  items?: Node;
  enum?: string[];
  default?: unknown;
  description?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  minItems?: number;
  maxItems?: number;
  [LATER]?: boolean;
};

const root = z.toJSONSchema(configSchema, { io: 'input' }) as Node;

/** Every value, in the order of the schema. */
export const leaves: readonly Leaf[] = walk(root, []);
const byPath = new Map(leaves.map((leaf) => [leaf.path, leaf]));
const sectionPaths = new Set(leaves.flatMap((leaf) => parents(leaf.path)));

/** Descriptions of the top-level sections, in order. */
export const sectionDescriptions: ReadonlyMap<string, string> = new Map(
  Object.entries(root.properties!).flatMap(([name, node]) =>
    node.properties ? [[name, node.description ?? name]] : [],
  ),
);

export const leafAt = (path: string): Leaf | undefined => byPath.get(path);
/** True for `training` and `training.augmentation`, false for values and unknown names. */
export const isSection = (path: string): boolean => sectionPaths.has(path);

/** The known key closest to a wrong one; a right name in the wrong section is found too, and every section that has a bare one. */
export function nearestKey(path: string): string | undefined {
  const name = tail(path);
  const sameName = leaves
    .map((leaf) => leaf.path)
    .filter((known) => known.toLowerCase().endsWith(`.${name.toLowerCase()}`));
  // A bare name that several sections have: all of them, as nothing tells which was meant.
  if (sameName.length > 0)
    return path === name ? sameName.join(', or ') : (nearestName(path, sameName) ?? sameName[0]);
  const near = nearestName(path, [...byPath.keys(), ...sectionPaths]);
  if (near !== undefined) return near;
  const nearTail = nearestName(
    name,
    leaves.map((leaf) => tail(leaf.path)),
  );
  return nearTail === undefined ? undefined : leaves.find((leaf) => tail(leaf.path) === nearTail)!.path;
}

/** Text of a flag as a value of the leaf's kind. Range checks are left to the schema. */
export function parseLeaf(leaf: Leaf, text: string, origin: string): unknown {
  const refuse = (): never => {
    throw new UsageError(`${leaf.path} (${origin}) = '${text}', allowed: ${leaf.allowed}.`);
  };
  if (leaf.nullable && (text === 'none' || text === 'null')) return null;
  return parsers[leaf.kind](text.trim(), leaf) ?? refuse();
}

const parsers: Record<LeafKind, (text: string, leaf: Leaf) => unknown> = {
  boolean: (text) => ({ true: true, false: false })[text],
  integer: (text) => (/^[+-]?\d+$/.test(text) ? Number(text) : undefined),
  number: parseNumber,
  choice: (text, leaf) => leaf.choices.find((choice) => choice === text),
  text: (text) => (text === '' ? undefined : text),
  choices: (text, leaf) =>
    text === 'none' ? [] : parseList(text, (item) => leaf.choices.find((choice) => choice === item)),
  integers: (text) => parseList(text, (item) => (/^\d+$/.test(item) ? Number(item) : undefined)),
  numbers: (text) => parseList(text, parseNumber),
};

function parseNumber(text: string): number | undefined {
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
}

function parseList<T>(text: string, parse: (item: string) => T | undefined): T[] | undefined {
  const items = text
    .replace(/^\[|\]$/g, '')
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(parse);
  return items.length > 0 && items.every((item) => item !== undefined) ? (items as T[]) : undefined;
}

function walk(node: Node, path: readonly string[]): Leaf[] {
  if (node.properties)
    return Object.entries(node.properties).flatMap(([key, child]) => walk(child, [...path, key]));
  const name = path.join('.');
  const { core, nullable } = withoutNull(node);
  return [
    {
      path: name,
      flag: flagName(name),
      section: path.length > 1 ? path[0]! : '',
      kind: kindOf(core, name),
      nullable,
      choices: core.enum ?? core.items?.enum ?? [],
      default: node.default,
      description: node.description ?? '',
      allowed: allowedText(core) + (nullable ? ', or none' : ''),
      isLater: node[LATER] === true,
    },
  ];
}

/** JSON Schema says "or null" as `anyOf`, or as a list of types. */
function withoutNull(node: Node): { core: Node; nullable: boolean } {
  if (node.anyOf) {
    const core = node.anyOf.find((option) => option.type !== 'null') ?? node;
    return { core, nullable: node.anyOf.length > 1 };
  }
  if (!Array.isArray(node.type)) return { core: node, nullable: false };
  return { core: { ...node, type: node.type.find((type) => type !== 'null')! }, nullable: true };
}

function kindOf(node: Node, path: string): LeafKind {
  if (node.enum) return 'choice';
  if (node.type === 'array') {
    if (node.items!.enum) return 'choices';
    return node.items!.type === 'integer' ? 'integers' : 'numbers';
  }
  const kind = ({ boolean: 'boolean', integer: 'integer', number: 'number', string: 'text' } as const)[
    String(node.type)
  ];
  if (kind === undefined)
    throw new Error(`configuration key ${path} has a type that no flag can carry: ${node.type}`);
  return kind;
}

function allowedText(node: Node): string {
  if (node.enum) return node.enum.join(', ');
  if (node.type === 'boolean') return 'true, false';
  if (node.type === 'string') return 'text';
  if (node.items?.enum) return `list of ${node.items.enum.join(', ')}, with commas; none for an empty one`;
  if (node.type === 'array') return `list of ${lengthText(node)}${allowedText(node.items!)}, as 1,2,3`;
  const bounds = [
    node.exclusiveMinimum !== undefined ? `above ${node.exclusiveMinimum}` : '',
    node.minimum !== undefined ? `at least ${node.minimum}` : '',
    node.exclusiveMaximum !== undefined ? `below ${node.exclusiveMaximum}` : '',
    node.maximum !== undefined && node.maximum < Number.MAX_SAFE_INTEGER ? `at most ${node.maximum}` : '',
    node.multipleOf !== undefined ? `multiple of ${node.multipleOf}` : '',
  ].filter(Boolean);
  return [node.type, ...bounds].join(', ');
}

function lengthText(node: Node): string {
  if (node.minItems !== undefined && node.minItems === node.maxItems) return `${node.minItems} of: `;
  return node.minItems !== undefined ? `at least ${node.minItems} of: ` : '';
}

function parents(path: string): string[] {
  const parts = path.split('.');
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('.'));
}

function tail(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}
