// Checking a line of a JSONL file against a schema, with an error that a person can act on: every field that is wrong, what
// was found there and what is allowed. The file and the line number are added by whoever reads (jsonl.ts).

import type * as z from 'zod';

/** A parser for `JsonlStore`. Its TypeError says `order = [0,1,1,3]: must name each of 0..3 once. Correct or delete that line.` */
export function lineParser<S extends z.ZodType>(schema: S): (value: unknown) => z.output<S> {
  return (value) => {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const problems = result.error.issues.map((issue) => describe(issue, value));
    throw new TypeError(`${problems.join('; ')}. Correct or delete that line.`);
  };
}

function describe(issue: z.core.$ZodIssue, line: unknown): string {
  const field = fieldName(issue.path);
  if (issue.code === 'unrecognized_keys')
    return `${field === '' ? '' : `${field}: `}unknown ${issue.keys.length === 1 ? 'key' : 'keys'} ${issue.keys.join(', ')}`;
  if (field === '') return issue.message;
  const found = issue.path.reduce<unknown>(
    (at, step) => (at as Record<PropertyKey, unknown> | null)?.[step],
    line,
  );
  return found === undefined
    ? `${field} is missing: ${issue.message}`
    : `${field} = ${JSON.stringify(found)}: ${issue.message}`;
}

/** `boxes[0].x1` */
const fieldName = (path: readonly PropertyKey[]): string =>
  path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('')
    .replace(/^\./, '');
