// Configuration of the baselines that learn from the unlabelled cases too. Network, loss, optimiser and steps are the U-Net's
// (baselines.unet), or a difference would not be theirs.

import { z } from 'zod';
import { countFrom1, fraction, weight } from './ranges.ts';

export const selfTraining = z
  .strictObject({
    minConfidence: fraction()
      .default(0.8)
      .describe(
        'mean probability of what the teacher painted that an unlabelled image needs to be learned from; images where it found nothing are left out',
      ),
  })
  .prefault({})
  .describe('Self-training: a U-Net paints unlabelled images, a second one learns them too');

export const meanTeacher = z
  .strictObject({
    weight: weight()
      .default(10)
      .describe('of the mean squared difference of probabilities, once it has risen; 0 is off'),
    rampUp: fraction()
      .default(0.4)
      .describe('part of the steps over which the weight rises, as exp(-5 (1 - t)^2)'),
    decay: z
      .number()
      .min(0)
      .lt(1)
      .default(0.99)
      .describe('of the teacher, the average of the weights, a step'),
    unlabelledRatio: countFrom1()
      .default(1)
      .describe('images without a mask a step, times baselines.unet.batchSize'),
  })
  .prefault({})
  .describe('Mean teacher: a U-Net that agrees with the average of its weights on unlabelled images');

export const fixmatch = z
  .strictObject({
    weight: weight().default(1).describe('of the loss on pseudo-labels; 0 is off'),
    threshold: z
      .number()
      .min(0.5)
      .lt(1)
      .default(0.95)
      .describe('probability from which a pixel of the weak view counts as a label'),
    strength: z
      .number()
      .min(1)
      .max(3)
      .default(2)
      .describe('grey values of the strong view change by so many times training.augmentation'),
    unlabelledRatio: countFrom1()
      .default(1)
      .describe('images without a mask a step, times baselines.unet.batchSize; 7 as published for classes'),
  })
  .prefault({})
  .describe('FixMatch: what a U-Net is sure of in an image, it must see in a changed copy of it');
