// How many values the convolutions of a network put out for one image: what nnU-Net's planner takes for its use of memory.
// Mirrors `compute_conv_feature_map_size` of dynamic-network-architectures, which leaves normalisations and rectifiers out.

import { isOne } from './blocks.ts';
import type { NnunetConfig, Sizes } from './config.ts';

const product = (sizes: Sizes): number => sizes.reduce((a, b) => a * b, 1);

/** @param deepSupervision whether logits of every resolution are counted, or the highest's alone (as the planner does) */
export function featureMapSize(
  config: NnunetConfig,
  patch: Sizes,
  { deepSupervision = false }: { readonly deepSupervision?: boolean } = {},
): number {
  const { features, strides, blocksEncoder, blocksDecoder, outChannels, residual } = config;
  const sizes: number[] = []; // positions of each stage
  let size = patch;
  for (const stride of strides) {
    size = size.map((side, axis) => Math.floor(side / (stride[axis] as number)));
    sizes.push(product(size));
  }
  const mapsOf = (stage: number) => (features[stage] as number) * (sizes[stage] as number);

  let total = residual ? (features[0] as number) * product(patch) : 0; // the stem
  for (const [i, count] of blocksEncoder.entries()) {
    const changes = i > 0 && features[i] !== features[i - 1];
    const hasSkip = residual && (changes || !isOne(strides[i] as Sizes));
    total += mapsOf(i) * (residual ? 2 * count + Number(hasSkip) : count);
  }
  for (const [s, count] of blocksDecoder.entries()) {
    const stage = features.length - 2 - s;
    total += mapsOf(stage) * (count + 1);
    if (deepSupervision || stage === 0) total += outChannels * (sizes[stage] as number);
  }
  return total;
}
