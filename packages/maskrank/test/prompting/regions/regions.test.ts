// Prompts from saliency: what is kept, where boxes and points lie, which fallback is taken and that it is told.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkFixture } from '../../../src/golden/run.ts';
import { boxIou, boxOfMask } from '../../../src/imaging/boxes.ts';
import { labelComponents } from '../../../src/imaging/components.ts';
import type { FloatMap, Mask } from '../../../src/imaging/types.ts';
import {
  countFallbacks,
  type ForegroundRule,
  foregroundOf,
  promptFromLabels,
  promptFromSaliency,
  REGION_PRESETS,
  type RegionOptions,
  type RegionPreset,
  twoMeansThreshold,
} from '../../../src/prompting/regions/index.ts';
import { Random } from '../../../src/util/random.ts';
import { draw, masks, show } from '../../imaging/arbitraries.ts';

const golden = process.env.MASKRANK_GOLDEN ?? resolve(import.meta.dirname, '../../../../../../shared/golden');

const mapOf = (mask: Mask, high = 0.8, low = 0.1): FloatMap => ({
  ...mask,
  data: Float32Array.from(mask.data, (v) => (v === 1 ? high : low)),
});

/** Threshold 0.5, everything kept, tight boxes, no points; with changes. */
function settings(changes: {
  readonly foreground?: ForegroundRule;
  readonly keep?: Partial<RegionOptions['keep']>;
  readonly boxes?: Partial<RegionOptions['boxes']>;
  readonly points?: Partial<RegionOptions['points']>;
  readonly fallback?: RegionOptions['fallback'];
  readonly peakShare?: number;
}): RegionOptions {
  return {
    foreground: changes.foreground ?? { kind: 'threshold', value: 0.5 },
    keep: {
      maxRegions: 9,
      connectivity: 8,
      minAreaPx: 1,
      minShareOfLargest: 0,
      ties: 'first',
      ...changes.keep,
    },
    boxes: { around: 'each', marginShare: 0, ...changes.boxes },
    points: { count: 0, per: 'prompt', placing: 'uniform', depthShare: 0.5, negatives: 0, ...changes.points },
    fallback: changes.fallback ?? 'whole-image',
    peakShare: changes.peakShare ?? 0.1,
  };
}

const prompt = (map: FloatMap, options: RegionOptions, seed: string | number = 1) =>
  promptFromSaliency(map, options, { random: new Random(seed) });

describe('two means', () => {
  const spread = (values: readonly number[]): number => {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return values.reduce((a, v) => a + (v - mean) ** 2, 0);
  };

  it('splits where no other split leaves less spread within', () => {
    const value = fc.integer({ min: 0, max: 20 }).map((v) => v / 20);
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 30 }), (values) => {
        const threshold = twoMeansThreshold(Float32Array.from(values));
        if (threshold === undefined) {
          expect(new Set(values).size).toBe(1);
          return;
        }
        const split = (t: number): number =>
          spread(values.filter((v) => v <= t)) + spread(values.filter((v) => v > t));
        const least = Math.min(
          ...[...new Set(values)]
            .sort((a, b) => a - b)
            .slice(0, -1)
            .map(split),
        );
        expect(split(threshold)).toBeCloseTo(least, 4);
      }),
    );
  });

  it('by hand', () => {
    expect(twoMeansThreshold(Float32Array.of(0, 0.25, 1, 1))).toBeCloseTo((0.125 + 1) / 2, 6);
    expect(twoMeansThreshold(Float32Array.of(0.5, 0.5))).toBeUndefined();
    expect(twoMeansThreshold(Float32Array.of(0.5))).toBeUndefined();
  });
});

