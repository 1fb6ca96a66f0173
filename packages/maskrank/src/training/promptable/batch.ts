// Batches of promptable training: of each image several masks, each a class or one region of it, asked for as a person would:
// by a loose box around each region, by a few clicks, by both, or by the name of the class. All samples of a batch are
// asked in the same kind of way, so that a network also meets prompts without padding.
// Letters: B images, K masks an image, S canvas side.

import { type AugmentOptions, augment } from '../../imaging/augment.ts';
import { boxesOfComponents, clampBox, jitterBySides } from '../../imaging/boxes.ts';
import { byArea, componentMask, labelComponents } from '../../imaging/components.ts';
import type { Normalisation } from '../../imaging/normalise.ts';
import { corePoints } from '../../imaging/points.ts';
import type { Box, Mask, Point } from '../../imaging/types.ts';
import type { CanvasPrompt, PromptLayout } from '../../prompting/collate.ts';
import { loosenBox } from '../../prompting/from-mask.ts';
import type { Random } from '../../util/random.ts';
import type { Batch } from '../batch.ts';
import { imageArea, normaliseCanvas } from '../canvas.ts';
import { changeLook } from './appearance.ts';
import { maskOf, type PromptableCase, type PromptableClass } from './cases.ts';

/** A text that names a class, as features; one of several wordings. */
export type ClassTexts = {
  readonly dim: number;
  readonly of: (source: number, classId: number, random: Random) => Float32Array;
};

export type PromptableBatchOptions = {
  readonly normalisation: Normalisation;
  /** K: masks drawn, with replacement, for each image. */
  readonly masksPerImage: number;
  /** Movements, for images and masks alike. */
  readonly movement: AugmentOptions;
  /** Share of the images that get another look. */
  readonly looks: number;
  /** Largest deviation of a box's sides, as a share of its width and height. */
  readonly jitter: number;
  /** Shares of the batches that are asked by each kind of prompt; they need not add up to 1. */
  readonly shares: Readonly<Record<PromptableKind, number>>;
  /** Needed for the kind `text`; beside other kinds, half of the batches have texts too. */
  readonly texts?: ClassTexts;
};

export type PromptableKind = 'box' | 'point' | 'both' | 'text';

export type PromptableBatch = Batch & { readonly layout: PromptLayout };

/** How many boxes or clicks a batch's prompts have at most; one is what most people give. */
const BOXES = [1, 1, 2] as const;
const CLICKS = [1, 1, 1, 2, 3, 5] as const;
/** Of classes with several regions, how often one region is the target. */
const ONE_REGION = 0.6;
/** Of further clicks, how often one says what does not belong. */
const BACKGROUND_CLICK = 0.35;
/** Of prompts of both kinds, how often one kind is missing after all. */
const MISSING = 0.3;

function drawLayout(options: PromptableBatchOptions, random: Random): PromptLayout {
  const kind = weighted(options.shares, random);
  const boxes = kind === 'box' || kind === 'both' ? random.choice(BOXES) : 0;
  const points = kind === 'point' || kind === 'both' ? random.choice(CLICKS) : 0;
  const { texts } = options;
  if (texts === undefined || (kind !== 'text' && random.chance(0.5))) return { boxes, points };
  return { boxes, points, text: { tokens: 1, dim: texts.dim } };
}

function weighted<K extends string>(shares: Readonly<Record<K, number>>, random: Random): K {
  const names = Object.keys(shares) as K[];
  const whole = names.reduce((sum, name) => sum + shares[name], 0);
  let left = random.uniform(0, whole);
  for (const name of names) {
    left -= shares[name];
    if (left < 0) return name;
  }
  return names[0] as K;
}

/**
 * The target's regions: one, or all of its class where a box or else a click can be given for each of them; a name asks for all.
 * One click never means a class of several regions, so that it has one answer.
 */
