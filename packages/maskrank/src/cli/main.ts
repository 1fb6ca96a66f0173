#!/usr/bin/env node
// The command line: `main(argv, io)` parses, runs one verb and returns the exit code.
// Exit codes: 0 done, 1 defect, 2 usage, 3 data, 4 engine, 130 interrupted. Not here: the verbs (verbs/).

import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Leaf } from '../run/leaves.ts';
import type { Versions } from '../run/run-folder.ts';
import { execute, type FailureTarget, fail } from './execute.ts';
import { type CliIo, processIo } from './io.ts';
import { parseArguments } from './program.ts';
import { registry } from './registry.ts';
import type { Verb } from './verb.ts';

/** Runs one command line (without `node` and the script) and returns its exit code. */
export async function main(
  argv: readonly string[],
  io: CliIo = processIo,
  verbs: readonly Verb[] = registry,
): Promise<number> {
  const options = { io, versions: ownVersions(), command: commandLine(argv) };
  try {
    const parsed = parseArguments(argv, {
      verbs,
      version: options.versions.maskrank,
      ...(await configurationTable(argv, verbs)),
      write: (text) => io.stdout.write(text),
      columns: io.stdout.columns || 100,
    });
    return 'printed' in parsed ? parsed.exitCode : await execute(parsed, options);
  } catch (error) {
    return fail(error, failureTarget(argv, verbs), options);
  }
}

/** What matters for reporting a failure, known even when the arguments cannot be parsed. */
function failureTarget(argv: readonly string[], verbs: readonly Verb[]): FailureTarget {
  const words = argv.filter((arg) => !arg.startsWith('-')).join(' ');
  const verb = verbs.find(({ name }) => words === name || words.startsWith(`${name} `))?.name;
  return { verb, json: argv.includes('--json'), debug: argv.includes('--debug') };
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

/** Version of the package this file belongs to, and of Node. */
function ownVersions(): Versions {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return { maskrank: version, node: process.versions.node, engine: null };
}

const commandLine = (argv: readonly string[]): string => ['maskrank', ...argv].map(shellQuote).join(' ');

/** An argument as a shell would take it. */
export function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

if (process.argv[1] !== undefined && isThisFile(process.argv[1])) {
  // `maskrank … | head` closes the pipe early: that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const argv = process.argv.slice(2);
  // An error outside every promise that is waited for: told like the others, and the process ends.
  process.on('uncaughtException', (error) => {
    const options = { io: processIo, versions: ownVersions(), command: commandLine(argv) };
    process.exit(fail(error, failureTarget(argv, registry), options));
  });
  // Not awaited here: a verb that runs other verbs (demo) imports this module, which must be evaluated by then.
  main(argv).then((code) => {
    process.exitCode = code;
  });
}

function isThisFile(path: string): boolean {
  try {
    return realpathSync(path) === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}