describe('foreground', () => {
  const blob = draw('......', '.##...', '.##..#', '......');

  it('is the same blob by every rule on a map of two values', () => {
    const map = mapOf(blob);
    const image = { ...blob, channels: 1 as const, data: blob.data.map((v) => 40 + 150 * v) };
    const rules: ForegroundRule[] = [
      { kind: 'threshold', value: 0.3 },
      { kind: 'otsu' },
      { kind: 'two-means', sidePx: null },
      { kind: 'two-means', sidePx: 12 },
      {
        kind: 'crf',
        unary: { form: 'log' },
        crf: { iterations: 2, terms: [{ kind: 'bilateral', sigmaPx: 3, sigmaColour: 20, compatibility: 1 }] },
      },
    ];
    for (const rule of rules) expect(show(foregroundOf(map, rule, image))).toEqual(show(blob));
  });

  it('by a CRF needs the image', () => {
    const { foreground } = REGION_PRESETS.paper;
    expect(() => foregroundOf(mapOf(blob), foreground)).toThrow(/needs the image/);
  });

  it('by a threshold is what lies above it, not on it', () => {
    const map = { width: 3, height: 1, data: Float32Array.of(0.25, 0.5, 0.75) };
    expect([...foregroundOf(map, { kind: 'threshold', value: 0.5 }).data]).toEqual([0, 0, 1]);
  });
});

describe('regions', () => {
  const lungs = draw('.........', '.##...##.', '.##...##.', '.##...#..', '.........', '....#....');

  it('are the largest, up to so many, each with its box', () => {
    const two = prompt(mapOf(lungs), settings({ keep: { maxRegions: 2 } }));
    expect(two.boxes).toEqual([
      { x0: 1, y0: 1, x1: 3, y1: 4 },
      { x0: 6, y0: 1, x1: 8, y1: 4 },
    ]);
    expect(two.fallback).toBeNull();
    expect(two.reason).toBeNull();
    const one = prompt(mapOf(lungs), settings({ keep: { maxRegions: 1 } }));
    expect(one.boxes).toHaveLength(1);
    expect(show(one.mask)).toEqual(
      show(draw('.........', '.##......', '.##......', '.##......', '.........', '.........')),
    );
    expect(prompt(mapOf(lungs), settings({})).boxes).toHaveLength(3);
  });

  it('leave out specks: by pixels, and by the share of the largest', () => {
    expect(prompt(mapOf(lungs), settings({ keep: { minAreaPx: 2 } })).boxes).toHaveLength(2);
    expect(prompt(mapOf(lungs), settings({ keep: { minShareOfLargest: 0.2 } })).boxes).toHaveLength(2);
    expect(prompt(mapOf(lungs), settings({ keep: { minShareOfLargest: 0.9 } })).boxes).toHaveLength(1);
  });

  it('touch by sides or by corners as asked', () => {
    const corner = mapOf(draw('#..', '.#.', '...'));
    expect(prompt(corner, settings({ keep: { connectivity: 8 } })).boxes).toHaveLength(1);
    expect(prompt(corner, settings({ keep: { connectivity: 4 } })).boxes).toHaveLength(2);
  });

  it('may share one box, and boxes may be wider, within the image', () => {
    const all = prompt(mapOf(lungs), settings({ keep: { maxRegions: 2 }, boxes: { around: 'all' } }));
    expect(all.boxes).toEqual([{ x0: 1, y0: 1, x1: 8, y1: 4 }]);
    const wide = prompt(mapOf(lungs), settings({ keep: { maxRegions: 1 }, boxes: { marginShare: 1 } }));
    expect(wide.boxes).toEqual([{ x0: 0, y0: 0, x1: 5, y1: 6 }]);
  });

  it('come from labels as well', () => {
    const map = { width: 3, height: 2, data: Uint8Array.of(2, 2, 0, 1, 0, 2) };
    const { boxes } = promptFromLabels(map, 2, settings({ keep: { connectivity: 4 } }), {
      random: new Random(1),
    });
    expect(boxes).toEqual([
      { x0: 0, y0: 0, x1: 2, y1: 1 },
      { x0: 2, y0: 1, x1: 3, y1: 2 },
    ]);
    const options = settings({ points: { placing: 'saliency', count: 1 } });
    expect(() => promptFromLabels(map, 2, options, { random: new Random(1) })).toThrow(
      /without a saliency map/,
    );
  });
});

