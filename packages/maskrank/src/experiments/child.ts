// One command of maskrank in a process of its own: a crash of one is contained, its whole error is kept. Not here: which commands.

import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type StepRequest = {
  /** Arguments of maskrank. */
  readonly argv: readonly string[];
  /** Engine threads for libraries that read the environment. */
  readonly threads: number;
  /** Everything that the command says is appended here. */
  readonly log: string;
  /** Asks the command to stop at its next safe point. */
  readonly signal: AbortSignal;
  /** The newest line of its progress. */
  readonly onLine: (line: string) => void;
};

export type StepOutcome = {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly killedBy: string | null;
  /** `in-use`, `usage`, `data`, `engine`, `defect`; `killed` by a signal; null when it ended well or was asked to stop. */
  readonly failure: { readonly kind: string; readonly message: string } | null;
  /** Asked to stop, it did. */
  readonly interrupted: boolean;
  /** All that it wrote to stderr. */
  readonly stderr: string;
  readonly seconds: number;
  /** Largest resident memory; null where the system does not say. */
  readonly peakMemoryBytes: number | null;
};

/** Does one command; replaceable for tests. */
export type RunStep = (request: StepRequest) => Promise<StepOutcome>;

const IS_SOURCE = import.meta.url.endsWith('.ts');
const MAIN = fileURLToPath(new URL(`../cli/main.${IS_SOURCE ? 'ts' : 'js'}`, import.meta.url));
const MEMORY_EVERY_MS = 500;

export const runChild = (program: string = MAIN): RunStep => {
  return ({ argv, threads, log, signal, onLine }) =>
    new Promise((resolve, reject) => {
      const started = performance.now();
      const count = String(threads);
      const child = spawn(process.execPath, [...process.execArgv, program, ...argv, '--json', '--debug'], {
        stdio: ['ignore', 'pipe', 'pipe'],
        // Ctrl-C reaches this process alone, which asks its children once: twice would end them at once.
        detached: true,
        env: { ...process.env, OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count },
      });
      let [stdout, stderr] = ['', ''];
      let peak: number | null = null;
      const look = setInterval(() => {
        peak = Math.max(peak ?? 0, memoryOf(child.pid) ?? 0) || null;
      }, MEMORY_EVERY_MS);
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
        try {
          appendFileSync(log, text);
        } catch {
          // A full disk: the command meets it as well and says so.
        }
        const line = text
          .trim()
          .split(/[\r\n]+/)
          .at(-1);
        if (line) onLine(line);
      });
      const stop = () => child.kill('SIGTERM');
      signal.addEventListener('abort', stop, { once: true });
      const end = () => {
        clearInterval(look);
        signal.removeEventListener('abort', stop);
      };
      child.once('error', (error) => {
        end();
        reject(error);
      });
      child.once('close', (code, killedBy) => {
        end();
        resolve({
          code,
          killedBy,
          ...verdict(code, killedBy, stdout, stderr),
          stderr,
          seconds: (performance.now() - started) / 1000,
          peakMemoryBytes: peak,
        });
      });
      if (signal.aborted) stop();
    });
};

/** What the exit code and the document of --json say. */
export function verdict(
  code: number | null,
  killedBy: string | null,
  stdout: string,
  stderr: string,
): Pick<StepOutcome, 'failure' | 'interrupted'> {
  if (code === 0) return { failure: null, interrupted: false };
  if (code === 130) return { failure: null, interrupted: true };
  const last = stderr.trim().split('\n').at(-1) ?? '';
  if (code === null)
    return {
      failure: {
        kind: 'killed',
        message: `ended by ${killedBy}${last === '' ? '' : `; last it said: ${last}`}`,
      },
      interrupted: false,
    };
  try {
    const { error } = JSON.parse(stdout) as { error: { kind: string; message: string } };
    return { failure: { kind: error.kind, message: error.message }, interrupted: false };
  } catch {
    return {
      failure: { kind: 'defect', message: `exit code ${code}; last it said: ${last}` },
      interrupted: false,
    };
  }
}

/** Largest resident memory of a process so far; undefined where the system does not say (only Linux does). */
function memoryOf(pid: number | undefined): number | undefined {
  try {
    const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return found === undefined ? undefined : Number(found) * 1024;
  } catch {
    return undefined;
  }
}
