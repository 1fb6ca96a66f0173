// Checkpoint files and the plain tensors they hold. Knows no engine: everything here is pure TypeScript.

export type { Chunks } from './atomic.ts';
export { removeAbandonedTemporaries, writeFileAtomic } from './atomic.ts';
export type { PickleLimits } from './pickle.ts';
export type { PthFile, PthLimits, PthOptions } from './pth.ts';
export { openPth, PTH_LIMITS, readPth } from './pth.ts';
export type {
  PthClass,
  PthDevice,
  PthDtype,
  PthOpaque,
  PthStorage,
  PthTensor,
  PthValue,
} from './pth-values.ts';
export { describeValue, isTensor, walk } from './pth-values.ts';
export type { ReadSafetensorsOptions, SafetensorsFile, TensorInfo } from './safetensors.ts';
export { openSafetensors, readSafetensors, writeSafetensors } from './safetensors.ts';
export type { ReadStateDictOptions, StateDict } from './state-dict.ts';
export { readStateDict, STATE_DICT_KEYS } from './state-dict.ts';
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
