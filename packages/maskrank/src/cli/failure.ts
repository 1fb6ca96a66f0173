// Errors as a person meets them: one message, a hint, an exit code by who must act; the stack only with --debug.
// Not here: raising them.

import { DataError, EngineError, UsageError } from '@maskrank/torch/errors';
import { InUseError } from '../run/in-use.ts';
import type { Versions } from '../run/run-folder.ts';
import { type CliIo, paint } from './io.ts';

export type Failure = {
  /** `usage`, `in-use` for what another process holds, `data`, `engine`, or `defect` for what nobody raised on purpose. */
  readonly kind: 'usage' | 'in-use' | 'data' | 'engine' | 'defect';
  readonly exitCode: 1 | 2 | 3 | 4;
  readonly message: string;
  readonly hint: string | undefined;
};

export type FailureContext = {
  /** The verb that failed; undefined when parsing did. */
  readonly verb: string | undefined;
  readonly command: string;
  readonly versions: Versions;
};

/** Classifies anything thrown. */
export function describeFailure(error: unknown, { verb, command, versions }: FailureContext): Failure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof InUseError) return { kind: 'in-use', exitCode: 2, message, hint: undefined };
  if (error instanceof UsageError)
    return { kind: 'usage', exitCode: 2, message, hint: `${verb ? `maskrank ${verb}` : 'maskrank'} --help` };
  if (error instanceof DataError) return { kind: 'data', exitCode: 3, message, hint: undefined };
  if (error instanceof EngineError)
    return {
      kind: 'engine',
      exitCode: 4,
      message,
      hint: verb === 'doctor' ? undefined : 'maskrank doctor says what is missing and how to mend it',
    };
  if (isSystemError(error))
    return {
      kind: 'data',
      exitCode: 3,
      message,
      hint: 'check the path, its permissions and the space on the disk',
    };
  const engine = versions.engine ? `, engine ${versions.engine}` : '';
  return {
    kind: 'defect',
    exitCode: 1,
    message: `unexpected failure: ${error instanceof Error ? `${error.name}: ` : ''}${message}`,
    hint: [
      'this is a defect of maskrank. Please report it with the stack (--debug shows it) and these lines:',
      `  maskrank ${versions.maskrank}, node ${versions.node}, ${process.platform} ${process.arch}${engine}`,
      `  ${command}`,
    ].join('\n'),
  };
}

/** `error: …` and `hint: …` on stderr. */
export function printFailure(io: CliIo, failure: Failure, error: unknown, debug: boolean): void {
  io.stderr.write(`${paint(io, io.stderr, 'red', 'error:')} ${failure.message}\n`);
  if (failure.hint) io.stderr.write(`hint: ${failure.hint}\n`);
  if (debug) for (const line of stacks(error)) io.stderr.write(`${line}\n`);
}

function stacks(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  return [error.stack ?? error.message, ...stacks(error.cause).map((stack) => `caused by: ${stack}`)];
}

/** Errors of the operating system, such as a full disk, that no code wrapped. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return (
    error instanceof Error && 'syscall' in error && typeof (error as NodeJS.ErrnoException).code === 'string'
  );
}
