// Configuration of stage 2: proposals, the preference loss and its schedule, and how candidates are judged.
// The defaults are the preset `recommended`.

import { z } from 'zod';
import { count, countFrom1, fraction, rate, weight } from './ranges.ts';

const proposals = z
  .strictObject({
    generator: z
      .enum(['dropout', 'thresholds', 'wide', 'quantiles', 'views', 'multimask', 'prompt-jitter', 'diverse'])
      .default('dropout')
      .describe(
        'where the four candidates come from; dropout is the current mask and three samples, best in every measured setting',
      ),
    dropoutProbability: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.35)
      .describe('probability of dropping a channel of the decoder for a sample'),
    threshold: z.number().gt(0).lt(1).default(0.5).describe('probability from which a pixel is foreground'),
    thresholds: z
      .array(z.number().gt(0).lt(1))
      .length(4)
      .default([0.3, 0.4, 0.5, 0.6])
      .describe('for generator thresholds (the paper: .3 .4 .5 .6)'),
    wideThresholds: z
      .array(z.number().gt(0).lt(1))
      .length(4)
      .default([0.1, 0.3, 0.5, 0.8])
      .describe('for generator wide'),
    poolSize: z
      .int()
      .min(4)
      .max(64)
      .default(11)
      .describe('for generator diverse: candidates from which the four farthest are taken'),
  })
  .prefault({})
  .describe('The four candidates of a case and class');

export const alignment = z
  .strictObject({
    preset: z
      .enum(['recommended', 'paper'])
      .default('recommended')
      .describe(
        "starting values of this section: what measured best, or the paper's letter (fixed thresholds, offline, sum)",
      ),
    steps: countFrom1()
      .nullable()
      .default(null)
      .describe(
        'exactly this many optimiser steps; none means the larger of minSteps and epochs, at most maxSteps',
      ),
    minSteps: countFrom1().default(600).describe('steps at least, when steps is none'),
    epochs: countFrom1()
      .default(30)
      .describe('passes over the ranked cases at least, when steps is none (the paper: 30)'),
    maxSteps: countFrom1()
      .nullable()
      .default(1000)
      .describe('steps at most, when steps is none; more than 1000 gained nothing'),
    batchSize: countFrom1().default(8).describe('cases a step'),
    learningRate: rate().default(1e-4).describe('of Adam; 3e-4 is tolerable, 1e-3 is not'),
    halvings: count()
      .default(2)
      .describe(
        'halvings of the learning rate at equal distances; 2 halves after each third (the paper: every 10 of 30 epochs)',
      ),
    gradClip: weight().default(1).describe('largest L2 norm of all gradients together; 0 is off'),
    scope: z
      .enum(['decoder', 'all'])
      .default('decoder')
      .describe('what learns; all gained less (5.9 against 8.0 points) and cannot use cached embeddings'),
    proposals,
    refresh: z
      .strictObject({
        everySteps: count()
          .default(100)
          .describe(
            'steps between new proposals from the current policy; 0 is offline: one set before the first step',
          ),
        resync: fraction()
          .default(1)
          .describe(
            'part of the policy taken into the reference at a refresh; 1 replaces it, which is what makes refreshing pay',
          ),
        rounds: z
          .enum(['refreshed', 'disjoint'])
          .default('refreshed')
          .describe(
            'every case is ranked again at each refresh, or each case once in one of several rounds (what a person can do)',
          ),
        roundCount: countFrom1()
          .default(6)
          .describe('for disjoint rounds: parts into which the cases are cut; 6 or more'),
      })
      .prefault({})
      .describe('How proposals follow the policy'),
    loss: z
      .strictObject({
        kind: z
          .enum([
            'sigmoid',
            'plackett-luce',
            'all-pairs',
            'all-pairs-own-region',
            'best-worst',
            'ipo',
            'pairwise-ipo',
            'hinge',
            'conservative',
            'robust',
          ])
          .default('sigmoid')
          .describe('Eq. 5 of the paper, or a form that was equal within noise'),
        reduction: z
          .enum(['region', 'sum', 'mean'])
          .default('region')
          .describe(
            'log-likelihood over the pixels where candidates differ, over all (saturates), or their mean (collapsed in every run)',
          ),
        kappa: z
          .number()
          .positive()
          .default(10)
          .describe('factor on the region mean; 10 when refreshed, 1 to 3 offline'),
        beta1: z.number().positive().default(1).describe('weight of best against worst'),
        beta2: weight().default(0.5).describe('weight of second against third'),
        ipoTau: z.number().positive().default(0.5).describe('for ipo: target margin is 1 / (2 tau)'),
        robustEpsilon: z
          .number()
          .min(0)
          .lt(0.5)
          .default(0.1)
          .describe('for robust: assumed part of wrong rankings'),
      })
      .prefault({})
      .describe('The preference loss'),
    anchor: z
      .strictObject({
        reference: weight()
          .default(0.1)
          .describe('weight of binary cross-entropy to the current reference; cost nothing in any setting'),
        labels: weight()
          .default(0)
          .describe('weight of the stage-1 loss on labelled cases; hurt box prompts, so off'),
      })
      .prefault({})
      .describe('Forces that hold the policy'),
    skip: z
      .strictObject({
        minRegionPx: count()
          .default(16)
          .describe('pixels in which candidates differ, below which a case has no signal'),
        maxRegionFraction: z
          .number()
          .gt(0)
          .max(1)
          .default(0.3)
          .describe(
            'part of the image in which candidates differ, above which a case would be pushed as a whole',
          ),
      })
      .prefault({})
      .describe('Cases left out of a round; they are counted and reported'),
    alarms: z
      .strictObject({
        saturationReward: z
          .number()
          .positive()
          .default(6)
          .describe('mean |R| above which the sigmoid gives no gradient any more'),
        runawayLogit: z
          .number()
          .positive()
          .default(8)
          .describe(
            'mean distance in logits from the reference inside the region, above which the policy runs away',
          ),
        oversizedFraction: z
          .number()
          .gt(0)
          .max(1)
          .default(0.25)
          .describe(
            'part of the cases skipped as oversized above which the generator does not fit the model',
          ),
        action: z.enum(['stop', 'warn']).default('stop').describe('what an alarm does; both write advice'),
      })
      .prefault({})
      .describe('Signs of known failures'),
    checkpointEverySteps: countFrom1().default(50).describe('steps between saved states'),
    logEverySteps: countFrom1().default(10).describe('steps between lines in metrics.jsonl'),
  })
  .describe('Stage 2: aligning the decoder to rankings');

export const scoring = z
  .strictObject({
    kind: z
      .enum(['ranking', 'rating', 'best'])
      .default('ranking')
      .describe(
        "what the annotator gives: an order of the four, a grade for each, or the best one, which the decoder then learns as a mask, by stage 1's loss",
      ),
    noise: fraction()
      .default(0)
      .describe('probability of swapping neighbours in an order (virtual annotator)'),
    randomOrders: fraction().default(0).describe('part of the cases ranked at random (virtual annotator)'),
    ratingBins: z
      .array(z.number().gt(0).lt(1))
      .length(3)
      .default([0.4, 0.55, 0.7])
      .describe('IoU from which grades 2, 3 and 4 are given'),
  })
  .describe('How candidates are judged');
