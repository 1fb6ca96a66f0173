// Between a fixture's plain tensors and the engine's.

import { type Dtype, fromTypedArray, type Tensor } from '@maskrank/torch';
import type { TensorData, TensorDtype } from '@maskrank/torch/io';

const ENGINE_DTYPE: Readonly<Record<TensorDtype, Dtype>> = {
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

/** The same values as an engine tensor; the caller's scope owns it. */
export function toTensor(data: TensorData): Tensor {
  const dtype = ENGINE_DTYPE[data.dtype];
  return fromTypedArray(data.data as Float32Array<ArrayBuffer>, data.shape, { dtype });
}
