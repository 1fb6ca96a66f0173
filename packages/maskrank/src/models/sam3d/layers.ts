// LayerNorm over the channels of a volume, SAM's LayerNorm2d with one more axis.

import { nn, ones, type Tensor, zeros } from '@maskrank/torch';

/** Of every LayerNorm in SAM-Med3D outside the two-way transformer. */
export const NORM_EPS = 1e-6;

/** x [N, C, D, H, W], normalised over C at each place. */
export class LayerNorm3d extends nn.Layer {
  readonly weight: nn.Parameter; // [C]
  readonly bias: nn.Parameter;

  constructor(channels: number) {
    super();
    this.weight = new nn.Parameter(ones([channels]));
    this.bias = new nn.Parameter(zeros([channels]));
  }
  override forward(x: Tensor): Tensor {
    const last = x.permute([0, 2, 3, 4, 1]); // [N, D, H, W, C]
    return nn.F.layerNorm(last, [last.size(-1)], this.weight, this.bias, NORM_EPS).permute([0, 4, 1, 2, 3]);
  }
}
