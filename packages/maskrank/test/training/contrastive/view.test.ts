// Views of images whose class maps are known: windows, mirrors and masks move pixels and classes alike, and texts follow what is
// still shown.

import { fromTypedArray, Generator, nn, noGrad, tidy } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { DEFAULT_AUGMENTATION } from '../../../src/imaging/augment.ts';
import type { Mask } from '../../../src/imaging/types.ts';
import { createClip } from '../../../src/models/clip/index.ts';
import { classMapsOf } from '../../../src/training/class-maps.ts';
import { makePairBatch } from '../../../src/training/contrastive/batch.ts';
import { bypass, placesLoss } from '../../../src/training/contrastive/loss.ts';
import { startAsMeanOfPlaces } from '../../../src/training/contrastive/readout.ts';
import { claimsShown, classOf, factsShown, truthOf } from '../../../src/training/contrastive/texts.ts';
import {
  coverOf,
  drawView,
  maskPlanes,
  shownShares,
  type View,
  WHOLE,
  windowOf,
} from '../../../src/training/contrastive/view.ts';
import { Random } from '../../../src/util/random.ts';
import { distance, images, SMALL, SMALL_CONVOLUTIONS } from '../../models/clip/small.ts';

const SIDE = 112;
/** Liver: the left upper quarter; kidney: a square of 16 px at the right lower end. */
const painted = (inside: (x: number, y: number) => boolean): Mask => ({
  width: SIDE,
  height: SIDE,
  data: Uint8Array.from({ length: SIDE * SIDE }, (_, i) => Number(inside(i % SIDE, Math.floor(i / SIDE)))),
});
const liver = painted((x, y) => x < 56 && y < 56);
const kidney = painted((x, y) => x >= 96 && y >= 96);
const CLASSES = ['spleen', 'liver', 'kidney'];
const maps = classMapsOf(
  new Map([
    ['liver', liver],
    ['kidney', kidney],
  ]),
  CLASSES,
  56,
);
const image = {
  width: SIDE,
  height: SIDE,
  channels: 1 as const,
  data: liver.data.map((v, i) => 100 * v + 200 * (kidney.data[i] as number)),
};
const left: View = { ...WHOLE, width: 0.5 };

describe('a view', () => {
  it('shows the same part of pixels and classes', () => {
    expect([...shownShares(maps, WHOLE)]).toEqual([Number.NaN, 1, 1]);
    expect([...shownShares(maps, left)].slice(1)).toEqual([1, 0]);
    const middle = { ...WHOLE, x0: 0.25, width: 0.5 };
    expect(shownShares(maps, middle)[1]).toBeCloseTo(0.5, 6);
    const mirrored = windowOf(image, { ...WHOLE, isMirrored: true }, SIDE);
    expect(mirrored.data[0]).toBe(0);
    expect(mirrored.data[SIDE - 1]).toBe(100);
    expect(windowOf(image, WHOLE, SIDE).data).toEqual(image.data);
    const { cover } = coverOf(maps, { ...WHOLE, isMirrored: true }, 14);
    expect([0, 13].map((place) => cover[3 * place + 1])).toEqual([0, 1]);
    // The kidney's 16 px are two places of 8 px.
    const small = coverOf(maps, WHOLE, 14).cover;
    expect(
      Array.from({ length: 196 }, (_, p) => small[3 * p + 2] as number).reduce((a, b) => a + b),
    ).toBeCloseTo(4, 5);
  });

  it('hides what its mask hides, in pixels and in shares', () => {
    const reveal = Float32Array.from({ length: 14 * 14 }, (_, i) => (i % 14 < 7 ? 1 : 0));
    const view = { ...WHOLE, reveal };
    const planes = new Float32Array(3 * SIDE * SIDE).fill(2);
    maskPlanes(planes, SIDE, view);
    expect([planes[0], planes[SIDE - 1], planes[3 * SIDE * SIDE - 1]]).toEqual([2, 0, 0]);
    const shares = shownShares(maps, view);
    expect(shares[1]).toBeGreaterThan(0.9);
    expect(shares[2]).toBe(0);
  });

  it('is drawn within the image, with masks of the whole range', () => {
    for (let seed = 0; seed < 50; seed++) {
      const view = drawView(new Random(seed), { crops: 1, reveals: 1 }, false);
      expect(view.isMirrored).toBe(false);
      expect(view.x0).toBeGreaterThanOrEqual(0);
      expect(view.x0 + view.width).toBeLessThanOrEqual(1 + 1e-12);
      expect(view.width * view.height).toBeGreaterThan(0.15);
      const values = [...(view.reveal as Float32Array)];
      expect(Math.min(...values)).toBeLessThan(0.01);
      expect(Math.max(...values)).toBeGreaterThan(0.99);
    }
    expect(drawView(new Random(1), { crops: 0, reveals: 0 }, false)).toEqual(WHOLE);
  });
});

