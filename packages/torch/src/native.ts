// The addon's functions, typed. Their contracts stand in packages/torch/native/*.cc; every one of them throws EngineError.
// Not here: finding and loading the file (engine/load.ts), anything a user of the package should call.

import { loadAddon } from './engine/load.ts';
import { EngineError } from './errors.ts';

/** What an argument or result is; the order is that of `Kind` in native/env.h. */
export const KINDS = [
  'Tensor',
  'OptionalTensor',
  'TensorList',
  'OptionalTensorList',
  'Int',
  'IntList',
  'Float',
  'FloatList',
  'Bool',
  'BoolList',
  'Scalar',
  'ScalarList',
  'String',
  'Dtype',
  'Layout',
  'MemoryFormat',
  'Device',
  'Generator',
  'Unsupported',
] as const;
export type Kind = (typeof KINDS)[number];

export type NativeOperator = {
  id: number;
  arguments: { kind: number; optional: boolean; hasDefault: boolean; name: string }[];
  returns: number[];
  /** For a result that is an argument written in place: that argument's position, else -1. */
  returnAlias: number[];
  /** Writing in place can change the argument's shape or element type. */
  reshapes: boolean;
};

type Handles = readonly (number | null)[];

/** Handles are numbers; see native/env.h. */
export type Native = {
  setErrorClass(type: new (message: string) => Error): void;
  lookup(name: string): NativeOperator;
  has(name: string): boolean;
  hasKernel(name: string, device: 'cpu' | 'cuda'): boolean;
  call(id: number, ...args: unknown[]): unknown;
  operators(): string[];
  schema(id: number): string;
  fromBuffer(
    buffer: ArrayBuffer,
    byteOffset: number,
    shape: readonly number[],
    dtype: number,
    copy: boolean,
  ): number;
  toBuffer(handle: number): ArrayBuffer;
  viewBuffer(handle: number): ArrayBuffer | null;
  copyFrom(handle: number, buffer: ArrayBuffer, byteOffset: number): void;
  /** [dtype code, device, ...shape] */
  describe(handle: number): [number, string, ...number[]];
  item(handle: number): number | boolean;
  /** One handle, or the first `count` of many. */
  release(handles: number | Float64Array, count?: number): void;
  memory(): { tensors: number; bytes: number; peakBytes: number };
  resetPeak(): void;
  backward(outputs: Handles, gradients: Handles, retainGraph: boolean, createGraph: boolean): void;
  grad(
    outputs: Handles,
    inputs: Handles,
    gradients: Handles,
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (number | null)[];
  getGradient(handle: number): number | null;
  setGradient(handle: number, gradient: number | null): void;
  retainGradient(handle: number): void;
  requiresGrad(handle: number): boolean;
  setRequiresGrad(handle: number, value: boolean): void;
  isLeaf(handle: number): boolean;
  gradMode(enabled: boolean): boolean;
  /** What was set before: enabled, dtype code. */
  autocastEnter(device: string, enabled: boolean, dtype: number): [boolean, number];
  autocastExit(device: string, enabled: boolean, dtype: number): void;
  version(): { version: string; config: string; cuda: boolean; cudaDevices: number };
  getThreads(): number;
  setThreads(count: number): void;
  keepFreedMemory(total: number, block: number): void;
  deterministic(enabled: boolean): void;
  newGenerator(seed: number, device: string): number;
  defaultGenerator(device: string): number;
  releaseGenerator(generator: number): void;
  seedGenerator(generator: number, seed: number): void;
  getGeneratorState(generator: number): number;
  setGeneratorState(generator: number, state: number): void;
  manualSeed(seed: number): void;
  cudaSynchronize(index: number): void;
  cudaMemory(index: number): { allocated: number; peakAllocated: number; reserved: number } | null;
  cudaReleaseCache(index: number): void;
  fusedLinear(
    x: number,
    weight: number,
    bias: number | null,
    activation: number,
    residual: number | null,
  ): number | null;
  fusedAttention(q: number, k: number, v: number, heads: number, bias: number | null): number | null;
};

/**
 * Lets the engine's threads sleep between parallel regions instead of spinning. On cores that other programs use, too, a
 * region of 20 microseconds took 8 milliseconds with spinning threads; on idle cores sleeping costs about 6 microseconds a
 * region. OpenMP reads this once, when it is loaded; whoever sets one of these variables is obeyed.
 */
function letThreadsSleep(): void {
  const { OMP_WAIT_POLICY, GOMP_SPINCOUNT } = process.env;
  if (OMP_WAIT_POLICY === undefined && GOMP_SPINCOUNT === undefined) process.env.OMP_WAIT_POLICY = 'PASSIVE';
}

/** Bytes of freed tensors that stay with the process at most, and of the largest tensor that can be among them. */
const KEPT_BYTES = 2 ** 30;
const KEPT_BLOCK_BYTES = 2 ** 28;

/**
 * Lets the C library keep the memory of freed tensors for the next ones. By default it gives large blocks back to the system
 * at once, which clears and maps them anew at the next forward pass: measured, 6 % of a ViT-B's. Whoever sets one of
 * these variables is obeyed.
 */
function keepFreedMemory(addon: Native): void {
  const { MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_, GLIBC_TUNABLES } = process.env;
  const isChosen = [MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_, GLIBC_TUNABLES].some(
    (x) => x !== undefined,
  );
  if (!isChosen) addon.keepFreedMemory(KEPT_BYTES, KEPT_BLOCK_BYTES);
}

let loaded: Native | undefined;

/** The addon, loaded at the first use so that importing this package needs no engine. Throws EngineError. */
export function native(): Native {
  if (loaded === undefined) {
    letThreadsSleep();
    loaded = loadAddon() as Native;
    loaded.setErrorClass(EngineError);
    keepFreedMemory(loaded);
  }
  return loaded;
}
