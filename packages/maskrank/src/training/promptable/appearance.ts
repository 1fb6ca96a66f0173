// Random looks of an image: contrast turned over or bent, light that falls off, noise, blur, lost resolution, over ranges wider
// than any modality's (as SynthSeg does; Billot 2023), so that a network that has seen only drawn images does not rely on
// their look. Nothing moves. Not here: movements (imaging/augment.ts).

import { addNoise, applyTone, blur, lowerResolution } from '../../imaging/photometric.ts';
import type { Image } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';

type Change = {
  /** Chance that an image gets it. */
  readonly chance: number;
  readonly apply: (image: Image, random: Random) => Image;
};

/** In the order in which a scanner would do them. */
const CHANGES: readonly Change[] = [
  { chance: 0.25, apply: (image, random) => shade(image, random, 0.5) },
  {
    chance: 0.6,
    apply: (image, random) =>
      applyTone(image, {
        gamma: random.logUniform(0.5, 2),
        contrast: random.logUniform(0.5, 1.6),
        brightness: random.uniform(0.75, 1.3),
      }),
  },
  { chance: 0.15, apply: bendTone },
  {
    chance: 0.12,
    apply: (image) =>
      mapBytes(
        image,
        Uint8Array.from({ length: 256 }, (_, v) => 255 - v),
      ),
  },
  { chance: 0.25, apply: (image, random) => blur(image, random.uniform(0.4, 1.6)) },
  { chance: 0.25, apply: (image, random) => lowerResolution(image, random.uniform(0.3, 0.9)) },
  { chance: 0.35, apply: (image, random) => addNoise(image, random.uniform(1, 16), random) },
];

/** The image with another look; every random choice comes from `random`. */
export const changeLook = (image: Image, random: Random): Image =>
  CHANGES.reduce((seen, { chance, apply }) => (random.chance(chance) ? apply(seen, random) : seen), image);

const mapBytes = (image: Image, table: Uint8Array): Image => ({
  ...image,
  data: image.data.map((v) => table[v] as number),
});

/** Grey values through a curve of straight pieces between random heights: what was dark may become bright. */
function bendTone(image: Image, random: Random): Image {
  const pieces = random.int(2, 5);
  const heights = Array.from({ length: pieces + 1 }, () => random.uniform(0, 255));
  const table = Uint8Array.from({ length: 256 }, (_, v) => {
    const at = (v / 255) * pieces;
    const k = Math.min(Math.floor(at), pieces - 1);
    const [low, high] = [heights[k] as number, heights[k + 1] as number];
    return Math.round(low + (at - k) * (high - low));
  });
  return mapBytes(image, table);
}

/** Light that falls off linearly along a random direction: a factor of 1 in the middle, up to 1 +- `most` at the corners. */
function shade(image: Image, random: Random, most: number): Image {
  const { width, height, channels, data } = image;
  const angle = random.uniform(0, 2 * Math.PI);
  const amount = random.uniform(0, most);
  const [gx, gy] = [(2 * amount * Math.cos(angle)) / width, (2 * amount * Math.sin(angle)) / height];
  const out = new Uint8ClampedArray(data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const factor = 1 + (x - width / 2) * gx + (y - height / 2) * gy;
      for (let c = 0; c < channels; c++, i++) out[i] = (data[i] as number) * factor;
    }
  }
  return { ...image, data: new Uint8Array(out.buffer) };
}
