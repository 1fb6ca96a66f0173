// How well a promptable network outlines what it is shown: by the true box of each region, by a box a person might draw, and by one
// click, whose mask is also given back; beside the filled box and the ellipse inscribed in it, which know the box and nothing of the
// image. On the canvas, crumbs left out (training/promptable/cases.ts). Letters: N prompts, S canvas side.

import { fromTypedArray, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { boxOfMask, clampBox, jitterBySides } from '../imaging/boxes.ts';
import type { Normalisation } from '../imaging/normalise.ts';
import { innermostPoints } from '../imaging/points.ts';
import type { Box, Mask } from '../imaging/types.ts';
import { decodeGivenBack, logitsToCanvas, type Sam } from '../models/sam/index.ts';
import { type CanvasPrompt, collatePrompts } from '../prompting/collate.ts';
import { promptsTo } from '../training/batch.ts';
import { imageArea, normaliseCanvas } from '../training/canvas.ts';
import { maskOf, type PromptableCase, type PromptableClass } from '../training/promptable/cases.ts';
import { Random } from '../util/random.ts';

/** Deviation of each side of a box that a person might draw, as a share of its width or height. */
const JITTER = 0.1;
/** More regions of a class are not asked for: nobody would draw so many boxes. */
const MOST_REGIONS = 6;
/** How often the mask of a click is given back with it. */
const ROUNDS = 3;
/** Prompts decoded together. */
const AT_ONCE = 16;

/** Ways to an outline, as tables call them. A click is judged by the region that it is in, the largest; all others by the whole class. */
export const WAY_NAMES = {
  trueBox: 'true box',
  jitteredBox: 'loose box',
  oneClick: 'one click',
  clickGivenBack: 'given back',
  filledBox: 'filled box',
  ellipse: 'ellipse',
} as const;
export type Way = keyof typeof WAY_NAMES;
export const WAYS = Object.keys(WAY_NAMES) as readonly Way[];

export type UnitQuality = {
  readonly caseId: string;
  readonly source: number;
  readonly classId: number;
  /** 0..1 */
  readonly dice: Readonly<Record<Way, number>>;
};

/** Every class of a case. Jitter depends on the names of case and class alone. */
export function judgeCase(
  sam: Sam,
  { caseId, source, canvas, classes }: PromptableCase,
  normalisation: Normalisation,
): UnitQuality[] {
  const planes = normaliseCanvas(canvas.pixels, imageArea(canvas), normalisation);
  const side = sam.config.imageSize;
  const device = sam.prompt_encoder.no_mask_embed.weight.device;
  return noGrad(() =>
    tidy(() => {
      const image = fromTypedArray(planes, [1, 3, side, side]).to(device as 'cuda');
      const outline = outliner(sam, sam.embed(image), device);
      return classes.map((cls) => ({
        caseId,
        source,
        classId: cls.classId,
        dice: judgeClass(cls, outline, new Random(`${caseId}/${cls.classId}`)),
      }));
    }),
  );
}

/** Masks for prompts; `rounds`: how often each is given back. */
type Outline = (prompts: readonly CanvasPrompt[], rounds?: number) => Mask[];

function outliner(sam: Sam, embedding: Tensor, device: string): Outline {
  const side = sam.config.imageSize;
  const few = (prompts: readonly CanvasPrompt[], rounds: number): Mask[] =>
    tidy(() => {
      const [{ boxes, points }] = prompts as [CanvasPrompt];
      const layout = { boxes: boxes.length, points: points.length };
      const given = promptsTo(collatePrompts(prompts, layout), device);
      const { masks } = decodeGivenBack(sam, embedding, given, rounds);
      const on = logitsToCanvas(masks, side).gt(0).toTypedArray() as Uint8Array; // [N, 1, S, S]
      const pixels = side * side;
      return prompts.map((_, i) => ({
        width: side,
        height: side,
        data: on.slice(i * pixels, (i + 1) * pixels),
      }));
    });
  return (prompts, rounds = 0) =>
    Array.from({ length: Math.ceil(prompts.length / AT_ONCE) }, (_, i) =>
      few(prompts.slice(i * AT_ONCE, (i + 1) * AT_ONCE), rounds),
    ).flat();
}

function judgeClass({ regions }: PromptableClass, outline: Outline, random: Random): UnitQuality['dice'] {
  const masks = regions.slice(0, MOST_REGIONS).map((region) => maskOf([region]));
  const largest = masks[0] as Mask;
  const whole = union(masks);
  const boxes = masks.map((mask) => boxOfMask(mask) as Box);
  const loose = boxes.map((box) => clampBox(jitterBySides(box, random, JITTER), largest));
  const asked = outline([...boxes, ...loose].map((box) => ({ boxes: [box], points: [] })));
  const click = [{ boxes: [], points: innermostPoints(largest, 1) }];
  const [clicked] = outline(click) as [Mask];
  const [again] = outline(click, ROUNDS) as [Mask];
  return {
    trueBox: dice(union(asked.slice(0, boxes.length)), whole),
    jitteredBox: dice(union(asked.slice(boxes.length)), whole),
    oneClick: dice(clicked, largest),
    clickGivenBack: dice(again, largest),
    filledBox: dice(union(boxes.map((box) => inBox(box, largest, () => true))), whole),
    ellipse: dice(union(boxes.map((box) => inBox(box, largest, (u, v) => u * u + v * v <= 1))), whole),
  };
}

/** Pixels of a box whose centres, with the box as -1..1 a side, are wanted. */
function inBox(
  { x0, y0, x1, y1 }: Box,
  { width, height }: Mask,
  wanted: (u: number, v: number) => boolean,
): Mask {
  const data = new Uint8Array(width * height);
  for (let y = Math.max(0, y0); y < Math.min(height, y1); y++) {
    for (let x = Math.max(0, x0); x < Math.min(width, x1); x++) {
      const u = (2 * (x + 0.5 - x0)) / (x1 - x0) - 1;
      const v = (2 * (y + 0.5 - y0)) / (y1 - y0) - 1;
      if (wanted(u, v)) data[y * width + x] = 1;
    }
  }
  return { width, height, data };
}

function union(masks: readonly Mask[]): Mask {
  const [first, ...rest] = masks as [Mask, ...Mask[]];
  const data = first.data.slice();
  for (const mask of rest) for (let i = 0; i < data.length; i++) data[i]! |= mask.data[i] as number;
  return { ...first, data };
}

function dice(a: Mask, b: Mask): number {
  let [both, sizes] = [0, 0];
  for (let i = 0; i < a.data.length; i++) {
    const [p, q] = [a.data[i] as number, b.data[i] as number];
    both += p & q;
    sizes += p + q;
  }
  return sizes === 0 ? 1 : (2 * both) / sizes;
}

/** Means over units; NaN of none. */
export function meanQuality(units: readonly UnitQuality[]): Record<Way, number> {
  const mean = (way: Way): number => units.reduce((sum, { dice: d }) => sum + d[way], 0) / units.length;
  return Object.fromEntries(WAYS.map((way) => [way, mean(way)])) as Record<Way, number>;
}
