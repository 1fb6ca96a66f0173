// Low-rank updates (Hu 2021, LoRA) of the image encoder's attention, as SAMed (Zhang & Liu 2023) puts them into SAM: on the
// queries and values of the fused projection of every block, output += B A x, without a scale.
// Here: the layer itself. Attaching, merging and choosing what is trained: trainable.ts.

import { cat, type Generator, nn, type Tensor, zeros } from '@maskrank/torch';

const { F, init } = nn;

/** The update of one projection. */
class LowRank extends nn.Module {
  readonly a: nn.Parameter; // [rank, in]
  readonly b: nn.Parameter; // [out, rank]

  constructor(inDim: number, outDim: number, rank: number) {
    super();
    this.a = new nn.Parameter(zeros([rank, inDim]));
    this.b = new nn.Parameter(zeros([outDim, rank]));
  }
  /** A kaiming uniform, B zero: at first the update is nothing. */
  override resetParameters(generator: Generator): void {
    init.kaimingUniform_(this.a, { a: Math.sqrt(5), generator });
    init.constant_(this.b, 0);
  }
  /** x [..., in] -> [..., out] */
  forward(x: Tensor): Tensor {
    return F.linear(F.linear(x, this.a), this.b);
  }
  /** What it adds to the weight: [out, in]. */
  delta(): Tensor {
    return this.b.matmul(this.a);
  }
}

/** Updates of the first (queries) and last (values) third of a fused projection. */
export class QkvLora extends nn.Module {
  readonly q: LowRank;
  readonly v: LowRank;
  readonly rank: number;

  constructor(dim: number, rank: number) {
    super();
    this.rank = rank;
    this.q = new LowRank(dim, dim, rank);
    this.v = new LowRank(dim, dim, rank);
  }
  /** x [..., C] -> [..., 3 C], zero for the keys. */
  forward(x: Tensor): Tensor {
    const q = this.q.forward(x);
    return cat([q, zeros(q.shape, { dtype: q.dtype, device: q.device }), this.v.forward(x)], -1);
  }
  /** What it adds to the fused weight: [3 C, C]. */
  delta(): Tensor {
    const q = this.q.delta();
    return cat([q, zeros(q.shape, { dtype: q.dtype, device: q.device }), this.v.delta()], 0);
  }
}
