// Configuration of `pretrain sam`: a small promptable network from masks, by boxes, clicks, earlier masks and texts.

import { z } from 'zod';
import { pretrainingKeys } from './pretraining.ts';
import { count, countFrom1, fraction, weight } from './ranges.ts';

export const samPretraining = z
  .strictObject({
    model: z
      .enum(['sam-med2d-tiny', 'sam-med2d-small'])
      .default('sam-med2d-tiny')
      .describe('the network; small has nine times the parameters, for a GPU'),
    ...pretrainingKeys({
      epochs: 20,
      batchSize: 8,
      fewestImages: 1,
      weightDecay: 0.02,
      warmUpSteps: 100,
      ema: 0.998,
    }),
    imageSize: z
      .int()
      .min(32)
      .max(1024)
      .multipleOf(32)
      .default(256)
      .describe(
        'pixels a side of the canvas. A step at 128 costs a quarter: begin there, then go on at 256 with --sam-pretraining.weights',
      ),
    weights: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe('a file or registered name to go on from (to add texts, say); none means random weights'),
    masksPerImage: countFrom1()
      .default(2)
      .describe('masks drawn with replacement for one image and step, which embed it once (SAM-Med2D: 5)'),
    learns: z
      .enum(['expected', 'best'])
      .default('expected')
      .describe(
        'which of the three masks a sample trains: the one that the network expects to be best (SAM-Med2D), or the one that is (SAM), by which the three come to differ and a small network learns more slowly',
      ),
    shares: z
      .strictObject({
        box: weight().default(0.5).describe('loose boxes, one a region'),
        point: weight().default(0.35).describe('one to five clicks'),
        both: weight().default(0.15).describe('boxes and clicks, one of them sometimes missing'),
        text: weight().default(0.15).describe("the class's name alone; counts only with a text network"),
      })
      .prefault({})
      .describe('How often a batch is asked by each kind of prompt, relative to each other'),
    jitter: fraction()
      .default(0.12)
      .describe('largest deviation of the sides of a box, as a part of its width and height'),
    clickRounds: z
      .int()
      .min(0)
      .max(32)
      .default(2)
      .describe(
        'rounds with clicks on the errors of the round before and its mask; the last one has the mask alone (SAM-Med2D: 8)',
      ),
    clickShare: fraction()
      .default(0.15)
      .describe('part of the steps that such rounds follow; each costs a pass of the decoder'),
    decoderDropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0.05)
      .describe('probability of dropping a channel around the upscaling convolutions'),
    movement: z
      .strictObject({
        flipHorizontal: fraction().default(0.5).describe('probability'),
        flipVertical: fraction().default(0.1).describe('probability'),
        rotationDeg: z
          .number()
          .min(0)
          .max(180)
          .default(20)
          .describe('largest rotation, degrees to either side'),
        scale: z
          .number()
          .min(0)
          .lt(1)
          .default(0.3)
          .describe('largest change of size as a part: 0.3 is 0.7 to 1.4'),
        translation: z
          .number()
          .min(0)
          .lt(1)
          .default(0.1)
          .describe('largest shift as a part of the image side'),
        elastic: fraction()
          .default(0.03)
          .describe('deviation of a smooth bending as a part of the image side, for a third of the images'),
      })
      .prefault({})
      .describe('Movements of images and their masks'),
    looks: fraction()
      .default(0.8)
      .describe(
        'part of the images that get another look: contrast turned over or bent, noise, blur, lost resolution',
      ),
    validateEverySteps: countFrom1().default(250).describe('steps between looks at validation cases'),
    validationCases: count()
      .default(24)
      .describe('validation cases of each dataset that are looked at; 0 is off'),
    storage: z
      .enum(['float16', 'float32'])
      .default('float16')
      .describe('numbers in the file; a network reads either'),
  })
  .describe('Training of a small promptable network on masks');
