// Random generators of the engine: seeded, independent, with a state that can be saved and restored exactly.

import { DTYPES } from './dtype.ts';
import { UsageError } from './errors.ts';
import { TensorHandle } from './handle.ts';
import { native } from './native.ts';

const unreachable = new FinalizationRegistry<number>((handle) => native().releaseGenerator(handle));

function checkedSeed(who: string, seed: number): number {
  if (Number.isSafeInteger(seed) && seed >= 0) return seed;
  throw new UsageError(`${who}: the seed is ${seed}, allowed: whole numbers from 0 to 2^53 - 1`);
}

/** A stream of random numbers: its own, or a device's default one. */
export class Generator {
  readonly #handle: number;

  private constructor(handle: number) {
    this.#handle = handle;
    unreachable.register(this, handle);
  }

  /** An independent stream. `seed`: a whole number from 0 to 2^53 - 1. `device`: `cpu`, `cuda:0`. */
  static seeded(seed: number, device = 'cpu'): Generator {
    return new Generator(native().newGenerator(checkedSeed('Generator.seeded', seed), device));
  }

  /** The stream that operators use when none is passed. `device`: `cpu`, `cuda:0`. */
  static ofDevice(device = 'cpu'): Generator {
    return new Generator(native().defaultGenerator(device));
  }

  /** The engine's number of this generator. */
  get generatorHandle(): number {
    return this.#handle;
  }

  /** Starts the stream of `value` anew. */
  seed(value: number): this {
    native().seedGenerator(this.#handle, checkedSeed('Generator.seed', value));
    return this;
  }

  /** Everything needed to go on exactly here. */
  getState(): Uint8Array<ArrayBuffer> {
    const state = new TensorHandle(native().getGeneratorState(this.#handle));
    try {
      return new Uint8Array(native().toBuffer(state.handle));
    } finally {
      state.dispose();
    }
  }

  /** Goes on where `getState` was called. Throws EngineError when `state` is none of this kind of generator. */
  setState(state: Uint8Array<ArrayBuffer>): this {
    const { buffer, byteOffset, length } = state;
    const bytes = new TensorHandle(
      native().fromBuffer(buffer, byteOffset, [length], DTYPES.uint8.code, true),
    );
    try {
      native().setGeneratorState(this.#handle, bytes.handle);
    } finally {
      bytes.dispose();
    }
    return this;
  }
}

/** Seeds the default generators of all devices. */
export function manualSeed(seed: number): void {
  native().manualSeed(checkedSeed('manualSeed', seed));
}
