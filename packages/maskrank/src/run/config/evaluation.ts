// Configuration of the measurement.

import { z } from 'zod';
import { EMPTIES_POLICIES } from '../../evaluation/overlap.ts';

export const evaluation = z
  .strictObject({
    split: z.enum(['test', 'validation']).default('test').describe('which cases are measured'),
    threshold: z.number().gt(0).lt(1).default(0.5).describe('probability from which a pixel is foreground'),
    alsoPrompts: z
      .array(z.enum(['self', 'no-prompt']))
      .default(['self', 'no-prompt'])
      .describe(
        'further rows for stage 1 and 2, beside the configured prompts: the model prompting itself, and no prompt at all',
      ),
    tolerancesPx: z
      .array(z.number().positive())
      .min(1)
      .default([1, 2, 3])
      .describe('pixels of the original image for surface Dice; the paper states none'),
    tolerancesMm: z
      .array(z.number().positive())
      .min(1)
      .default([1, 2, 3])
      .describe('millimetres for surface Dice of volumes, where slices have a spacing'),
    empties: z
      .enum(EMPTIES_POLICIES)
      .default('exclude')
      .describe('what a metric is worth where masks are empty; the report states the choice and the number'),
    bootstrapSamples: z
      .int()
      .min(100)
      .max(1_000_000)
      .default(2000)
      .describe('resamplings for the 95 % intervals'),
    permutations: z
      .int()
      .min(100)
      .max(1_000_000)
      .default(10_000)
      .describe('sign patterns of a paired permutation test'),
  })
  .describe('Measuring on untouched cases');
