// One call for a list of tensors: the engine's foreach operators, as the update rules use them.

import { op, type Tensor } from '../tensor.ts';

type Tensors = readonly Tensor[];

const mulInPlace = op<void>('aten::_foreach_mul_.Scalar');
const addInPlace = op<void>('aten::_foreach_add_.List');
const addScalarInPlace = op<void>('aten::_foreach_add_.Scalar');
const addcmulInPlace = op<void>('aten::_foreach_addcmul_.Scalar');
const addcdivInPlace = op<void>('aten::_foreach_addcdiv_.Scalar');
const divInPlace = op<void>('aten::_foreach_div_.Scalar');
const addOp = op<Tensor[]>('aten::_foreach_add.List');
const sqrtOp = op<Tensor[]>('aten::_foreach_sqrt');
const normOp = op<Tensor[]>('aten::_foreach_norm.Scalar');
const maximumOp = op('aten::maximum.out');

/** x *= factor */
export const scale_ = (x: Tensors, factor: number): void => mulInPlace(x, factor);
/** x += alpha * y */
export const add_ = (x: Tensors, y: Tensors, alpha = 1): void => addInPlace(x, y, alpha);
/** x += value */
export const addScalar_ = (x: Tensors, value: number): void => addScalarInPlace(x, value);
/** x /= value */
export const divide_ = (x: Tensors, value: number): void => divInPlace(x, value);
/** x += value * a * b */
export const addcmul_ = (x: Tensors, a: Tensors, b: Tensors, value: number): void =>
  addcmulInPlace(x, a, b, value);
/** x += value * a / b */
export const addcdiv_ = (x: Tensors, a: Tensors, b: Tensors, value: number): void =>
  addcdivInPlace(x, a, b, value);
/** x + alpha * y */
export const add = (x: Tensors, y: Tensors, alpha = 1): Tensor[] => addOp(x, y, alpha);
export const sqrt = (x: Tensors): Tensor[] => sqrtOp(x);
/** Euclidean norm of each tensor. */
export const norms = (x: Tensors): Tensor[] => normOp(x, 2);
/** x = max(x, y) */
export const maximum_ = (x: Tensors, y: Tensors): void => {
  for (const [i, target] of x.entries()) maximumOp(target, y[i] as Tensor, target);
};
