// Configuration of what goes into the network: images, the network itself, prompts.

import { z } from 'zod';
import { canvasSide, countFrom1, fraction } from './ranges.ts';

export const data = z
  .strictObject({
    imageSize: canvasSide()
      .nullable()
      .default(null)
      .describe(
        "pixels a side of the square model canvas, a multiple of the 16-pixel patch; none means the architecture's own (SAM-Med2D 256, SAM 1024)",
      ),
    canvas: z
      .enum(['sammed2d', 'stretch', 'longest-side'])
      .nullable()
      .default(null)
      .describe(
        "how an image reaches the canvas: SAM-Med2D's rule (centred when both sides are smaller, else stretched), always stretched, or SAM's longest side; none means the architecture's own",
      ),
    normalisation: z
      .enum(['sam', 'sammed2d'])
      .default('sam')
      .describe(
        "mean and deviation of the SAM family on 0..255: as meant, or with SAM-Med2D's swapped colour channels (grey images do not notice)",
      ),
    classes: z
      .array(countFrom1())
      .min(1)
      .nullable()
      .default(null)
      .describe('class ids to work on; none means all classes of the dataset'),
    splits: z
      .string()
      .min(1)
      .default('splits.json')
      .describe("the division to use, a file in the dataset's folder"),
    maxLabelled: countFrom1()
      .nullable()
      .default(null)
      .describe('labelled cases at most, a seeded choice for quick trials; none means all'),
    maxUnlabelled: countFrom1()
      .nullable()
      .default(null)
      .describe('unlabelled cases at most, a seeded choice for quick trials; none means all'),
  })
  .describe('Images: what the model sees and which cases are used');

export const model = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .default('sam-med2d-tiny')
      .describe(
        'architecture: sam-med2d-tiny and sam-med2d-small train on two cores, sam-med2d_b and sam_vit_b, _l, _h are the released ones',
      ),
    weights: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe('a registered name or a checkpoint file to start from; none means random weights'),
    adapters: z
      .boolean()
      .nullable()
      .default(null)
      .describe("SAM-Med2D's adapter layer in every encoder block; none means as the architecture has it"),
    adapterScale: fraction()
      .default(1)
      .describe('factor on the adapter branch at run time; 0 often helps out of domain'),
    lora: z
      .strictObject({
        rank: z
          .int()
          .min(0)
          .max(256)
          .default(0)
          .describe('rank of the update of queries and values in every encoder block; 0 is off, 4 is usual'),
      })
      .prefault({})
      .describe('Low-rank adaptation of the encoder'),
    textDim: countFrom1()
      .nullable()
      .default(null)
      .describe(
        "values of a text feature that the network takes; none means the architecture's own: 512 as BiomedCLIP gives, 128 of sam-med2d-tiny as biomedclip-tiny gives. Another text network needs its own number here",
      ),
    decoderDropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0.15)
      .describe(
        'probability of dropping a channel around the upscaling convolutions in stage 1; a decoder trained without it gives poor dropout proposals',
      ),
  })
  .describe('The network and its starting weights');

const jitter = z
  .strictObject({
    kind: z
      .enum(['none', 'translation', 'sides'])
      .default('sides')
      .describe(
        "noise on boxes drawn from masks: none, SAM-Med2D's one shift for both corners, or each side by itself (mostly outwards)",
      ),
    sigma: z
      .number()
      .min(0)
      .max(1)
      .default(0.12)
      .describe(
        'standard deviation as a part of the box side; 0.12 gives an IoU of about 0.6 with the tight box',
      ),
  })
  .prefault({})
  .describe('Noise on boxes');

/** What can guide the model; the order in which a choice of them is kept. */
export const PROMPT_KINDS = ['box', 'point', 'vqa', 'knowledge'] as const;

export type PromptKind = (typeof PROMPT_KINDS)[number];

export const prompts = z
  .strictObject({
    labelled: z
      .enum(['mask', 'saliency', 'file', 'none'])
      .default('mask')
      .describe(
        'where boxes and points of labelled images come from: their masks, maskrank prompt, prompts.jsonl whoever wrote it, or nowhere',
      ),
    unlabelled: z
      .enum(['oracle-box', 'saliency', 'file', 'self', 'none'])
      .default('self')
      .describe(
        'boxes and points of unlabelled images; self is the model itself; oracle-box reads the hidden masks, is for benchmarks only and is marked in every output',
      ),
    test: z
      .enum(['oracle-box', 'saliency', 'file', 'self', 'none'])
      .default('self')
      .describe('boxes and points of validation and test images; oracle-box is marked in every output'),
    use: z
      .array(z.enum(PROMPT_KINDS))
      .overwrite((kinds) => PROMPT_KINDS.filter((kind) => kinds.includes(kind)))
      .default(['box', 'point'])
      .describe(
        "what the model is given: boxes, points, the answer to a visual question, general knowledge of the class; the switches of the paper's Table 1. The two texts are those of maskrank prompt",
      ),
    textTokens: z
      .int()
      .min(1)
      .max(2)
      .default(1)
      .describe('answer and knowledge joined to one token as in the paper, or a token for each'),
    maxBoxes: z
      .int()
      .min(1)
      .max(16)
      .nullable()
      .default(null)
      .describe(
        "boxes a prompt at most, the largest regions first; none means the class's maxComponents, else 1",
      ),
    points: z
      .int()
      .min(0)
      .max(64)
      .default(1)
      .describe(
        'positive points a prompt where points are used, random in the region; the paper uses boxes and points together',
      ),
    negativePoints: z
      .int()
      .min(0)
      .max(64)
      .default(0)
      .describe('points outside the region a prompt where points are used'),
    selfPasses: z
      .int()
      .min(1)
      .max(8)
      .default(1)
      .describe('for source self: how often the box of the prediction is fed back'),
    jitter,
  })
  .describe('Boxes, points and text that go into the model');
