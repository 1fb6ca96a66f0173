// Progress of long work on stderr: a bar with rate and time left on a terminal, a plain line every few seconds elsewhere.
// Not here: logs (RUN/log.jsonl) and metrics.

import type { TextStream } from './io.ts';

export type ProgressOptions = {
  readonly stream: TextStream;
  /** Nothing at all. */
  readonly quiet?: boolean;
  /** Milliseconds, monotone. */
  readonly now?: () => number;
  /** Between plain lines, milliseconds. */
  readonly lineEveryMs?: number;
};

export type TaskOptions = {
  /** Units in all; left out when unknown. */
  readonly total?: number;
  /** What is counted, plural: `images`, `steps`. */
  readonly unit: string;
  /** Units that were done before (a resumed run); they do not count for the rate. */
  readonly done?: number;
};

/** One bar. Call `end` when it is over, also after a failure. */
export type ProgressTask = {
  /** Sets the number of units done; `detail` is a few words such as `loss 0.31`. */
  readonly update: (done: number, detail?: string) => void;
  /** Adds units. */
  readonly tick: (units?: number, detail?: string) => void;
  /** For work that learns its size on the way. */
  readonly setTotal: (total: number) => void;
  readonly end: (detail?: string) => void;
};

export type Progress = {
  readonly task: (label: string, options: TaskOptions) => ProgressTask;
  /** A line of its own, above the bar. */
  readonly note: (text: string) => void;
  /** Ends whatever bar still stands, so that the next line starts clean. */
  readonly clear: () => void;
};

/** Between redraws of a bar; faster flickers. */
const REDRAW_MS = 100;
/** The rate is a mean over this time, so that it follows changes but does not jump. */
const RATE_WINDOW_MS = 15_000;

export function createProgress({
  stream,
  quiet = false,
  now = () => performance.now(),
  lineEveryMs = 5000,
}: ProgressOptions): Progress {
  const onTerminal = stream.isTTY === true;
  let bar = '';

  const clear = () => {
    if (bar !== '') stream.write('\r\u001b[2K');
    bar = '';
  };
  const draw = (text: string) => {
    const line = text.slice(0, Math.max(20, (stream.columns || 80) - 1));
    if (line === bar) return;
    stream.write(`\r${line}\u001b[K`);
    bar = line;
  };
  const note = (text: string) => {
    if (quiet) return;
    clear();
    stream.write(`${text}\n`);
  };

  const task = (
    label: string,
    { total: totalAtStart, unit, done: doneBefore = 0 }: TaskOptions,
  ): ProgressTask => {
    let total = totalAtStart;
    const start = now();
    let done = doneBefore;
    let detail = '';
    let lastShown = onTerminal ? Number.NEGATIVE_INFINITY : start;
    let ended = false;
    const samples: { at: number; done: number }[] = [{ at: start, done }];

    const rate = (at: number) => {
      const old = samples[0]!;
      return at > old.at ? ((done - old.done) / (at - old.at)) * 1000 : 0;
    };
    const show = () => {
      const at = now();
      if (quiet || ended || at - lastShown < (onTerminal ? REDRAW_MS : lineEveryMs)) return;
      lastShown = at;
      samples.push({ at, done });
      while (samples.length > 2 && at - samples[1]!.at > RATE_WINDOW_MS) samples.shift();
      const line = progressLine({
        label,
        unit,
        done,
        total,
        detail,
        unitsPerSecond: rate(at),
        bar: onTerminal,
      });
      if (onTerminal) draw(line);
      else stream.write(`${line}\n`);
    };
    const update = (value: number, text?: string) => {
      done = value;
      if (text !== undefined) detail = text;
      show();
    };
    show();
    return {
      update,
      tick: (units = 1, text) => update(done + units, text),
      setTotal: (value) => {
        total = value;
      },
      end: (text) => {
        if (ended) return;
        ended = true;
        if (done === doneBefore && !text) return clear(); // nothing began: the error says why
        const seconds = (now() - start) / 1000;
        const count = total !== undefined && done < total ? `${done} of ${total}` : `${done}`;
        note(
          [`${label}: ${count} ${unit} in ${duration(seconds)}`, text ?? detail].filter(Boolean).join(', '),
        );
      },
    };
  };
  return { task, note, clear };
}

type Line = {
  label: string;
  unit: string;
  done: number;
  total: number | undefined;
  detail: string;
  unitsPerSecond: number;
  bar: boolean;
};

/** `fine-tuning  ████░░░░ 50 %  300/600 steps  12.4 steps/s  24 s left  loss 0.31` */
function progressLine({ label, unit, done, total, detail, unitsPerSecond, bar }: Line): string {
  const share = total ? Math.min(1, done / total) : undefined;
  const parts = [
    label,
    share === undefined ? '' : `${bar ? `${blocks(share)} ` : ''}${Math.floor(share * 100)} %`,
    `${done}${total === undefined ? '' : `/${total}`} ${unit}`,
    unitsPerSecond > 0 ? rateText(unitsPerSecond, unit) : '',
    unitsPerSecond > 0 && total !== undefined && done < total
      ? `${duration((total - done) / unitsPerSecond)} left`
      : '',
    detail,
  ];
  return parts.filter(Boolean).join('  ');
}

function blocks(share: number, width = 16): string {
  const full = Math.round(share * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

/** `12.4 steps/s`, or `3.1 s a step` when slower than one a second. */
function rateText(unitsPerSecond: number, unit: string): string {
  if (unitsPerSecond >= 1) return `${significant(unitsPerSecond)} ${unit}/s`;
  return `${significant(1 / unitsPerSecond)} s each`;
}

const significant = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** `0.4 s`, `24 s`, `3 min 05 s`, `2 h 10 min` */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
