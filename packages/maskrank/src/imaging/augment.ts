// Random changes of an image together with its masks, for training on few labels: one movement for both, then changes of
// the image's grey values. Repeats exactly with the same random stream. Not here: prompts (made from the moved masks, or moved
// with the image by motion.ts).

import type { Random } from '../util/random.ts';
import type { Motion } from './motion.ts';
import { addNoise, applyTone, blur, lowerResolution } from './photometric.ts';
import { makeAffine, makeDisplacement, type Sample, warp } from './warp.ts';

type Range = readonly [low: number, high: number];

/** Every `probability` is the chance that a sample gets this change; amounts are uniform unless said otherwise. */
export type AugmentOptions = {
  /** Chance of mirroring left and right. Wrong for organs that are told apart by their side. */
  readonly flipHorizontal: number;
  /** Chance of mirroring top and bottom. */
  readonly flipVertical: number;
  readonly rotation: { readonly probability: number; readonly maxDegrees: number };
  /** Factor on the content's size, uniform in its logarithm. */
  readonly scale: { readonly probability: number; readonly range: Range };
  /** Of width and height, either way. */
  readonly translation: { readonly probability: number; readonly maxFraction: number };
  /** Smooth bending: deviation of the displacement as a share of the shorter side, over `nodes` x `nodes` cells. */
  readonly elastic: { readonly probability: number; readonly sdFraction: number; readonly nodes: number };
  /** Factor on the values, and on their distance from the mean. */
  readonly brightness: { readonly probability: number; readonly range: Range };
  readonly contrast: { readonly probability: number; readonly range: Range };
  /** Exponent on value / 255, uniform in its logarithm. */
  readonly gamma: { readonly probability: number; readonly range: Range };
  /** Standard deviation of normal noise, grey levels of 0..255. */
  readonly noise: { readonly probability: number; readonly range: Range };
  /** Gaussian, px. */
  readonly blur: { readonly probability: number; readonly sigmaPx: Range };
  /** Factor on the resolution that is thrown away and restored. */
  readonly lowResolution: { readonly probability: number; readonly range: Range };
  /**
   * Grey value of what comes in from outside the canvas. Black by default, as most medical images are at their edges; where an
   * image does not fill its canvas, training makes padding of it (training/batch.ts).
   */
  readonly fill: number;
};

/** Careful amounts: anatomy keeps its upright look, no mask is bent out of shape. */
export const DEFAULT_AUGMENTATION: AugmentOptions = {
  flipHorizontal: 0.5,
  flipVertical: 0,
  rotation: { probability: 0.5, maxDegrees: 20 },
  scale: { probability: 0.5, range: [0.8, 1.25] },
  translation: { probability: 0.5, maxFraction: 0.08 },
  elastic: { probability: 0, sdFraction: 0.02, nodes: 5 },
  brightness: { probability: 0.3, range: [0.75, 1.25] },
  contrast: { probability: 0.3, range: [0.75, 1.25] },
  gamma: { probability: 0.3, range: [0.7, 1.5] },
  noise: { probability: 0.15, range: [0, 12] },
  blur: { probability: 0.15, sigmaPx: [0.5, 1.2] },
  lowResolution: { probability: 0.15, range: [0.5, 1] },
  fill: 0,
};

/** Leaves grey values as they are. */
export const NO_TONE = {
  brightness: { probability: 0, range: [1, 1] },
  contrast: { probability: 0, range: [1, 1] },
  gamma: { probability: 0, range: [1, 1] },
  noise: { probability: 0, range: [0, 0] },
  blur: { probability: 0, sigmaPx: [0, 0] },
  lowResolution: { probability: 0, range: [1, 1] },
} as const satisfies Partial<AugmentOptions>;

/** Leaves everything where it is. */
export const NO_MOVEMENT = {
  flipHorizontal: 0,
  flipVertical: 0,
  rotation: { probability: 0, maxDegrees: 0 },
  scale: { probability: 0, range: [1, 1] },
  translation: { probability: 0, maxFraction: 0 },
  elastic: { probability: 0, sdFraction: 0, nodes: 1 },
} as const satisfies Partial<AugmentOptions>;

/** A changed sample, and how it was moved; null where it was not. */
export type Augmented = Sample & { readonly motion: Motion | null };

/**
 * A changed copy of the sample, of the same size. If moving would push a mask's whole foreground out of the image, the
 * sample is not moved.
 */
export function augment(
  sample: Sample,
  random: Random,
  options: AugmentOptions = DEFAULT_AUGMENTATION,
): Augmented {
  const moved = move(sample, random, options);
  let { image } = moved;
  if (random.chance(options.lowResolution.probability)) {
    image = lowerResolution(image, random.uniform(...options.lowResolution.range));
  }
  if (random.chance(options.blur.probability)) image = blur(image, random.uniform(...options.blur.sigmaPx));
  if (random.chance(options.noise.probability)) {
    image = addNoise(image, random.uniform(...options.noise.range), random);
  }
  const factor = ({ probability, range }: AugmentOptions['brightness']): number =>
    random.chance(probability) ? random.uniform(...range) : 1;
  const brightness = factor(options.brightness);
  const contrast = factor(options.contrast);
  const gamma = random.chance(options.gamma.probability) ? random.logUniform(...options.gamma.range) : 1;
  if (brightness !== 1 || contrast !== 1 || gamma !== 1)
    image = applyTone(image, { brightness, contrast, gamma });
  return { image, masks: moved.masks, motion: moved.motion };
}

function move(sample: Sample, random: Random, options: AugmentOptions): Augmented {
  const { width, height } = sample.image;
  const { rotation, scale, translation, elastic } = options;
  const shift = random.chance(translation.probability) ? translation.maxFraction : 0;
  const parts = {
    flipHorizontal: random.chance(options.flipHorizontal),
    flipVertical: random.chance(options.flipVertical),
    rotationDegrees: random.chance(rotation.probability)
      ? random.uniform(-rotation.maxDegrees, rotation.maxDegrees)
      : 0,
    scale: random.chance(scale.probability) ? random.logUniform(...scale.range) : 1,
    translationPx: [random.uniform(-shift, shift) * width, random.uniform(-shift, shift) * height] as const,
  };
  const bend = random.chance(elastic.probability)
    ? makeDisplacement(elastic.nodes, elastic.sdFraction * Math.min(width, height), random)
    : undefined;
  const unmoved =
    !parts.flipHorizontal &&
    !parts.flipVertical &&
    parts.rotationDegrees === 0 &&
    parts.scale === 1 &&
    shift === 0;
  if (unmoved && bend === undefined) return { ...sample, motion: null };
  const affine = makeAffine(parts);
  const moved = warp(sample, affine, bend, options.fill);
  const lost = sample.masks.some((mask, k) => mask.data.includes(1) && !moved.masks[k]!.data.includes(1));
  return lost
    ? { ...sample, motion: null }
    : { ...moved, motion: { size: { width, height }, affine, displacement: bend } };
}
