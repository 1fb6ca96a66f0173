// What guides the model for one case and class, and where it came from. Coordinates are pixels of the original image.
// Not here: the model's own tokens (tokens.ts), how prompts are stored (prompt-store.ts).

import type { Box, Point } from '../imaging/types.ts';

/**
 * - `mask`: from the case's own mask; allowed for labelled images only
 * - `oracle-box`: from a mask that the method may not see: benchmarks only, and marked in every output
 * - `self`: the model's prediction without a prompt, boxed
 * - `saliency`: from a vision-language model that was told the class's name, without any mask (`maskrank prompt`)
 * - `file`: from prompts.jsonl as somebody made it
 * - `none`: no prompt
 */
export type PromptSource = 'mask' | 'oracle-box' | 'self' | 'saliency' | 'file' | 'none';

export type Prompt = {
  readonly boxes: readonly Box[];
  readonly points: readonly Point[];
  readonly source: PromptSource;
};

export const NO_PROMPT: Prompt = { boxes: [], points: [], source: 'none' };
