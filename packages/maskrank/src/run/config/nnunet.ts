// Configuration of the nnU-Net baseline. The defaults train on two cores in half an hour; each description says what nnU-Net itself
// does. Its augmentation is its own and has no keys.

import { z } from 'zod';
import { count, countFrom1, fraction, rate, weight } from './ranges.ts';

export const nnunet = z
  .strictObject({
    dimension: z
      .enum(['2d', '3d'])
      .default('2d')
      .describe(
        '2d: pictures, or the slices of volumes one by one; 3d: volumes as a whole, where cases are slices of volumes',
      ),
    planner: z
      .enum(['default', 'residual-m', 'residual-l', 'residual-xl'])
      .default('default')
      .describe(
        'default: plain convolutions; residual: residual encoders for graphics cards of about 8, 24, 40 GB',
      ),
    width: countFrom1()
      .default(16)
      .describe('channels of the first stage, doubled at each further one; nnU-Net: 32, four times the work'),
    longestSide: countFrom1()
      .nullable()
      .default(256)
      .describe(
        'pixels that the longest side of the median image is resampled to where it has more, all images to the same spacing; none: at their own resolution, as nnU-Net does',
      ),
    memoryGb: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe('of a graphics card, for which patch and batch are planned; none: as the planner is named'),
    batchSize: countFrom1()
      .nullable()
      .default(4)
      .describe('patches a step; none: as planned, at most a twentieth of all labelled pixels'),
    normalisation: z
      .enum(['auto', 'z-score', 'ct', 'rescale', 'rgb', 'none'])
      .default('auto')
      .describe(
        'of intensities; auto: ct where the dataset says so (cut to percentiles of the foreground of all images), else z-score of each image',
      ),
    epochs: countFrom1().default(40).describe('nnU-Net: 1000'),
    iterationsPerEpoch: countFrom1().default(25).describe('optimiser steps an epoch; nnU-Net: 250'),
    learningRate: rate().default(0.01).describe('of SGD, at the start; falls by (1 - epoch / epochs) ^ 0.9'),
    momentum: z.number().min(0).lt(1).default(0.99).describe("Nesterov's"),
    weightDecay: weight().default(3e-5).describe('L2 penalty'),
    gradClip: weight().default(12).describe('largest L2 norm of all gradients together; 0 is off'),
    foregroundShare: fraction().default(0.33).describe('part of a batch that is bound to hold foreground'),
    crossEntropyWeight: weight().default(1).describe('weight of the cross-entropy'),
    diceWeight: weight().default(1).describe('weight of the Dice loss'),
    precision: z
      .enum(['float32', 'bfloat16'])
      .default('float32')
      .describe('of the forward pass; bfloat16 pays on GPUs only'),
    mirroring: z
      .boolean()
      .default(true)
      .describe('predict every window mirrored along each axis and both as well: four times the time'),
    postprocessing: z
      .enum(['auto', 'never'])
      .default('auto')
      .describe(
        'auto: keep the largest component alone, of the foreground or a class, where that raises the Dice of the validation cases',
      ),
    validateEveryEpochs: count()
      .default(10)
      .describe(
        'epochs between measurements on the validation cases, for the curve alone: the last weights are kept; 0 is never',
      ),
    checkpointEverySteps: countFrom1()
      .default(50)
      .describe('steps between saved states; at most this much is lost by a kill'),
    logEverySteps: countFrom1().default(10).describe('steps between lines in metrics.jsonl'),
  })
  .prefault({})
  .describe('nnU-Net from random weights');
