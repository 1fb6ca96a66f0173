// The addon's functions, typed. Their contracts stand in packages/torch/native/*.cc.
// Not here: finding and loading the file (engine/load.ts), anything a user of the package should call.

import { loadAddon } from './engine/load.ts';

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
  returnAlias: number[];
};

type Handles = readonly (number | null)[];

/** Handles are numbers; see native/env.h. */
export type Native = {
  lookup(name: string): NativeOperator;
  has(name: string): boolean;
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
  release(handles: readonly number[]): void;
  alive(handle: number): boolean;
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
  requiresGrad(handle: number): boolean;
  setRequiresGrad(handle: number, value: boolean): void;
  isLeaf(handle: number): boolean;
  gradMode(enabled: boolean): boolean;
  autocast(device: string, enabled: boolean, dtype: number): boolean;
  version(): { version: string; config: string; cuda: boolean; cudaDevices: number };
  getThreads(): number;
  setThreads(count: number): void;
  deterministic(enabled: boolean): void;
  newGenerator(seed: number): number;
  defaultGenerator(device: string): number;
  seedGenerator(generator: number, seed: number): void;
  getGeneratorState(generator: number): number;
  setGeneratorState(generator: number, state: number): void;
  manualSeed(seed: number): void;
  cudaSynchronize(index: number): void;
  cudaMemory(index: number): { allocated: number; peakAllocated: number; reserved: number } | null;
};

let loaded: Native | undefined;

/** The addon, loaded at the first use so that importing this package needs no engine. Throws EngineError. */
export function native(): Native {
  loaded ??= loadAddon() as Native;
  return loaded;
}
