// Configuration of `pretrain clip`: a small CLIP from image-level labels, or from phantoms whose masks are known.

import { z } from 'zod';
import { pretrainingKeys } from './pretraining.ts';
import { countFrom1, fraction, weight } from './ranges.ts';
import { augmentation } from './training.ts';

export const clipPretraining = z
  .strictObject({
    model: z
      .enum(['biomedclip-nano', 'biomedclip-tiny'])
      .default('biomedclip-nano')
      .describe(
        "the network, BiomedCLIP's code with small numbers: a map of 8 x 8 places from 128 px, or of 14 x 14 from 112 px, at four times the cost",
      ),
    ...pretrainingKeys({
      epochs: 40,
      batchSize: 48,
      fewestImages: 2,
      weightDecay: 0.05,
      warmUpSteps: 100,
      ema: 0.99,
    }),
    textsPerImage: countFrom1()
      .default(3)
      .describe('true texts drawn for each image and step; all texts of a batch meet all of its images'),
    captions: fraction()
      .default(0.2)
      .describe("part of the texts that are the data set's own captions (language.jsonl), where it has them"),
    hidden: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe(
        'largest part of an image that is hidden in random cells (Hide-and-Seek), so that no single place suffices; slows learning, so for long trainings only',
      ),
    masks: z
      .boolean()
      .default(false)
      .describe(
        'look at the masks of training cases, which phantoms have: windows and half-hidden images get the texts of what they still show, and single places learn, too. Without it, labels of whole images are all that is used',
      ),
    crops: fraction().default(0.5).describe('with masks: part of the images of which a window is shown'),
    reveals: fraction()
      .default(0.5)
      .describe(
        "with masks: part of the images seen through a smooth mask, as gScoreCAM's masked images are",
      ),
    places: weight()
      .default(1)
      .describe(
        'with masks: weight of the loss that compares single places with texts, so that channels of the map that saliency reads come to stand for classes; 0 is off',
      ),
    loss: z
      .enum(['dhn-nce', 'info-nce'])
      .default('info-nce')
      .describe(
        'contrastive loss; in both, a text that is true of an image is never its negative, whoever it was drawn for',
      ),
    temperature: z
      .number()
      .positive()
      .max(10)
      .default(0.1)
      .describe('divides the cosines; saved as the scale of the network'),
    hardness: weight()
      .default(0.15)
      .describe('dhn-nce: how much more the hardest negatives count (MedCLIP-SAM: 0.15)'),
    augmentation,
  })
  .describe('Training of a small CLIP on image-level labels');
