import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  drawShape,
  makeShapes,
  openDataset,
  SHAPE_FAMILIES,
  verifyDataset,
} from '../../src/datasets/index.ts';
import { fillPolygon } from '../../src/datasets/shapes/fields.ts';
import { componentsOf } from './components.ts';
import { file, messageOf, scratch } from './tree.ts';

const share = (data: Uint8Array) => data.reduce((sum, v) => sum + v, 0) / data.length;

describe('drawShape', () => {
  it.each(['breast', 'chest'] as const)(
    '%s: the same seed and number give the same picture, others do not',
    (family) => {
      const a = drawShape(family, 7, 3, 64);
      expect(drawShape(family, 7, 3, 64)).toEqual(a);
      expect(drawShape(family, 8, 3, 64).image.data).not.toEqual(a.image.data);
      expect(drawShape(family, 7, 4, 64).image.data).not.toEqual(a.image.data);
    },
  );

  it('breast: lesions of plausible size, some cases without one, mostly darker than around', () => {
    const pictures = Array.from({ length: 40 }, (_, i) => drawShape('breast', 'sizes', i, 96));
    for (const { mask, pathology } of pictures) {
      const size = share(mask.data);
      if (pathology === 'normal') expect(size).toBe(0);
      else {
        expect(size).toBeGreaterThan(0.004);
        expect(size).toBeLessThan(0.2);
        expect(componentsOf(mask)).toBeLessThanOrEqual(2);
      }
    }
    const normals = pictures.filter((p) => p.pathology === 'normal').length;
    expect(normals).toBeGreaterThan(0);
    expect(normals).toBeLessThan(12);
  });

  it('chest: two lungs that do not touch, of plausible size', () => {
    for (let i = 0; i < 20; i++) {
      const { mask } = drawShape('chest', 'sizes', i, 96);
      expect(componentsOf(mask)).toBe(2);
      expect(share(mask.data)).toBeGreaterThan(0.12);
      expect(share(mask.data)).toBeLessThan(0.45);
    }
  });

  it('is no trivial task: no threshold on the brightness finds the masks', () => {
    for (const [family, limit] of [
      ['breast', 0.6],
      ['chest', 0.8],
    ] as const) {
      const dice = Array.from({ length: 12 }, (_, i) => bestThresholdDice(drawShape(family, 'hard', i, 96)));
      const known = dice.filter((d) => !Number.isNaN(d));
      expect(known.reduce((sum, d) => sum + d, 0) / known.length).toBeLessThan(limit);
    }
  });
});

/** Dice of the best global threshold (dark is foreground), chosen with the mask at hand. */
function bestThresholdDice({
  image,
  mask,
}: {
  image: { data: Uint8Array };
  mask: { data: Uint8Array };
}): number {
  const inside = new Float64Array(256);
  const all = new Float64Array(256);
  image.data.forEach((v, i) => {
    all[v]!++;
    inside[v]! += mask.data[i]!;
  });
  const total = inside.reduce((a, b) => a + b, 0);
  let [hit, chosen, best] = [0, 0, 0];
  for (let t = 0; t < 256; t++) {
    hit += inside[t]!;
    chosen += all[t]!;
    best = Math.max(best, (2 * hit) / (chosen + total));
  }
  return total === 0 ? Number.NaN : best;
}

describe('fillPolygon', () => {
  it('fills the pixels whose centre lies inside', () => {
    const mask = fillPolygon(
      [
        { x: 1, y: 1 },
        { x: 4, y: 1 },
        { x: 4, y: 3 },
        { x: 1, y: 3 },
      ],
      6,
    );
    const rows = Array.from({ length: 6 }, (_, y) => [...mask.data.slice(y * 6, y * 6 + 6)].join(''));
    expect(rows).toEqual(['000000', '011100', '011100', '000000', '000000', '000000']);
  });

  it('leaves the hole of a self-crossing outline and cuts at the edge', () => {
    expect(
      share(
        fillPolygon(
          [
            { x: -5, y: -5 },
            { x: 20, y: -5 },
            { x: 20, y: 20 },
            { x: -5, y: 20 },
          ],
          8,
        ).data,
      ),
    ).toBe(1);
    const bow = fillPolygon(
      [
        { x: 0, y: 0 },
        { x: 8, y: 8 },
        { x: 8, y: 0 },
        { x: 0, y: 8 },
      ],
      8,
    );
    expect([bow.data[4 * 8], bow.data[0 * 8 + 4]]).toEqual([1, 0]);
  });
});

describe('makeShapes', () => {
  it('writes a sound dataset, the same bytes every time, with patients that have two pictures', async () => {
    const [one, two] = await Promise.all(
      [0, 1].map(() =>
        makeShapes({ family: 'breast', cases: 8, seed: 'sound', out: join(scratch(), 'd'), sizePx: 64 }),
      ),
    );
    expect(one!.hash).toBe(two!.hash);
    expect(one!.dataset).toEqual(two!.dataset);
    expect(one!.dataset.cases.map((c) => c.group.slice(-1)).join('')).toBe('00123345');
    const open = await openDataset(one!.dir);
    expect(open.hash).toBe(one!.hash);
    const report = await verifyDataset(one!.dir);
    expect(report.findings.filter((f) => f.severity === 'error')).toEqual([]);
    expect((await open.loadImage(open.unlabelled()[0]!)).width).toBe(64);
  });

  it.each([
    [{ family: 'brest' }, /no family "brest"\. Did you mean "breast"\? Allowed: breast, chest/],
    [{ cases: 0 }, /cases = 0; allowed: a whole number from 1/],
    [{ sizePx: 10 }, /sizePx = 10; allowed: 64 to 2048/],
  ])('refuses %j', async (change, message) => {
    const request = { family: 'breast', cases: 1, seed: 1, out: join(scratch(), 'd'), ...change };
    expect(await messageOf(() => makeShapes(request))).toMatch(message);
  });

  it('refuses a folder that is not empty', async () => {
    const out = scratch();
    file(join(out, 'x'), '');
    expect(await messageOf(() => makeShapes({ family: 'chest', cases: 1, seed: 1, out }))).toMatch(
      /is not empty \(x\)/,
    );
  });

  it('offers families with a class each', () => {
    for (const family of Object.values(SHAPE_FAMILIES)) expect(family.class.id).toBe(1);
  });
});
