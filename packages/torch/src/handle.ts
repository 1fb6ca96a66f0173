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
  /** Whether the finaliser knows of it. */
  #watched = false;
  /** Marks what a closing scope hands on. */
  #survives = false;

  constructor(handle: number) {
    this.#handle = handle;
    this.#track();
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
    if (this.#handle !== RELEASED) native().release(this.surrender());
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Takes the tensor out of every scope: the caller disposes of it. */
  markKept(): void {
    if (this.#kept) return;
    this.#watch(this.handle);
    this.#kept = true;
  }

  /** Gives the number away without freeing it: the taker owns it now. */
  surrender(): number {
    const handle = this.#handle;
    if (this.#watched) {
      leaked.unregister(this);
      this.#watched = false;
    }
    this.#handle = RELEASED;
    return handle;
  }

  /** Called when the tensor behind the handle has changed its shape or element type. */
  forgetDescription(): void {}

  /** Frees what this holds and takes over another's tensor; the other counts as disposed. */
  takeOver(other: TensorHandle): void {
    const mine = this.handle;
    const { handle } = other;
    const wasWatched = this.#watched;
    other.surrender();
    native().release(mine);
    this.surrender();
    this.#handle = handle;
    if (wasWatched) this.#watch(handle);
    this.forgetDescription();
  }

  #watch(handle: number): void {
    if (this.#watched) return;
    leaked.register(this, handle, this);
    this.#watched = true;
  }

  #track(): void {
    if (innermost === undefined) this.#watch(this.#handle);
    else innermost.push(this);
  }

  /** Releases what a scope holds, except what is kept or survives; survivors go to the scope that is innermost now. */
  static closeScope(scope: Scope, survivors: readonly TensorHandle[]): void {
    for (const tensor of survivors) tensor.#survives = true;
    let count = 0;
    for (const tensor of scope) {
      if (tensor.#handle === RELEASED || tensor.#kept) continue;
      if (tensor.#survives) tensor.#track();
      else {
        if (count === dead.length) dead = grown(dead);
        dead[count++] = tensor.surrender();
      }
    }
    for (const tensor of survivors) tensor.#survives = false;
    if (count > 0) native().release(dead, count);
  }
}

type Scope = TensorHandle[];
let innermost: Scope | undefined;

/** Handles on their way to the engine; kept between calls. */
let dead = new Float64Array(256);

function grown(full: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * full.length);
  larger.set(full);
  return larger;
}

const leaked = new FinalizationRegistry<number>((handle) => native().release(handle));

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Tensors in a value: itself, or inside arrays, maps, sets and plain objects. */
function collect(value: unknown, found: TensorHandle[], seen: Set<object>): void {
  if (value === null || typeof value !== 'object') return;
  if (value instanceof TensorHandle) {
    found.push(value);
    return;
  }
  const isList = Array.isArray(value) || value instanceof Map || value instanceof Set;
  if ((!isList && !isPlain(value)) || seen.has(value)) return;
  seen.add(value);
  const elements = isList ? value.values() : Object.values(value);
  for (const element of elements) collect(element, found, seen);
}

const NONE: readonly TensorHandle[] = [];

function survivorsOf(result: unknown): readonly TensorHandle[] {
  if (result === null || typeof result !== 'object') return NONE;
  if (result instanceof TensorHandle) return [result];
  const found: TensorHandle[] = [];
  collect(result, found, new Set());
  return found;
}

/**
 * Runs `body` and frees every tensor made inside it, except those in its result (a tensor, or arrays, maps, sets and plain
 * objects of them) and those marked with `keep`. Scopes nest. `body` must be synchronous: a promise is refused,
 * because another task's tensors would end up in this scope.
 */
export function tidy<T>(body: () => T): T {
  const scope: Scope = [];
  const outer = innermost;
  innermost = scope;
  let survivors = NONE;
  try {
    const result = body();
    refusePromise('tidy', result);
    survivors = survivorsOf(result);
    return result;
  } finally {
    innermost = outer;
    TensorHandle.closeScope(scope, survivors);
  }
}

/** Modes and scopes end when the function returns, before a promise has done its work. */
export function refusePromise(who: string, result: unknown): void {
  if (result instanceof Promise)
    throw new UsageError(
      `${who}: the function returned a promise; use ${who} around the synchronous parts of it`,
    );
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
