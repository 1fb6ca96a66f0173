// Rotary positions (Su 2021), as in LLaMA's later layout: channel i of a head turns together with channel i + d/2.
// Shapes: B batch, h heads, L tokens, d channels of a head.

import { arange, cat, type Tensor, tensor } from '@maskrank/torch';

/** Cosines and sines of the angles of L positions, [L, d] each. */
export type Rotation = { readonly cos: Tensor; readonly sin: Tensor };

/** The rotation of positions `start` .. `start + length - 1`; angles are computed in float32 at least. */
export function rotation(
  start: number,
  length: number,
  headDim: number,
  theta: number,
  like: Pick<Tensor, 'dtype' | 'device'>,
): Rotation {
  const options = { dtype: like.dtype === 'float64' ? 'float64' : 'float32', device: like.device } as const;
  const turns = Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
  const frequencies = tensor(turns, options); // [d/2]
  const angles = arange(start, start + length, 1, options)
    .unsqueeze(1)
    .mul(frequencies); // [L, d/2]
  const twice = cat([angles, angles], 1);
  return { cos: twice.cos().to(like.dtype), sin: twice.sin().to(like.dtype) };
}

/** x [B, h, L, d], turned by its positions. */
export function rotate(x: Tensor, { cos, sin }: Rotation): Tensor {
  const [first, second] = x.chunk(2, -1) as [Tensor, Tensor];
  return x.mul(cos).add(cat([second.neg(), first], -1).mul(sin));
}
