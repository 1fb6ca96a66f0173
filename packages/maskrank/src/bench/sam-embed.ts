// Embedding one image with SAM-Med2D's ViT-B, without gradients: windows with real tokens only, and the padded form of the
// original implementation.

import { Generator, noGrad, tidy } from '@maskrank/torch';
import { createSam, samConfig, type Windowing } from '../models/sam/index.ts';
import { alternate, matmulRate, median, normals, timed } from './measure.ts';
import type { Bench } from './types.ts';

/** Arithmetic of an embedding when only real tokens are computed. */
const GFLOP = 69.0;

export const samEmbed: Bench = {
  name: 'sam-embed',
  describe: 'SAM-Med2D ViT-B: embedding one 256 x 256 image, exact windows against padded ones',
  run: async (options) => {
    const { device, rounds } = options;
    using sam = createSam(samConfig('sam-med2d_b'), Generator.seeded(1)).eval();
    sam.to(device);
    using image = normals([1, 3, sam.config.imageSize, sam.config.imageSize], 'sam-embed', device);
    const embed = (windowing: Windowing): number => {
      sam.image_encoder.mode.windowing = windowing;
      return timed(() => tidy(() => noGrad(() => void sam.embed(image))), device);
    };
    const times = await alternate({ exact: () => embed('exact'), padded: () => embed('padded') }, rounds);
    const exact = median(times.exact) / 1000;
    return [
      {
        what: 'an image, exact windows',
        value: exact,
        unit: 's',
        limit: {
          what: `${GFLOP.toFixed(1)} GFLOP at the rate of products`,
          value: GFLOP / matmulRate(options),
        },
        aim: { comparison: 'at most', value: 0.8 },
      },
      {
        what: 'padded time over exact time',
        value: median(times.padded) / 1000 / exact,
        unit: 'times',
        limit: { what: 'their arithmetic, 91.7 over 69.0 GFLOP', value: 91.7 / 69 },
        aim: { comparison: 'at least', value: 1.2 },
      },
    ];
  },
};
