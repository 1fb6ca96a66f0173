import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignRate, alignSteps, roundLength, roundUnits } from '../../src/alignment/schedule.ts';
import { toyAlignment } from './toy.ts';

describe('steps', () => {
  const config = (change: object) =>
    toyAlignment({ batchSize: 8, epochs: 30, minSteps: 600, maxSteps: 1000, ...change });
  it.each([
    ['few cases: at least minSteps', 40, {}, 600],
    ['more cases: so many epochs', 200, {}, 750],
    ['a last batch that is not full counts', 201, {}, 780],
    ['many cases: at most maxSteps', 5000, {}, 1000],
    ['no most', 5000, { maxSteps: null }, 18_750],
    ['a number given is taken', 5000, { steps: 7 }, 7],
  ])('%s', (_what, units, change, expected) => {
    expect(alignSteps(config(change), units)).toBe(expected);
  });
});

describe('rounds', () => {
  it('are as long as the refresh says, the whole when offline, equal parts when disjoint', () => {
    const length = (refresh: object, total: number) => roundLength(toyAlignment({ refresh }), total);
    expect(length({ everySteps: 100 }, 600)).toBe(100);
    expect(length({ everySteps: 0 }, 600)).toBe(600);
    expect(length({ rounds: 'disjoint', roundCount: 6 }, 600)).toBe(100);
    expect(length({ rounds: 'disjoint', roundCount: 6 }, 601)).toBe(101);
  });

  it('disjoint: so many rounds as asked for, when there are steps for them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 50 }), (roundCount, factor) => {
        const total = roundCount * factor;
        const length = roundLength(toyAlignment({ refresh: { rounds: 'disjoint', roundCount } }), total);
        expect(Math.ceil(total / length)).toBe(roundCount);
      }),
    );
  });

  it('disjoint: together they hold every unit exactly once, in parts of nearly equal size and in their old order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(1000),
        (count, roundCount, seed) => {
          const units = Array.from({ length: count }, (_, i) => i);
          const config = toyAlignment({ refresh: { rounds: 'disjoint', roundCount } });
          const used = Math.min(roundCount, count);
          const parts = Array.from({ length: used }, (_, r) => roundUnits(units, r, config, seed));
          expect(parts.flat().sort((a, b) => a - b)).toEqual(units);
          const sizes = parts.map((part) => part.length);
          if (count > 0) expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
          for (const part of parts) expect([...part].sort((a, b) => a - b)).toEqual(part);
          for (
            let r = 0;
            r < roundCount;
            r++ // fewer units than rounds: another turn, never an empty round
          )
            expect(roundUnits(units, r, config, seed)).toEqual(parts[r % used] ?? []);
        },
      ),
    );
  });

  it('disjoint: another seed parts them differently; refreshed: always all', () => {
    const units = Array.from({ length: 40 }, (_, i) => i);
    const disjoint = toyAlignment({ refresh: { rounds: 'disjoint', roundCount: 4 } });
    expect(roundUnits(units, 0, disjoint, 1)).not.toEqual(roundUnits(units, 0, disjoint, 2));
    expect(roundUnits(units, 3, toyAlignment(), 1)).toBe(units);
  });
});

describe('the rate', () => {
  it('is halved after each third with two halvings', () => {
    const rate = alignRate(toyAlignment({ halvings: 2 }), 600);
    expect([0, 199, 200, 399, 400, 599].map(rate)).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25]);
  });

  it('never rises, begins at 1 and ends at the last halving', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 6, max: 200 }), (halvings, total) => {
        const rates = Array.from({ length: total }, (_, step) =>
          alignRate(toyAlignment({ halvings }), total)(step),
        );
        expect(rates[0]).toBe(1);
        expect(rates.at(-1)).toBe(0.5 ** halvings);
        for (let i = 1; i < total; i++) expect(rates[i]).toBeLessThanOrEqual(rates[i - 1] as number);
      }),
    );
  });
});
