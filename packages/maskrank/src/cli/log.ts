// The structured log RUN/log.jsonl (pino). The terminal stays quiet: what a person must see goes through progress,
// `out` and `warn`. Not here: metrics (run/metrics.ts).

/** Fields first, then words: `log.info({ step: 100 }, 'refreshed')`. */
export type LogMethod = (fields: Readonly<Record<string, unknown>>, words: string) => void;

export type Log = {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
};

export type OpenLog = Log & { readonly close: () => void };

const nothing: LogMethod = () => {};

/** The log of verbs without a run. */
export const silentLog: OpenLog = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  close: () => {},
};

/** Opens the log for appending; every line is written at once, so a kill loses none. */
export async function openLog(
  path: string,
  options: { readonly debug: boolean; readonly onFailure: (error: Error) => void },
): Promise<OpenLog> {
  const { default: pino } = await import('pino');
  const destination = pino.destination({ dest: path, append: true, sync: true });
  // A full disk must not end a training whose checkpoints may still fit: it is told once, and the log ends.
  destination.once('error', options.onFailure);
  destination.on('error', () => {});
  const logger = pino(
    {
      level: options.debug ? 'debug' : 'info',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const method =
    (level: 'debug' | 'info' | 'warn' | 'error'): LogMethod =>
    (fields, words) =>
      logger[level](fields, words);
  return {
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    close: () => destination.end(),
  };
}
