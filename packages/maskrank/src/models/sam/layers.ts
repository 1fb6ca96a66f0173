// Small layers that the parts of SAM share: the image encoder's linear layer, MLPs, and linear maps over the last dimension.
// Shapes: T tokens, C channels.

import { type Generator, nn, type Tensor } from '@maskrank/torch';

const { init } = nn;

/** A linear map of the last dimension, done as one product of matrices, and what follows it: [..., in] -> [..., out]. */
export const rows = nn.linearThen;

/** Linear layer of a vision transformer: starts from a normal distribution cut at two deviations of 0.02, bias 0. */
export class VitLinear extends nn.Linear {
  override resetParameters(generator: Generator): void {
    init.truncatedNormal_(this.weight, 0.02, generator);
    if (this.bias !== null) init.constant_(this.bias, 0);
  }
  override forward(x: Tensor, then?: nn.LinearThen): Tensor {
    return rows(x, this.weight, this.bias, then);
  }
}

/** lin2(activation(lin1(x))), the MLP of a transformer block. */
export class MlpBlock extends nn.Layer {
  readonly lin1: nn.Linear;
  readonly lin2: nn.Linear;
  readonly #activation: 'gelu' | 'relu';

  constructor(
    dim: number,
    hidden: number,
    activation: 'gelu' | 'relu',
    linear: typeof nn.Linear = nn.Linear,
  ) {
    super();
    this.lin1 = new linear(dim, hidden);
    this.lin2 = new linear(hidden, dim);
    this.#activation = activation;
  }
  /** x [..., C], residual [..., C] or null -> [..., C] */
  override forward(x: Tensor, residual: Tensor | null = null): Tensor {
    const { lin1, lin2 } = this;
    const hidden = rows(x, lin1.weight, lin1.bias, { activation: this.#activation }); // [..., hidden]
    return rows(hidden, lin2.weight, lin2.bias, { residual });
  }
}

/** Linear layers with ReLU between them (hypernetworks and the IoU head). */
export class Mlp extends nn.Layer {
  readonly layers: readonly nn.Linear[];

  constructor(inDim: number, hidden: number, outDim: number, depth: number) {
    super();
    const sizes = [inDim, ...new Array<number>(depth - 1).fill(hidden), outDim];
    this.layers = sizes.slice(1).map((size, i) => new nn.Linear(sizes[i] as number, size));
  }
  override forward(x: Tensor): Tensor {
    return this.layers.reduce((y, layer, i) => layer.forward(i === 0 ? y : y.relu()), x);
  }
}
