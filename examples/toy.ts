// What the example programs share: phantoms with boxes, a network small enough to learn in seconds, and Dice.
// Everything is in memory. Shapes: N pictures, S canvas side in px, E channels and G grid side of an embedding.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTypedArray, noGrad, stack, type Tensor, tidy } from '@maskrank/torch';
import * as mr from 'maskrank';

const tiny = mr.SAM_CONFIGS['sam-med2d-tiny'];

/** SAM's parts at the smallest size that learns anything: 64 px, 8 x 8 tokens, two blocks of 32 channels. */
export const CONFIG: mr.SamConfig = {
  ...tiny,
  imageSize: 64,
  patchSize: 8,
  embedDim: 32,
  encoder: {
    ...tiny.encoder,
    dim: 32,
    depth: 2,
    heads: 2,
    mlpRatio: 2,
    globalBlocks: [0, 1],
    adapters: false,
  },
  decoder: { ...tiny.decoder, heads: 2, mlpDim: 64, iouHeadDim: 32, refine: null },
};
/** A prompt is one box. */
export const LAYOUT: mr.PromptLayout = { boxes: 1, points: 0 };
const side = CONFIG.imageSize;
const grid = CONFIG.imageSize / CONFIG.patchSize;

/** A picture on the canvas, ready for the network. */
export type Sample = {
  /** Normalised, [3, S, S]. */
  readonly input: Float32Array<ArrayBuffer>;
  readonly mask: mr.Mask;
  readonly prompt: mr.CanvasPrompt;
};

/** How boxes are drawn from masks: each side moved by 12 % of the side, mostly outwards. */
const LOOSE_BOX: mr.FromMaskOptions = {
  ...{ maxBoxes: 1, boxes: true, points: 0, negativePoints: 0 },
  jitter: { kind: 'sides', sigma: 0.12 },
};

/** Phantoms of the breast number `from` to `to`, each with a loose box around its lesion; those without one are left out. */
export function paint(from: number, to: number): Sample[] {
  const family = mr.phantomFamily('breast');
  return Array.from({ length: to - from }, (_, i) =>
    mr.drawPhantom(family, 'examples', from + i, side),
  ).flatMap(({ image, masks }, i) => {
    const lesion = masks.get(1);
    if (lesion === undefined) return [];
    const geometry = mr.createGeometry('stretch', image, side);
    const mask = mr.maskToCanvas(geometry, lesion);
    return {
      input: Float32Array.from(mr.imageToCanvas(geometry, image, mr.NORMALISATIONS.sam)),
      mask,
      prompt: mr.promptFromMask(mask, LOOSE_BOX, new mr.Random(`box ${from + i}`)),
    };
  });
}

/** Network input [N, 3, S, S]. */
export const inputs = (samples: readonly Sample[]): Tensor =>
  stack(samples.map(({ input }) => fromTypedArray(input, [3, side, side])));

/** Masks [N, 1, S, S], 0 and 1. */
export const targets = (samples: readonly Sample[]): Tensor =>
  stack(samples.map(({ mask }) => fromTypedArray(Uint8Array.from(mask.data), [1, side, side]))).to('float32');

/** Of each picture's masks the one with the largest predicted IoU: logits [N, 1, S, S], that IoU [N, 1]. */
export function outline(sam: mr.Sam, samples: readonly Sample[]): { logits: Tensor; iou: Tensor } {
  const boxes = samples.map(({ prompt }) => prompt);
  const decoded = sam.decode(sam.embed(inputs(samples)), mr.collatePrompts(boxes, LAYOUT), {
    multimask: true,
  });
  const { masks, iou } = mr.pickBest(decoded);
  return { logits: mr.logitsToCanvas(masks, side), iou };
}

/** Mean Dice over pictures. */
export function meanDice(sam: mr.Sam, samples: readonly Sample[]): number {
  const found = tidy(() => noGrad(() => outline(sam, samples).logits.gt(0).toTypedArray())) as Uint8Array;
  const dices = samples.map(({ mask }, i) =>
    mr.dice(mr.countOverlap(mask.data, found.subarray(i * side ** 2, (i + 1) * side ** 2))),
  );
  return dices.reduce((sum, d) => sum + d, 0) / dices.length;
}

/** Embeddings of all samples, computed once; a sample's id is its position. */
export function embedOnce(sam: mr.Sam, samples: readonly Sample[]): mr.EmbeddingSource {
  const all = samples.map((sample) => tidy(() => noGrad(() => sam.embed(inputs([sample])).toFloat32Array())));
  const one = (id: string): Tensor =>
    fromTypedArray(all[Number(id)] as Float32Array<ArrayBuffer>, [mr.embeddingChannels(CONFIG), grid, grid]);
  return { tensor: (ids) => stack(ids.map(one)) };
}

/** The virtual annotator: orders candidates by their overlap with the samples' masks, without mistakes. */
export function virtualAnnotator(samples: readonly Sample[]): mr.Annotator {
  return new mr.OracleAnnotator({
    kind: 'ranking',
    noise: 0,
    randomOrders: 0,
    ratingBins: [0.4, 0.55, 0.7],
    seed: 1,
    truth: (caseId) => (samples[Number(caseId)] as Sample).mask,
  });
}

/** The frame of a loop that nobody stops or watches; its state lies in a temporary folder. */
export const quietLoop = (): mr.AlignOptions<mr.Active>['loop'] => ({
  label: 'stage 2',
  statePath: join(mkdtempSync(join(tmpdir(), 'maskrank-example-')), 'state.safetensors'),
  header: { schemaVersion: 1, configHash: '', madeFrom: {} },
  rerun: 'this program',
  metrics: null,
  signal: new AbortController().signal,
  onProgress: () => {},
});
