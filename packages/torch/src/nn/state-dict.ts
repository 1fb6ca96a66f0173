// Strict loading of a module's state: every difference is reported at once, with both shapes, and nothing is loaded unless
// everything fits. What may be absent on either side is said by the caller, in patterns that end up in the report.
// Not here: reading files (io/), renaming keys of other model families.

import { noGrad } from '../autograd.ts';
import { DataError } from '../errors.ts';
import { tidy } from '../handle.ts';
import { fromTensorData, toTensorData } from '../interchange.ts';
import type { TensorData } from '../io/tensor-data.ts';
import { Tensor } from '../tensor.ts';
import type { Module } from './module.ts';

/** Tensors by key: the engine's, or plain ones from a file. */
export type StateSource = ReadonlyMap<string, Tensor | TensorData>;

/** Keys: exactly this one, or all that match. */
export type KeyPattern = string | RegExp;

export type LoadStateOptions = {
  /** Where the state comes from; opens the message of an error. */
  readonly source?: string;
  /** Keys of the module that the state may lack; they keep their values. */
  readonly allowMissing?: readonly KeyPattern[];
  /** Keys of the state that the module need not have. */
  readonly allowUnexpected?: readonly KeyPattern[];
};

/** What a load did. */
export type LoadStateReport = {
  readonly loaded: readonly string[];
  /** Allowed by `allowMissing`: these kept their values. */
  readonly missing: readonly string[];
  /** Allowed by `allowUnexpected`: these were not used. */
  readonly unexpected: readonly string[];
};

/**
 * Copies `state` into the parameters and persistent buffers below `module`, converting between floating-point types.
 * Throws DataError that lists all missing and unexpected keys and all wrong shapes; then the module is unchanged.
 */
export function loadStateDict(
  module: Module,
  state: StateSource,
  options: LoadStateOptions = {},
): LoadStateReport {
  const { source = 'the state', allowMissing = [], allowUnexpected = [] } = options;
  const targets = module.stateDict();
  const missing = [...targets.keys()].filter((key) => !state.has(key));
  const unexpected = [...state.keys()].filter((key) => !targets.has(key));
  const loaded = [...targets.keys()].filter((key) => state.has(key));
  const problems = [
    ...describe('missing', refused(missing, allowMissing)),
    ...describe('unexpected', refused(unexpected, allowUnexpected)),
    ...loaded.flatMap((key) =>
      mismatch(key, targets.get(key) as Tensor, state.get(key) as Tensor | TensorData),
    ),
  ];
  if (problems.length > 0) {
    throw new DataError(
      `loadStateDict: ${source} does not fit the model; nothing was loaded.\n  ${problems.join('\n  ')}`,
    );
  }
  noGrad(() =>
    tidy(() => {
      for (const key of loaded) copyInto(targets.get(key) as Tensor, state.get(key) as Tensor | TensorData);
    }),
  );
  return { loaded, missing, unexpected };
}

/** Every parameter and persistent buffer below `module` as plain tensors, copied. */
export function saveStateDict(module: Module): Map<string, TensorData> {
  return new Map([...module.stateDict()].map(([key, tensor]) => [key, toTensorData(tensor)]));
}

function copyInto(target: Tensor, source: Tensor | TensorData): void {
  if (source instanceof Tensor) {
    target.copy_(source);
    return;
  }
  const made = fromTensorData(source);
  target.copy_(made);
  made.dispose();
}

function refused(keys: readonly string[], allowed: readonly KeyPattern[]): string[] {
  return keys.filter((key) => !allowed.some((p) => (typeof p === 'string' ? p === key : p.test(key))));
}

function describe(what: string, keys: readonly string[]): string[] {
  return keys.map((key) => `${what}: ${key}`);
}

function mismatch(key: string, target: Tensor, source: Tensor | TensorData): string[] {
  const found = `[${source.shape}]`;
  const needed = `[${target.shape}]`;
  if (found !== needed) return [`wrong shape: ${key}: found ${found}, needed ${needed}`];
  const isFloat = source instanceof Tensor ? source.dtype.includes('float') : /^B?F/.test(source.dtype);
  if (isFloat === target.dtype.includes('float')) return [];
  return [
    `wrong type: ${key}: found ${source.dtype}, needed ${isFloat ? 'whole numbers' : 'floating point'} (${target.dtype})`,
  ];
}
