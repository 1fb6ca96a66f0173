// Between the engine's tensors and the plain ones that files hold. Element types map one to one; both directions copy.

import type { Dtype } from './dtype.ts';
import { fromTypedArray } from './factories.ts';
import type { TensorData, TensorDtype } from './io/index.ts';
import type { Tensor } from './tensor.ts';

const ENGINE: Readonly<Record<TensorDtype, Dtype>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};
const FILE = Object.fromEntries(Object.entries(ENGINE).map(([file, engine]) => [engine, file])) as Record<
  Dtype,
  TensorDtype
>;

/** The same values as an engine tensor on the CPU. */
export function fromTensorData(data: TensorData): Tensor {
  return fromTypedArray(data.data as Float32Array<ArrayBuffer>, data.shape, { dtype: ENGINE[data.dtype] });
}

/** The same values as plain data, from whatever device. */
export function toTensorData(tensor: Tensor): TensorData {
  return { dtype: FILE[tensor.dtype], shape: [...tensor.shape], data: tensor.toTypedArray() } as TensorData;
}
