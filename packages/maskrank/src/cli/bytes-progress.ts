// Progress of files that are read, copied or downloaded: a bar a step, in MB. Not here: the bars (progress.ts).

import type { Progress, ProgressTask } from './progress.ts';

/** Bytes of a megabyte. */
const MB = 1e6;

/** Files below this many bytes are done before a bar could be read. */
const WORTH_A_BAR_BYTES = 50 * MB;

/** Turns reports in bytes into bars. Call `end` when the work is over, also after a failure. */
export function bytesProgress(progress: Progress): {
  readonly onProgress: (label: string, doneBytes: number, totalBytes: number | undefined) => void;
  readonly end: () => void;
} {
  let label = '';
  let task: ProgressTask | undefined;
  const end = (): void => {
    task?.end();
    task = undefined;
    label = '';
  };
  const whole = (bytes: number) => Math.floor(bytes / MB);
  return {
    onProgress: (name, doneBytes, totalBytes) => {
      if (totalBytes !== undefined && totalBytes < WORTH_A_BAR_BYTES) return;
      if (name !== label) {
        end();
        label = name;
        const total = totalBytes === undefined ? {} : { total: whole(totalBytes) };
        task = progress.task(name, { unit: 'MB', done: whole(doneBytes), ...total });
      }
      task?.update(whole(doneBytes));
    },
    end,
  };
}
