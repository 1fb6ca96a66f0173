import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchOf, epochOrder, stepStream } from '../../src/training/streams.ts';

const sizes = fc.record({
  count: fc.integer({ min: 1, max: 30 }),
  batchSize: fc.integer({ min: 1, max: 12 }),
  seed: fc.nat(1000),
});

describe('batchOf', () => {
  it('covers every unit exactly once a pass, whatever the batch size', () => {
    fc.assert(
      fc.property(sizes, ({ count, batchSize, seed }) => {
        const steps = 3 * count; // so many that three passes are complete
        const drawn = Array.from({ length: steps }, (_, step) =>
          batchOf(seed, 's', step, batchSize, count),
        ).flat();
        const all = Array.from({ length: count }, (_, i) => i);
        for (let pass = 0; pass < 3; pass++) {
          const part = drawn.slice(pass * count, (pass + 1) * count);
          expect([...part].sort((a, b) => a - b)).toEqual(all);
          expect(part).toEqual(epochOrder(seed, 's', pass, count));
        }
      }),
      { numRuns: 50 },
    );
  });

  it('every batch is full, also at the end of a pass', () => {
    fc.assert(
      fc.property(sizes, fc.nat(100), ({ count, batchSize, seed }, step) => {
        const batch = batchOf(seed, 's', step, batchSize, count);
        expect(batch).toHaveLength(batchSize);
        for (const i of batch) expect(i >= 0 && i < count).toBe(true);
      }),
    );
  });

  it('a step knows its batch without those before it; seeds, stages and passes differ', () => {
    expect(batchOf(1, 's', 5, 4, 10)).toEqual(batchOf(1, 's', 5, 4, 10));
    const orders = new Set([
      `${epochOrder(1, 's', 0, 20)}`,
      `${epochOrder(2, 's', 0, 20)}`,
      `${epochOrder(1, 't', 0, 20)}`,
      `${epochOrder(1, 's', 1, 20)}`,
    ]);
    expect(orders.size).toBe(4);
  });
});

it('every step has a stream of its own', () => {
  const first = (seed: number, stage: string, step: number) => stepStream(seed, stage, step).next();
  expect(first(1, 'a', 3)).toBe(first(1, 'a', 3));
  expect(new Set([first(1, 'a', 3), first(1, 'a', 4), first(1, 'b', 3), first(2, 'a', 3)]).size).toBe(4);
});
