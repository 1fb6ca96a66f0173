// Reading a JSON artefact: parse, validate with zod, and report every problem at once with its place in the file.
// Unknown keys are refused and the nearest known name is suggested. Not here: the schemas (schema.ts), writing.

import { readFile } from 'node:fs/promises';
import { DataError } from '@maskrank/torch/errors';
import * as z from 'zod';

/** At most this many problems are spelled out in one message; the rest are counted. */
const PROBLEMS_SHOWN = 20;

/** Reads and validates a JSON file. Throws DataError naming the file, each field, what was found and what is allowed. */
export async function readArtefact<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new DataError(`${path}: cannot be read (${code}). Check that the file exists and may be read.`, {
      cause,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DataError(
      `${path}: not valid JSON (${(cause as Error).message}). Restore or rewrite the file.`,
      {
        cause,
      },
    );
  }
  return parseArtefact(value, schema, path);
}

/** Validates a parsed value; `where` (usually the file's path) opens the message. */
export function parseArtefact<S extends z.ZodType>(value: unknown, schema: S, where: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => describeIssue(issue, schema));
  throw new DataError(listProblems(`${where}: ${problems.length} problem(s)`, problems));
}

/** `head:` and then one indented line a problem, the first 20 of them. */
export function listProblems(head: string, problems: readonly string[]): string {
  const shown = problems.slice(0, PROBLEMS_SHOWN).map((line) => `\n  ${line}`);
  const rest = problems.length - shown.length;
  return `${head}:${shown.join('')}${rest > 0 ? `\n  … and ${rest} more` : ''}`;
}

/**
 * The known name closest to `name` by edit distance (letter case ignored), or undefined when nothing is near: more
 * than a third of the letters would have to change.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return bestDistance <= Math.max(1, Math.floor(name.length / 3)) ? best : undefined;
}

/** ` Did you mean "x"?` or nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const near = nearestName(name, known);
  return near === undefined ? '' : ` Did you mean "${near}"?`;
}

function describeIssue(issue: z.core.$ZodIssue, schema: z.ZodType): string[] {
  const place = placeName(issue.path);
  if (issue.code !== 'unrecognized_keys') return [`${place}: ${issue.message}`];
  const known = knownKeys(schema, issue.path);
  return issue.keys.map(
    (key) => `${place}: unknown key "${key}".${didYouMean(key, known)} Allowed: ${known.join(', ')}.`,
  );
}

/** `cases[3].masks.1` */
function placeName(path: readonly PropertyKey[]): string {
  const name = path.map((p) => (typeof p === 'number' ? `[${p}]` : `.${String(p)}`)).join('');
  return name === '' ? '(top level)' : name.replace(/^\./, '');
}

function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at: unknown = schema;
  for (const step of path) at = child(unwrap(at), step);
  const end = unwrap(at);
  return end instanceof z.ZodObject ? Object.keys(end.shape) : [];
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodExactOptional
    ? unwrap(schema.unwrap())
    : schema;
}

function child(schema: unknown, step: PropertyKey): unknown {
  if (schema instanceof z.ZodObject) return schema.shape[String(step)];
  if (schema instanceof z.ZodArray) return schema.element;
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return undefined;
}

/** Levenshtein distance, two rows. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(swap, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}
