// nnU-Net's networks: a plain or residual encoder, transposed convolutions up, logits at every resolution but the lowest (deep
// supervision). One class for both encoders and both dimensions. Not here: its shape for a dataset (planner/), losses and
// training (training/nnunet).
// Shapes: B images, C channels, K logits, S... spatial sizes, each divisible by the product of its strides.

import { cat, type Generator, nn, type Tensor } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { ConvBlocks, LAYERS, ofOnes, ResidualBlocks } from './blocks.ts';
import type { NnunetConfig, Sizes } from './config.ts';

/** Features at every resolution, the highest first. */
abstract class Encoder extends nn.Module {
  abstract readonly stages: readonly nn.Layer[];

  forward(images: Tensor): Tensor[] {
    const skips: Tensor[] = [];
    let x = this.enter(images);
    for (const stage of this.stages) {
      x = stage.forward(x);
      skips.push(x);
    }
    return skips;
  }
  protected enter(images: Tensor): Tensor {
    return images;
  }
}

class PlainEncoder extends Encoder {
  readonly stages: readonly nn.Sequential[];

  constructor(config: NnunetConfig) {
    super();
    this.stages = config.blocksEncoder.map(
      (count, i) => new nn.Sequential(new ConvBlocks(count, stageOf(config, i, config.inChannels))),
    );
  }
}

class ResidualEncoder extends Encoder {
  readonly stem: ConvBlocks;
  readonly stages: readonly ResidualBlocks[];

  constructor(config: NnunetConfig) {
    super();
    const [width = 0] = config.features;
    const { dimension, kernel } = stageOf(config, 0, config.inChannels);
    this.stem = new ConvBlocks(1, { dimension, from: config.inChannels, to: width, kernel });
    this.stages = config.blocksEncoder.map(
      (count, i) => new ResidualBlocks(count, stageOf(config, i, width)),
    );
  }
  protected override enter(images: Tensor): Tensor {
    return this.stem.forward(images);
  }
}

const stageOf = ({ dimension, features, kernelSizes, strides }: NnunetConfig, i: number, first: number) => ({
  dimension,
  from: i === 0 ? first : (features[i - 1] as number),
  to: features[i] as number,
  kernel: kernelSizes[i] as Sizes,
  stride: strides[i] as Sizes,
});

/** The way up; its stages are numbered from the lowest resolution. */
class Decoder extends nn.Module {
  readonly stages: readonly ConvBlocks[];
  readonly transpconvs: readonly nn.Layer[];
  readonly seg_layers: readonly nn.Layer[];

  constructor({ dimension, features, kernelSizes, strides, blocksDecoder, outChannels }: NnunetConfig) {
    super();
    const { Conv, ConvTranspose } = LAYERS[dimension];
    const lowest = features.length - 1;
    // Stage s joins what comes from stage lowest - s of the encoder with the features of the one above.
    const rises = blocksDecoder.map((count, s) => ({
      count,
      below: features[lowest - s] as number,
      skip: features[lowest - s - 1] as number,
      stride: strides[lowest - s] as Sizes,
      kernel: kernelSizes[lowest - s - 1] as Sizes,
    }));
    this.transpconvs = rises.map(
      ({ below, skip, stride }) => new ConvTranspose(below, skip, stride, { stride }),
    );
    this.stages = rises.map(
      ({ count, skip, kernel }) => new ConvBlocks(count, { dimension, from: 2 * skip, to: skip, kernel }),
    );
    this.seg_layers = rises.map(({ skip }) => new Conv(skip, outChannels, ofOnes(dimension)));
  }

  /** Logits of the resolutions asked for, the highest first. */
  forward(skips: readonly Tensor[], resolutions: number): Tensor[] {
    const logits: Tensor[] = [];
    let x = skips.at(-1) as Tensor;
    for (const [s, stage] of this.stages.entries()) {
      const enlarged = (this.transpconvs[s] as nn.Layer).forward(x);
      x = stage.forward(cat([enlarged, skips.at(-s - 2) as Tensor], 1));
      if (s >= this.stages.length - resolutions) logits.unshift((this.seg_layers[s] as nn.Layer).forward(x));
    }
    return logits;
  }
}

export class Nnunet extends nn.Layer {
  readonly encoder: PlainEncoder | ResidualEncoder;
  readonly decoder: Decoder;
  readonly #config: NnunetConfig;

  constructor(config: NnunetConfig) {
    super();
    check(config);
    this.#config = config;
    this.encoder = config.residual ? new ResidualEncoder(config) : new PlainEncoder(config);
    this.decoder = new Decoder(config);
  }

  get config(): NnunetConfig {
    return this.#config;
  }

  /** How many resolutions have logits. */
  get resolutions(): number {
    return this.decoder.stages.length;
  }

  /** Images [B, inChannels, S...] -> logits [B, outChannels, S...]. */
  override forward(images: Tensor): Tensor {
    return this.forwardAll(images, 1)[0] as Tensor;
  }

  /** Logits [B, outChannels, S / strides so far...] of the highest resolutions, the images' own first. */
  forwardAll(images: Tensor, resolutions: number = this.resolutions): Tensor[] {
    return this.decoder.forward(this.encoder.forward(images), resolutions);
  }
}

function check({ features, kernelSizes, strides, blocksEncoder, blocksDecoder }: NnunetConfig): void {
  const stages = features.length;
  const lengths = [kernelSizes.length, strides.length, blocksEncoder.length, blocksDecoder.length + 1];
  if (stages >= 2 && lengths.every((length) => length === stages)) return;
  throw new UsageError(
    `nnU-Net: ${stages} stages of features, ${kernelSizes.length} kernel sizes, ${strides.length} strides, ${blocksEncoder.length} encoder and ${blocksDecoder.length} decoder stages; needed: at least 2 of each, as many of each, of the decoder one fewer.`,
  );
}

/** Slope of the rectifier that the first weights reckon with. */
const SLOPE = 0.01;

/**
 * A network with random weights drawn from `generator`: He's normal distribution, no bias; every residual block begins as the
 * identity, for its last normalisation multiplies by zero.
 */
export function createNnunet(config: NnunetConfig, generator: Generator): Nnunet {
  const network = new Nnunet(config);
  for (const [name, parameter] of network.namedParameters()) {
    const isKernel = parameter.ndim > 1;
    if (isKernel) nn.init.kaimingNormal_(parameter, { a: SLOPE, generator });
    else if (!name.endsWith('weight') || /conv2\.norm\.weight$/.test(name)) nn.init.constant_(parameter, 0);
  }
  return network;
}

/** Keys of nnU-Net's own files that say a tensor twice. */
const REPEATED = [/^decoder\.encoder\./, /\.all_modules\.\d+\./];

/** Loads a state dict of nnU-Net (`network_weights` of its checkpoints); everything must fit. */
export function loadNnunetState(network: Nnunet, state: nn.StateSource, source?: string): void {
  nn.loadStateDict(network, state, {
    allowUnexpected: REPEATED,
    ...(source === undefined ? {} : { source }),
  });
}
