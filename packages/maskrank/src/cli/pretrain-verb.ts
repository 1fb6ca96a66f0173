// What the verbs `pretrain …` share: arguments, options, the request, the lines at the end. Not here: how (pipeline/pretrain).

import type { PretrainRequest } from '../pipeline/pretrain/frame.ts';
import { labelledBars } from './labelled-bars.ts';
import { textTable } from './table.ts';
import type { VerbContext } from './verb.ts';

export const PRETRAIN_ARGS = {
  datasets: { name: 'DATASET', describe: 'folders of datasets that were split', variadic: true },
} as const;

export const PRETRAIN_OPTIONS = {
  out: { value: 'FILE', describe: 'the .safetensors to write', required: true },
  restart: { describe: 'discard what was trained and begin anew' },
} as const;

type PretrainContext = VerbContext<typeof PRETRAIN_ARGS, typeof PRETRAIN_OPTIONS>;

/** Short flags for a recipe's section of the configuration. */
export const pretrainShortcuts = (section: string) => ({
  steps: `${section}.steps`,
  epochs: `${section}.epochs`,
  'batch-size': `${section}.batchSize`,
});

/** Runs a recipe's job with the request that the command line makes. */
export async function runPretrain<R>(
  { args, options, config, command, progress, signal, warn }: PretrainContext,
  job: (request: PretrainRequest) => Promise<R>,
): Promise<R> {
  const bars = labelledBars(progress, (label) => (label === 'training' ? 'steps' : 'images'));
  const { onProgress } = bars;
  const { datasets } = args;
  const { out, restart } = options;
  return await job({ datasets, out, restart, config, command, signal, warn, onProgress }).finally(bars.end);
}

/** Says what was trained from `what`, and how good it is on validation cases: a table with its heading first, left out when empty. */
export function tellPretrained(
  { out }: Pick<PretrainContext, 'out'>,
  { steps, file }: { readonly steps: number; readonly file: string },
  what: string,
  [heading, ...rows]: readonly [readonly string[], ...(readonly string[])[]],
): void {
  out(steps === 0 ? `${file} was trained already` : `${steps} steps on ${what}\nwrote ${file}`);
  if (rows.length > 0) out(textTable([heading, ...rows]));
}
