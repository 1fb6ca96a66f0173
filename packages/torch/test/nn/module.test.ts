import { describe, expect, it } from 'vitest';
import { Generator, memory, nn, noGrad, ones, type Tensor, tensor, tidy, zeros } from '../../src/index.ts';
import { expectNoLeak, numbers } from '../support/values.ts';

class Block extends nn.Module {
  readonly norm = new nn.BatchNorm2d(2);
  readonly blocks = [new nn.Linear(2, 2), new nn.Linear(2, 3, { bias: false })];
  readonly layers = new nn.Sequential(new nn.Conv2d(1, 2, 1), new nn.ReLU(), new nn.Dropout(0.5));
  readonly scale = new nn.Parameter(ones([1]));
  readonly scratch = new nn.Buffer(zeros([1]), { persistent: false });
  readonly note = 'no member of the tree';
  readonly none = null;
}

const KEYS = [
  'norm.weight',
  'norm.bias',
  'blocks.0.weight',
  'blocks.0.bias',
  'blocks.1.weight',
  'layers.0.weight',
  'layers.0.bias',
  'scale',
];
const BUFFERS = ['norm.running_mean', 'norm.running_var', 'norm.num_batches_tracked'];

/** Runs a test on a module and frees it. */
function withBlock(body: (block: Block) => void): void {
  expectNoLeak(() => {
    using block = new Block();
    body(block);
  });
}

describe('Module', () => {
  it('spells keys from property names', () => {
    withBlock((block) => {
      const names = [...block.namedParameters()].map(([name]) => name);
      expect(names.toSorted()).toEqual(KEYS.toSorted());
      expect([...block.namedBuffers()].map(([name]) => name)).toEqual(['scratch', ...BUFFERS]);
      expect([...block.stateDict().keys()].toSorted()).toEqual([...KEYS, ...BUFFERS].toSorted());
      expect([...block.namedModules()].map(([name]) => name)).toEqual([
        '',
        'norm',
        'blocks.0',
        'blocks.1',
        'layers',
        'layers.0',
        'layers.1',
        'layers.2',
      ]);
    });
  });

  it('parameters outlive scopes and require gradients; buffers do not', () => {
    expectNoLeak(() => {
      const block = tidy(() => ({ made: new Block() }));
      expect(block.made.scale.isDisposed).toBe(false);
      expect(block.made.parameters().every((p) => p.requiresGrad && p.isKept)).toBe(true);
      expect([...block.made.namedBuffers()].some(([, b]) => b.requiresGrad)).toBe(false);
      block.made.dispose();
      expect(block.made.scale.isDisposed).toBe(true);
    });
  });

  it('train and eval reach every layer', () => {
    withBlock((block) => {
      block.eval();
      expect([...block.namedModules()].some(([, m]) => m.training)).toBe(false);
      block.train();
      expect([...block.namedModules()].every(([, m]) => m.training)).toBe(true);
    });
  });

  it('gradients can be frozen and dropped', () => {
    withBlock((block) => {
      block.requiresGrad_(false);
      expect(block.parameters().some((p) => p.requiresGrad)).toBe(false);
      block.requiresGrad_(true);
      tidy(() => block.scale.mul(2).sum().backward());
      tidy(() => expect(numbers(block.scale.grad as Tensor)).toEqual([2]));
      block.zeroGrad();
      expect(block.scale.grad).toBeNull();
    });
  });

  it('moves to another element type in place; whole numbers stay', () => {
    withBlock((block) => {
      const { scale } = block;
      block.to('float64');
      expect(block.scale).toBe(scale);
      expect([scale.dtype, scale.requiresGrad, scale.isKept]).toEqual(['float64', true, true]);
      expect(block.norm.running_mean?.dtype).toBe('float64');
      expect(block.norm.num_batches_tracked?.dtype).toBe('int64');
      block.to('cpu');
    });
  });

  it('is drawn anew from a stream: the same stream, the same weights', () => {
    withBlock((a) => {
      const draw = (seed: number) =>
        [...nn.initialise(a, Generator.seeded(seed)).stateDict().values()].map((t) => numbers(t));
      expect(draw(1)).toEqual(draw(1));
      expect(draw(1)).not.toEqual(draw(2));
    });
  });

  it('attention starts with a bias of zero, as in PyTorch', () => {
    expectNoLeak(() => {
      using attention = nn.initialise(new nn.MultiheadAttention(4, 2), Generator.seeded(1));
      expect([...attention.stateDict().keys()].toSorted()).toEqual([
        'in_proj_bias',
        'in_proj_weight',
        'out_proj.bias',
        'out_proj.weight',
      ]);
      expect(numbers(attention.out_proj.bias as Tensor)).toEqual([0, 0, 0, 0]);
      expect(numbers(attention.in_proj_weight).some((v) => v !== 0)).toBe(true);
    });
  });
});

