// Spots of another grey inside of what is asked for, as vessels in a liver, echoes and calcifications in a lesion: drawn organs are
// more even inside than real ones, and a network that has seen them alone leaves holes. The mask stays whole, and nothing outside
// of it changes. Not here: looks of the whole image (appearance.ts).

import { corePoints } from '../../imaging/points.ts';
import type { Image, Mask } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';

/** Spots of a mask at most. */
const MOST = 12;
/** Half of a spot's length, as a part of the side of a square as large as the mask. */
const LENGTHS = [0.03, 0.25] as const;
/** Width over length; narrow ones are vessels and septa. */
const WIDTHS = [0.15, 1] as const;
/** Change of grey in the middle of a spot, to either side. */
const STRENGTHS = [15, 110] as const;
/** Part of a spot's radius over which it fades out. */
const FADES = [0.2, 1] as const;

/** The image with spots in the mask, at least one pixel large; every random choice comes from `random`. */
export function addInclusions(image: Image, mask: Mask, random: Random): Image {
  const areaPx = mask.data.reduce((sum, value) => sum + value, 0);
  if (areaPx === 0) return image;
  const data = image.data.slice();
  for (const { x, y } of corePoints(mask, random.int(1, MOST + 1), random, 0)) {
    const long = Math.max(1, Math.sqrt(areaPx) * random.logUniform(...LENGTHS));
    const spot: Spot = {
      x,
      y,
      long,
      wide: Math.max(1, long * random.uniform(...WIDTHS)),
      angle: random.uniform(0, Math.PI),
      change: random.choice([-1, 1]) * random.uniform(...STRENGTHS),
      fade: random.uniform(...FADES),
    };
    paint({ ...image, data }, mask, spot);
  }
  return { ...image, data };
}

type Spot = {
  readonly x: number;
  readonly y: number;
  /** Half axes, px. */
  readonly long: number;
  readonly wide: number;
  /** Of the long axis, radians. */
  readonly angle: number;
  readonly change: number;
  readonly fade: number;
};

/** Changes the image in place. */
function paint({ width, height, channels, data }: Image, mask: Mask, spot: Spot): void {
  const [cos, sin] = [Math.cos(spot.angle), Math.sin(spot.angle)];
  const reach = Math.ceil(spot.long);
  for (let y = Math.max(0, spot.y - reach); y <= Math.min(height - 1, spot.y + reach); y++) {
    for (let x = Math.max(0, spot.x - reach); x <= Math.min(width - 1, spot.x + reach); x++) {
      const at = y * width + x;
      if (mask.data[at] === 0) continue;
      const [dx, dy] = [x - spot.x, y - spot.y];
      const radius = Math.hypot((cos * dx + sin * dy) / spot.long, (cos * dy - sin * dx) / spot.wide);
      const change = spot.change * Math.min(1, Math.max(0, (1 - radius) / spot.fade));
      for (let c = at * channels; c < (at + 1) * channels; c++)
        data[c] = Math.round(Math.min(255, Math.max(0, (data[c] as number) + change)));
    }
  }
}
