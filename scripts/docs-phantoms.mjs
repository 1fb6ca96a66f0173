// Draws docs/images/phantoms-FAMILY.jpg: four phantoms of each family side by side, their masks outlined. No arguments;
// needs a build. Which pictures is decided by a rule, not by eye.

import { fileURLToPath } from 'node:url';
import * as mr from 'maskrank';
import sharp from 'sharp';

const SIDE = 340;
const GAP = 8;
const COLUMNS = 4;
const SEED = 7;
/** Pictures that each is taken from: the one with the most classes, of equals the one whose smallest class is largest. */
const TRIES = 4;
/** By class, again from the start where a family has more. */
const INKS = [
  [255, 90, 90],
  [70, 220, 120],
  [90, 170, 255],
  [240, 228, 66],
  [255, 140, 40],
  [200, 120, 255],
  [80, 220, 220],
];

/** In the middle of a black square, so that all stand in one line. */
function squared({ width, height, data }) {
  const side = Math.max(width, height);
  const [left, top] = [(side - width) >> 1, (side - height) >> 1];
  const out = new Uint8Array(side * side);
  for (let y = 0; y < height; y++)
    out.set(data.subarray(y * width, (y + 1) * width), (y + top) * side + left);
  return { width: side, height: side, channels: 1, data: out };
}

/** A class more outweighs any area. */
function worth(masks) {
  const areas = [...masks.values()].map(({ data }) => data.reduce((sum, bit) => sum + bit, 0) / data.length);
  return areas.length + Math.min(...areas, 1);
}

for (const name of ['breast', 'chest', 'abdomen', 'mixed']) {
  const family = mr.phantomFamily(name);
  const tiles = Array.from({ length: COLUMNS }, (_, column) => {
    const drawn = Array.from({ length: TRIES }, (_, k) =>
      mr.drawPhantom(family, SEED, column * TRIES + k, SIDE),
    );
    const { image, masks } = drawn.toSorted((a, b) => worth(b.masks) - worth(a.masks))[0];
    const outlines = [...masks].map(([id, mask]) => ({
      ...{ kind: 'mask', mask: squared(mask), colour: INKS[(id - 1) % INKS.length], opacity: 0 },
      contourPx: 1,
    }));
    return mr.drawOverlay(squared(image), outlines, { longestSidePx: SIDE });
  });
  const { width, height, data } = mr.panel(tiles, {
    columns: COLUMNS,
    gapPx: GAP,
    background: [255, 255, 255],
  });
  const out = fileURLToPath(new URL(`../docs/images/phantoms-${name}.jpg`, import.meta.url));
  const file = await sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 85 })
    .toFile(out);
  console.log(`${out}: ${width} x ${height}, ${Math.ceil(file.size / 1000)} kB`);
}