describe('initial values', () => {
  const moments = (draw: (t: Tensor, generator: Generator) => void, shape: number[]) =>
    tidy(() => {
      const t = zeros(shape);
      draw(t, Generator.seeded(3));
      const all = numbers(t);
      const mean = all.reduce((sum, v) => sum + v, 0) / all.length;
      const sd = Math.sqrt(all.reduce((sum, v) => sum + (v - mean) ** 2, 0) / all.length);
      return { mean, sd, largest: Math.max(...all.map(Math.abs)) };
    });

  it('have the spread that their names say', () => {
    const shape = [100, 50, 2, 1];
    const { init } = nn;
    const uniform = moments((t, generator) => init.kaimingUniform_(t, { generator }), shape);
    expect(uniform.sd).toBeCloseTo(Math.sqrt(2 / 100), 2);
    expect(uniform.largest).toBeLessThanOrEqual(Math.sqrt(6 / 100));
    const normal = moments((t, generator) => init.kaimingNormal_(t, { mode: 'fanOut', generator }), shape);
    expect(normal.sd).toBeCloseTo(Math.sqrt(2 / 200), 2);
    const xavier = moments((t, generator) => init.xavierUniform_(t, { generator }), shape);
    expect(xavier.largest).toBeLessThanOrEqual(Math.sqrt(6 / 300));
    const cut = moments((t, generator) => init.truncatedNormal_(t, 0.02, generator), shape);
    expect(cut.largest).toBeLessThanOrEqual(0.04 + 1e-7);
    expect(cut.sd).toBeCloseTo(0.02 * 0.8796, 3); // of a normal cut at two deviations
    for (const { mean, sd } of [uniform, normal, xavier, cut])
      expect(Math.abs(mean)).toBeLessThan(0.05 * sd + 1e-3);
  });
});

describe('dropout', () => {
  it('drops and rescales while training only', () => {
    tidy(() => {
      const x = ones([1000]);
      const layer = new nn.Dropout(0.25);
      const seen = new Set(numbers(layer.forward(x)).map((v) => v.toFixed(4)));
      expect([...seen].toSorted()).toEqual(['0.0000', (1 / 0.75).toFixed(4)]);
      expect(layer.eval().forward(x)).toBe(x);
      const channels = new nn.ChannelDropout(0.5).forward(ones([8, 4, 3, 3]));
      for (const channel of channels.reshape([32, 9]).unbind(0))
        expect(new Set(numbers(channel)).size).toBe(1);
    });
  });

  it('a frozen batch norm in evaluation changes no buffer', () => {
    const before = memory().tensors;
    const norm = new nn.BatchNorm1d(2).eval();
    const run = (): void =>
      tidy(() => {
        norm.forward(
          tensor([
            [1, 2],
            [3, 4],
          ]),
        );
      });
    run();
    expect(norm.num_batches_tracked?.item()).toBe(0);
    norm.train();
    noGrad(run);
    expect(norm.num_batches_tracked?.item()).toBe(1);
    norm.dispose();
    expect(memory().tensors).toBe(before);
  });
});
