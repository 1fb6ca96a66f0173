// SAM-Med2D's adapter (Cheng 2023), run beside the MLP of an image encoder block on the same normalised tokens: channels are
// weighted by squeeze-and-excitation, then a strided convolution and a transposed one look at the neighbourhood. Its output is
// normalised, so a fresh adapter is not near the identity.
// Shapes: B images, H W grid (even), C channels.

import { type Generator, nn, op, type Tensor } from '@maskrank/torch';
import { rows } from './layers.ts';

const { init } = nn;
const im2col = op('aten::im2col');
const col2im = op('aten::col2im');

/** One image through a large network: rearranging the weights for oneDNN costs more than the product with these few places. */
const weightsOutweigh = (places: number, channels: number): boolean => 4 * places < channels;

class AdapterConv extends nn.Conv2d {
  override resetParameters(generator: Generator): void {
    init.kaimingNormal_(this.weight, { mode: 'fanOut', generator });
  }

  /** x [B, C, H, W] -> [B, C, H / 2, W / 2]; as one product of matrices on gathered neighbourhoods where the weights outweigh. */
  override forward(x: Tensor): Tensor {
    const [b, c, h, w] = x.shape as [number, number, number, number];
    const places = (b * h * w) / 4;
    if (!weightsOutweigh(places, c)) return super.forward(x);
    const around = im2col(x, [3, 3], [1, 1], [1, 1], [2, 2]).transpose(1, 2); // [B, places, 9 C]
    const y = rows(around, this.weight.flatten(1), null); // [B, places, C]
    return y.view([b, h / 2, w / 2, c]).permute([0, 3, 1, 2]);
  }
}
class AdapterConvTranspose extends nn.ConvTranspose2d {
  override resetParameters(generator: Generator): void {
    init.kaimingNormal_(this.weight, { mode: 'fanOut', generator });
  }

  /** x [B, C, H, W] -> [B, C, 2 H, 2 W]; as one product of matrices, its parts added up, where the weights outweigh. */
  override forward(x: Tensor): Tensor {
    const [b, c, h, w] = x.shape as [number, number, number, number];
    if (!weightsOutweigh(b * h * w, c)) return super.forward(x);
    const parts = this.weight.flatten(1).t().matmul(x.flatten(2)); // [B, 16 C, H W]
    return col2im(parts, [2 * h, 2 * w], [4, 4], [1, 1], [1, 1], [2, 2]);
  }
}

export class Adapter extends nn.Layer {
  readonly norm: nn.LayerNorm;
  readonly channel: nn.Sequential;
  readonly spatial: nn.Sequential;

  constructor(
    dim: number,
    options: {
      /** Hidden channels of the channel weights, as a part of `dim`. */ readonly ratio?: number;
    } = {},
  ) {
    super();
    const hidden = Math.floor(dim * (options.ratio ?? 0.25));
    this.norm = new nn.LayerNorm(dim); // eps 1e-5, unlike the encoder's other norms
    this.channel = new nn.Sequential(
      new nn.Linear(dim, hidden, { bias: false }),
      new nn.ReLU(),
      new nn.Linear(hidden, dim, { bias: false }),
      new nn.Sigmoid(),
    );
    this.spatial = new nn.Sequential(
      new AdapterConv(dim, dim, 3, { stride: 2, padding: 1, bias: false }),
      new nn.ReLU(),
      new AdapterConvTranspose(dim, dim, 4, { stride: 2, padding: 1, bias: false }),
      new nn.ReLU(),
    );
  }

  /** x [B, H, W, C] -> [B, H, W, C] */
  override forward(x: Tensor): Tensor {
    const weights = this.channel.forward(x.mean([1, 2])); // [B, C]
    // Row-major: with channels last oneDNN rearranges the weights at every call, which costs more than the convolution.
    const weighted = x.mul(weights.unsqueeze(1).unsqueeze(1)).permute([0, 3, 1, 2]).contiguous(); // [B, C, H, W]
    const spatial = this.spatial.forward(weighted).permute([0, 2, 3, 1]); // [B, H, W, C]
    return this.norm.forward(x.add(spatial));
  }
}
