import { cat, fromTypedArray, Generator, memory, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUnits } from '../../src/alignment/policy.ts';
import {
  applyView,
  type CandidateGenerator,
  currentMask,
  GENERATORS,
  type GeneratorContext,
  type GeneratorName,
  generate,
  generatorName,
  type View,
  viewPrompt,
  withDropout,
} from '../../src/alignment/proposals/generators.ts';
import { logitsToCanvas, pickBest, pickHead } from '../../src/models/sam/index.ts';
import { Random } from '../../src/util/random.ts';
import { LAYOUT, SIDE, toyAlignment, toyInput, toyPolicy, toySam, toyUnits } from './toy.ts';

const PIXELS = SIDE * SIDE;
const NAMES = Object.keys(GENERATORS) as GeneratorName[];
const sam = toySam();
const units = toyUnits(3);
const B = units.length;

/** What `propose` hands to a generator; the network's logits are stretched so that thresholds cut them. */
function contextOf(change: Partial<GeneratorContext> = {}): GeneratorContext {
  const policy = toyPolicy(sam);
  const { embeddings, prompts, decoded } = decodeUnits(policy, units);
  const spread = spreadLogits(decoded.masks);
  return {
    sam,
    embeddings,
    prompts,
    canvasPrompts: units.map((unit) => unit.prompt),
    layout: LAYOUT,
    decoded: { masks: spread, iou: decoded.iou },
    heads: pickBest(decoded).head,
    imageSize: SIDE,
    options: toyAlignment().proposals,
    dropoutStream: Generator.seeded(11),
    random: new Random('generators'),
    embedView: (view) => sam.embed(applyView(images(), view)),
    ...change,
  };
}

const images = () => cat(units.map(({ caseId }) => fromTypedArray(toyInput(caseId), [1, 3, SIDE, SIDE])));

/** Each mask's logits rescaled to mean 0 and deviation 3. */
function spreadLogits(masks: Tensor): Tensor {
  const mean = masks.mean([2, 3], true);
  const centred = masks.sub(mean);
  return centred.div(centred.pow(2).mean([2, 3], true).sqrt()).mul(3);
}

/** Runs `body` in a scope and without gradients. */
const inside = <T>(body: () => T): T => tidy(() => noGrad(body));

type Masks = Uint8Array[][]; // [B][4] of PIXELS

function masksOf(result: Tensor): Masks {
  expect(result.shape).toEqual([B, 4, SIDE, SIDE]);
  expect(result.dtype).toBe('bool');
  const bytes = result.toTypedArray() as Uint8Array;
  return Array.from({ length: B }, (_, b) =>
    Array.from({ length: 4 }, (_, k) => bytes.slice((b * 4 + k) * PIXELS, (b * 4 + k + 1) * PIXELS)),
  );
}
const run = (name: GeneratorName, change: Partial<GeneratorContext> = {}): Masks =>
  inside(() => masksOf(generate(name, contextOf(change))));

/** Canvas logits of each unit's own head [B][PIXELS]. */
const canvasLogits = (): Float32Array[] =>
  inside(() => {
    const context = contextOf();
    const flat = logitsToCanvas(pickHead(context.decoded, context.heads).masks, SIDE).toFloat32Array();
    return Array.from({ length: B }, (_, b) => flat.slice(b * PIXELS, (b + 1) * PIXELS));
  });
const above = (logits: Float32Array, probability: number): Uint8Array =>
  Uint8Array.from(logits, (z) => Number(z > Math.fround(Math.log(probability / (1 - probability)))));
const area = (mask: Uint8Array) => mask.reduce((sum, bit) => sum + bit, 0);