describe('points', () => {
  it('are distinct, inside what was kept, as many as there is room for; negatives outside', () => {
    fc.assert(
      fc.property(
        masks(12),
        fc.constantFrom('uniform', 'core', 'saliency' as const),
        fc.constantFrom('region', 'prompt' as const),
        fc.integer({ min: 0, max: 8 }),
        fc.string(),
        (mask, placing, per, count, seed) => {
          const options = settings({
            keep: { maxRegions: 2 },
            points: { placing, per, count, negatives: 2, depthShare: 0 },
            fallback: 'none',
          });
          const got = prompt(mapOf(mask), options, seed);
          const key = ({ x, y }: { x: number; y: number }): string => `${x},${y}`;
          expect(new Set(got.points.map(key)).size).toBe(got.points.length);
          for (const { x, y, label } of got.points) expect(got.mask.data[y * mask.width + x]).toBe(label);
          if (got.fallback !== null) {
            expect(got.points).toEqual([]);
            return;
          }
          const areas = labelComponents(got.mask, 8).components.map(({ areaPx }) => areaPx);
          const inside = areas.reduce((a, b) => a + b, 0);
          const room = (areaPx: number): number => Math.min(areaPx, count);
          const expected = per === 'region' ? areas.reduce((a, b) => a + room(b), 0) : room(inside);
          expect(got.points.filter(({ label }) => label === 1)).toHaveLength(expected);
          const outside = mask.data.length - inside;
          expect(got.points.filter(({ label }) => label === 0)).toHaveLength(Math.min(2, outside));
          expect(prompt(mapOf(mask), options, seed)).toEqual(got);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of the core lie deep; the image edge is a border too', () => {
    const block = draw('.......', '.#####.', '.#####.', '.#####.', '.#####.', '.#####.', '.......');
    const places = (mask: Mask, depthShare: number): string[] =>
      prompt(mapOf(mask), settings({ points: { count: 99, placing: 'core', depthShare } }))
        .points.map(({ x, y }) => `${x},${y}`)
        .sort();
    expect(places(block, 1)).toEqual(['3,3']);
    expect(places(block, 0.5)).toHaveLength(9);
    // Two rows at the edge: none is deeper than the other.
    expect(places(draw('#####', '#####', '.....'), 1)).toHaveLength(10);
    expect(places(draw('###..', '###..', '###..'), 1)).toEqual(['1,1']);
  });

  it('by saliency fall where it is high', () => {
    const data = Float32Array.of(0.6, 0.6, 0.6, 1, 0);
    const counts = new Map<number, number>();
    const options = settings({ points: { count: 1, placing: 'saliency' } });
    const random = new Random('weighted');
    for (let i = 0; i < 2800; i++) {
      const { points } = promptFromSaliency({ width: 5, height: 1, data }, options, { random });
      counts.set(points[0]!.x, (counts.get(points[0]!.x) ?? 0) + 1);
    }
    expect(counts.get(4)).toBeUndefined();
    expect(counts.get(3)! / 1000).toBeCloseTo(1, 0);
    expect(counts.get(0)! / 600).toBeCloseTo(1, 0);
  });
});

describe('fallbacks', () => {
  const faint: FloatMap = { width: 5, height: 2, data: Float32Array.of(0, 0, 0.1, 0.2, 0, 0, 0, 0, 0, 0) };

  it('give the whole image, the peak, or nothing, and say why', () => {
    const whole = prompt(faint, settings({}));
    expect(whole.boxes).toEqual([{ x0: 0, y0: 0, x1: 5, y1: 2 }]);
    expect(whole.points).toEqual([]);
    expect(whole.fallback).toBe('whole-image');
    expect(whole.reason).toMatch(/at least 1 px by the rule threshold 0.5; saliency 0.00..0.200/);
    const peak = prompt(faint, settings({ fallback: 'peak', peakShare: 0.2, points: { count: 5 } }));
    expect(peak.boxes).toEqual([{ x0: 2, y0: 0, x1: 4, y1: 1 }]);
    expect(peak.points).toHaveLength(2);
    expect(peak.fallback).toBe('peak');
    const none = prompt(faint, settings({ fallback: 'none' }));
    expect([none.boxes, none.points, none.fallback]).toEqual([[], [], 'none']);
    expect(boxOfMask(none.mask)).toBeUndefined();
    expect(countFallbacks([whole, peak, none, whole, { fallback: null }])).toEqual({
      found: 1,
      peak: 1,
      'whole-image': 2,
      none: 1,
    });
  });

  it('take the whole image where a flat map has no peak', () => {
    const flat = { width: 4, height: 3, data: new Float32Array(12).fill(0.75) };
    for (const fallback of ['peak', 'whole-image'] as const) {
      const got = prompt(flat, settings({ fallback }));
      expect(got.fallback).toBe('whole-image');
      expect(got.reason).toBe('the saliency is 0.75 everywhere');
    }
  });

  it('are needed for every empty mask and no other', () => {
    fc.assert(
      fc.property(masks(10), (mask) => {
        const full = !mask.data.includes(0);
        const empty = !mask.data.includes(1);
        expect(prompt(mapOf(mask), settings({})).fallback !== null).toBe(empty || full);
        const { fallback } = promptFromLabels(mask, 1, settings({}), { random: new Random(1) });
        expect(fallback !== null).toBe(empty);
      }),
    );
  });
});

describe('settings', () => {
  it('of every preset find a bright disc', () => {
    const side = 48;
    const inside = Uint8Array.from({ length: side * side }, (_, i) =>
      Number(((i % side) - 20) ** 2 + (Math.floor(i / side) - 28) ** 2 < 100),
    );
    const image = { width: side, height: side, channels: 1 as const, data: inside.map((v) => 50 + 120 * v) };
    const disc = boxOfMask({ width: side, height: side, data: inside })!;
    const map = mapOf({ width: side, height: side, data: inside }, 0.9, 0.2);
    for (const name of Object.keys(REGION_PRESETS) as RegionPreset[]) {
      const got = promptFromSaliency(map, REGION_PRESETS[name], { random: new Random(1), image });
      expect(got.boxes).toHaveLength(1);
      // MedCLIP-SAMv2's way to a square and back may shift by a pixel.
      expect(boxIou(got.boxes[0]!, disc)).toBeGreaterThan(name === 'medclip-sam-v2' ? 0.85 : 0.999);
      expect(got.points).toHaveLength(REGION_PRESETS[name].points.count);
      expect(got.fallback).toBeNull();
    }
  });

  it('are refused with their names, and so are maps that are no saliency', () => {
    const map = mapOf(draw('#.'));
    const wrong = (changes: Parameters<typeof settings>[0]) => () => prompt(map, settings(changes));
    expect(wrong({ keep: { maxRegions: 0 } })).toThrow(/keep.maxRegions = 0; allowed: whole numbers from 1/);
    expect(wrong({ keep: { minShareOfLargest: 2 } })).toThrow(/minShareOfLargest = 2/);
    expect(wrong({ boxes: { marginShare: -1 } })).toThrow(/marginShare = -1/);
    expect(wrong({ points: { count: 1.5 } })).toThrow(/points.count = 1.5/);
    expect(wrong({ peakShare: Number.NaN })).toThrow(/peakShare = NaN/);
    expect(() => prompt({ ...map, data: Float32Array.of(0, 1.5) }, settings({}))).toThrow(/\(1, 0\) is 1.5/);
    expect(() => prompt({ ...map, data: Float32Array.of(0, Number.NaN) }, settings({}))).toThrow(/NaN/);
    expect(() => prompt({ ...map, width: 3 }, settings({}))).toThrow(/2 values/);
  });
});

describe('the reference', () => {
  it.skipIf(!existsSync(golden))(
    'keeps the same regions (skipped where the fixtures are absent)',
    async () => {
      const report = await checkFixture(golden, 'saliency_morphology');
      expect(report.status === 'checked' && report.results.filter(({ ok }) => !ok)).toEqual([]);
    },
  );
});
