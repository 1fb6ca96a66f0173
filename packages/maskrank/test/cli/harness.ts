// Runs the command line in-process with captured streams. Not here: tests.

import { EventEmitter } from 'node:events';
import { expect } from 'vitest';
import type { CliIo } from '../../src/cli/io.ts';
import { main } from '../../src/cli/main.ts';
import type { Verb } from '../../src/cli/verb.ts';

export type Captured = {
  code: number;
  stdout: string;
  stderr: string;
  exits: number[];
  json: () => Record<string, unknown>;
};

export type RunCliOptions = {
  verbs?: readonly Verb[];
  signals?: EventEmitter;
  tty?: boolean;
};

export async function runCli(
  argv: readonly string[],
  { verbs, signals, tty = false }: RunCliOptions = {},
): Promise<Captured> {
  let stdout = '';
  let stderr = '';
  const exits: number[] = [];
  const io: CliIo = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text), isTTY: tty, columns: 100 },
    env: { NO_COLOR: '1' },
    signals: signals ?? new EventEmitter(),
    exit: (code) => exits.push(code),
    now: () => performance.now(),
  };
  const code = await main(argv, io, ...(verbs ? [verbs] : []));
  return { code, stdout, stderr, exits, json: () => JSON.parse(stdout) };
}

/** The same where it must succeed. */
export async function must(...argv: string[]): Promise<Captured> {
  const result = await runCli(argv);
  expect(result.code, result.stderr).toBe(0);
  return result;
}

/** What it prints with --json. */
// biome-ignore lint/suspicious/noExplicitAny: of each verb another
export const resultOf = async (...argv: string[]): Promise<any> =>
  (await must(...argv, '--json')).json().result;
