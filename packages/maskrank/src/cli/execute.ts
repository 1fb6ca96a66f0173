// Runs one verb: configuration, run folder, log, Ctrl-C, output, exit code. Heavy modules are loaded here, after parsing.
// Not here: parsing (program.ts), the verbs.

import { UsageError } from '@maskrank/torch/errors';
import { flagName } from '../run/flag-name.ts';
import { guardInterrupts, INTERRUPTED_EXIT_CODE, Interrupted } from '../run/interrupt.ts';
import type { ResolvedConfig } from '../run/resolve.ts';
import type { RunFolder, Versions } from '../run/run-folder.ts';
import { describeFailure, printFailure } from './failure.ts';
import { type CliIo, paint } from './io.ts';
import { type OpenLog, openLog, silentLog } from './log.ts';
import { type Invocation, optionValueName } from './program.ts';
import { createProgress } from './progress.ts';
import type { OptionSpec, VerbContext, VerbResult } from './verb.ts';

export type ExecuteOptions = {
  readonly io: CliIo;
  readonly versions: Versions;
  /** As typed, quoted for a shell. */
  readonly command: string;
};

/** Runs the verb and returns the exit code; what is thrown before the verb runs is the caller's to print. */
export async function execute(
  invocation: Invocation,
  { io, versions, command }: ExecuteOptions,
): Promise<number> {
  const { verb, global } = invocation;
  const started = io.now();
  const resolved = await resolveFor(invocation);
  if (global.printConfig) {
    await printConfig(resolved, global.json, io);
    return 0;
  }
  const options = requireInputs(invocation);
  const progress = createProgress({ stream: io.stderr, quiet: global.quiet, now: io.now });
  const guard = guardInterrupts({
    source: io.signals,
    exit: io.exit,
    onFirst: () => {
      progress.clear();
      io.stderr.write('stopping at the next safe point; Ctrl-C again stops at once\n');
    },
  });
  let runFolder: RunFolder | undefined;
  let log = silentLog;
  let exitCode = 1;
  try {
    runFolder = await openRun(invocation, resolved, { io, versions, command });
    if (runFolder?.mode === 'create' || runFolder?.mode === 'write')
      log = await openRunLog(runFolder, global.debug, io);
    const warn = (text: string) => {
      progress.clear();
      io.stderr.write(`${paint(io, io.stderr, 'yellow', 'warning:')} ${text}\n`);
      log.warn({}, text);
    };
    log.info({ command, versions }, 'started');
    if (runFolder?.takenFrom) {
      progress.note('the command before was killed; its lock is taken over');
      log.info({ takenFrom: runFolder.takenFrom }, 'lock taken over');
    }
    await warnOfConfig(invocation, resolved, warn);
    const context: VerbContext = {
      args: invocation.args as VerbContext['args'],
      options: options as VerbContext['options'],
      ...resolved,
      runFolder,
      command,
      progress,
      log,
      out: (text) => {
        if (global.json) return;
        progress.clear();
        io.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
      },
      warn,
      signal: guard.signal,
      versions,
    };
    const result = await verb.run(context);
    progress.clear();
    exitCode = report(result, invocation, { io, versions, command }, started);
  } catch (error) {
    progress.clear();
    if (isInterruption(error, guard.signal)) {
      exitCode = INTERRUPTED_EXIT_CODE;
      reportInterruption(invocation, { io, versions, command });
    } else {
      exitCode = fail(error, { ...global, verb: verb.name }, { io, versions, command });
      log.error({ error: error instanceof Error ? error.stack : String(error) }, 'failed');
    }
  } finally {
    guard.dispose();
    log.info({ exitCode, elapsedMs: Math.round(io.now() - started) }, 'ended');
    log.close();
    await runFolder?.close(exitCode);
  }
  return exitCode;
}

/** What of the command line matters for reporting a failure; known even when parsing failed. */
export type FailureTarget = {
  readonly verb: string | undefined;
  readonly json: boolean;
  readonly debug: boolean;
};

/** Prints a failure on stderr and, with --json, its document on stdout; returns the exit code. */
export function fail(
  error: unknown,
  target: FailureTarget,
  { io, versions, command }: ExecuteOptions,
): number {
  const { verb } = target;
  const failure = describeFailure(error, { verb, command, versions });
  const { kind, message, hint = null, exitCode } = failure;
  printFailure(io, failure, error, target.debug);
  if (target.json) printJson(io, { verb: verb ?? null, ok: false, error: { kind, message, hint }, exitCode });
  return exitCode;
}

async function resolveFor({ flags, flagNames, global, run, verb }: Invocation): Promise<ResolvedConfig> {
  const { readConfigFile, resolveConfig } = await import('../run/resolve.ts');
  const { readRunConfig } = await import('../run/run-folder.ts');
  const file = global.config === undefined ? undefined : readConfigFile(global.config);
  const earlier = verb.runFolder && run !== undefined ? readRunConfig(run) : undefined;
  return resolveConfig({ flags, flagNames, ...(file && { file }), ...(earlier && { run: earlier }) });
}

