// Modified ResNet of OpenAI's CLIP (Radford 2021): a stem of three convolutions, average pooling before strided convolutions, and
// attention instead of mean pooling. Parameter names are the released state dicts'.
// Shapes: B images, C channels of a stage, H W its positions, E features.

import { cat, type Generator, nn, type Tensor, tidy, zeros } from '@maskrank/torch';
import type { ClipResNetConfig } from './config.ts';
import { multiHead, NormalLinear, type Tap } from './layers.ts';
import { VisionTower } from './vision-tower.ts';

const { F, init } = nn;

/** Channels of a block's output for each of its inner channels. */
const EXPANSION = 4;

const conv = (from: number, to: number, kernel: number, stride = 1) =>
  new nn.Conv2d(from, to, kernel, { stride, padding: (kernel - 1) / 2, bias: false });

const halve = (x: Tensor, stride: number): Tensor => (stride > 1 ? F.avgPool(2, x, stride) : x);

/** The last norm of a block starts at zero, so that a block starts as the identity. */
class ZeroedNorm extends nn.BatchNorm2d {
  override resetParameters(): void {
    if (this.weight !== null) init.constant_(this.weight, 0);
  }
}

class Bottleneck extends nn.Layer {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly conv3: nn.Conv2d;
  readonly bn3: ZeroedNorm;
  /** The shortcut, where size or channels change. */
  readonly downsample: nn.Sequential | null;
  readonly #stride: number;

  constructor(from: number, inner: number, stride: number) {
    super();
    const to = inner * EXPANSION;
    this.#stride = stride;
    this.conv1 = conv(from, inner, 1);
    this.bn1 = new nn.BatchNorm2d(inner);
    this.conv2 = conv(inner, inner, 3);
    this.bn2 = new nn.BatchNorm2d(inner);
    this.conv3 = conv(inner, to, 1);
    this.bn3 = new ZeroedNorm(to);
    const same = stride === 1 && from === to;
    this.downsample = same ? null : new nn.Sequential(conv(from, to, 1), new nn.BatchNorm2d(to));
  }
  /** x [B, from, H, W] -> [B, 4 inner, H / stride, W / stride] */
  override forward(x: Tensor): Tensor {
    return tidy(() => this.#forward(x));
  }
  #forward(x: Tensor): Tensor {
    const a = this.bn1.forward(this.conv1.forward(x)).relu();
    const b = this.bn2.forward(this.conv2.forward(a)).relu();
    const c = this.bn3.forward(this.conv3.forward(halve(b, this.#stride)));
    const shortcut = this.downsample === null ? x : this.downsample.forward(halve(x, this.#stride));
    return c.add(shortcut).relu();
  }
}

/** One query, the mean of all positions, looks at the mean and every position. */
class AttentionPool extends nn.Layer {
  readonly positional_embedding: nn.Parameter; // [1 + H W, C]
  readonly k_proj: NormalLinear;
  readonly q_proj: NormalLinear;
  readonly v_proj: NormalLinear;
  readonly c_proj: NormalLinear;
  readonly #heads: number;

  constructor(positions: number, channels: number, heads: number, embedDim: number) {
    super();
    this.#heads = heads;
    const deviation = channels ** -0.5;
    this.positional_embedding = new nn.Parameter(zeros([1 + positions, channels]));
    this.k_proj = new NormalLinear(channels, channels, { deviation });
    this.q_proj = new NormalLinear(channels, channels, { deviation });
    this.v_proj = new NormalLinear(channels, channels, { deviation });
    this.c_proj = new NormalLinear(channels, embedDim, { deviation });
  }
  override resetParameters(generator: Generator): void {
    init.normal_(this.positional_embedding, 0, this.positional_embedding.size(1) ** -0.5, generator);
  }
  /** x [B, C, H, W] -> [B, E] */
  override forward(x: Tensor): Tensor {
    const cells = x.flatten(2).transpose(1, 2); // [B, H W, C]
    const tokens = cat([cells.mean(1, true), cells], 1).add(this.positional_embedding); // [B, 1 + H W, C]
    const q = this.q_proj.forward(tokens.slice(1, 0, 1));
    const pooled = multiHead(q, this.k_proj.forward(tokens), this.v_proj.forward(tokens), {
      heads: this.#heads,
    });
    return this.c_proj.forward(pooled.squeeze(1));
  }
}

function stage(from: number, inner: number, blocks: number, stride: number): nn.Sequential {
  const to = inner * EXPANSION;
  return new nn.Sequential(
    ...Array.from(
      { length: blocks },
      (_, i) => new Bottleneck(i === 0 ? from : to, inner, i === 0 ? stride : 1),
    ),
  );
}

export class ModifiedResNet extends VisionTower {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly conv3: nn.Conv2d;
  readonly bn3: nn.BatchNorm2d;
  readonly layer1: nn.Sequential;
  readonly layer2: nn.Sequential;
  readonly layer3: nn.Sequential;
  readonly layer4: nn.Sequential;
  readonly attnpool: AttentionPool;

  constructor({ stages, width, heads, imageSize }: ClipResNetConfig, embedDim: number) {
    super();
    const half = width / 2;
    this.conv1 = conv(3, half, 3, 2);
    this.bn1 = new nn.BatchNorm2d(half);
    this.conv2 = conv(half, half, 3);
    this.bn2 = new nn.BatchNorm2d(half);
    this.conv3 = conv(half, width, 3);
    this.bn3 = new nn.BatchNorm2d(width);
    this.layer1 = stage(width, width, stages[0], 1);
    this.layer2 = stage(4 * width, 2 * width, stages[1], 2);
    this.layer3 = stage(8 * width, 4 * width, stages[2], 2);
    this.layer4 = stage(16 * width, 8 * width, stages[3], 2);
    this.attnpool = new AttentionPool((imageSize / 32) ** 2, 32 * width, heads, embedDim);
  }
  override forward(images: Tensor, { value = (_, y) => y }: Tap = {}): Tensor {
    const stem = tidy(() => {
      const a = this.bn1.forward(this.conv1.forward(images)).relu();
      const b = this.bn2.forward(this.conv2.forward(a)).relu();
      return F.avgPool(2, this.bn3.forward(this.conv3.forward(b)).relu(), 2); // [B, width, S / 4, S / 4]
    });
    const one = value('layer1', this.layer1.forward(stem));
    const two = value('layer2', this.layer2.forward(one));
    const three = value('layer3', this.layer3.forward(two));
    return this.attnpool.forward(value('layer4', this.layer4.forward(three)));
  }
}
