// What the labels of a method cost a person, in minutes: an explicit model of seconds for each thing that is done, in a file to edit
// (experiments/annotation-cost.json), times how often it was done. Not here: how good the method is.

import { join } from 'node:path';
import * as z from 'zod';
import { parseArtefact } from '../datasets/artefact.ts';
import { readJson } from '../run/files.ts';
import { definitionsFolder } from './definition.ts';

const Seconds = z.strictObject({
  value: z.number().min(0),
  /** Where the number is from, and whether it is measured or assumed. */
  source: z.string().min(1),
});

const CostSchema = z.strictObject({
  schemaVersion: z.literal(1),
  about: z.string().min(1),
  /** Seconds of a person. */
  seconds: z.strictObject({
    /** A mask of one class in one image, drawn by hand. */
    mask: Seconds,
    /** A box around one object. */
    box: Seconds,
    /** An order of four candidates of a class in an image. */
    ranking: Seconds,
    /** A grade for each of four candidates. */
    rating: Seconds,
    /** The best of four candidates. */
    best: Seconds,
  }),
});

export type AnnotationCost = z.output<typeof CostSchema>;

const Count = z.number().min(0);

/** What people do for a method. */
export const LabourSchema = z.strictObject({
  /** Masks drawn for training. */
  masks: Count,
  /** Masks drawn because weights are chosen by the validation cases. */
  validationMasks: Count,
  /** Boxes drawn on images without masks. */
  boxes: Count,
  /** Judgements of four candidates, all rounds together. */
  judgements: Count,
  /** What a judgement is. */
  judging: z.enum(['ranking', 'rating', 'best']),
});

export type Labour = Readonly<z.output<typeof LabourSchema>>;

/** Reads a cost model; by default the one that comes with maskrank. */
export function readAnnotationCost(path = join(definitionsFolder(), 'annotation-cost.json')): AnnotationCost {
  return parseArtefact(readJson(path, 'model of the annotation cost'), CostSchema, path);
}

/** Minutes of one annotator. */
export function annotatorMinutes(
  { masks, validationMasks, boxes, judgements, judging }: Labour,
  { seconds }: AnnotationCost,
): number {
  const total =
    (masks + validationMasks) * seconds.mask.value +
    boxes * seconds.box.value +
    judgements * seconds[judging].value;
  return total / 60;
}
