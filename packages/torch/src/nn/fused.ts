// Parts of transformers that are quicker as a whole than operator by operator where nothing is recorded for gradients: on
// processors in float32. Everywhere else they are the operators they are made of, or say that they do not apply.
// Shapes: B batch, L queries, S keys, C channels.

import { native } from '../native.ts';
import { Tensor } from '../tensor.ts';
import { linear } from './functional.ts';

/** The order is that of `Activation` in native/rows.h. */
const ACTIVATIONS = ['none', 'relu', 'gelu', 'quickGelu'] as const;
export type LinearActivation = (typeof ACTIVATIONS)[number];

const COMPOSED: Readonly<Record<LinearActivation, (x: Tensor) => Tensor>> = {
  none: (x) => x,
  relu: (x) => x.relu(),
  gelu: (x) => x.gelu(),
  quickGelu: (x) => x.mul(x.mul(1.702).sigmoid()),
};

export type LinearThen = {
  /** Default `none`. */
  readonly activation?: LinearActivation;
  /** Added at the end; of the result's shape. */
  readonly residual?: Tensor | null;
};

/**
 * residual + activation(x weight' + bias), in one pass where nothing is recorded: x [..., in], weight [out, in] -> [..., out].
 * One product of matrices, however many dimensions x has.
 */
export function linearThen(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  { activation = 'none', residual = null }: LinearThen = {},
): Tensor {
  const quick = native().fusedLinear(
    x.handle,
    weight.handle,
    bias?.handle ?? null,
    ACTIVATIONS.indexOf(activation),
    residual?.handle ?? null,
  );
  if (quick !== null) return new Tensor(quick);
  const flat = x.ndim === 2 ? linear(x, weight, bias) : linear(x.reshape([-1, x.size(-1)]), weight, bias);
  const changed = COMPOSED[activation](flat).view([...x.shape.slice(0, -1), weight.size(0)]);
  return residual === null ? changed : residual.add(changed);
}

/**
 * softmax(q k' / sqrt(C / heads) + bias) v in every head, where nothing is recorded: q [B, L, C], k and v [B, S, C], whose last
 * stride is 1, bias [L, S] or [B heads, L, S] -> [B, L, C]. Null where operators have to be composed: with gradients, in
 * autocast, on other devices, element types and layouts.
 */
export function quickAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, bias = null }: { readonly heads: number; readonly bias?: Tensor | null },
): Tensor | null {
  const quick = native().fusedAttention(q.handle, k.handle, v.handle, heads, bias?.handle ?? null);
  return quick === null ? null : new Tensor(quick);
}
