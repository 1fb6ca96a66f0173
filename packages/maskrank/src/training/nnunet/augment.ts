// nnU-Net's random changes of a patch: turned, scaled, noisy, blurred, brighter, of other contrast, of lower resolution, of other
// gamma, mirrored. Probabilities and ranges are those of nnU-Net 2; one set for two and three dimensions.
// Shapes: C channels, T channels of the truth, W... the window's sizes, P... the patch's.

import { cat, Generator, nn, op, randn, type Tensor, tensor } from '@maskrank/torch';
import type { Sizes } from '../../models/nnunet/index.ts';
import type { Random } from '../../util/random.ts';

const { F } = nn;

type Range = readonly [low: number, high: number];

export type NnunetAugmentation = {
  readonly rotation: number;
  readonly scaling: number;
  /** Above 1 the content gets smaller. */
  readonly scales: Range;
  readonly noise: number;
  /** Standard deviation (nnU-Net calls it variance). */
  readonly noiseSds: Range;
  readonly blur: number;
  readonly blurSigmas: Range;
  readonly brightness: number;
  readonly brightnesses: Range;
  readonly contrast: number;
  readonly contrasts: Range;
  readonly lowResolution: number;
  readonly resolutions: Range;
  readonly gamma: number;
  readonly invertedGamma: number;
  readonly gammas: Range;
  /** Of each axis. */
  readonly mirroring: number;
  /** Of each channel, where blur and resolution change. */
  readonly perChannel: number;
};

/** Probabilities of the changes, and between which values each draws. */
export const NNUNET_AUGMENTATION: NnunetAugmentation = {
  rotation: 0.2,
  scaling: 0.2,
  scales: [0.7, 1.4],
  noise: 0.1,
  noiseSds: [0, 0.1],
  blur: 0.2,
  blurSigmas: [0.5, 1],
  brightness: 0.15,
  brightnesses: [0.75, 1.25],
  contrast: 0.15,
  contrasts: [0.75, 1.25],
  lowResolution: 0.25,
  resolutions: [0.5, 1],
  gamma: 0.3,
  invertedGamma: 0.1,
  gammas: [0.7, 1.5],
  mirroring: 0.5,
  perChannel: 0.5,
};

/** How patches of a shape are turned. */
export type Turning = {
  /** Largest angle, degrees. */
  readonly maxDegrees: number;
  /** Volumes of thick slices are turned and scaled within the slices alone. */
  readonly inPlane: boolean;
};

/** Long patches are turned little, for their ends would be lost. */
export function turningOf(patch: Sizes): Turning {
  const [largest, smallest] = [Math.max(...patch), Math.min(...patch)];
  if (patch.length === 2) return { maxDegrees: largest / smallest > 1.5 ? 15 : 180, inPlane: false };
  const inPlane = largest / (patch[0] as number) > 3;
  return { maxDegrees: inPlane ? 180 : 30, inPlane };
}

/** Content of this share of the patch's size is enlarged to fill it at most; the window is larger by as much. */
const LARGEST_SHRINKING = 0.85;

/** The window that is cut out for a patch, so that turned and shrunken ones have something in their corners. */
export function windowSize(patch: Sizes): number[] {
  const { maxDegrees, inPlane } = turningOf(patch);
  const angle = (Math.min(maxDegrees, 90) * Math.PI) / 180;
  const isStill = (axis: number) => inPlane && axis === 0;
  return patch.map((side, axis) => {
    if (isStill(axis)) return side;
    const others = patch.filter((_, other) => other !== axis && !isStill(other));
    const turned = others.map((other) => side * Math.cos(angle) + other * Math.sin(angle));
    return Math.floor(Math.max(side, ...turned) / LARGEST_SHRINKING);
  });
}

const affineGridOp = op('aten::affine_grid_generator');
const gridSampleOp = op('aten::grid_sampler');
const replicationPads = { 2: op('aten::replication_pad2d'), 3: op('aten::replication_pad3d') } as const;
const BILINEAR = 0;
const NEAREST = 1;
const ZEROS_OUTSIDE = 0;

