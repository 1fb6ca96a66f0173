// Who owns a native tensor: the handle, and the scopes that free it.
//
// The garbage collector does not see native memory, so tensors are freed by scope: everything made inside
// `tidy(() => ...)` is released when it ends, except what it returns (handed to the scope around it) and what was
// `keep`t. A tensor made outside every scope lives until `dispose()`; a finaliser is the net under it.

import { EngineError, UsageError } from './errors.ts';
import { native } from './native.ts';

const RELEASED = -1;

/** A native tensor that JavaScript owns. */
export class TensorHandle {
  #handle: number;
  #kept = false;

  constructor(handle: number) {
    this.#handle = handle;
    track(this);
  }

  /** The engine's number of this tensor. Throws EngineError after release. */
  get handle(): number {
    if (this.#handle === RELEASED) {
      throw new EngineError(
        'this tensor was released (its tidy() scope ended, or dispose() was called); keep() what must live on',
      );
    }
    return this.#handle;
  }

  get isDisposed(): boolean {
    return this.#handle === RELEASED;
  }

  /** Whether scopes leave this tensor alone. */
  get isKept(): boolean {
    return this.#kept;
  }

  /** Frees the native memory now. A second call does nothing. */
  dispose(): void {
    if (this.#handle === RELEASED) return;
    leaked.unregister(this);
    native().release([this.#handle]);
    this.#handle = RELEASED;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Takes the tensor out of every scope: the caller disposes of it. */
  markKept(): void {
    if (this.#kept) return;
    this.#kept = true;
    leaked.unregister(this);
    leaked.register(this, this.handle, this);
  }

  /** Gives the number away without freeing it: the taker owns it now. */
  surrender(): number {
    const handle = this.#handle;
    leaked.unregister(this);
    this.#handle = RELEASED;
    return handle;
  }

  /** Frees what this holds and takes over another's tensor; the other counts as disposed. */
  takeOver(other: TensorHandle): void {
    const handle = other.handle;
    other.surrender();
    native().release([this.handle]);
    this.#handle = handle;
    if (this.#kept) {
      leaked.unregister(this);
      leaked.register(this, handle, this);
    }
  }
}

type Scope = TensorHandle[];
const scopes: Scope[] = [];

const leaked = new FinalizationRegistry<number>((handle) => native().release([handle]));

function track(tensor: TensorHandle): void {
  const scope = scopes.at(-1);
  if (scope === undefined) leaked.register(tensor, tensor.handle, tensor);
  else scope.push(tensor);
}

function collect(value: unknown, found: Set<TensorHandle>): void {
  if (value instanceof TensorHandle) found.add(value);
  else if (Array.isArray(value)) for (const element of value) collect(element, found);
  else if (value instanceof Map) for (const element of value.values()) collect(element, found);
  else if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    for (const element of Object.values(value)) collect(element, found);
  }
}

function close(scope: Scope, survivors: ReadonlySet<TensorHandle>): void {
  const dead: number[] = [];
  for (const tensor of scope) {
    if (tensor.isDisposed || tensor.isKept) continue;
    if (survivors.has(tensor)) track(tensor);
    else dead.push(tensor.surrender());
  }
  if (dead.length > 0) native().release(dead);
}

/**
 * Runs `body` and frees every tensor made inside it, except those in its result (a tensor, or arrays, maps and plain
 * objects of them) and those marked with `keep`. Scopes nest. `body` must be synchronous: a promise is refused,
 * because another task's tensors would end up in this scope.
 */
export function tidy<T>(body: () => T): T {
  const scope: Scope = [];
  scopes.push(scope);
  let survivors: ReadonlySet<TensorHandle> = new Set();
  try {
    const result = body();
    if (result instanceof Promise)
      throw new UsageError('tidy: the function returned a promise; use tidy around the synchronous parts');
    const found = new Set<TensorHandle>();
    collect(result, found);
    survivors = found;
    return result;
  } finally {
    scopes.pop();
    close(scope, survivors);
  }
}

/** Exempts a tensor from every scope; it lives until `dispose()`. Returns it. */
export function keep<T extends TensorHandle>(tensor: T): T {
  tensor.markKept();
  return tensor;
}

/** Tensors that JavaScript holds now, their bytes (shared memory counted once), and the most bytes since `resetPeakMemory`. */
export function memory(): { tensors: number; bytes: number; peakBytes: number } {
  return native().memory();
}

/** Starts a new peak measurement. */
export function resetPeakMemory(): void {
  native().resetPeak();
}
