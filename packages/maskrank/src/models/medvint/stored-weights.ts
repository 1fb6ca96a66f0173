// Large matrices kept in fewer bits than they are computed with: float16, bfloat16, or int8 with one scale a row. Every use
// widens them block by block, so that no whole layer ever exists in full width. Gradients reach what comes in, always, and
// the weights themselves where they are stored as floating point.
// Shapes: V rows (outputs, or ids), D columns (inputs, or channels).

import { cat, type Generator, nn, noGrad, randn, type Tensor, tidy, zeros } from '@maskrank/torch';

const { F } = nn;

/** How large matrices are kept. `int8`: whole numbers -127..127 and a float32 scale a row. */
export const WEIGHT_STORAGES = ['float32', 'float16', 'bfloat16', 'int8'] as const;
export type WeightStorage = (typeof WEIGHT_STORAGES)[number];

/** Elements widened at a time; four bytes each stay within a second-level cache or little beyond. */
const BLOCK_ELEMENTS = 1 << 20;

/** The smallest normal float32: rows below it, and rows of zeros, have no scale of their own to divide by. */
const SMALLEST_SCALE = 2 ** -126;

/** Whole numbers -127..127 and the scale of each row: matrix[i, :] is about values[i, :] scale[i]. */
export type QuantisedRows = { readonly values: Tensor; readonly scale: Tensor };

/** Rounds a matrix [V, D] to int8, each row by its largest magnitude: off by half a scale at most. */
export function quantiseRows(matrix: Tensor): QuantisedRows {
  return noGrad(() =>
    tidy(() => {
      const largest = matrix.to('float32').abs().amax(1); // [V]
      const scale = largest.div(127).clamp(SMALLEST_SCALE);
      const values = matrix.to('float32').div(scale.unsqueeze(1)).round().to('int8');
      return { values, scale };
    }),
  );
}

/** A matrix [V, D] in its storage. */
export abstract class StoredMatrix extends nn.Module {
  readonly weight: nn.Parameter | nn.Buffer; // [V, D]
  /** Only with int8. */
  readonly scale: nn.Buffer | null; // [V]

  constructor(rows: number, columns: number, storage: WeightStorage) {
    super();
    const values = zeros([rows, columns], { dtype: storage });
    const isInt = storage === 'int8';
    this.weight = isInt ? new nn.Buffer(values) : new nn.Parameter(values);
    this.scale = isInt ? new nn.Buffer(zeros([rows])) : null;
  }

  /** Overwrites the matrix by one of floating point [V, D], rounded to the storage. */
  store(matrix: Tensor): void {
    noGrad(() =>
      tidy(() => {
        if (this.scale === null) return void this.weight.copy_(matrix);
        const { values, scale } = quantiseRows(matrix);
        this.weight.copy_(values);
        this.scale.copy_(scale);
      }),
    );
  }

  override resetParameters(generator: Generator): void {
    // Keeps the size of what passes through; with LLaMA's 4096 columns that is its own 0.02, about.
    const deviation = this.weight.size(1) ** -0.5;
    tidy(() => this.store(randn(this.weight.shape, { generator }).mul(deviation)));
  }
}

/** x [..., D] -> [..., V], computed in the element type of x. */
export class StoredLinear extends StoredMatrix {
  constructor(inDim: number, outDim: number, storage: WeightStorage) {
    super(outDim, inDim, storage);
  }

  forward(x: Tensor): Tensor {
    const { weight, scale } = this;
    if (weight.dtype === x.dtype) return F.linear(x, weight);
    const rows = Math.max(1, Math.floor(BLOCK_ELEMENTS / weight.size(1)));
    const scales = scale?.split(rows);
    const parts = weight.split(rows).map((block, i) =>
      tidy(() => {
        const wide = block.to(x.dtype);
        const scaleOf = scales?.[i];
        return F.linear(x, scaleOf === undefined ? wide : wide.mul(scaleOf.to(x.dtype).unsqueeze(1)));
      }),
    );
    return parts.length === 1 ? (parts[0] as Tensor) : cat(parts, -1);
  }
}

/** Rows picked by ids: [B, L] int64 -> [B, L, D], in the element type asked for. */
export class StoredEmbedding extends StoredMatrix {
  forward(ids: Tensor, dtype: Tensor['dtype']): Tensor {
    const places = ids.flatten();
    const picked = this.weight.indexSelect(0, places).to(dtype); // [B L, D]
    const scales = this.scale?.indexSelect(0, places).to(dtype).unsqueeze(1);
    return (scales === undefined ? picked : picked.mul(scales)).view([...ids.shape, this.weight.size(1)]);
  }
}