export type Augmented = { readonly image: Tensor; readonly truth: Tensor };

/** A window [C, W...] with its truth [T, W...] (both float32) to a patch [C, P...] and [T, P...]. Without gradients. */
export function augmentPatch(
  { image, truth }: Augmented,
  patch: Sizes,
  random: Random,
  o: NnunetAugmentation = NNUNET_AUGMENTATION,
): Augmented {
  const [placed, truthPlaced] = place([image, truth], patch, random, o) as [Tensor, Tensor];
  let x = placed;
  if (random.chance(o.noise)) {
    const generator = Generator.seeded(random.int(0, 0x7fffffff));
    x = x.add(randn(x.shape, { generator }), random.uniform(...o.noiseSds));
  }
  const someChannels = (change: (channel: Tensor) => Tensor) => (channel: Tensor) =>
    random.chance(o.perChannel) ? change(channel) : channel;
  if (random.chance(o.blur))
    x = eachChannel(
      x,
      someChannels((c) => blur(c, random.uniform(...o.blurSigmas))),
    );
  if (random.chance(o.brightness)) x = eachChannel(x, (c) => c.mul(factor(o.brightnesses, random)));
  if (random.chance(o.contrast)) x = eachChannel(x, (c) => contrast(c, factor(o.contrasts, random)));
  if (random.chance(o.lowResolution))
    x = eachChannel(
      x,
      someChannels((c) => lowerResolution(c, random.uniform(...o.resolutions))),
    );
  if (random.chance(o.invertedGamma))
    x = eachChannel(x, (c) => gamma(c.neg(), factor(o.gammas, random)).neg());
  if (random.chance(o.gamma)) x = eachChannel(x, (c) => gamma(c, factor(o.gammas, random)));
  const mirrored = patch.flatMap((_, axis) => (random.chance(o.mirroring) ? [axis + 1] : []));
  if (mirrored.length === 0) return { image: x, truth: truthPlaced };
  return { image: x.flip(mirrored), truth: truthPlaced.flip(mirrored) };
}

/** The middle of the windows, turned and scaled at random: all from the same places, the first linearly, the others nearest. */
function place(windows: readonly Tensor[], patch: Sizes, random: Random, o: NnunetAugmentation): Tensor[] {
  const { maxDegrees, inPlane } = turningOf(patch);
  const isTurned = random.chance(o.rotation);
  const isScaled = random.chance(o.scaling);
  const size = (windows[0] as Tensor).shape.slice(1);
  if (!isTurned && !isScaled) return windows.map((x) => middle(x, patch));
  const angles = Array.from({ length: patch.length === 2 || inPlane ? 1 : 3 }, () =>
    isTurned ? (random.uniform(-maxDegrees, maxDegrees) * Math.PI) / 180 : 0,
  );
  const scale = isScaled ? random.uniform(...o.scales) : 1;
  const matrix = sourceMatrix(patch.length, angles, scale, inPlane);
  // The engine counts axes from the last, and places from -1 to 1 over the window.
  const dim = patch.length;
  const theta = Array.from({ length: dim }, (_, r) => [
    ...Array.from({ length: dim }, (__, c) => {
      const [row, column] = [dim - 1 - r, dim - 1 - c];
      return ((matrix[row]?.[column] as number) * (patch[column] as number)) / (size[row] as number);
    }),
    0,
  ]);
  const grid = affineGridOp(tensor([theta]), [1, 1, ...patch], false);
  return windows.map((x, i) =>
    gridSampleOp(x.unsqueeze(0), grid, i === 0 ? BILINEAR : NEAREST, ZEROS_OUTSIDE, false).squeeze(0),
  );
}

