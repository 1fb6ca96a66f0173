// The refinement of the decoder's upscaled map: order of places, identity at first, and what a checkpoint tells of it.

import { cat, Generator, grad, manualSeed, nn, randn, type Tensor, tidy, zeros } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { embeddingChannels } from '../../../src/models/sam/high-res.ts';
import { inferSamConfig, Sam, type SamConfig, samStateShapes } from '../../../src/models/sam/index.ts';
import { inImageOrder, Refine } from '../../../src/models/sam/refine.ts';
import { distance, SMALL, smallSam } from './small.ts';

const REFINE = { depth: 2, channels: 6 } as const;
const refined: SamConfig = { ...SMALL, highRes: true, decoder: { ...SMALL.decoder, refine: REFINE } };
const plain = smallSam({ highRes: true });
const sam = smallSam(refined);
afterAll(() => {
  plain.dispose();
  sam.dispose();
});

/** Weights of the last layer, which are zero in a new network. */
function wakeUp(refine: Refine): void {
  const drawn = randn(refine.out.weight.shape, { generator: Generator.seeded(5) });
  nn.init.constant_(refine.out.weight, 0);
  refine.out.weight.detach().add_(drawn, 0.1);
  drawn.dispose();
}

describe('inImageOrder', () => {
  it('undoes the order of two doublings', () => {
    tidy(() => {
      const image = randn([2, 12, 12, 5]);
      const places = image
        .view([2, 3, 2, 2, 3, 2, 2, 5])
        .permute([0, 1, 4, 2, 5, 3, 6, 7]) // place, then row and column of each doubling
        .reshape([2, 9 * 16, 5]);
      expect(distance(inImageOrder(places, 3), image)).toBe(0);
    });
  });
});

describe('Refine', () => {
  it('is the identity at first, and a residual of convolutions over neighbours afterwards', () => {
    tidy(() => {
      const refine = nn.initialise(
        new Refine({ mapChannels: 4, edgeChannels: 3, drawn: true }, REFINE),
        Generator.seeded(1),
      );
      const [map, edges] = [randn([2, 8, 8, 4]), randn([1, 8, 8, 3])];
      expect(distance(refine.forward(map, edges, null), map)).toBe(0);
      wakeUp(refine);
      const moved = refine.forward(map, edges, null).sub(map).abs().amax([0, 3]); // [8, 8]
      expect(moved.amin([0, 1]).item()).toBeGreaterThan(0);
      // Two convolutions of 3 x 3 see two pixels in each direction.
      const changed = map.clone();
      changed.select(0, 0).select(0, 4).select(0, 4).add_(1);
      const felt = refine
        .forward(changed, edges, null)
        .sub(refine.forward(map, edges, null))
        .abs()
        .sum([0, 3]);
      const isFelt = (y: number, x: number) => felt.select(0, y).select(0, x).item() > 1e-6;
      expect([isFelt(2, 2), isFelt(4, 6), isFelt(1, 4), isFelt(4, 7)]).toEqual([true, true, false, false]);
    });
  });

  it('feels what was drawn of the prompt where it was drawn', () => {
    tidy(() => {
      const refine = nn.initialise(
        new Refine({ mapChannels: 4, edgeChannels: 0, drawn: true }, REFINE),
        Generator.seeded(1),
      );
      wakeUp(refine);
      const map = randn([1, 8, 8, 4]);
      const drawn = zeros([1, 1, 8, 8]);
      const blank = refine.forward(map, null, drawn);
      drawn.select(2, 0).select(2, 0).add_(1);
      const felt = refine.forward(map, null, drawn).sub(blank).abs().sum([0, 3]); // [8, 8]
      expect(felt.select(0, 0).select(0, 0).item()).toBeGreaterThan(1e-6);
      expect(felt.select(0, 7).select(0, 7).item()).toBe(0);
    });
  });

  it('without edges has no place for them', () => {
    using refine = new Refine({ mapChannels: 4, edgeChannels: 0, drawn: false }, REFINE);
    expect([...refine.stateDict().keys()].filter((key) => key.startsWith('edges'))).toEqual([]);
    expect(tidy(() => refine.forward(randn([1, 8, 8, 4]), null, null).shape)).toEqual([1, 8, 8, 4]);
  });
});

describe('a decoder with refinement', () => {
  const embeddings = (n: number): Tensor =>
    randn([n, embeddingChannels(refined), 4, 4], { generator: Generator.seeded(3) });
  const prompt = (n: number) => ({ boxes: cat(new Array<Tensor>(n).fill(boxes())) });
  const boxes = (): Tensor =>
    randn([1, 4], { generator: Generator.seeded(4) })
      .mul(8)
      .add(32);

  it('gives the masks of the one without until it has learned', () => {
    tidy(() => {
      nn.loadStateDict(plain, sam.stateDict(), { allowUnexpected: [/refine/] });
      const [a, b] = [sam, plain].map((model) => model.decode(embeddings(1), prompt(2), { multimask: true }));
      expect(a?.masks.shape).toEqual([2, 3, 16, 16]);
      expect(distance(a?.masks as Tensor, b?.masks as Tensor)).toBeLessThan(1e-6);
    });
  });

  it('gives one image with several prompts what it gives each alone, and every part a gradient', () => {
    tidy(() => {
      wakeUp(sam.mask_decoder.refine as Refine);
      const together = sam.decode(embeddings(1), prompt(3), { multimask: true }).masks;
      const alone = sam.decode(embeddings(1), prompt(1), { multimask: true }).masks;
      expect(distance(together.slice(0, 2, 3), alone)).toBeLessThan(1e-5);
      const parts = [...(sam.mask_decoder.refine as Refine).parameters()];
      for (const g of grad([together.pow(2).sum()], parts))
        expect((g as Tensor).abs().sum().item()).toBeGreaterThan(0);
    });
  });

  it('drops channels of its input for each prompt anew', () => {
    tidy(() => {
      sam.mask_decoder.dropoutP = 0.5;
      manualSeed(1); // with so few channels, two prompts may by chance drop the same ones
      const { masks } = sam.decode(embeddings(1), prompt(2), { multimask: true });
      sam.mask_decoder.dropoutP = 0;
      expect(distance(masks.slice(0, 0, 1), masks.slice(0, 1, 2))).toBeGreaterThan(0);
    });
  });

  it('is told by a checkpoint, stated by the table of shapes, and refused with numbers that cannot be', () => {
    expect(inferSamConfig(sam.stateDict() as never, 'a').decoder.refine).toEqual(REFINE);
    expect(inferSamConfig(plain.stateDict() as never, 'a').decoder.refine).toBe(null);
    const built = new Map([...sam.stateDict()].map(([name, { shape }]) => [name, [...shape]]));
    expect(new Map([...samStateShapes(refined)].map(([name, shape]) => [name, [...shape]]))).toEqual(built);
    const none = { ...refined, decoder: { ...refined.decoder, refine: { depth: 0, channels: 8 } } };
    expect(() => new Sam(none)).toThrow(UsageError);
  });
});
