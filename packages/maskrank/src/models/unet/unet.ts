// The 2-D U-Net as most people run it: padded convolutions with batch normalisation, four times down and up again, with the
// names of milesial/Pytorch-UNet, so that its checkpoints load. Not here: losses and training (training/baselines).
// Shapes: B images, C channels, W channels of the first level, h w the size of a level.

import { cat, type Generator, nn, type Tensor } from '@maskrank/torch';
import type { UnetConfig } from './config.ts';

const { F } = nn;

/** Twice: 3 x 3 convolution, batch normalisation, ReLU. */
class DoubleConv extends nn.Layer {
  readonly double_conv: nn.Sequential;

  constructor(from: number, to: number, between = to) {
    super();
    const conv = (a: number, b: number) => new nn.Conv2d(a, b, 3, { padding: 1, bias: false });
    this.double_conv = new nn.Sequential(
      conv(from, between),
      new nn.BatchNorm2d(between),
      new nn.ReLU(),
      conv(between, to),
      new nn.BatchNorm2d(to),
      new nn.ReLU(),
    );
  }
  override forward(x: Tensor): Tensor {
    return this.double_conv.forward(x); // [B, from, h, w] -> [B, to, h, w]
  }
}

/** One level down. */
class Down extends nn.Layer {
  readonly maxpool_conv: nn.Sequential;

  constructor(from: number, to: number) {
    super();
    this.maxpool_conv = new nn.Sequential(new nn.MaxPool2d(2), new DoubleConv(from, to));
  }
  override forward(x: Tensor): Tensor {
    return this.maxpool_conv.forward(x); // [B, from, h, w] -> [B, to, h/2, w/2], rounded down
  }
}

/** One level up, joined with what the way down had there. */
class Up extends nn.Module {
  readonly up: nn.Layer;
  readonly conv: DoubleConv;

  constructor(from: number, to: number, bilinear: boolean) {
    super();
    this.up = bilinear
      ? new nn.Upsample({ scale: 2, mode: 'bilinear', alignCorners: true })
      : new nn.ConvTranspose2d(from, from / 2, 2, { stride: 2 });
    this.conv = bilinear ? new DoubleConv(from, to, from / 2) : new DoubleConv(from, to);
  }

  /** below [B, C, h, w]; skip [B, C', H, W], where H and W are 2h and 2w or one more: then zeros are put around. */
  forward(below: Tensor, skip: Tensor): Tensor {
    const enlarged = this.up.forward(below);
    const [high, wide] = [skip.size(2) - enlarged.size(2), skip.size(3) - enlarged.size(3)];
    const [top, left] = [high >> 1, wide >> 1];
    const fitted =
      high === 0 && wide === 0 ? enlarged : F.pad(enlarged, [left, wide - left, top, high - top]);
    return this.conv.forward(cat([skip, fitted], 1));
  }
}

class OutConv extends nn.Layer {
  readonly conv: nn.Conv2d;
  constructor(from: number, to: number) {
    super();
    this.conv = new nn.Conv2d(from, to, 1);
  }
  override forward(x: Tensor): Tensor {
    return this.conv.forward(x);
  }
}

export class Unet extends nn.Layer {
  readonly inc: DoubleConv;
  readonly down1: Down;
  readonly down2: Down;
  readonly down3: Down;
  readonly down4: Down;
  readonly up1: Up;
  readonly up2: Up;
  readonly up3: Up;
  readonly up4: Up;
  readonly outc: OutConv;
  readonly #config: UnetConfig;

  constructor(config: UnetConfig) {
    super();
    this.#config = config;
    const { width: w, bilinear } = config;
    const share = bilinear ? 2 : 1; // interpolation leaves the channels as they are, so the level below has half of them
    this.inc = new DoubleConv(config.inChannels, w);
    this.down1 = new Down(w, 2 * w);
    this.down2 = new Down(2 * w, 4 * w);
    this.down3 = new Down(4 * w, 8 * w);
    this.down4 = new Down(8 * w, (16 * w) / share);
    this.up1 = new Up(16 * w, (8 * w) / share, bilinear);
    this.up2 = new Up(8 * w, (4 * w) / share, bilinear);
    this.up3 = new Up(4 * w, (2 * w) / share, bilinear);
    this.up4 = new Up(2 * w, w, bilinear);
    this.outc = new OutConv(w, config.outChannels);
  }

  get config(): UnetConfig {
    return this.#config;
  }

  /** Images [B, inChannels, H, W] -> logits [B, outChannels, H, W]; H and W at least 16 px, of any parity. */
  override forward(images: Tensor): Tensor {
    // Channels last in memory: a training step of the small network at 256 px takes 2.4 s of one core instead of 3.3.
    const level1 = this.inc.forward(images.contiguous('channelsLast')); // [B, W, H, W]
    const level2 = this.down1.forward(level1);
    const level3 = this.down2.forward(level2);
    const level4 = this.down3.forward(level3);
    const bottom = this.down4.forward(level4);
    const up1 = this.up1.forward(bottom, level4);
    const up2 = this.up2.forward(up1, level3);
    const up3 = this.up3.forward(up2, level2);
    return this.outc.forward(this.up4.forward(up3, level1));
  }
}

/** A network with random weights drawn from `generator`, PyTorch's default for convolutions. */
export function createUnet(config: UnetConfig, generator: Generator): Unet {
  return nn.initialise(new Unet(config), generator);
}
