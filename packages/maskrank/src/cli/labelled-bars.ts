// A progress bar a label: when work names another step, its bar ends and the next begins. Not here: the bars (progress.ts).

import type { Progress, ProgressTask } from './progress.ts';

export type LabelledBars = {
  readonly onProgress: (label: string, done: number, total: number, note?: string) => void;
  /** Call it when the work is over, also after a failure. */
  readonly end: () => void;
};

/** @param unitOf what a step of that label counts, plural */
export function labelledBars(progress: Progress, unitOf: (label: string) => string): LabelledBars {
  let label = '';
  let task: ProgressTask | undefined;
  const end = (): void => {
    task?.end();
    task = undefined;
    label = '';
  };
  return {
    onProgress: (name, done, total, note) => {
      if (name !== label) {
        end();
        label = name;
        task = progress.task(name, { total, unit: unitOf(name), done });
      }
      task?.update(done, note);
    },
    end,
  };
}
