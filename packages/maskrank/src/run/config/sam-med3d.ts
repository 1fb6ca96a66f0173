// Configuration of the baseline SAM-Med3D.

import { z } from 'zod';
import { countFrom1, rate, weight } from './ranges.ts';

export const samMed3d = z
  .strictObject({
    network: z
      .enum(['sam-med3d-tiny', 'sam-med3d'])
      .default('sam-med3d-tiny')
      .describe('the released network for 128 voxels a side, or a small one for 64 that trains on two cores'),
    weights: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe('checkpoint to start from, such as sam_med3d_turbo.pth; none starts from random weights'),
    spacingMm: z
      .number()
      .positive()
      .max(20)
      .nullable()
      .default(null)
      .describe('side of a voxel of the cube, mm; none: 1.5 as released, twice that for the small network'),
    clicks: countFrom1()
      .default(5)
      .describe('rounds of a training step, each with a click where the mask is wrong; 11 as released'),
    testClicks: countFrom1()
      .default(1)
      .describe(
        'clicks for a class of a measured volume, drawn from its ground truth: what a person would give',
      ),
    steps: countFrom1().nullable().default(null).describe('optimiser steps; none means epochs decide'),
    epochs: countFrom1()
      .default(100)
      .describe('passes over the labelled volumes, a class of a volume at a time'),
    batchSize: countFrom1().default(1).describe('cubes a step'),
    learningRate: rate().default(8e-4).describe('of AdamW for the image encoder, falling to a tenth twice'),
    promptRate: z
      .number()
      .min(0)
      .max(1)
      .nullable()
      .default(null)
      .describe(
        'share of it for prompt encoder and decoder; none: a tenth as released, all of it for random weights',
      ),
    weightDecay: weight().default(0.1).describe('decoupled weight decay'),
    gradClip: weight().default(1).describe('largest L2 norm of all gradients together; 0 is off'),
    checkpointEverySteps: countFrom1()
      .default(50)
      .describe('steps between saved states; at most this much is lost by a kill'),
    logEverySteps: countFrom1().default(10).describe('steps between lines in metrics.jsonl'),
  })
  .prefault({})
  .describe('SAM-Med3D, tuned on labelled volumes');
