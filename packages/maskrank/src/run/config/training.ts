// Configuration of stage 1, fine-tuning on the labelled cases.

import { z } from 'zod';
import { count, countFrom1, fraction, rate, weight } from './ranges.ts';

export const augmentation = z
  .strictObject({
    probability: fraction().default(0.9).describe('part of the samples that are changed at all; 0 is off'),
    flipHorizontal: fraction()
      .default(0.5)
      .describe('probability; 0 where left and right differ (a chest, an abdomen)'),
    flipVertical: fraction().default(0).describe('probability'),
    rotationDeg: z.number().min(0).max(180).default(15).describe('largest rotation, degrees to either side'),
    scale: z
      .number()
      .min(0)
      .lt(1)
      .default(0.2)
      .describe('largest change of size as a part: 0.2 is 0.8 to 1.2'),
    translation: z.number().min(0).lt(1).default(0.1).describe('largest shift as a part of the image side'),
    brightness: fraction().default(0.2).describe('largest shift as a part of the value range'),
    contrast: z.number().min(0).lt(1).default(0.25).describe('largest change of contrast as a part'),
    gamma: z.number().min(0).lt(1).default(0.3).describe('largest change of gamma as a part'),
    noise: fraction()
      .default(0.03)
      .describe('largest deviation of added Gaussian noise as a part of the value range'),
  })
  .prefault({})
  .describe('Random changes of training images');

export const training = z
  .strictObject({
    steps: countFrom1().nullable().default(null).describe('optimiser steps; none means epochs decide'),
    epochs: countFrom1().default(15).describe('passes over the labelled cases (the paper: 15)'),
    batchSize: countFrom1().default(8).describe('images a step'),
    learningRate: rate().default(1e-4).describe('of Adam (the paper: 1e-4)'),
    halveEveryEpochs: count()
      .default(10)
      .describe('epochs between halvings of the learning rate; 0 keeps it'),
    schedule: z
      .enum(['halving', 'cosine', 'constant'])
      .default('halving')
      .describe(
        'how the learning rate falls: halved every halveEveryEpochs, or half a cosine to zero (from random weights), or not',
      ),
    warmUpSteps: count()
      .default(0)
      .describe(
        'steps over which the learning rate rises from zero; a transformer from random weights needs some 100',
      ),
    weightDecay: weight().default(0).describe('decoupled weight decay; 0 is plain Adam'),
    focalWeight: weight().default(20).describe('weight of the focal loss (SAM and the paper: 20:1 to Dice)'),
    diceWeight: weight().default(1).describe('weight of the Dice loss'),
    iouWeight: weight().default(1).describe('weight of the squared error of the predicted IoU'),
    focalAlpha: fraction().default(0.25).describe('weight of foreground in the focal loss'),
    overlap: z
      .enum(['mask', 'batch'])
      .default('mask')
      .describe(
        "Dice and IoU of each mask, or of all masks of a batch as one, as SAM-Med2D's code has it (large objects dominate, and the IoU head learns one number a batch)",
      ),
    focalGamma: weight().default(2).describe('exponent of the focal loss'),
    trainable: z
      .enum(['all', 'adapters', 'lora', 'decoder'])
      .default('all')
      .describe(
        'what learns beside prompt encoder and decoder: the whole encoder, its adapters, its low-rank updates, or nothing of it',
      ),
    iterativeClicks: z
      .int()
      .min(0)
      .max(32)
      .default(0)
      .describe(
        'further rounds with points on the errors of the round before (SAM-Med2D: 8); each costs a decoder pass',
      ),
    ema: z.number().min(0).lt(1).default(0).describe('decay a step of averaged weights; 0 is off'),
    gradClip: weight().default(1).describe('largest L2 norm of all gradients together; 0 is off'),
    precision: z
      .enum(['float32', 'bfloat16'])
      .default('float32')
      .describe('of the forward pass; bfloat16 pays on GPUs only'),
    checkpointEverySteps: countFrom1()
      .default(100)
      .describe('steps between saved states; at most this much is lost by a kill'),
    logEverySteps: countFrom1().default(10).describe('steps between lines in metrics.jsonl'),
    sampling: z
      .strictObject({
        masksPerImage: countFrom1()
          .default(1)
          .describe('masks drawn with replacement for one image and step (SAM-Med2D: 5)'),
        boxProbability: fraction().default(0.75).describe('part of the samples that get their box'),
        pointProbability: fraction().default(0.5).describe('part of the samples that get their points'),
        textProbability: fraction()
          .default(0.8)
          .describe(
            'part of the samples that get their text, where text is in use; the rest keeps the model able to do without',
          ),
        noPromptProbability: fraction()
          .default(0.25)
          .describe('part of the samples stripped of every prompt, so that the model can prompt itself'),
      })
      .prefault({})
      .describe('What prompts a training sample gets'),
    augmentation,
    earlyStopping: z
      .strictObject({
        patienceEpochs: count()
          .default(0)
          .describe('epochs without a better validation Dice before stopping; 0 is off'),
        everyEpochs: countFrom1().default(1).describe('epochs between validations'),
      })
      .prefault({})
      .describe('Stopping on the validation split'),
  })
  .describe('Stage 1: fine-tuning on the labelled cases');
