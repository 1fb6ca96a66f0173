#!/usr/bin/env node
// The command line: `main(argv, io)` parses, runs one verb and returns the exit code.
// Exit codes: 0 done, 1 defect, 2 usage, 3 data, 4 engine, 130 interrupted. Not here: the verbs (verbs/).

import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Leaf } from '../run/leaves.ts';
import type { Versions } from '../run/run-folder.ts';
import { execute, fail } from './execute.ts';
import { type CliIo, processIo } from './io.ts';
import { type Invocation, parseArguments } from './program.ts';
import { registry } from './registry.ts';
import type { Verb } from './verb.ts';

/** Runs one command line (without `node` and the script) and returns its exit code. */
export async function main(
  argv: readonly string[],
  io: CliIo = processIo,
  verbs: readonly Verb[] = registry,
): Promise<number> {
  const versions: Versions = { maskrank: packageVersion(), node: process.versions.node, engine: null };
  const command = ['maskrank', ...argv].map(shellQuote).join(' ');
  let invocation: Invocation | undefined;
  try {
    const parsed = parseArguments(argv, {
      verbs,
      version: versions.maskrank,
      ...(await configurationTable(argv, verbs)),
      write: (text) => io.stdout.write(text),
      columns: io.stdout.columns ?? 100,
    });
    if ('printed' in parsed) return parsed.exitCode;
    invocation = parsed;
    return await execute(invocation, { io, versions, command });
  } catch (error) {
    const typed = { json: argv.includes('--json'), debug: argv.includes('--debug') };
    const target = { verb: namedVerb(argv, verbs), ...(invocation?.global ?? typed) };
    return fail(error, target, { io, versions, command });
  }
}

/** The configuration as flags, loaded only when a verb with sections may be among the arguments. */
async function configurationTable(
  argv: readonly string[],
  verbs: readonly Verb[],
): Promise<{ leaves: readonly Leaf[]; sectionDescriptions: ReadonlyMap<string, string> }> {
  const isDotted = argv.some((arg) => arg.startsWith('--') && arg.includes('.'));
  const isNamed = verbs.some((verb) => verb.sections && argv.includes(verb.name.split(' ').at(-1)!));
  return isDotted || isNamed ? import('../run/leaves.ts') : { leaves: [], sectionDescriptions: new Map() };
}

/** The verb that the arguments begin with, for hints when they cannot be parsed. */
function namedVerb(argv: readonly string[], verbs: readonly Verb[]): string | undefined {
  const words = argv.filter((arg) => !arg.startsWith('-')).join(' ');
  return verbs.find(({ name }) => words === name || words.startsWith(`${name} `))?.name;
}

/** Version of the package this file belongs to. */
function packageVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

/** An argument as a shell would take it. */
export function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

if (process.argv[1] !== undefined && isThisFile(process.argv[1])) {
  // `maskrank … | head` closes the pipe early: that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  process.exitCode = await main(process.argv.slice(2));
}

function isThisFile(path: string): boolean {
  try {
    return realpathSync(path) === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}
