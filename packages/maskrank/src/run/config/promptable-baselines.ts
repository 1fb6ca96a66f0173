// Configuration of the baselines that are prompted: SAM, SAM-Med2D, Self-prompt, MedCLIP-SAM. What is none or `run` here is what the
// run has (model, prompts, training), so that rows differ in the method alone.

import { z } from 'zod';
import { countFrom1, rate, weight } from './ranges.ts';

const weights = (more = '') =>
  z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      `a registered name or a checkpoint of a SAM or SAM-Med2D, whose network is then taken; none takes model.weights${more}`,
    );

/** What a fine-tuning with low-rank updates needs. */
const tuning = {
  rank: z
    .int()
    .min(1)
    .max(256)
    .default(4)
    .describe('rank of the updates of queries and values in every block of the image encoder (SAMed: 4)'),
  steps: countFrom1().nullable().default(null).describe('optimiser steps; none takes training.steps'),
  epochs: countFrom1()
    .nullable()
    .default(null)
    .describe('passes over the labelled cases, where steps is none; none takes training.epochs'),
  batchSize: countFrom1().nullable().default(null).describe('images a step; none takes training.batchSize'),
  learningRate: rate()
    .nullable()
    .default(null)
    .describe('of Adam (SAMed: 5e-3); none takes training.learningRate'),
} as const;

const use = z
  .array(z.enum(['box', 'point']))
  .min(1)
  .nullable()
  .default(null);

const prompts = z
  .strictObject({
    labelled: z
      .enum(['run', 'mask', 'saliency', 'file', 'none'])
      .default('run')
      .describe('where boxes and points of labelled images come from; run: as prompts.labelled says'),
    test: z
      .enum(['run', 'oracle-box', 'saliency', 'file', 'self', 'none'])
      .default('run')
      .describe('the same of measured images; run: as prompts.test says'),
    use: use.describe('boxes, points or both; none takes those of prompts.use'),
  })
  .prefault({})
  .describe('What it is given; it knows no text');

export const sam = z
  .strictObject({ weights: weights(', without adapters'), ...tuning, prompts })
  .prefault({})
  .describe('SAM, tuned with low-rank updates');

export const samMed2d = z
  .strictObject({
    weights: weights(),
    ...tuning,
    trainAdapters: z
      .boolean()
      .default(false)
      .describe('whether the adapters learn, too, as SAM-Med2D was trained; false keeps them as they are'),
    prompts,
  })
  .prefault({})
  .describe('SAM-Med2D, tuned with low-rank updates');

export const selfPrompt = z
  .strictObject({
    weights: weights(),
    ...tuning,
    use: z
      .array(z.enum(['box', 'point', 'mask']))
      .min(1)
      .default(['box'])
      .describe(
        'what of the first answer prompts the second: a box around each of its largest regions, a point deep in each, its mask',
      ),
    firstWeight: weight()
      .default(1)
      .describe('weight of the loss of the first answer; that of the second is 1'),
    distillation: weight()
      .default(0)
      .describe(
        'weight of the cross-entropy by which the second answer teaches the first; 0 is off, as in the paper',
      ),
  })
  .prefault({})
  .describe('Self-prompt (SAM-SP): a SAM that prompts itself');

export const medclipSam = z
  .strictObject({
    weights: weights(),
    use: use.describe('boxes of saliency, points or both; none is box'),
  })
  .prefault({})
  .describe('MedCLIP-SAM: boxes from saliency into an untouched SAM');
