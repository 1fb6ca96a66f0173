// Configuration of the baselines: methods that are trained from the same labels, to stand beside stage 1 and 2.
// Augmentation is not here: methods take that of stage 1 (training.augmentation), or they could not be compared; nnU-Net has its own.

import { z } from 'zod';
import { later } from './later.ts';
import { nnunet } from './nnunet.ts';
import { medclipSam, sam, samMed2d, selfPrompt } from './promptable-baselines.ts';
import { canvasSide, count, countFrom1, rate, weight } from './ranges.ts';
import { samMed3d } from './sam-med3d.ts';
import { fixmatch, meanTeacher, selfTraining } from './semi-supervised.ts';

/** What every training from random weights needs; a method adds its own keys. */
const supervised = {
  steps: countFrom1().nullable().default(null).describe('optimiser steps; none means epochs decide'),
  epochs: countFrom1()
    .default(100)
    .describe('passes over the labelled cases; a network from random weights needs many over few images'),
  batchSize: z
    .int()
    .min(2)
    .default(8)
    .describe('images a step; at least 2, as a batch gives the statistics it is normalised by'),
  learningRate: rate().default(1e-3).describe('of AdamW, at the start'),
  schedule: z
    .enum(['cosine', 'poly', 'constant'])
    .default('cosine')
    .describe('how the learning rate falls to zero: half a cosine, (1 - done) ^ 0.9, or not at all'),
  weightDecay: weight().default(0.01).describe('decoupled weight decay'),
  crossEntropyWeight: weight().default(1).describe('weight of the cross-entropy'),
  diceWeight: weight().default(1).describe('weight of the Dice loss'),
  gradClip: weight().default(1).describe('largest L2 norm of all gradients together; 0 is off'),
  validateEverySteps: count()
    .default(50)
    .describe(
      'steps between measurements on the validation cases, of which the best weights are kept; 0 keeps the last ones',
    ),
  patience: count()
    .default(0)
    .describe('measurements in a row without a better one before training stops; 0 is off'),
  checkpointEverySteps: countFrom1()
    .default(50)
    .describe('steps between saved states; at most this much is lost by a kill'),
  logEverySteps: countFrom1().default(10).describe('steps between lines in metrics.jsonl'),
} as const;

export const baselines = z
  .strictObject({
    classes: z
      .enum(['auto', 'exclusive', 'overlapping'])
      .default('auto')
      .describe(
        'whether a pixel has one class at most (softmax) or each class its own yes or no (sigmoid); auto: exclusive where the labelled masks show every class and no shared pixels',
      ),
    unet: z
      .strictObject({
        network: z
          .enum(['unet', 'unet-small'])
          .default('unet-small')
          .describe('64 channels at the first level as published, or 16, which trains on two cores'),
        upsampling: z
          .enum(['transposed', 'bilinear'])
          .default('transposed')
          .describe('how maps are enlarged on the way up'),
        imageSize: later(
          canvasSide()
            .nullable()
            .default(null)
            .describe(
              'pixels a side of the canvas of the U-Net and of methods that train one; none takes data.imageSize; half of it is a quarter of the work',
            ),
        ),
        ...supervised,
      })
      .prefault({})
      .describe('A 2-D U-Net from random weights'),
    nnunet,
    sam,
    samMed2d,
    samMed3d,
    selfTraining,
    meanTeacher,
    fixmatch,
    selfPrompt,
    medclipSam,
  })
  .describe('Baselines: other methods at the same labels');