/** From an offset in the patch to the offset in the window, voxels, axes in the tensor's order. */
function sourceMatrix(dim: number, angles: readonly number[], scale: number, inPlane: boolean): number[][] {
  let matrix = Array.from({ length: dim }, (_, i) =>
    Array.from({ length: dim }, (__, j) => (i === j ? (inPlane && i === 0 ? 1 : scale) : 0)),
  );
  // Planes of the turns: the last two axes; in three dimensions then those with the first.
  const planes = [
    [dim - 2, dim - 1],
    [0, dim - 1],
    [0, dim - 2],
  ] as const;
  for (const [k, angle] of angles.entries()) {
    const [p, q] = planes[k] as readonly [number, number];
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    matrix = matrix.map((row, i) => {
      const [a, b] = [matrix[p] as number[], matrix[q] as number[]];
      if (i === p) return a.map((value, j) => cos * value - sin * (b[j] as number));
      if (i === q) return a.map((value, j) => sin * value + cos * (b[j] as number));
      return row;
    });
  }
  return matrix;
}

function middle(x: Tensor, patch: Sizes): Tensor {
  return patch.reduce((part, side, axis) => {
    const start = Math.floor((part.size(axis + 1) - side) / 2);
    return part.slice(axis + 1, start, start + side);
  }, x);
}

const eachChannel = (x: Tensor, change: (channel: Tensor) => Tensor): Tensor =>
  cat(
    x.split(1).map((channel) => change(channel)),
    0,
  );

/** A factor of which half lies below 1, whatever the range. */
const factor = ([low, high]: Range, random: Random): number =>
  random.chance(0.5) ? random.uniform(low, 1) : random.uniform(1, high);

/** Gaussian blur of a channel [1, P...]; the outermost values continue beyond the edge. */
function blur(x: Tensor, sigma: number): Tensor {
  const radius = Math.max(1, Math.ceil(3 * sigma));
  const raw = Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)),
  );
  const sum = raw.reduce((a, b) => a + b, 0);
  const kernel = tensor(raw.map((weight) => weight / sum));
  const dim = (x.ndim - 1) as 2 | 3;
  const [pad, conv] = [replicationPads[dim], dim === 2 ? F.conv2d : F.conv3d];
  let y = x.unsqueeze(0);
  for (let axis = 0; axis < dim; axis++) {
    const isAxis = (i: number) => i === axis;
    const amounts = Array.from({ length: dim }, (_, i) =>
      isAxis(dim - 1 - i) ? [radius, radius] : [0, 0],
    ).flat();
    const shape = Array.from({ length: dim }, (_, i) => (isAxis(i) ? raw.length : 1));
    y = conv(pad(y, amounts), kernel.reshape([1, 1, ...shape]));
  }
  return y.squeeze(0);
}

/** Further from the mean or nearer, within what the values spanned. */
function contrast(x: Tensor, by: number): Tensor {
  const mean = x.mean();
  return x.sub(mean).mul(by).add(mean).maximum(x.amin()).minimum(x.amax());
}

/** As an image of fewer, larger voxels would look, at the old size. */
function lowerResolution(x: Tensor, by: number): Tensor {
  const size = x.shape.slice(1);
  const small = size.map((side) => Math.max(1, Math.round(side * by)));
  const coarse = F.interpolate(x.unsqueeze(0), small, { mode: 'nearest' });
  const mode = size.length === 2 ? 'bilinear' : 'trilinear';
  return F.interpolate(coarse, size, { mode }).squeeze(0);
}

/** An exponent on the values' place in their range; mean and standard deviation stay. */
function gamma(x: Tensor, exponent: number): Tensor {
  const [low, mean, sd] = [x.amin(), x.mean(), deviation(x)];
  const span = x.amax().sub(low);
  const curved = x.sub(low).div(span.add(1e-7)).clamp(0).pow(exponent).mul(span).add(low);
  return curved.sub(curved.mean()).div(deviation(curved).clamp(1e-7)).mul(sd).add(mean);
}

const deviation = (x: Tensor): Tensor => x.var([...x.shape.keys()], { unbiased: false }).sqrt();
