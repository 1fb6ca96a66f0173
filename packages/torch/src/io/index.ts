// Checkpoint files and the plain tensors they hold. Knows no engine: everything here is pure TypeScript.

export type { Chunks } from './atomic.ts';
export { removeAbandonedTemporaries, writeFileAtomic } from './atomic.ts';
export type { ReadSafetensorsOptions, SafetensorsFile, TensorInfo } from './safetensors.ts';
export { openSafetensors, readSafetensors, writeSafetensors } from './safetensors.ts';
export type { TensorArray, TensorData, TensorDtype } from './tensor-data.ts';
export {
  bfloat16ToFloat32,
  bytesOf,
  dtypeBytes,
  elementCount,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  isTensorDtype,
  TENSOR_DTYPES,
  toFloat32,
} from './tensor-data.ts';
