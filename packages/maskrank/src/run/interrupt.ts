// Ctrl-C: the first asks the loops to stop at their next safe point, the second ends the process at once.
// A loop calls `await safePoint(signal)` where stopping loses nothing. Not here: the exit code's message (cli/main.ts).

/** Exit code after an interrupt, as shells have it: 128 + SIGINT. */
export const INTERRUPTED_EXIT_CODE = 130;

/** What `signal.throwIfAborted()` throws after Ctrl-C. Not an error of anybody's: the work is saved. */
export class Interrupted extends Error {
  override name = 'Interrupted';
  constructor() {
    super('stopped by request');
  }
}

/**
 * A point where stopping loses nothing. It gives Node a turn, without which a loop of native calls never learns of a
 * signal, and throws `Interrupted` when there was one.
 */
export async function safePoint(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

export type InterruptOptions = {
  /** Told once, at the first signal. */
  readonly onFirst: () => void;
  /** Ends the process at the second signal; default `process.exit`. */
  readonly exit?: (code: number) => void;
  /** Source of the signals; default `process`. */
  readonly source?: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
};

export type InterruptGuard = {
  /** Aborted with an `Interrupted` at the first signal. */
  readonly signal: AbortSignal;
  /** Gives the signals back to Node's default. */
  readonly dispose: () => void;
};

/** Listens to SIGINT (Ctrl-C) and SIGTERM (job schedulers). */
export function guardInterrupts({
  onFirst,
  exit = process.exit,
  source = process,
}: InterruptOptions): InterruptGuard {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) {
      exit(INTERRUPTED_EXIT_CODE);
      return;
    }
    controller.abort(new Interrupted());
    onFirst();
  };
  source.on('SIGINT', onSignal);
  source.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    dispose: () => {
      source.off('SIGINT', onSignal);
      source.off('SIGTERM', onSignal);
    },
  };
}
