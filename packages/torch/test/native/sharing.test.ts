// Memory shared between a tensor and an array: who keeps it alive, and what may not happen to it.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { EngineError, fromTypedArray, keep, memory, type Tensor, tidy, zeros } from '../../src/index.ts';
import { numbers, thrown } from '../support/values.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Collects garbage until `done` or 2 seconds have passed. */
async function collectUntil(done: () => boolean): Promise<boolean> {
  const start = Date.now();
  while (!done() && Date.now() - start < 2000) {
    await new Promise((resolve) => setTimeout(resolve, 5)); // what `done` looked at stays alive until here
    gc();
    memory(); // drops the references of dead tensors
  }
  return done();
}

const MIB = 2 ** 20;

describe('fromTypedArray with share', () => {
  it('the tensor keeps the buffer alive; release lets it go', async () => {
    let buffer: WeakRef<ArrayBuffer> | undefined;
    const share = (): Tensor => {
      const data = new Float32Array(MIB).fill(3);
      buffer = new WeakRef(data.buffer);
      return keep(fromTypedArray(data, [MIB], { share: true }));
    };
    const t = share();
    const view = keep(t.slice(0, 5, 10));
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      gc();
    }
    expect(buffer?.deref()).toBeDefined();
    t.dispose();
    gc();
    expect(numbers(view)).toEqual([3, 3, 3, 3, 3]);
    view.dispose();
    expect(await collectUntil(() => buffer?.deref() === undefined)).toBe(true);
  });

  it('the history of gradients keeps the buffer alive, too', async () => {
    let buffer: WeakRef<ArrayBuffer> | undefined;
    const weight = keep(zeros([4]).requiresGrad_());
    const run = (): Tensor =>
      tidy(() => {
        const data = new Float32Array(4).fill(2);
        buffer = new WeakRef(data.buffer);
        return keep(weight.mul(fromTypedArray(data, [4], { share: true })).sum());
      });
    const loss = run();
    gc();
    loss.backward();
    expect(numbers(weight.grad as Tensor)).toEqual([2, 2, 2, 2]);
    loss.dispose();
    weight.dispose();
    expect(await collectUntil(() => buffer?.deref() === undefined)).toBe(true);
  });

  it('the memory can no longer be transferred away', () => {
    const data = Float32Array.of(1, 2, 3);
    tidy(() => {
      const t = fromTypedArray(data, [3], { share: true });
      try {
        structuredClone(data.buffer, { transfer: [data.buffer] });
      } catch {
        // Newer versions of Node refuse, older ones copy.
      }
      expect(data.buffer.byteLength).toBe(12);
      const movable = data.buffer as { transfer?: () => ArrayBuffer };
      if (movable.transfer) expect(() => movable.transfer?.()).toThrow(EngineError);
      expect(numbers(t)).toEqual([1, 2, 3]);
    });
    tidy(() => expect(numbers(fromTypedArray(data, [3], { share: true }))).toEqual([1, 2, 3]));
  });

  it('refuses memory that was transferred away, that can shrink, or that threads share', () => {
    const gone = new Float32Array(2);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    for (const share of [false, true]) {
      expect(thrown(() => fromTypedArray(gone, [2], { share }))).toBeInstanceOf(EngineError);
      expect(thrown(() => fromTypedArray(gone, [0], { share })).message).toContain('detached');
    }
    const Resizable = ArrayBuffer as unknown as new (size: number, options: object) => ArrayBuffer;
    const growing = new Float32Array(new Resizable(8, { maxByteLength: 16 }));
    expect(thrown(() => fromTypedArray(growing, [2], { share: true })).message).toContain('fixed length');
    tidy(() => expect(fromTypedArray(growing, [2]).shape).toEqual([2]));
    const common = new Float32Array(new SharedArrayBuffer(8)) as unknown as Float32Array<ArrayBuffer>;
    expect(thrown(() => fromTypedArray(common, [2], { share: true })).message).toContain(
      'ordinary ArrayBuffer',
    );
  });
});

describe('asTypedArray', () => {
  it('keeps the memory alive after the tensor is gone', () => {
    const array = tidy(() => fromTypedArray(Float32Array.of(1, 2, 3), [3]).asTypedArray());
    tidy(() => {
      for (let i = 0; i < 50; i++) zeros([3]);
    });
    expect(array).toEqual(Float32Array.of(1, 2, 3));
  });

  it('can be asked for twice, of a part, and of shared memory', () => {
    tidy(() => {
      const data = Float32Array.of(1, 2, 3, 4);
      const t = fromTypedArray(data, [4], { share: true });
      const [a, b, part] = [t.asTypedArray(), t.asTypedArray(), t.slice(0, 1, 3).asTypedArray()];
      part[0] = 9;
      expect([data[1], a[1], b[1]]).toEqual([9, 9, 9]);
    });
    gc();
  });

  it('survives being sent to another thread', () => {
    tidy(() => {
      const t = zeros([3]);
      const array = t.asTypedArray();
      try {
        structuredClone(array.buffer, { transfer: [array.buffer] });
      } catch {
        // Refused by newer versions of Node.
      }
      gc();
      expect(numbers(t.add_(1))).toEqual([1, 1, 1]);
    });
  });
});