describe('texts of a view', () => {
  const facts = {
    modality: 'ct',
    present: [
      { id: 1, name: 'liver' },
      { id: 2, name: 'kidney' },
    ],
    missing: [],
    tags: { phase: 'venous' },
  };
  const says = (...claims: string[]) => ({ text: claims.join(), claims });

  it('are true of what is shown, false of what is hidden, and neither of a half', () => {
    const shares = (liver: number, kidney: number) => new Map(Object.entries({ liver, kidney }));
    expect(factsShown(facts, shares(1, 0.4)).present.map(({ name }) => name)).toEqual(['liver']);
    const truths = (l: number, k: number, ...claims: string[]) =>
      truthOf(says(...claims), claimsShown(facts, shares(l, k)));
    expect(truths(1, 1, 'class=liver', 'class=kidney', 'phase=venous')).toBe(1);
    expect(truths(1, 0.4, 'class=kidney')).toBe(0.5);
    expect(truths(1, 0.1, 'class=kidney')).toBe(0);
    expect(truths(1, 0.1, 'class=liver', 'modality=ct')).toBe(1);
    expect(truths(1, 0.1, 'class=liver', 'phase=venous')).toBe(0.5);
    expect(truths(1, 0.1, 'no=kidney')).toBe(0.5);
    expect(truths(1, 1, 'no=kidney')).toBe(0);
    expect(truths(1, 1, 'class=spleen')).toBe(0);
  });

  it('are about a class when they claim no more than it', () => {
    expect(classOf(says('modality=ct', 'class=liver'))).toBe('liver');
    expect(classOf(says('class=liver', 'class=kidney'))).toBeUndefined();
    expect(classOf(says('no=liver'))).toBeUndefined();
    expect(classOf(says('modality=ct'))).toBeUndefined();
  });

  it('are judged at places in a batch', () => {
    const options = {
      textsPerImage: 4,
      captions: 0,
      hidden: 0,
      changed: 0,
      augmentation: DEFAULT_AUGMENTATION,
      crops: 0,
      reveals: 0,
      grid: 14,
    };
    const one = { image, facts: { ...facts, tags: {} }, hasNoSides: false, maps };
    const batch = makePairBatch([one, one], options, 56, new Random(3));
    const [places, count] = [batch.places as Float32Array, batch.texts.length];
    expect(places).toHaveLength(2 * 196 * count);
    const about = batch.texts.findIndex((text) => /liver/.test(text) && !/kidney/.test(text));
    const at = (place: number) => places[place * count + about];
    expect([at(0), at(13), at(195)]).toEqual([1, 0, 0]);
    expect(batch.planes).toHaveLength(2 * 3 * 56 * 56);
  });
});

describe('placesLoss', () => {
  it('is smaller where tokens have the channels of their text, with slopes on positive channels alone', () => {
    tidy(() => {
      const texts = fromTypedArray(Float32Array.of(1, 0, -1, 0, 1, -1), [2, 3]);
      const truth = Float32Array.of(1, 0, 0, 1);
      const options = { kind: 'info-nce', temperature: 0.2, hardness: 0 } as const;
      const right = new nn.Parameter(fromTypedArray(Float32Array.of(3, 0.5, -2, 0.5, 3, -2), [1, 2, 3]));
      const wrong = fromTypedArray(Float32Array.of(0, 3, 0, 3, 0, 0), [1, 2, 3]);
      const loss = placesLoss(right, texts, truth, options);
      expect(loss.item()).toBeLessThan(0.1);
      expect(placesLoss(wrong, texts, truth, options).item()).toBeGreaterThan(3);
      loss.backward();
      const slopes = right.grad?.toFloat32Array() as Float32Array;
      expect([slopes[2], slopes[5]]).toEqual([0, 0]);
      expect(slopes[1]).toBeGreaterThan(0);
    });
  });
});

describe('a readout that starts as a mean of places', () => {
  it('compares texts with the mean of normalised places', () => {
    const config = { ...SMALL_CONVOLUTIONS, embedDim: SMALL_CONVOLUTIONS.vision.dim };
    using model = createClip(config, Generator.seeded(1));
    startAsMeanOfPlaces(model);
    tidy(() => {
      const x = images(2, config);
      let tokens = x;
      const value = (site: string, y: typeof x) => {
        if (site === 'blocks.1') tokens = y;
        return y;
      };
      const features = noGrad(() => model.encodeImage(x, { value, endsEarly: true }));
      // Attention is nearly even at the start; features are the last norm of the class token with that mean.
      const norm = (y: typeof x) => {
        const centred = y.sub(y.mean([-1], true));
        return centred.div(centred.mul(centred).mean([-1], true).add(1e-6).sqrt());
      };
      const expected = norm(norm(tokens).mean([1]).add(tokens.select(1, 0)));
      expect(distance(features, expected)).toBeLessThan(0.2);
    });
  });

  it('needs as many channels as features', () => {
    using model = createClip(SMALL, Generator.seeded(1));
    expect(() => startAsMeanOfPlaces(model)).toThrow(/equally many channels/);
  });

  it('is fined for negative places and for what the class token knows alone', () => {
    tidy(() => {
      const tokens = fromTypedArray(Float32Array.of(2, 0, 1, -4, 3, 0), [1, 3, 2]);
      const texts = fromTypedArray(Float32Array.of(-3, 1, 1, 1), [2, 2]);
      expect(bypass(tokens, texts).item()).toBeCloseTo(4 / 4 + 4 / 2 + 3 / 4, 6);
    });
  });
});
