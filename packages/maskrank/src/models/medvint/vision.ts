// PMC-CLIP's image encoder as MedVInT uses it: CLIP's modified ResNet (Radford 2021: three convolutions in front, strides by
// average pooling, anti-aliased shortcuts) without its fourth stage and its attention pooling. Keys are places in a sequence,
// because the released model was cut as one. Shapes: B batch, C channels, H W places.

import { nn, type Tensor } from '@maskrank/torch';
import type { VisionConfig } from './config.ts';

const EXPANSION = 4;

/** 1x1, 3x3, 1x1 convolutions with a shortcut; a stride of two is a pool before the last convolution and on the shortcut. */
class Bottleneck extends nn.Layer {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly conv3: nn.Conv2d;
  readonly bn3: nn.BatchNorm2d;
  /** Convolution and norm where the number of channels changes. */
  readonly downsample: nn.Sequential | null;
  readonly #stride: 1 | 2;

  constructor(inChannels: number, channels: number, stride: 1 | 2) {
    super();
    const outChannels = EXPANSION * channels;
    const conv = (from: number, to: number, side: 1 | 3) =>
      new nn.Conv2d(from, to, side, { padding: (side - 1) / 2, bias: false });
    this.#stride = stride;
    this.conv1 = conv(inChannels, channels, 1);
    this.bn1 = new nn.BatchNorm2d(channels);
    this.conv2 = conv(channels, channels, 3);
    this.bn2 = new nn.BatchNorm2d(channels);
    this.conv3 = conv(channels, outChannels, 1);
    this.bn3 = new nn.BatchNorm2d(outChannels);
    const changes = stride > 1 || inChannels !== outChannels;
    this.downsample = changes
      ? new nn.Sequential(conv(inChannels, outChannels, 1), new nn.BatchNorm2d(outChannels))
      : null;
  }

  /** [B, C, H, W] -> [B, 4 channels, H / stride, W / stride] */
  override forward(x: Tensor): Tensor {
    const pool = (y: Tensor) => (this.#stride === 1 ? y : nn.F.avgPool(2, y, this.#stride));
    let y = this.bn1.forward(this.conv1.forward(x)).relu();
    y = this.bn2.forward(this.conv2.forward(y)).relu();
    y = this.bn3.forward(this.conv3.forward(pool(y)));
    return y.add(this.downsample?.forward(pool(x)) ?? x).relu();
  }
}

/** Image [B, 3, S, S] -> features [B, 16 width, S / 16, S / 16]. */
export function createVisionModel({ width, blocks }: VisionConfig): nn.Sequential {
  const convNorm = (from: number, to: number, stride: 1 | 2) => [
    new nn.Conv2d(from, to, 3, { stride, padding: 1, bias: false }),
    new nn.BatchNorm2d(to),
    new nn.ReLU(),
  ];
  const stages = blocks.map((count, stage) => {
    const channels = width * 2 ** stage;
    const before = stage === 0 ? width : 2 * channels;
    const first = new Bottleneck(before, channels, stage === 0 ? 1 : 2);
    const rest = Array.from({ length: count - 1 }, () => new Bottleneck(EXPANSION * channels, channels, 1));
    return new nn.Sequential(first, ...rest);
  });
  return new nn.Sequential(
    ...convNorm(3, width / 2, 2),
    ...convNorm(width / 2, width / 2, 1),
    ...convNorm(width / 2, width, 1),
    new nn.AvgPool2d(2),
    ...stages,
  );
}
