// @maskrank/torch: libtorch for TypeScript.

export { type AutocastOptions, autocast, enableGrad, type GradOptions, grad, noGrad } from './autograd.ts';
export { hasKernel, hasOperator, listOperators, type MemoryFormat, type OpArgument } from './dispatch.ts';
export { DTYPES, type Dtype, type TypedArray } from './dtype.ts';
export { DataError, EngineError, MaskrankError, UsageError } from './errors.ts';
export * from './factories.ts';
export { keep, memory, resetPeakMemory, TensorHandle, tidy } from './handle.ts';
export { fromTensorData, toTensorData } from './interchange.ts';
export * as nn from './nn/index.ts';
export * as optim from './optim/index.ts';
export { Generator, manualSeed } from './random.ts';
export * from './runtime.ts';
export { op, Tensor } from './tensor.ts';
