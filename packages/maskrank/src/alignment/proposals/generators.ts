// Where four candidates come from: small functions in a record, each from a decoded batch to binary masks. All use the mask
// of the head that the current policy chose, so that candidates compare edits of one mask. One's own function goes wherever
// a name does. Letters: B units, K = 4 candidates, M heads, l low-resolution side, S canvas side.

import { cat, fromTypedArray, type Generator, noGrad, op, stack, type Tensor } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import {
  type DecoderOutput,
  logitsToCanvas,
  type PromptTensors,
  pickHead,
  type Sam,
} from '../../models/sam/index.ts';
import { type CanvasPrompt, collatePrompts, type PromptLayout } from '../../prompting/collate.ts';
import { loosenBox } from '../../prompting/from-mask.ts';
import type { Config } from '../../run/config.ts';
import { promptsTo } from '../../training/batch.ts';
import { logit } from '../../util/logit.ts';
import type { Random } from '../../util/random.ts';
import { CANDIDATES } from '../coefficients.ts';

export type GeneratorName = Config['alignment']['proposals']['generator'];

/** The configuration's section `alignment.proposals`, but for the generator, which may be one's own. */
export type GeneratorOptions = Omit<Config['alignment']['proposals'], 'generator'> & {
  readonly generator: GeneratorName | CandidateGenerator;
};

/** A decoded batch of units and what a generator may do with it. */
export type GeneratorContext = {
  readonly sam: Sam;
  readonly embeddings: Tensor; // [B, E, g, g]
  readonly prompts: PromptTensors;
  readonly canvasPrompts: readonly CanvasPrompt[];
  readonly layout: PromptLayout;
  /** The policy's output without dropout. */
  readonly decoded: DecoderOutput;
  /** Head of each unit [B], int64. */
  readonly heads: Tensor;
  readonly imageSize: number;
  readonly options: GeneratorOptions;
  /** Stream of the engine for dropped channels. */
  readonly dropoutStream: Generator;
  readonly random: Random;
  /** Embeddings of changed views of the images; only where images are at hand. */
  readonly embedView?: (view: View) => Tensor;
};

/** A view of the canvas: mirrored, or scaled about its centre by `zoom`. */
export type View = { readonly flip: boolean; readonly zoom: number };

/**
 * Masks [B, K, S, S], bool, the current one first where it is among them. Runs without gradients and in a scope that frees
 * what it makes. Draws only from the context's two streams: a stopped run then goes on with the same candidates.
 */
export type CandidateGenerator = (context: GeneratorContext) => Tensor;

const toCanvas = (logits: Tensor, { imageSize }: GeneratorContext): Tensor =>
  logitsToCanvas(logits, imageSize);
const chosen = (decoded: DecoderOutput, context: GeneratorContext): Tensor =>
  toCanvas(pickHead(decoded, context.heads).masks, context); // [B, 1, S, S]

function atThresholds(context: GeneratorContext, thresholds: readonly number[]): Tensor {
  const canvas = chosen(context.decoded, context);
  return cat(
    thresholds.map((t) => canvas.gt(logit(t))),
    1,
  );
}

const flipOp = op('aten::flip');

/** `fn` run with dropped decoder channels. */
export function withDropout<T>(sam: Sam, p: number, stream: Generator, fn: () => T): T {
  const decoder = sam.mask_decoder;
  const before = { p: decoder.dropoutP, generator: decoder.dropoutGenerator };
  decoder.dropoutP = p;
  decoder.dropoutGenerator = stream;
  try {
    return fn();
  } finally {
    decoder.dropoutP = before.p;
    decoder.dropoutGenerator = before.generator;
  }
}

function dropoutMasks(context: GeneratorContext, count: number): Tensor[] {
  const { sam, embeddings, prompts, options, dropoutStream } = context;
  const threshold = logit(options.threshold);
  return Array.from({ length: count }, () =>
    withDropout(sam, options.dropoutProbability, dropoutStream, () =>
      chosen(sam.decode(embeddings, prompts, { multimask: true }), context).gt(threshold),
    ),
  );
}

