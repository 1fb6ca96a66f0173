// The virtual annotator of the paper: judges candidates by their overlap with masks that nobody else in stage 2 may see.
// The only part of stage 2 that is made with ground truth. Mistakes are simulated as in the paper's supplement: swaps of
// neighbouring ranks or grades with probability `noise`, and whole orders at random.

import { UsageError } from '@maskrank/torch/errors';
import type { Mask } from '../../imaging/types.ts';
import { Random } from '../../util/random.ts';
import { bestFirst } from '../coefficients.ts';
import type { Annotator, Answer, Question } from './annotator.ts';

export type OracleOptions = {
  readonly kind: 'ranking' | 'rating' | 'best';
  /** Probability that two neighbours of the order (or two neighbouring grades) are swapped, for each case. */
  readonly noise: number;
  /** Share of the cases that are ordered at random. */
  readonly randomOrders: number;
  /** IoU from which grades 2, 3 and 4 are given. */
  readonly ratingBins: readonly number[];
  readonly seed: number;
  /** Ground truth on the model canvas; only this annotator ever holds it. */
  readonly truth: (caseId: string, classId: number) => Mask;
};

/** Guards against a bin edge met exactly, e.g. an IoU of 2/5 in binary. */
const EDGE = 1e-9;

/** Overlap of two masks; empty and empty is 1. */
export function maskIou(a: Mask, b: Mask): number {
  let intersection = 0;
  let union = 0;
  for (let i = 0; i < a.data.length; i++) {
    const x = a.data[i] as number;
    const y = b.data[i] as number;
    intersection += x & y;
    union += x | y;
  }
  return union === 0 ? 1 : intersection / union;
}

/** 1 + the number of bins that the IoU reaches. */
export function grade(iou: number, bins: readonly number[]): number {
  return 1 + bins.filter((bin) => iou >= bin - EDGE).length;
}

function swapNeighbours(order: number[], random: Random): number[] {
  const i = random.int(0, order.length - 1);
  const swapped = [...order];
  [swapped[i], swapped[i + 1]] = [swapped[i + 1] as number, swapped[i] as number];
  return swapped;
}

/** Moves one grade to a neighbouring one: 1<->2, 2<->3, 3<->4. */
function shiftGrade(grades: number[], random: Random): number[] {
  const i = random.int(0, grades.length);
  const current = grades[i] as number;
  const down = current === 4 || (current > 1 && random.next() < 0.5);
  return grades.map((g, k) => (k === i ? current + (down ? -1 : 1) : g));
}

export class OracleAnnotator implements Annotator {
  readonly name: string;
  readonly #options: OracleOptions;

  constructor(options: OracleOptions) {
    if (options.ratingBins.length !== 3)
      throw new UsageError(`virtual annotator: ${options.ratingBins.length} rating bins, needed: 3`);
    this.#options = options;
    this.name = `virtual ${options.kind}${options.noise > 0 ? ` noise ${options.noise}` : ''}${options.randomOrders > 0 ? ` random ${options.randomOrders}` : ''}`;
  }

  judge(question: Question): Answer {
    const { kind, noise, randomOrders, ratingBins, seed } = this.#options;
    const random = new Random(`${seed}/annotator/${question.round}/${question.caseId}/${question.classId}`);
    const ious = this.#ious(question);
    const order = bestFirst(ious);
    const say = (said: readonly number[]): Answer =>
      kind === 'best' ? { best: said[0] as number } : { order: said };
    if (random.next() < randomOrders) return say(random.shuffle(order));
    const mistaken = random.next() < noise;
    if (kind === 'rating') {
      const grades = ious.map((iou) => grade(iou, ratingBins));
      return { grades: mistaken ? shiftGrade(grades, random) : grades };
    }
    return say(mistaken ? swapNeighbours(order, random) : order);
  }

  /** Dice, without mistakes. */
  agreement(question: Question): number[] {
    return this.#ious(question).map((iou) => (2 * iou) / (1 + iou));
  }

  #ious({ caseId, classId, candidates }: Question): number[] {
    const target = this.#options.truth(caseId, classId);
    return candidates.map((candidate) => maskIou(candidate, target));
  }
}
