// An image as a CLIP sees it: resized with Pillow's bicubic filter, normalised, as planes. Two ways: open_clip's, which keeps the
// aspect ratio and sees the middle only, and a stretch of the whole image, which leaves no place out of a map.

import { type Normalisation, normaliseToPlanes } from '../../imaging/normalise.ts';
import { resize } from '../../imaging/resample.ts';
import type { Box, Image, Size } from '../../imaging/types.ts';

/**
 * - `stretch`: the whole image fills the input, its aspect ratio not kept
 * - `centre-crop`: the shorter side fills the input, what hangs over on the longer one is cut off (open_clip)
 */
export type ClipView = 'stretch' | 'centre-crop';

/** OpenAI's constants, which BiomedCLIP shares, on the 0..255 scale. */
export const CLIP_NORMALISATION: Normalisation = {
  mean: [0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255],
  std: [0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255],
  order: 'rgb',
};

/** What a network of that input side gets. */
export type ClipInput = {
  /** [3, side, side]; 0 is the mean colour. */
  readonly planes: Float32Array<ArrayBuffer>;
  readonly side: number;
  /** The part of the original that it shows, in the original's pixels (not always whole ones). */
  readonly shown: Box;
};

type View = (image: Image, side: number) => { readonly image: Image; readonly shown: Box };

/** Python's rounding, which open_clip's crop uses: halves go to the even neighbour. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

function cropped({ width, channels, data }: Image, left: number, top: number, side: number): Image {
  const out = new Uint8Array(side * side * channels);
  for (let y = 0; y < side; y++) {
    const from = ((top + y) * width + left) * channels;
    out.set(data.subarray(from, from + side * channels), y * side * channels);
  }
  return { width: side, height: side, channels, data: out };
}

const bicubic = (image: Image, size: Size): Image =>
  image.width === size.width && image.height === size.height
    ? image
    : resize(image, size, { filter: 'cubic' });

const VIEWS: Readonly<Record<ClipView, View>> = {
  stretch: (image, side) => ({
    image: bicubic(image, { width: side, height: side }),
    shown: { x0: 0, y0: 0, x1: image.width, y1: image.height },
  }),
  'centre-crop': (image, side) => {
    const { width, height } = image;
    const shorter = Math.min(width, height);
    const size = {
      width: width === shorter ? side : Math.floor((side * width) / height),
      height: height === shorter ? side : Math.floor((side * height) / width),
    };
    const left = roundHalfEven((size.width - side) / 2);
    const top = roundHalfEven((size.height - side) / 2);
    const [perX, perY] = [width / size.width, height / size.height];
    return {
      image: cropped(bicubic(image, size), left, top, side),
      shown: { x0: left * perX, y0: top * perY, x1: (left + side) * perX, y1: (top + side) * perY },
    };
  },
};

/** The image for a network of input side `side`, px. Grey images fill all three planes. */
export function clipInput(image: Image, side: number, view: ClipView = 'stretch'): ClipInput {
  const seen = VIEWS[view](image, side);
  const planes = normaliseToPlanes(seen.image, CLIP_NORMALISATION) as Float32Array<ArrayBuffer>;
  return { planes, side, shown: seen.shown };
}
