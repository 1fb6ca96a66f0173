// One step of training a promptable model, as SAM-Med2D takes it: images are embedded once, their masks asked for with the first
// prompts, and an update follows; then come rounds of corrective clicks on the errors of the round before, with its mask as a
// prompt and no box, each with an update of prompt encoder and decoder. Stage 1 and pretraining share it.
// Not here: what the prompts are (batches), which mask learns (heads.ts). Letters: B images, K masks an image, N = B K.

import { noGrad, type optim, type Tensor } from '@maskrank/torch';
import { correctionPoints } from '../../imaging/points.ts';
import type { Mask } from '../../imaging/types.ts';
import { logitsToCanvas, type PromptTensors, type Sam } from '../../models/sam/index.ts';
import { pointTensors } from '../../prompting/collate.ts';
import type { Random } from '../../util/random.ts';
import { promptsTo } from '../batch.ts';
import { descend, inPrecision, lossNumbers, type Precision } from '../descend.ts';
import type { Judge } from './heads.ts';

export type PromptedTensors = {
  /** [B, 3, S, S], normalised. */
  readonly images: Tensor;
  /** [N, S, S], 0 or 1. */
  readonly targets: Tensor;
  readonly prompts: PromptTensors;
};

export type UpdateOptions = {
  readonly sam: Sam;
  readonly optimizer: optim.AdamW;
  readonly trained: ReadonlyMap<string, Tensor>;
  readonly judge: Judge;
  /** Rounds of corrective clicks after the first. */
  readonly rounds: number;
  /** Largest L2 norm of all gradients; 0 is off. */
  readonly gradClip: number;
  readonly precision: Precision;
  readonly device: string;
};

/** Loss parts of the first round, and where the step's time went. */
export type Updated = {
  readonly losses: Readonly<Record<string, number>>;
  readonly ms: Readonly<Record<string, number>>;
};

/** Forward, backward and update of one batch; then the rounds of corrective clicks, each with an update of its own. */
export function updateOn(
  { images, targets, prompts }: PromptedTensors,
  options: UpdateOptions,
  random: Random,
): Updated {
  const { sam, optimizer, trained, judge, rounds, gradClip, precision, device } = options;
  const forward = <T>(body: () => T): T => inPrecision(precision, device, body);
  const ms: Record<string, number> = {};
  let start = performance.now();
  const wanted = targets.unsqueeze(1); // [N, 1, S, S]
  const learn = (embeddings: Tensor, given: PromptTensors) => {
    const judged = judge(
      forward(() => sam.decode(embeddings, given, { multimask: true })),
      wanted,
    );
    const spent = descend(judged.parts.total, { optimizer, trained, gradClip }, start);
    for (const [part, took] of Object.entries(spent)) ms[part] = (ms[part] ?? 0) + took;
    start = performance.now();
    return judged;
  };

  const embedded = forward(() => sam.embed(images)).to('float32'); // [B, E, g, g]
  const masksPerImage = targets.size(0) / images.size(0);
  const embeddings = masksPerImage > 1 ? embedded.repeatInterleave(masksPerImage, 0) : embedded;
  const first = learn(embeddings, prompts);
  const losses = lossNumbers(first.parts);
  clickRounds(rounds, { random, targets, logits: first.logits }, (given) => {
    return learn(embeddings.detach(), promptsTo(given, device)).logits;
  });
  return { losses, ms };
}

/** Numbers of corrective points that a round may draw (SAM-Med2D). */
const CLICK_COUNTS = [1, 3, 5, 9] as const;

/** SAM-Med2D's further rounds: points on the errors of the round before, its mask as a prompt, no box. */
function clickRounds(
  rounds: number,
  start: { random: Random; targets: Tensor; logits: Tensor },
  round: (prompts: PromptTensors) => Tensor,
): void {
  let { logits } = start;
  const maskOnlyRound = rounds > 2 ? start.random.int(0, rounds - 2) : -1;
  for (let r = 0; r < rounds; r++) {
    const masks = logits.detach().sigmoid();
    const maskOnly = r === maskOnlyRound || r === rounds - 1;
    const count = start.random.choice(CLICK_COUNTS);
    logits = round(maskOnly ? { masks } : { masks, ...errorPoints(logits, start, count) });
  }
}

function errorPoints(
  logits: Tensor,
  { random, targets }: { random: Random; targets: Tensor },
  count: number,
): Pick<PromptTensors, 'points'> {
  const side = targets.size(-1);
  const predicted = noGrad(() => logitsToCanvas(logits.detach(), side).gt(0)).toTypedArray() as Uint8Array;
  const truth = targets.to('uint8').toTypedArray() as Uint8Array;
  const pixels = side * side;
  const maskAt = (data: Uint8Array, i: number): Mask => ({
    width: side,
    height: side,
    data: data.subarray(i * pixels, (i + 1) * pixels),
  });
  const prompts = Array.from({ length: targets.size(0) }, (_, i) => ({
    boxes: [],
    points: correctionPoints(maskAt(predicted, i), maskAt(truth, i), count, random.fork(`clicks ${i}`)),
  }));
  return pointTensors(prompts, prompts.length, count);
}
