// Activations as layers, for Sequential.

import type { Tensor } from '../tensor.ts';
import * as F from './functional.ts';
import { Layer } from './module.ts';

export class ReLU extends Layer {
  override forward(x: Tensor): Tensor {
    return x.relu();
  }
}
/** Exact GELU, x * Phi(x). */
export class GELU extends Layer {
  override forward(x: Tensor): Tensor {
    return x.gelu();
  }
}
export class SiLU extends Layer {
  override forward(x: Tensor): Tensor {
    return x.silu();
  }
}
/** x * sigmoid(1.702 x): GELU as CLIP computes it. */
export class QuickGELU extends Layer {
  override forward(x: Tensor): Tensor {
    return x.mul(x.mul(1.702).sigmoid());
  }
}
export class Tanh extends Layer {
  override forward(x: Tensor): Tensor {
    return x.tanh();
  }
}
export class Softplus extends Layer {
  override forward(x: Tensor): Tensor {
    return x.softplus();
  }
}
/** The input itself. */
export class Identity extends Layer {
  override forward(x: Tensor): Tensor {
    return x;
  }
}
export class Sigmoid extends Layer {
  override forward(x: Tensor): Tensor {
    return x.sigmoid();
  }
}
export class LeakyReLU extends Layer {
  readonly #slope: number;
  constructor(slope = 0.01) {
    super();
    this.#slope = slope;
  }
  override forward(x: Tensor): Tensor {
    return F.leakyRelu(x, this.#slope);
  }
}
/** Elements dropped with probability `p` while training. */
export class Dropout extends Layer {
  p: number;
  constructor(p: number) {
    super();
    this.p = p;
  }
  override forward(x: Tensor): Tensor {
    return F.dropout(x, this.p, this.training);
  }
}
/** Whole channels dropped with probability `p` while training. */
export class ChannelDropout extends Layer {
  p: number;
  constructor(p: number) {
    super();
    this.p = p;
  }
  override forward(x: Tensor): Tensor {
    return F.channelDropout(x, this.p, this.training);
  }
}
