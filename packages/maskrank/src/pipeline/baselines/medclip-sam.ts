// Baseline: MedCLIP-SAM (Koleilat 2024), the zero-annotation row. A network that knows images and words says where a class is, a CRF
// or k-means makes a region of it, its box goes into a SAM that nobody tuned. Nothing is trained and no mask is read, but to measure.
// Saliency, CRF and regions are those of `maskrank prompt`, as configured.

import { UsageError } from '@maskrank/torch/errors';
import type { Sam } from '../../models/sam/index.ts';
import { resolveWeights } from '../../models/weights/index.ts';
import type { Config } from '../../run/config.ts';
import type { HashedSections } from '../../run/resolve.ts';
import { startingModel } from '../model.ts';
import { saliencyPrompts } from '../prompt/saliency-prompts.ts';
import type { BaselineMethod } from './method.ts';
import * as shared from './promptable.ts';

const keys = ({ baselines: { medclipSam } }: Config): shared.OwnKeys => ({
  weights: medclipSam.weights,
  prompts: { labelled: 'none', test: 'saliency', use: medclipSam.use ?? ['box'] },
});

/** How many boxes and points of a prompt go in. */
const PROMPT_SLOTS: HashedSections = ['prompts.maxBoxes', 'prompts.points', 'prompts.negativePoints'];

export const medclipSam: BaselineMethod<Sam> = {
  name: 'medclip-sam',
  title: 'MedCLIP-SAM, zero annotation',
  sections: ['model', 'baselines.medclipSam'],
  view: (config) => shared.viewOf(config, keys(config)),
  asksWith: [...PROMPT_SLOTS, 'clip', 'saliency', 'crf', 'regions'],
  relation: 'overlapping',
  needsMasks: false,
  storedPrompts: ({ prompts: { labelled, unlabelled, test } }) =>
    [labelled, unlabelled, test].includes('saliency') ? ['box', 'point'] : [],
  check: async (config) => {
    await shared.checkWeights(config, 'medclipSam');
    if (config.clip.weights === null)
      throw new UsageError(
        'baselines.medclipSam: clip.weights is none, and a network of random weights knows neither images nor words; name one with --clip.weights (maskrank weights list).',
      );
    await resolveWeights(config.clip.weights);
  },
  madeFrom: shared.madeFrom,
  prepare: ({ context, workspace, config }) => startingModel(workspace, config, context.warn),
  learns: () => false,
  train: async () => ({ steps: 0, bestValidation: null, bestStep: 0 }),
  predict: shared.noScores('medclip-sam'),
  masks: async function* (sam, cases, setting) {
    const prompts = await saliencyPrompts(cases, setting);
    yield* shared.promptedMasks(sam, cases, setting, {
      prompts,
      embeddings: await shared.embed(sam, cases, setting),
    });
  },
};
