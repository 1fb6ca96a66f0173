// A job of a run from a program, as a verb does it: the run's folder is opened and locked, its configuration goes on, the command
// is noted in its history, facts and warnings go into its log. Not here: interrupts and progress bars (the command line has them).

import { appendFileSync, readFileSync } from 'node:fs';
import { resolveConfig } from '../run/resolve.ts';
import { RunFolder, readRunConfig } from '../run/run-folder.ts';
import type { JobContext } from './workspace.ts';

export type InRunOptions = {
  /** What the history calls it. Default: the program's file. */
  readonly command?: string;
  /** Values over the run's own, by key path, as flags have them: `{ 'alignment.steps': '100' }`. */
  readonly values?: Readonly<Record<string, string>>;
  /** Stops the job at its next safe point; it throws the signal's reason, and the same call goes on. */
  readonly signal?: AbortSignal;
  readonly onProgress?: JobContext['onProgress'];
  /** Default: a line on stderr. */
  readonly warn?: (text: string) => void;
  /** Default: none; the log has them anyway. */
  readonly note?: JobContext['note'];
};

/**
 * Does a job in the run at `dir`, which is made when missing: `inRun('runs/a', (job) => proposeJob(job, { generator }))`.
 * @throws UsageError for values out of range, InUseError while another command works in the run
 */
export async function inRun<T>(
  dir: string,
  job: (context: JobContext) => Promise<T>,
  options: InRunOptions = {},
): Promise<T> {
  const { command = process.argv[1] ?? 'a program', values = {}, onProgress = () => {}, note } = options;
  const { warn = (text) => process.stderr.write(`warning: ${text}\n`) } = options;
  const earlier = readRunConfig(dir);
  const resolved = resolveConfig({ flags: values, ...(earlier && { run: earlier }) });
  const versions = { maskrank: ownVersion(), node: process.versions.node, engine: null };
  const run = await RunFolder.open(dir, { mode: 'create', command, versions, resolved });
  const log = (level: string, facts: Readonly<Record<string, unknown>>, msg: string) =>
    appendFileSync(
      run.paths.log,
      `${JSON.stringify({ level, time: new Date().toISOString(), ...facts, msg })}\n`,
    );
  let exitCode = 1;
  try {
    log('info', { command, versions }, 'started');
    const result = await job({
      run,
      config: resolved.config,
      signal: options.signal ?? new AbortController().signal,
      onProgress,
      warn: (text) => {
        warn(text);
        log('warn', {}, text);
      },
      note: (facts, text) => {
        note?.(facts, text);
        log('info', facts, text);
      },
    });
    exitCode = 0;
    return result;
  } finally {
    log('info', { exitCode }, 'ended');
    await run.close(exitCode);
  }
}

function ownVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
