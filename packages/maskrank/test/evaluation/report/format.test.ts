import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as format from '../../../src/evaluation/report/format.ts';

const { compact, count, dateTime, decimal, duration, interval, percent, points, probability, setting } =
  format;

describe('format', () => {
  it.each([
    [decimal(-0.04, 1), '0.0'],
    [decimal(-12.345, 2), '−12.35'],
    [decimal(Number.POSITIVE_INFINITY, 1), '∞'],
    [decimal(Number.NaN, 1), '–'],
    [percent(0.8379), '83.8'],
    [percent(undefined), '–'],
    [points(0.0612), '+6.1'],
    [points(-0.004), '−0.4'],
    [points(0.0001), '0.0'],
    [interval([0.049, 0.072], points), '[+4.9, +7.2]'],
    [interval([Number.NaN, 1], points), '–'],
    [interval(undefined, points), '–'],
    [compact(0.0001), '1e-4'],
    [compact(Math.LN2, 3), '0.693'],
    [compact(2_500_000), '2.5e6'],
    [compact(-40), '−40'],
    [count(1234567), '1,234,567'],
    [count(-1234), '−1,234'],
    [probability(0.0004), 'p < 0.001'],
    [probability(0.0124), 'p = 0.012'],
    [dateTime('2026-11-23T09:30:59Z'), '2026-11-23 09:30 UTC'],
    [dateTime('yesterday'), 'yesterday'],
    [duration(840), '840 ms'],
    [duration(12_400), '12.4 s'],
    [duration(59_960), '1 min 0 s'],
    [duration(3_912_000), '1 h 05 min'],
    [duration(-1), '–'],
    [setting({ focal: 20 }), '{"focal":20}'],
    [setting('region'), 'region'],
    [setting(null), 'null'],
  ])('%s is %s', (got, want) => expect(got).toBe(want));

  it('property: a formatted number reads back as the number, to the digits shown', () => {
    const back = (text: string) => Number(text.replace('−', '-').replace('+', '').replaceAll(',', ''));
    fc.assert(
      fc.property(fc.double({ noNaN: true, min: -2, max: 2 }), (value) => {
        expect(back(percent(value))).toBeCloseTo(value * 100, 0);
        expect(Math.abs(back(points(value)) - value * 100)).toBeLessThanOrEqual(0.05 + 1e-9);
        expect(Math.abs(back(compact(value, 6)) - value)).toBeLessThanOrEqual(Math.abs(value) * 1e-5);
      }),
    );
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(back(count(value))).toBe(value);
      }),
    );
  });
});
