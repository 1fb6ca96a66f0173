// Random generators of the engine: seeded, independent, with a state that can be saved and restored exactly.

import { TensorHandle } from './handle.ts';
import { native } from './native.ts';

/** A stream of random numbers on the CPU, or a device's own default stream. */
export class Generator {
  readonly generatorHandle: number;

  private constructor(handle: number) {
    this.generatorHandle = handle;
  }

  /** An independent stream. `seed`: a whole number from 0 to 2^53. */
  static seeded(seed: number): Generator {
    return new Generator(native().newGenerator(seed));
  }

  /** The stream that operators use when none is passed. `device`: `cpu`, `cuda:0`. */
  static ofDevice(device = 'cpu'): Generator {
    return new Generator(native().defaultGenerator(device));
  }

  seed(value: number): this {
    native().seedGenerator(this.generatorHandle, value);
    return this;
  }

  /** Everything needed to go on exactly here. */
  getState(): Uint8Array<ArrayBuffer> {
    const state = new TensorHandle(native().getGeneratorState(this.generatorHandle));
    try {
      return new Uint8Array(native().toBuffer(state.handle));
    } finally {
      state.dispose();
    }
  }

  setState(state: Uint8Array<ArrayBuffer>): this {
    const handle = native().fromBuffer(state.buffer, state.byteOffset, [state.length], 0, true);
    try {
      native().setGeneratorState(this.generatorHandle, handle);
    } finally {
      native().release([handle]);
    }
    return this;
  }
}

/** Seeds the default generators of all devices. */
export function manualSeed(seed: number): void {
  native().manualSeed(seed);
}
