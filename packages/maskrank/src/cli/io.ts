// What the command line needs of the world, so that tests can run it in-process: streams, clock, signals, folder.
// Not here: what is written to them.

/** A stream to write text to; `process.stdout` fits. */
export type TextStream = {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
};

export type CliIo = {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Source of SIGINT and SIGTERM. */
  readonly signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  /** Ends the process at once; only a second Ctrl-C does. */
  readonly exit: (code: number) => void;
  /** Milliseconds, monotone. */
  readonly now: () => number;
};

export const processIo: CliIo = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signals: process,
  exit: (code) => process.exit(code),
  now: () => performance.now(),
};

/** `text` in bold red or yellow where the stream is a terminal that wants colour. */
export function paint(
  io: CliIo,
  stream: TextStream,
  colour: 'red' | 'yellow' | 'bold',
  text: string,
): string {
  if (stream.isTTY !== true || io.env.NO_COLOR || io.env.TERM === 'dumb') return text;
  const codes = { red: '1;31', yellow: '33', bold: '1' };
  return `\u001b[${codes[colour]}m${text}\u001b[0m`;
}
