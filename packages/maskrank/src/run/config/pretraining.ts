// Keys that the configuration of every pretraining has: its length, AdamW, averaged weights, what is written when.

import { z } from 'zod';
import { count, countFrom1, rate, weight } from './ranges.ts';

/** Where the recipes differ. */
export type PretrainingDefaults = {
  readonly epochs: number;
  readonly batchSize: number;
  /** Fewer images than this cannot be a batch: statistics or negatives come from it. */
  readonly fewestImages: number;
  readonly weightDecay: number;
  readonly warmUpSteps: number;
  readonly ema: number;
};

export const pretrainingKeys = (d: PretrainingDefaults) => ({
  steps: countFrom1().nullable().default(null).describe('optimiser steps; none means epochs decide'),
  epochs: countFrom1().default(d.epochs).describe('passes over the training cases of all datasets together'),
  batchSize: z.int().min(d.fewestImages).default(d.batchSize).describe('images a step'),
  learningRate: rate().default(1e-3).describe('of AdamW, at its highest'),
  weightDecay: weight().default(d.weightDecay).describe('decoupled weight decay'),
  warmUpSteps: count()
    .default(d.warmUpSteps)
    .describe('steps over which the learning rate rises from zero; then half a cosine to zero'),
  ema: z
    .number()
    .min(0)
    .lt(1)
    .default(d.ema)
    .describe('decay a step of averaged weights, which are the result; 0 keeps the last ones'),
  gradClip: weight().default(1).describe('largest L2 norm of all gradients together; 0 is off'),
  checkpointEverySteps: countFrom1()
    .default(100)
    .describe('steps between saved states; at most this much is lost by a kill'),
  logEverySteps: countFrom1().default(20).describe('steps between lines of metrics'),
});