describe('every generator', () => {
  it.each(NAMES)('%s: four bool masks a unit, the same ones from the same streams', (name) => {
    const first = run(name);
    expect(run(name)).toEqual(first);
  });

  it.each(NAMES)('%s: leaves no tensor behind', (name) => {
    run(name);
    const before = memory().tensors;
    run(name);
    expect(memory().tensors).toBe(before);
  });

  it.each(['dropout', 'views', 'prompt-jitter', 'diverse'] as const)(
    '%s: the first is the current mask',
    (name) => {
      const masks = run(name);
      for (const [b, logits] of canvasLogits().entries()) expect(masks[b]?.[0]).toEqual(above(logits, 0.5));
    },
  );

  it.each(['dropout', 'diverse'] as const)('%s: other streams, other masks', (name) => {
    expect(run(name, { dropoutStream: Generator.seeded(12) })).not.toEqual(run(name));
  });

  it.each(['prompt-jitter'] as const)('%s: another random stream, other masks', (name) => {
    const logitsOf = (seed: string) =>
      inside(() => {
        // masks of a random network hardly move, its logits do: a threshold at their median shows it
        const context = contextOf({ random: new Random(seed) });
        return masksOf(
          generate(name, { ...context, options: { ...context.options, threshold: medianOf(context) } }),
        );
      });
    expect(logitsOf('one')).toEqual(logitsOf('one'));
    expect(logitsOf('one')).not.toEqual(logitsOf('two'));
  });
});

describe("one's own", () => {
  const mirrored: CandidateGenerator = (context) => {
    const current = currentMask(context);
    return cat([current, current.logicalNot(), current, current], 1);
  };

  it('goes where a name goes', () => {
    const masks = inside(() => masksOf(generate(mirrored, contextOf())));
    for (const [b, logits] of canvasLogits().entries()) {
      const current = above(logits, 0.5);
      expect(masks[b]).toEqual([current, current.map((bit) => 1 - bit), current, current]);
    }
    expect(generatorName(mirrored)).toBe('mirrored');
    expect(generatorName('wide')).toBe('wide');
  });

  it.each([
    ['three masks a unit', (c: GeneratorContext) => cat([currentMask(c), currentMask(c), currentMask(c)], 1)],
    ['logits', (c: GeneratorContext) => mirrored(c).to('float32')],
    ['masks of another size', (c: GeneratorContext) => mirrored(c).slice(3, 0, 8)],
  ])('refuses %s, and says what is needed', (_, broken) => {
    expect(() => inside(() => generate(broken, contextOf()))).toThrow(UsageError);
    expect(() => inside(() => generate(broken, contextOf()))).toThrow(
      `needed: bool [${B}, 4, ${SIDE}, ${SIDE}]`,
    );
  });
});

/** Median probability of the network as it is, of the units' heads. */
function medianOf(context: GeneratorContext): number {
  const masks = pickHead(
    sam.decode(context.embeddings, context.prompts, { multimask: true }),
    context.heads,
  ).masks;
  const sorted = masks.sigmoid().toFloat32Array().sort();
  return sorted[sorted.length >> 1] as number;
}

describe('thresholds, wide', () => {
  it.each(['thresholds', 'wide'] as const)(
    '%s: the probability map above each, the lower one holding the higher',
    (name) => {
      const { thresholds, wideThresholds } = toyAlignment().proposals;
      const at = name === 'wide' ? wideThresholds : thresholds;
      const masks = run(name);
      for (const [b, logits] of canvasLogits().entries()) {
        for (const [k, t] of at.entries()) {
          const mask = masks[b]?.[k] as Uint8Array;
          expect(mask).toEqual(above(logits, t));
          if (k > 0) expect(mask.every((bit, i) => bit <= (masks[b]?.[k - 1]?.[i] as number))).toBe(true);
        }
      }
    },
  );
});

describe('quantiles', () => {
  it('cuts the undecided pixels of each image into five equal parts', () => {
    const masks = run('quantiles');
    for (const [b, logits] of canvasLogits().entries()) {
      const undecided = Array.from(logits, (z) => 1 / (1 + Math.exp(-z))).map((p) => p > 0.05 && p < 0.95);
      const count = undecided.filter(Boolean).length;
      expect(count).toBeGreaterThan(100);
      for (const [k, mask] of (masks[b] as Uint8Array[]).entries()) {
        const kept = undecided.filter((yes, i) => yes && mask[i] === 1).length;
        expect(Math.abs(kept / count - (4 - k) / 5)).toBeLessThan(0.01);
      }
    }
  });

  it('falls back to equal steps of probability where hardly a pixel is undecided', () => {
    const masks = inside(() => {
      const context = contextOf();
      const decided = { masks: context.decoded.masks.mul(1e6), iou: context.decoded.iou };
      return masksOf(generate('quantiles', { ...context, decoded: decided }));
    });
    for (const four of masks) for (const mask of four.slice(1)) expect(mask).toEqual(four[0]);
  });
});

