// Random: known properties of the generator, independence of forks, exact resume.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/util/random.ts';

const draw = (random: Random, n: number): number[] => Array.from({ length: n }, () => random.uint32());

describe('Random', () => {
  it('repeats with the same seed, differs with another, and does not tell 7 from "7"', () => {
    expect(draw(new Random(7), 5)).toEqual(draw(new Random('7'), 5));
    expect(draw(new Random(7), 5)).not.toEqual(draw(new Random(8), 5));
  });

  it('keeps its numbers between versions', () => {
    expect(draw(new Random(1), 3)).toMatchInlineSnapshot(`
      [
        2939886833,
        4130945419,
        725013748,
      ]
    `);
    expect(draw(new Random(1).fork('augment'), 2)).toMatchInlineSnapshot(`
      [
        3021470612,
        941049850,
      ]
    `);
  });

  it('forks by label alone: draws in between change nothing, labels nest, labels differ', () => {
    const early = new Random('s').fork('a');
    const parent = new Random('s');
    draw(parent, 100);
    expect(draw(parent.fork('a'), 4)).toEqual(draw(early, 4));
    expect(draw(new Random('s').fork('a').fork('b'), 4)).not.toEqual(
      draw(new Random('s').fork('b').fork('a'), 4),
    );
    const firsts = new Set(Array.from({ length: 2000 }, (_, i) => new Random(0).fork(`case ${i}`).uint32()));
    expect(firsts.size).toBeGreaterThan(1997);
  });

  it('resumes exactly from a saved state that went through JSON', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(200), (seed, skipped) => {
        const random = new Random(seed);
        for (let i = 0; i < skipped; i++) random.normal();
        const copy = Random.fromState(JSON.parse(JSON.stringify(random.getState())) as number[]);
        expect(draw(copy, 5)).toEqual(draw(random, 5));
        expect(copy.normal()).toBe(random.normal());
        expect(draw(copy.fork('x'), 3)).toEqual(draw(random.fork('x'), 3));
      }),
      { numRuns: 50 },
    );
  });

  it('refuses bad seeds, states, ranges and empty lists', () => {
    expect(() => new Random(Number.NaN)).toThrow(/finite/);
    expect(() => Random.fromState([1, 2, 3])).toThrow(/3 numbers/);
    expect(() => new Random(1).int(3, 3)).toThrow(/lo < hi/);
    expect(() => new Random(1).choice([])).toThrow(/empty/);
  });

  it('draws integers inside the range and all of them', () => {
    const random = new Random('int');
    const counts = new Map<number, number>();
    for (let i = 0; i < 7000; i++) {
      const k = random.int(-3, 4);
      counts.set(k, (counts.get(k) ?? 0) + 1);
    }
    expect([...counts.keys()].sort((p, q) => p - q)).toEqual([-3, -2, -1, 0, 1, 2, 3]);
    const chi2 = [...counts.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
    expect(chi2).toBeLessThan(22.5); // 6 degrees of freedom, p = 0.001
  });

  it('draws normals with the right moments and tails', () => {
    const random = new Random('normal');
    const n = 200_000;
    let [sum, squares, fourth, beyond2, beyond35] = [0, 0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      const x = random.normal();
      sum += x;
      squares += x * x;
      fourth += x ** 4;
      if (Math.abs(x) > 2) beyond2++;
      if (Math.abs(x) > 3.5) beyond35++;
    }
    expect(Math.abs(sum / n)).toBeLessThan(4 / Math.sqrt(n));
    expect(Math.abs(squares / n - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    expect(Math.abs(fourth / n - 3)).toBeLessThan(4 * Math.sqrt(96 / n));
    expect(Math.abs(beyond2 / n - 0.0455)).toBeLessThan(0.002);
    expect(Math.abs(beyond35 / n - 0.000465)).toBeLessThan(0.0002);
  });

  it('draws uniforms in [0, 1) with mean one half', () => {
    const random = new Random('uniform');
    let sum = 0;
    for (let i = 0; i < 100_000; i++) {
      const x = random.next();
      if (x < 0 || x >= 1) throw new Error(`${x} outside [0, 1)`);
      sum += x;
    }
    expect(Math.abs(sum / 100_000 - 0.5)).toBeLessThan(0.004);
  });

  it('shuffles without losing an element or touching its argument', () => {
    const xs = Object.freeze(Array.from({ length: 50 }, (_, i) => i));
    const shuffled = new Random(3).shuffle(xs);
    expect(shuffled).not.toEqual(xs);
    expect(shuffled.toSorted((p, q) => p - q)).toEqual(xs);
  });
});
