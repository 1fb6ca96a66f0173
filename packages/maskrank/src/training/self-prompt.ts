// Self-prompt (SAM-SP, Zhou 2024): a SAM that is asked for a class answers without boxes or points, makes a prompt of its answer, and
// answers again; both answers learn. The class is a learned token: the text branch, told the class as a one-hot feature, is a table of
// one token a class, zero at first. No gradient goes through the prompt. Differences: an answer that finds nothing prompts with the
// whole canvas. Not here: embeddings, batches and the loop (stage1.ts). Shapes: B images, N = B K masks asked for, h w of a mask.

import { nn, type Tensor } from '@maskrank/torch';
import { boxesOfComponents } from '../imaging/boxes.ts';
import { innermostPoints } from '../imaging/points.ts';
import type { Mask } from '../imaging/types.ts';
import {
  asMaskPrompt,
  type DecoderOutput,
  logitsToCanvas,
  type PromptTensors,
  pickBest,
  Sam,
  type SamConfig,
} from '../models/sam/index.ts';
import { type CanvasPrompt, collatePrompts, type TextFeatureRow } from '../prompting/collate.ts';
import { promptsTo } from './batch.ts';
import { descend, inPrecision, lossNumbers } from './descend.ts';
import type { updateOn } from './promptable/update.ts';

export type SelfPromptOptions = {
  /** What of the first answer prompts the second. */
  readonly use: readonly ('box' | 'point' | 'mask')[];
  /** Regions that get a box and a point at most, the largest first. */
  readonly maxRegions: number;
};

/** What tells the network a class: the `place`-th of `classes`. */
export const classFeature = (place: number, classes: number): TextFeatureRow => [
  Float32Array.from({ length: classes }, (_, i) => Number(i === place)),
];

/** The prompt that a mask on the canvas gives; all of the canvas where it is empty. */
export function promptOfAnswer(mask: Mask, { use, maxRegions }: SelfPromptOptions): CanvasPrompt {
  const { width, height } = mask;
  const found = boxesOfComponents(mask, { maxComponents: maxRegions });
  const boxes = found.length > 0 ? found : [{ x0: 0, y0: 0, x1: width, y1: height }];
  return {
    boxes: use.includes('box') ? boxes : [],
    points: use.includes('point') ? innermostPoints(mask, maxRegions) : [],
  };
}

/** A SAM whose answer is the second one. Prompts name the class and nothing else. */
export class SelfPromptSam extends Sam {
  readonly #options: SelfPromptOptions;

  constructor(config: SamConfig, options: SelfPromptOptions) {
    super(config);
    this.#options = options;
  }

  override decode(
    embeddings: Tensor,
    prompts: PromptTensors,
    options: { readonly multimask: boolean },
  ): DecoderOutput {
    return this.answers(embeddings, prompts, options).second;
  }

  /** Both answers for N prompts, with embeddings as for `decode`. */
  answers(
    embeddings: Tensor,
    prompts: PromptTensors,
    options: { readonly multimask: boolean },
  ): { readonly first: DecoderOutput; readonly second: DecoderOutput } {
    const first = super.decode(embeddings, prompts, options);
    const { masks } = pickBest(first);
    const next = { ...prompts, ...this.#promptsOf(masks.detach().to('float32')) };
    return { first, second: super.decode(embeddings, next, options) };
  }

  /** Logits [N, 1, h, w] of the first answer -> what the second is asked with, beside the class. */
  #promptsOf(logits: Tensor): PromptTensors {
    const { imageSize: side, maskPrompt } = this.config;
    const { use, maxRegions } = this.#options;
    const found = logitsToCanvas(logits, side).gt(0).toTypedArray() as Uint8Array;
    const prompts = Array.from({ length: logits.size(0) }, (_, i) => {
      const data = found.subarray(i * side * side, (i + 1) * side * side);
      return promptOfAnswer({ width: side, height: side, data }, this.#options);
    });
    const slots = (kind: 'box' | 'point') => (use.includes(kind) ? maxRegions : 0);
    const given = collatePrompts(prompts, { boxes: slots('box'), points: slots('point') });
    const masks = asMaskPrompt(logits, maskPrompt);
    return { ...promptsTo(given, logits.device), ...(use.includes('mask') ? { masks } : {}) };
  }
}

export type SelfPromptLoss = {
  /** Weight of the first answer's loss; that of the second is 1. */
  readonly firstWeight: number;
  /** Weight of the cross-entropy by which the second answer teaches the first; 0 is off. */
  readonly distillation: number;
};

/** A step of stage 1 in which both answers learn. Rounds of clicks are none of it. */
export const updateBoth =
  (sam: SelfPromptSam, { firstWeight, distillation }: SelfPromptLoss): typeof updateOn =>
  ({ images, targets, prompts }, { optimizer, trained, judge, gradClip, precision, device }) => {
    const start = performance.now();
    const forward = <T>(body: () => T): T => inPrecision(precision, device, body);
    const embedded = forward(() => sam.embed(images)).to('float32'); // [B, E, g, g]
    const embeddings = embedded.repeatInterleave(targets.size(0) / images.size(0), 0);
    const answers = forward(() => sam.answers(embeddings, prompts, { multimask: true }));
    const wanted = targets.unsqueeze(1); // [N, 1, S, S]
    const [first, second] = [answers.first, answers.second].map((answer) => judge(answer, wanted));
    const parts = { ...second!.parts, first: first!.parts.total };
    const supervised = second!.parts.total.add(first!.parts.total, firstWeight);
    const taught = nn.F.bceWithLogits(first!.logits, second!.logits.detach().sigmoid());
    const total = distillation > 0 ? supervised.add(taught, distillation) : supervised;
    const ms = descend(total, { optimizer, trained, gradClip }, start);
    const told = { ...parts, total, ...(distillation > 0 ? { distillation: taught } : {}) };
    return { losses: lossNumbers(told), ms };
  };