function drawTarget({ regions }: PromptableClass, { boxes, points }: PromptLayout, random: Random): Mask {
  const shown = boxes || points;
  const fits = shown === 0 || regions.length <= shown;
  if (regions.length === 1 || (fits && !random.chance(ONE_REGION))) return maskOf(regions);
  return maskOf([random.choice(regions)]);
}

/** A box as somebody might draw it: exact, a little off, or too large. */
function drawBox(box: Box, jitter: number, random: Random): Box {
  const most = random.uniform(0, jitter);
  return random.choice([
    () => box,
    () => jitterBySides(box, random, most),
    () => loosenBox(box, most, random),
  ])();
}

/** One click in each region, then further ones anywhere in the mask or beside it. */
function drawClicks(mask: Mask, count: number, random: Random): Point[] {
  const depth = random.uniform(0, 0.8);
  const labelled = labelComponents(mask);
  const regions = byArea(labelled.components).slice(0, count);
  const firsts = regions.flatMap((region) => corePoints(componentMask(labelled, [region]), 1, random, depth));
  const inside = [...firsts, ...corePoints(mask, count - firsts.length, random, depth)];
  return inside.map((point, i) => {
    if (i < firsts.length || !random.chance(BACKGROUND_CLICK)) return point;
    const [x, y] = [random.int(0, mask.width), random.int(0, mask.height)];
    return { x, y, label: mask.data[y * mask.width + x] === 1 ? 1 : 0 };
  });
}

function drawPrompt(
  mask: Mask,
  layout: PromptLayout,
  { jitter }: PromptableBatchOptions,
  random: Random,
): CanvasPrompt {
  const lacks = layout.boxes > 0 && layout.points > 0 && random.chance(MISSING) ? random.int(0, 2) : -1;
  const boxes =
    layout.boxes === 0 || lacks === 0
      ? []
      : boxesOfComponents(mask, { maxComponents: layout.boxes }).map((box) =>
          clampBox(drawBox(box, jitter, random), mask),
        );
  const points = layout.points === 0 || lacks === 1 ? [] : drawClicks(mask, layout.points, random);
  return { boxes, points };
}

/** A batch of these cases; every random choice comes from `random`. */
export function makePromptableBatch(
  cases: readonly PromptableCase[],
  options: PromptableBatchOptions,
  random: Random,
): PromptableBatch {
  const side = cases[0]?.canvas.pixels.width ?? 0;
  const pixels = side * side;
  const k = options.masksPerImage;
  const layout = drawLayout(options, random.fork('layout'));
  const images = new Float32Array(cases.length * 3 * pixels);
  const targets = new Uint8Array(cases.length * k * pixels);
  const prompts: CanvasPrompt[] = [];
  for (const [b, { canvas, classes, source }] of cases.entries()) {
    const stream = random.fork(`sample ${b}`);
    const chosen = Array.from({ length: k }, () => stream.choice(classes));
    const drawn = chosen.map((cls) => drawTarget(cls, layout, stream));
    const area = imageArea(canvas);
    const moved = augment(
      { image: canvas.pixels, masks: area === null ? drawn : [...drawn, area] },
      stream,
      options.movement,
    );
    const seen = stream.chance(options.looks) ? changeLook(moved.image, stream) : moved.image;
    const inside = area === null ? null : (moved.masks[k] as Mask);
    const data = images.subarray(b * 3 * pixels, (b + 1) * 3 * pixels);
    normaliseCanvas(seen, inside, options.normalisation, data);
    for (const [j, { classId }] of chosen.entries()) {
      const mask = moved.masks[j] as Mask;
      targets.set(mask.data, (b * k + j) * pixels);
      const shown = drawPrompt(mask, layout, options, stream);
      const text = layout.text && [options.texts?.of(source, classId, stream) ?? null];
      prompts.push(text === undefined ? shown : { ...shown, text });
    }
  }
  return { size: cases.length, masksPerImage: k, side, images, targets, prompts, layout };
}