async function printConfig(resolved: ResolvedConfig, json: boolean, io: CliIo): Promise<void> {
  if (json) return printJson(io, resolved);
  const { formatConfig } = await import('../run/resolve.ts');
  io.stdout.write(`${formatConfig(resolved)}\n`);
}

/** Refuses missing arguments and flags, all at once, and parses the verb's own options. */
function requireInputs({ verb, args, options, run }: Invocation): Record<string, unknown> {
  const missing = [
    ...Object.entries(verb.args ?? {})
      .filter(([key, { optional }]) => !optional && isMissing(args[key]))
      .map(([, { name, describe }]) => `${name} (${describe})`),
    ...(verb.runFolder && !verb.runFolder.optional && run === undefined
      ? ['--run RUN (folder of the run)']
      : []),
    ...Object.entries(verb.options ?? {})
      .filter(([key, { required }]) => required && options[key] === undefined)
      .map(([key, spec]) => `${flagName(key)} ${optionValueName(spec) ?? ''} (${spec.describe})`),
  ];
  if (missing.length > 0) throw new UsageError(`maskrank ${verb.name}: missing ${missing.join(', ')}.`);
  return Object.fromEntries(
    Object.entries(verb.options ?? {}).map(([key, spec]) => {
      const text = options[key];
      if (optionValueName(spec) === undefined) return [key, text === true];
      return [key, typeof text === 'string' ? parseOption(flagName(key), text, spec) : undefined];
    }),
  );
}

/** The value of a verb's own flag; messages open with the flag. */
function parseOption(flag: string, text: string, { choices, parse }: OptionSpec): unknown {
  if (choices && !choices.includes(text))
    throw new UsageError(`${flag}: '${text}' is not allowed here: ${choices.join(', ')}.`);
  if (!parse) return text;
  try {
    return parse(text);
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${flag}: ${error.message}`) : error;
  }
}

const isMissing = (value: string | readonly string[] | undefined) =>
  value === undefined || value.length === 0;

async function openRun(
  { verb, run, options }: Invocation,
  resolved: ResolvedConfig,
  { versions, command }: ExecuteOptions,
): Promise<RunFolder | undefined> {
  if (!verb.runFolder || run === undefined) return undefined;
  const { RunFolder: Folder } = await import('../run/run-folder.ts');
  const { sharedWith } = verb.runFolder;
  const isShared = sharedWith !== undefined && options[sharedWith] !== undefined;
  return Folder.open(run, { mode: isShared ? 'share' : verb.runFolder.mode, command, versions, resolved });
}

function openRunLog(runFolder: RunFolder, debug: boolean, io: CliIo): Promise<OpenLog> {
  const onFailure = (error: Error) => {
    io.stderr.write(
      `warning: ${runFolder.paths.log} cannot be written (${error.message}); the work goes on without it\n`,
    );
  };
  return openLog(runFolder.paths.log, { debug, onFailure });
}

async function warnOfConfig(
  { verb }: Invocation,
  { config }: ResolvedConfig,
  warn: (text: string) => void,
): Promise<void> {
  const { configWarnings } = await import('../run/config.ts');
  for (const { section, text } of configWarnings(config)) if (verb.sections?.includes(section)) warn(text);
}

function report(
  outcome: VerbResult,
  invocation: Invocation,
  options: ExecuteOptions,
  started: number,
): number {
  const { io, versions, command } = options;
  const { verb, global } = invocation;
  const next =
    outcome.next === undefined ? [] : typeof outcome.next === 'string' ? [outcome.next] : outcome.next;
  const failure = outcome.failure && describeFailure(outcome.failure, { verb: verb.name, command, versions });
  if (failure) printFailure(io, failure, outcome.failure, global.debug);
  else if (!global.json && !global.quiet) for (const line of next) io.stdout.write(`next: ${line}\n`);
  const exitCode = failure?.exitCode ?? 0;
  if (global.json) {
    const elapsedMs = Math.round(io.now() - started);
    const error = failure && { kind: failure.kind, message: failure.message, hint: failure.hint ?? null };
    printJson(io, {
      verb: verb.name,
      ok: !failure,
      result: outcome.result,
      ...(error && { error, exitCode }),
      next,
      elapsedMs,
    });
  }
  return exitCode;
}

function reportInterruption({ verb, global }: Invocation, { io, command }: ExecuteOptions): void {
  io.stderr.write(`stopped; nothing is lost. The same command goes on: ${command}\n`);
  if (global.json)
    printJson(io, {
      verb: verb.name,
      ok: false,
      interrupted: true,
      resume: command,
      exitCode: INTERRUPTED_EXIT_CODE,
    });
}

/** Ours, or the AbortError that Node's own functions throw when given the signal. */
const isInterruption = (error: unknown, signal: AbortSignal) =>
  error instanceof Interrupted || (signal.aborted && error instanceof Error && error.name === 'AbortError');

const printJson = (io: CliIo, document: unknown) => {
  io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
};
