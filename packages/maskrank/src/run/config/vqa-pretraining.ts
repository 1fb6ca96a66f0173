// Configuration of `pretrain vqa`: a small MedVInT from questions and answers about images.

import { z } from 'zod';
import { pretrainingKeys } from './pretraining.ts';
import { count, countFrom1, fraction, weight } from './ranges.ts';

export const vqaPretraining = z
  .strictObject({
    model: z
      .enum(['medvint-nano', 'medvint-tiny'])
      .default('medvint-tiny')
      .describe("the network, MedVInT-TD's code with small numbers; the nano one is for tests"),
    ...pretrainingKeys({
      epochs: 20,
      batchSize: 16,
      fewestImages: 2,
      weightDecay: 0.05,
      warmUpSteps: 200,
      ema: 0.998,
    }),
    weights: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        'a file or registered name to go on from, with its vocabulary; none means random weights and a vocabulary of the texts',
      ),
    questionsPerImage: countFrom1()
      .default(12)
      .describe('questions drawn for each image and step; the image is looked at once for all of them'),
    masks: z
      .boolean()
      .default(false)
      .describe(
        'look at the masks of training cases, which phantoms have: the vision part and the tokens that it becomes learn beside the answers which classes lie where',
      ),
    places: weight().default(1).describe('with masks: weight of that loss; 0 is off'),
    validateEverySteps: countFrom1()
      .default(500)
      .describe('steps between counts of exact answers on validation cases, which stand in the metrics'),
    validationCases: count()
      .default(200)
      .describe('validation cases of each dataset that are asked for that, the first ones'),
    augmentation: z
      .strictObject({
        probability: fraction()
          .default(0.8)
          .describe('part of the images whose grey values change; 0 is off'),
        mirror: fraction()
          .default(0.5)
          .describe(
            'probability of mirroring with left and right exchanged in the answers; never where a class is named by its side',
          ),
        brightness: fraction().default(0.2).describe('largest shift as a part of the value range'),
        contrast: z.number().min(0).lt(1).default(0.25).describe('largest change of contrast as a part'),
        gamma: z.number().min(0).lt(1).default(0.3).describe('largest change of gamma as a part'),
        noise: fraction()
          .default(0.03)
          .describe('largest deviation of added Gaussian noise as a part of the value range'),
      })
      .prefault({})
      .describe('Random changes of training images; they are never moved, which would make answers wrong'),
  })
  .describe('Training of a small MedVInT on questions and answers');
