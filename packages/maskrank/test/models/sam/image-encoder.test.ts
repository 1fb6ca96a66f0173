import { Generator, grad, memory, nn, randn, type Tensor, tidy, zeros } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Adapter } from '../../../src/models/sam/adapter.ts';
import { Attention } from '../../../src/models/sam/attention.ts';
import type { Block } from '../../../src/models/sam/image-encoder.ts';
import { joinGroups, partition, unpartition, windowGroups } from '../../../src/models/sam/windows.ts';
import { distance, images, SMALL, smallSam } from './small.ts';

/** Attention with every parameter random, also the tables of relative positions and the biases. */
function randomAttention(dim: number, heads: number, side: number | null, qkvBias: boolean): Attention {
  const attention = new Attention(dim, { heads, qkvBias, relativeSide: side });
  const generator = Generator.seeded(5);
  for (const parameter of attention.parameters()) nn.init.normal_(parameter, 0, 0.5, generator);
  return attention.to('float64');
}

const tokens = (b: number, h: number, w: number, c: number): Tensor =>
  randn([b, h, w, c], { generator: Generator.seeded(7), dtype: 'float64' });

describe('windows', () => {
  it('SAM-Med2D: a 16 x 16 grid has 4 windows of 196 tokens, and un-partitioning gives the grid back', () => {
    tidy(() => {
      const x = randn([1, 16, 16, 3]);
      const { windows, paddedSize } = partition(x, 14);
      expect(windows.shape).toEqual([4, 14, 14, 3]);
      expect(paddedSize).toEqual([28, 28]);
      expect(distance(unpartition(windows, paddedSize, [16, 16]), x)).toBe(0);
    });
  });

  it('the exact form cuts it into windows of 14x14, 14x2, 2x14 and 2x2 real tokens', () => {
    const sizes = windowGroups(16, 16, 14)
      .flat()
      .map(({ rows, columns, height, width }) => [rows, columns, height, width]);
    expect(sizes).toEqual([
      [1, 1, 14, 14],
      [1, 1, 14, 2],
      [1, 1, 2, 14],
      [1, 1, 2, 2],
    ]);
  });

  it('groups cover every token once, in place', () => {
    const side = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(side, side, side, (h, w, s) => {
        tidy(() => {
          const x = randn([2, h, w, 1]);
          const parts = windowGroups(h, w, s).map((row) =>
            row.map((g) => x.slice(1, g.y, g.y + g.rows * g.height).slice(2, g.x, g.x + g.columns * g.width)),
          );
          expect(distance(joinGroups(parts), x)).toBe(0);
        });
      }),
      { numRuns: 30 },
    );
  });
});

describe('attention from real tokens only', () => {
  const grids = [
    [5, 7, 3],
    [4, 4, 3],
    [2, 3, 4],
    [6, 6, 3],
    [3, 8, 4],
  ] as const;
  for (const [h, w, side] of grids) {
    for (const [relative, bias] of [
      [true, true],
      [true, false],
      [false, true],
      [false, false],
    ]) {
      it(`equals the padded form on ${h}x${w}, windows of ${side}${relative ? ', relative positions' : ''}${bias ? ', bias' : ''}`, () => {
        tidy(() => {
          const attention = randomAttention(8, 2, relative ? side : null, bias as boolean);
          const x = tokens(2, h, w, 8);
          x.requiresGrad = true;
          const cotangent = tokens(2, h, w, 8);
          const leaves = [x, ...attention.parameters()];
          const [exact, padded] = (['exact', 'padded'] as const).map((windowing) => {
            const out = attention.forward(x, side, windowing);
            return [out, ...grad([out.mul(cotangent).sum()], leaves)] as Tensor[];
          }) as [Tensor[], Tensor[]];
          for (const [i, tensor] of exact.entries())
            expect(distance(tensor, padded[i] as Tensor)).toBeLessThan(1e-11);
          attention.dispose();
        });
      });
    }
  }

  it('rows of zeros get the bias as key and value', () => {
    tidy(() => {
      const attention = randomAttention(8, 2, 3, true);
      const qkv = attention.qkv.forward(zeros([1, 8], { dtype: 'float64' })).squeeze(0);
      expect(distance(qkv, attention.qkv.bias as Tensor)).toBe(0);
      attention.dispose();
    });
  });
});

describe('image encoder', () => {
  it('adapters go from 4 x 4 to 2 x 2 and back', () => {
    const sam = smallSam();
    tidy(() => {
      const adapter = (sam.image_encoder.blocks[0] as Block).Adapter as Adapter;
      const [down, , up] = adapter.spatial.layers as unknown as [nn.Conv2d, unknown, nn.ConvTranspose2d];
      const small = down.forward(randn([1, 16, 4, 4]));
      expect(small.shape).toEqual([1, 16, 2, 2]);
      expect(up.forward(small).shape).toEqual([1, 16, 4, 4]);
    });
    sam.dispose();
  });

  it('adapters give one image alone, by products of matrices, what it gets in a batch, and the same gradients', () => {
    tidy(() => {
      const adapter = nn.initialise(new Adapter(64), Generator.seeded(3));
      const batch = randn([16, 4, 4, 64], { generator: Generator.seeded(4) });
      const parameters = [...adapter.parameters()];
      const all = adapter.forward(batch).slice(0, 5, 6);
      const alone = adapter.forward(batch.slice(0, 5, 6));
      expect(distance(all, alone)).toBeLessThan(1e-5);
      const [first, second] = [all, alone].map((y) => grad([y.mul(y).mul(y).sum()], parameters));
      for (const [i, g] of (first as Tensor[]).entries())
        expect(distance(g, second?.[i] as Tensor)).toBeLessThan(1e-3 * (1 + g.abs().amax().item()));
    });
  });

  it('gives the same whether windows are exact or padded, and 0 switches adapters off', () => {
    const sam = smallSam();
    const bare = smallSam({ encoder: { ...SMALL.encoder, adapters: false } });
    tidy(() => {
      const x = images(2);
      const exact = sam.embed(x);
      expect(exact.shape).toEqual([2, 16, 4, 4]);
      sam.image_encoder.mode.windowing = 'padded';
      expect(distance(sam.embed(x), exact)).toBeLessThan(1e-5);
      nn.loadStateDict(bare, sam.stateDict(), { allowUnexpected: [/Adapter/] });
      sam.image_encoder.mode.adapterScale = 0;
      expect(distance(sam.embed(x), bare.embed(x))).toBeLessThan(1e-5);
    });
    sam.dispose();
    bare.dispose();
  });

  it('leaves as many tensors alive after a training step as before', () => {
    const sam = smallSam();
    const step = () =>
      tidy(() => {
        sam.zeroGrad();
        sam.embed(images(2)).pow(2).mean().backward();
        return null;
      });
    step();
    const before = memory();
    for (let i = 0; i < 3; i++) step();
    expect(memory().tensors).toBe(before.tensors);
    expect(memory().bytes).toBe(before.bytes);
    sam.dispose();
  });

  it('the same seed draws the same weights', () => {
    const [a, b, c] = [smallSam({}, 3), smallSam({}, 3), smallSam({}, 4)];
    tidy(() => {
      const x = images(1);
      expect(distance(a.embed(x), b.embed(x))).toBe(0);
      expect(distance(a.embed(x), c.embed(x))).toBeGreaterThan(0.01);
    });
    for (const sam of [a, b, c]) sam.dispose();
  });
});