function jitteredMasks(context: GeneratorContext, count: number): Tensor[] {
  const { sam, embeddings, canvasPrompts, layout, options, random } = context;
  return Array.from({ length: count }, () => {
    const moved = canvasPrompts.map(({ boxes, points, ...text }) => ({
      ...text,
      boxes: boxes.map((box) => loosenBox(box, 0.08, random)),
      points: points.map((p) => ({ ...p, x: p.x + 3 * random.normal(), y: p.y + 3 * random.normal() })),
    }));
    const prompts = promptsTo(collatePrompts(moved, layout), embeddings.device);
    return chosen(sam.decode(embeddings, prompts, { multimask: true }), context).gt(logit(options.threshold));
  });
}

/** Moves canvas prompts into a view: boxes by their edges, points by the centre of their pixel. */
export function viewPrompt(
  { boxes, points, ...text }: CanvasPrompt,
  { flip, zoom }: View,
  side: number,
): CanvasPrompt {
  const zoomed = (v: number): number => (v - side / 2) * zoom + side / 2;
  const x = (v: number): number => (flip ? side - zoomed(v) : zoomed(v));
  return {
    ...text,
    boxes: boxes.map((b) => ({
      x0: Math.min(x(b.x0), x(b.x1)),
      x1: Math.max(x(b.x0), x(b.x1)),
      y0: zoomed(b.y0),
      y1: zoomed(b.y1),
    })),
    points: points.map((p) => ({ ...p, x: x(p.x + 0.5) - 0.5, y: zoomed(p.y + 0.5) - 0.5 })),
  };
}

const affineGrid = op('aten::affine_grid_generator');
const gridSample = op('aten::grid_sampler');

/** Resamples x [B, C, S, S] as `view` shows it (bilinear, zeros outside); the inverse with 1 / zoom. */
export function applyView(x: Tensor, { flip, zoom }: View): Tensor {
  const mirrored = flip ? flipOp(x, [3]) : x;
  if (zoom === 1) return mirrored;
  const theta = stack([rowOf(x, [1 / zoom, 0, 0]), rowOf(x, [0, 1 / zoom, 0])], 1); // [B, 2, 3]
  const grid = affineGrid(theta, x.shape, false);
  return gridSample(mirrored, grid, 0, 0, false);
}

const newTensor = op('aten::new_full');
function rowOf(x: Tensor, values: readonly number[]): Tensor {
  return cat(
    values.map((v) => newTensor(x, [x.size(0), 1], v)),
    1,
  ); // [B, 3]
}

function viewMask(context: GeneratorContext, view: View): Tensor {
  const { sam, canvasPrompts, layout, options, embedView, imageSize } = context;
  if (embedView === undefined)
    throw new UsageError('proposal generator views: needs the images, not only their cached embeddings');
  const embeddings = embedView(view);
  const prompts = promptsTo(
    collatePrompts(
      canvasPrompts.map((p) => viewPrompt(p, view, imageSize)),
      layout,
    ),
    embeddings.device,
  );
  const seen = chosen(sam.decode(embeddings, prompts, { multimask: true }), context); // [B, 1, S, S]
  // Resampling fills what the view has not seen with 0, which has to mean background whatever the threshold is.
  const over = seen.sub(logit(options.threshold));
  return applyView(over, { flip: view.flip, zoom: 1 / view.zoom }).gt(0);
}

const quantileOp = op('aten::quantile');

/** Probabilities inside this band count as undecided. */
const BAND = [0.05, 0.95] as const;

/** Thresholds of one mask's logits [P] that cut the undecided pixels into equal parts. */
function bandQuantiles(logits: Tensor, count: number): number[] {
  const p = logits.sigmoid();
  const inside = p.index([p.gt(BAND[0]).logicalAnd(p.lt(BAND[1]))]);
  const shares = Array.from({ length: count }, (_, k) => (k + 1) / (count + 1));
  if (inside.size(0) < count) return shares.map((share) => BAND[0] + share * (BAND[1] - BAND[0]));
  const at = fromTypedArray(Float32Array.from(shares), [count], { device: inside.device });
  return [...quantileOp(inside, at).toFloat32Array()];
}

/** The policy's mask of each unit [B, 1, S, S], bool: what most generators put first. */
export const currentMask = (context: GeneratorContext): Tensor =>
  chosen(context.decoded, context).gt(logit(context.options.threshold));