describe('dropout', () => {
  it('drops channels for the samples alone and puts the decoder back as it was', () => {
    const { mask_decoder } = sam;
    const own = Generator.seeded(1);
    mask_decoder.dropoutP = 0.125;
    mask_decoder.dropoutGenerator = own;
    try {
      const stream = Generator.seeded(2);
      const during = withDropout(sam, 0.5, stream, () => [
        mask_decoder.dropoutP,
        mask_decoder.dropoutGenerator,
      ]);
      expect(during).toEqual([0.5, stream]);
      const fail = () =>
        withDropout(sam, 0.5, stream, () => {
          throw new Error('inside');
        });
      expect(fail).toThrow('inside');
      expect([mask_decoder.dropoutP, mask_decoder.dropoutGenerator]).toEqual([0.125, own]);
    } finally {
      mask_decoder.dropoutP = 0;
      mask_decoder.dropoutGenerator = null;
    }
  });

  it('samples differ from each other', () => {
    const masks = inside(() => {
      const context = contextOf();
      return masksOf(
        generate('dropout', { ...context, options: { ...context.options, threshold: medianOf(context) } }),
      );
    });
    for (const [, a, b, c] of masks) {
      expect(a).not.toEqual(b);
      expect(b).not.toEqual(c);
    }
  });
});

describe('multimask', () => {
  it('is the three heads and the one for unambiguous prompts', () => {
    const masks = run('multimask');
    const expected = inside(() => {
      const context = contextOf();
      const single = sam.decode(context.embeddings, context.prompts, { multimask: false }).masks;
      return masksOf(logitsToCanvas(cat([context.decoded.masks, single], 1), SIDE).gt(0));
    });
    expect(masks).toEqual(expected);
  });
});

describe('diverse', () => {
  it('picks four different masks where the pool has them, the farthest from the current one second', () => {
    const masks = run('diverse');
    for (const four of masks) {
      for (let i = 0; i < 4; i++)
        for (let j = i + 1; j < 4; j++) expect(four[i], `masks ${i} and ${j}`).not.toEqual(four[j]);
      const far = (k: number) => 1 - iou(four[0] as Uint8Array, four[k] as Uint8Array);
      expect(far(1)).toBeGreaterThanOrEqual(far(2));
      expect(far(1)).toBeGreaterThanOrEqual(far(3));
    }
  });

  it('takes what there is when the pool is full of one mask', () => {
    const masks = inside(() => {
      const context = contextOf();
      const nothing = { masks: context.decoded.masks.mul(0).sub(1e6), iou: context.decoded.iou };
      const options = { ...context.options, poolSize: 4 };
      return masksOf(generate('diverse', { ...context, decoded: nothing, options }));
    });
    for (const four of masks) for (const mask of four) expect(area(mask)).toBe(0);
  });
});

function iou(a: Uint8Array, b: Uint8Array): number {
  const both = a.reduce((n, bit, i) => n + (bit & (b[i] as number)), 0);
  const either = a.reduce((n, bit, i) => n + (bit | (b[i] as number)), 0);
  return either === 0 ? 0 : both / either;
}

