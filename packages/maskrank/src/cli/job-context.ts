// From what a verb is given to what a job needs: one progress bar a label, warnings and notes to terminal and log.

import type { JobContext } from '../pipeline/workspace.ts';
import type { RunFolder } from '../run/run-folder.ts';
import { labelledBars } from './labelled-bars.ts';
import type { VerbContext } from './verb.ts';

// biome-ignore lint/suspicious/noExplicitAny: a verb's own arguments and flags do not matter here
type AnyContext = VerbContext<any, any, RunFolder>;

/** The job's view of a verb's context. Call `end` when the job is over, also after a failure. */
export function jobContext({
  runFolder,
  config,
  signal,
  progress,
  log,
  warn,
}: AnyContext): JobContext & { readonly end: () => void } {
  const bars = labelledBars(progress, (label) => (/^(stage|control|train) /.test(label) ? 'steps' : 'cases'));
  return {
    run: runFolder,
    config,
    signal,
    warn,
    note: (facts, text) => {
      log.info(facts, text);
      progress.note(text);
    },
    ...bars,
  };
}

/** Runs a job with a context that is closed afterwards. */
export async function runJob<T>(context: AnyContext, job: (context: JobContext) => Promise<T>): Promise<T> {
  const own = jobContext(context);
  try {
    return await job(own);
  } finally {
    own.end();
  }
}