/** Of `pool` [B, n, S, S], whose first is the current mask, the K that lie farthest from each other in IoU. */
function farthest(pool: Tensor): Tensor {
  const flat = pool.flatten(2).to('float32'); // [B, n, P]
  const shared = flat.bmm(flat.transpose(1, 2)); // [B, n, n]
  const areas = flat.sum(2);
  const union = areas.unsqueeze(1).add(areas.unsqueeze(2)).sub(shared);
  const iou = shared.div(union.clamp(1)).toFloat32Array();
  const n = pool.size(1);
  const rows = pool.unbind(0).map((masks, b) => {
    const distance = (i: number, j: number): number => 1 - (iou[(b * n + i) * n + j] as number);
    const picked = [0];
    while (picked.length < CANDIDATES) {
      const gap = (i: number): number =>
        picked.includes(i) ? -1 : Math.min(...picked.map((j) => distance(i, j)));
      const rest = Array.from({ length: n }, (_, i) => i);
      picked.push(
        rest.reduce((best, i) => (gap(i) > gap(best) ? i : best), rest.find((i) => !picked.includes(i)) ?? 0),
      );
    }
    return stack(picked.map((i) => masks.select(0, i)));
  });
  return stack(rows);
}

/** Every generator by its configuration name. */
export const GENERATORS: Readonly<Record<GeneratorName, CandidateGenerator>> = {
  /** The current mask and three with channels of the decoder dropped. */
  dropout: (context) => cat([currentMask(context), ...dropoutMasks(context, CANDIDATES - 1)], 1),
  /** The probability map at fixed thresholds: the paper's candidates. */
  thresholds: (context) => atThresholds(context, context.options.thresholds),
  wide: (context) => atThresholds(context, context.options.wideThresholds),
  /** Thresholds that cut each image's undecided pixels into equal parts. */
  quantiles: (context) => {
    const canvas = chosen(context.decoded, context).squeeze(1); // [B, S, S]
    const rows = canvas
      .unbind(0)
      .map((z) => stack(bandQuantiles(z.flatten(), CANDIDATES).map((t) => z.gt(logit(t)))));
    return stack(rows);
  },
  /** The current mask, and the masks from a mirrored, a smaller and a larger view. */
  views: (context) =>
    cat(
      [
        currentMask(context),
        viewMask(context, { flip: true, zoom: 1 }),
        viewMask(context, { flip: false, zoom: 0.85 }),
        viewMask(context, { flip: false, zoom: 1.18 }),
      ],
      1,
    ),
  /** The three heads for ambiguous prompts and the one for unambiguous ones. */
  multimask: (context) => {
    const single = context.sam.decode(context.embeddings, context.prompts, { multimask: false }).masks;
    const all = cat([context.decoded.masks, single], 1);
    if (all.size(1) !== CANDIDATES)
      throw new UsageError(
        `proposal generator multimask: the model has ${all.size(1)} heads, needed: ${CANDIDATES}`,
      );
    return toCanvas(all, context).gt(logit(context.options.threshold));
  },
  /** The current mask and three from moved boxes and points. */
  'prompt-jitter': (context) => cat([currentMask(context), ...jitteredMasks(context, CANDIDATES - 1)], 1),
  /** The four farthest of a pool of dropout samples, moved prompts and thresholds. */
  diverse: (context) => {
    const { poolSize, wideThresholds } = context.options;
    const rest = Math.max(0, poolSize - 1 - wideThresholds.length);
    const drops = Math.ceil(rest / 2);
    const pool = [
      currentMask(context),
      atThresholds(context, wideThresholds),
      ...dropoutMasks(context, drops),
      ...jitteredMasks(context, rest - drops),
    ];
    return farthest(cat(pool, 1));
  },
};

/** Name of a generator for messages and records: its own, or that of the function. */
export const generatorName = (generator: GeneratorName | CandidateGenerator): string =>
  typeof generator === 'string' ? generator : generator.name || 'a function without a name';

/** Candidates of a batch [B, K, S, S], bool, without gradients. Throws UsageError when a generator returns anything else. */
export function generate(generator: GeneratorName | CandidateGenerator, context: GeneratorContext): Tensor {
  const make = typeof generator === 'string' ? GENERATORS[generator] : generator;
  const masks = noGrad(() => make(context));
  const wanted = [context.canvasPrompts.length, CANDIDATES, context.imageSize, context.imageSize];
  if (masks.dtype !== 'bool' || masks.shape.join() !== wanted.join())
    throw new UsageError(
      `proposal generator ${generatorName(generator)}: returned ${masks.dtype} [${masks.shape.join(', ')}], needed: bool [${wanted.join(', ')}], the candidates of each unit on the canvas`,
    );
  return masks;
}
