// Prompts from saliency for whoever needs them without `maskrank prompt`: lines of RUN/prompts.jsonl where they stand, the others made
// in the same way and kept in memory. Maps are kept in RUN/cache/saliency, as configured. Of new images, which may have the name of a
// case, no line is taken and no map kept. Nothing here looks at a mask.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { UnlabelledCase } from '../../datasets/cases.ts';
import type { Prompt } from '../../prompting/prompt.ts';
import { promptKey, promptOfLine, readPrompts } from '../../prompting/prompt-store.ts';
import { safePoint } from '../../run/interrupt.ts';
import { unitKey } from '../../training/units.ts';
import type { JobContext, Workspace } from '../workspace.ts';
import { openNetwork } from './network.ts';
import { caseMaps, classPrompt, makePrompter, type Prompter } from './prompter.ts';

type Setting = {
  readonly context: JobContext;
  readonly workspace: Workspace;
  readonly images: 'run' | 'new';
};

/** The prompt of every class of the run in every case, by `unitKey`. */
export async function saliencyPrompts(
  cases: readonly UnlabelledCase[],
  { context, workspace, images }: Setting,
): Promise<ReadonlyMap<string, Prompt>> {
  const { run, signal, onProgress } = context;
  const hasLines = images === 'run' && existsSync(run.paths.prompts);
  const lines = hasLines ? readPrompts(run.paths.prompts) : new Map();
  const prompts = new Map<string, Prompt>();
  const missing = cases.filter(({ id }) => {
    const own = workspace.classes.map(({ id: c }) => lines.get(promptKey({ case: id, class: c })));
    const isThere = own.every((line) => line?.provenance.source === 'saliency');
    if (isThere) for (const line of own) prompts.set(unitKey(id, line.class), promptOfLine(line));
    return !isThere;
  });
  if (missing.length === 0) return prompts;
  const prompter = await openPrompter({ context, workspace, images });
  try {
    for (const [i, item] of missing.entries()) {
      await safePoint(signal);
      onProgress('prompts from saliency', i, missing.length);
      const image = await workspace.dataset.loadImage(item);
      const maps = await caseMaps(prompter, image, signal);
      for (const [c, prompted] of prompter.classes.entries()) {
        const { boxes, points } = classPrompt(prompter, prompted, item.id, image, maps[c]!);
        prompts.set(unitKey(item.id, prompted.cls.id), { boxes, points, source: 'saliency' });
      }
    }
    onProgress('prompts from saliency', missing.length, missing.length);
    return prompts;
  } finally {
    prompter.network.model.dispose();
  }
}

async function openPrompter({ context, workspace, images }: Setting): Promise<Prompter> {
  const { run, config, warn } = context;
  const { dataset } = workspace.dataset;
  const network = await openNetwork({ config, dataset, device: workspace.device, warn });
  const about = { classes: workspace.classes, modality: dataset.modality };
  return makePrompter(network, config, about, images === 'run' ? join(run.paths.cache, 'saliency') : null);
}