describe('views', () => {
  const smooth = (): Tensor => {
    const data = Float32Array.from({ length: PIXELS }, (_, i) => {
      const [x, y] = [(i % SIDE) / SIDE, Math.floor(i / SIDE) / SIDE];
      return Math.sin(5 * x) + Math.cos(4 * y) + x * y;
    });
    return fromTypedArray(data, [1, 1, SIDE, SIDE]);
  };

  it('a mirrored view is mirrored back exactly', () => {
    tidy(() => {
      const x = smooth();
      const view: View = { flip: true, zoom: 1 };
      expect(applyView(applyView(x, view), view).toTypedArray()).toEqual(x.toTypedArray());
      expect(applyView(x, view).toFloat32Array()[0]).toBe(x.toFloat32Array()[SIDE - 1]);
    });
  });

  it.each([0.85, 1.18])(
    'a view zoomed by %d comes back where it was seen',
    (zoom) => {
      tidy(() => {
        const x = smooth();
        const back = applyView(applyView(x, { flip: true, zoom }), {
          flip: true,
          zoom: 1 / zoom,
        }).toFloat32Array();
        const margin = 8; // what lies outside the larger view was not seen
        for (let y = margin; y < SIDE - margin; y++)
          for (let column = margin; column < SIDE - margin; column++) {
            const i = y * SIDE + column;
            expect(Math.abs((back[i] as number) - (x.toFloat32Array()[i] as number))).toBeLessThan(0.02);
          }
      });
    },
    30_000,
  );

  it('zoom below 1 makes things smaller, about the centre', () => {
    const sizes = tidy(() => {
      const data = new Float32Array(PIXELS);
      for (let y = 24; y < 40; y++) data.fill(1, y * SIDE + 24, y * SIDE + 40);
      const square = fromTypedArray(data, [1, 1, SIDE, SIDE]);
      return [0.5, 1, 2].map((zoom) => applyView(square, { flip: false, zoom }).sum().item());
    });
    expect(sizes[0]).toBeCloseTo(64, 3);
    expect(sizes[1]).toBe(256);
    expect(sizes[2]).toBeGreaterThan(900);
    expect(sizes[2]).toBeLessThan(1100);
  });

  it('prompts move with the picture: a marked pixel and a filled box stay marked and filled', () => {
    const pixel = fc.integer({ min: 20, max: 40 });
    fc.assert(
      fc.property(pixel, pixel, fc.boolean(), fc.constantFrom(1, 0.5, 2), (x, y, flip, zoom) => {
        const view = { flip, zoom };
        const box = { x0: x, y0: y, x1: x + 4, y1: y + 6 };
        const moved = viewPrompt({ boxes: [box], points: [{ x, y, label: 1 }] }, view, SIDE);
        const seen = tidy(() => {
          const data = new Float32Array(PIXELS);
          for (let row = box.y0; row < box.y1; row++) data.fill(1, row * SIDE + box.x0, row * SIDE + box.x1);
          return applyView(fromTypedArray(data, [1, 1, SIDE, SIDE]), view).toFloat32Array();
        });
        const [b] = moved.boxes as [typeof box];
        // the mass of the picture lies in the box, and its centre is the box's
        let [mass, sumX, sumY] = [0, 0, 0];
        for (const [i, value] of seen.entries()) {
          mass += value;
          sumX += value * ((i % SIDE) + 0.5);
          sumY += value * (Math.floor(i / SIDE) + 0.5);
        }
        expect(mass).toBeCloseTo((b.x1 - b.x0) * (b.y1 - b.y0), 2);
        expect(sumX / mass).toBeCloseTo((b.x0 + b.x1) / 2, 3);
        expect(sumY / mass).toBeCloseTo((b.y0 + b.y1) / 2, 3);
        // the point is a pixel: its centre keeps its place in the box, which has the point in its first corner
        const [p] = moved.points as unknown as [{ x: number; y: number }];
        const corner = { x: flip ? b.x1 - 0.5 * zoom : b.x0 + 0.5 * zoom, y: b.y0 + 0.5 * zoom };
        expect(p.x + 0.5).toBeCloseTo(corner.x, 9);
        expect(p.y + 0.5).toBeCloseTo(corner.y, 9);
      }),
      { numRuns: 40 },
    );
  });

  it('text goes along', () => {
    const text = [Float32Array.of(1, 2), null];
    expect(viewPrompt({ boxes: [], points: [], text }, { flip: true, zoom: 2 }, SIDE).text).toBe(text);
    expect('text' in viewPrompt({ boxes: [], points: [] }, { flip: true, zoom: 2 }, SIDE)).toBe(false);
  });

  it('a part that no view has seen is background, at any threshold', () => {
    const masks = inside(() => {
      const context = contextOf();
      return masksOf(generate('views', { ...context, options: { ...context.options, threshold: 0.05 } }));
    });
    for (const four of masks) {
      const larger = four[3] as Uint8Array;
      expect(area(larger.slice(0, SIDE))).toBe(0); // first row
      expect(area(larger)).toBeGreaterThan(PIXELS / 2); // what it has seen is above 0.05
    }
  });

  it('needs the images', () => {
    const { embedView: _, ...without } = inside(() => contextOf());
    expect(() => inside(() => generate('views', { ...contextOf(), embedView: undefined as never }))).toThrow(
      UsageError,
    );
    expect(without.imageSize).toBe(SIDE);
  });
});
