import { describe, expect, it } from 'vitest';
import {
  autocast,
  EngineError,
  enableGrad,
  grad,
  noGrad,
  type Tensor,
  tensor,
  tidy,
  UsageError,
  zeros,
} from '../../src/index.ts';
import { expectGradients, values } from '../support/gradients.ts';
import { expectClose, expectNoLeak, numbers, thrown } from '../support/values.ts';

const leaf = (list: readonly number[]): Tensor => tensor(list, { dtype: 'float64' }).requiresGrad_();

describe('backward', () => {
  it('adds to the gradients of leaves', () => {
    tidy(() => {
      const x = leaf([1, 2]);
      expect(x.grad).toBeNull();
      x.pow(2).sum().backward();
      expectClose(x.grad as Tensor, [2, 4]);
      x.sum().backward();
      expectClose(x.grad as Tensor, [3, 5]);
      x.grad = null;
      expect(x.grad).toBeNull();
      x.grad = tensor([7, 8], { dtype: 'float64' });
      expectClose(x.grad as Tensor, [7, 8]);
    });
  });

  it('takes the gradient of an output that is no scalar', () => {
    tidy(() => {
      const x = leaf([1, 2]);
      x.mul(3).backward(tensor([1, 10], { dtype: 'float64' }));
      expectClose(x.grad as Tensor, [3, 30]);
      expect(thrown(() => x.mul(3).backward()).message).toContain('scalar outputs');
    });
  });

  it('keeps the graph when asked to, and is refused a second time when not', () => {
    tidy(() => {
      const x = leaf([2]);
      const y = x.pow(3).sum();
      y.backward(undefined, { retainGraph: true });
      y.backward();
      expectClose(x.grad as Tensor, [24]);
      const error = thrown(() => y.backward());
      expect(error).toBeInstanceOf(EngineError);
      expect(error.message).toContain('second time');
    });
  });

  it('reaches tensors inside the graph that retain their gradient', () => {
    tidy(() => {
      const x = leaf([1, 2]);
      const y = x.mul(2).retainGrad();
      const z = x.mul(2);
      y.pow(2).sum().add(z.sum()).backward();
      expectClose(y.grad as Tensor, [4, 8]);
      expect([y.isLeaf, x.isLeaf]).toEqual([false, true]);
      expectClose(x.grad as Tensor, [10, 18]);
    });
  });

  it('goes on after the tensors between are released', () => {
    tidy(() => {
      const x = leaf([1, 2]);
      tidy(() => x.exp().mul(x).sum()).backward();
      expectClose(x.grad as Tensor, [2 * Math.E, 3 * Math.E ** 2], 1e-12);
    });
  });

  it('refuses what has no gradient, and gradients that do not fit', () => {
    tidy(() => {
      expect(thrown(() => zeros([1]).sum().backward()).message).toContain('does not require grad');
      expect(thrown(() => tensor([1], { dtype: 'int64' }).requiresGrad_()).message).toContain('floating');
      const x = leaf([1, 2]);
      expect(
        thrown(() => {
          x.mul(1).requiresGrad = false;
        }),
      ).toBeInstanceOf(EngineError);
      for (const wrong of [zeros([3], { dtype: 'float64' }), zeros([2])])
        expect(
          thrown(() => {
            x.grad = wrong;
          }).message,
        ).toContain('the gradient has');
    });
  });

  it('a gradient is stored as its tensor lies in memory', () => {
    tidy(() => {
      const x = zeros([2, 3]).requiresGrad_();
      x.grad = tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]).t();
      expect(Array.from((x.grad as Tensor).asTypedArray() as Float32Array)).toEqual([1, 3, 5, 2, 4, 6]);
    });
  });
});

describe('grad', () => {
  it('touches no `grad`', () => {
    tidy(() => {
      const [x, y] = [leaf([3]), leaf([5])];
      const [dx, dy] = grad([x.mul(y).sum()], [x, y]);
      expectClose(dx as Tensor, [5]);
      expectClose(dy as Tensor, [3]);
      expect([x.grad, y.grad]).toEqual([null, null]);
    });
  });

  it('gives null for what has no part, when that is allowed', () => {
    tidy(() => {
      const [x, y] = [leaf([3]), leaf([5])];
      expect(thrown(() => grad([x.sum()], [y])).message).toContain('not have been used');
      expect(grad([x.sum()], [y], { allowUnused: true })).toEqual([null]);
    });
  });

  it('takes several outputs, with gradients', () => {
    tidy(() => {
      const x = leaf([1, 2]);
      const [dx] = grad([x.mul(2), x.sum()], [x], {
        gradients: [tensor([1, 10], { dtype: 'float64' }), null],
      });
      expectClose(dx as Tensor, [3, 21]);
    });
  });

  it('of gradients: second derivatives', () => {
    tidy(() => {
      const x = leaf([2, 3]);
      const [first] = grad([x.pow(3).sum()], [x], { createGraph: true });
      const [second] = grad([(first as Tensor).sum()], [x]);
      expectClose(second as Tensor, [12, 18]);
    });
    const slope = (x: Tensor): Tensor =>
      enableGrad(() => {
        const start = x.requiresGrad ? x : x.detach().requiresGrad_();
        return grad([start.tanh().sum()], [start], { createGraph: true })[0] as Tensor;
      });
    expectGradients(slope, [values([3])], { tolerance: 1e-5 });
  });
});

describe('modes', () => {
  it('noGrad records nothing, nests, and ends by exception, too', () => {
    tidy(() => {
      const x = leaf([1]);
      const recording = () => x.mul(2).requiresGrad;
      expect(recording()).toBe(true);
      expect(noGrad(recording)).toBe(false);
      expect(noGrad(() => [enableGrad(recording), recording()])).toEqual([true, false]);
      expect(() =>
        noGrad(() => {
          throw new RangeError('mine');
        }),
      ).toThrow(RangeError);
      expect(recording()).toBe(true);
      expect(thrown(() => noGrad(async () => 1))).toBeInstanceOf(UsageError);
      expect(recording()).toBe(true);
    });
  });

  it('detach cuts off', () => {
    tidy(() => {
      const x = leaf([2]);
      const y = x.mul(x.detach()).sum();
      y.backward();
      expectClose(x.grad as Tensor, [2]);
      expect(x.detach().requiresGrad).toBe(false);
    });
  });
});

describe('autocast', () => {
  const product = (): string => tidy(() => zeros([2, 2]).matmul(zeros([2, 2])).dtype);

  it('lowers the precision of products inside, and only there', () => {
    expect(product()).toBe('float32');
    expect(autocast({ device: 'cpu' }, product)).toBe('bfloat16');
    expect(product()).toBe('float32');
    expect(() =>
      autocast({ device: 'cpu' }, () => {
        throw new RangeError('mine');
      }),
    ).toThrow(RangeError);
    expect(product()).toBe('float32');
  });

  it('nests: off inside, another precision inside, and each as it was afterwards', () => {
    const seen = autocast({ device: 'cpu' }, () => [
      product(),
      autocast({ device: 'cpu', enabled: false }, () => [product(), autocast({ device: 'cpu' }, product)]),
      autocast({ device: 'cuda', dtype: 'bfloat16' }, product),
      product(),
    ]);
    expect(seen.flat()).toEqual(['bfloat16', 'float32', 'bfloat16', 'bfloat16', 'bfloat16']);
  });

  it('what an engine refuses changes nothing', () => {
    const inner = autocast({ device: 'cpu' }, () => {
      try {
        autocast({ device: 'cpu', dtype: 'float16', enabled: false }, () => 0); // not on every version's CPU
      } catch (error) {
        expect(error).toBeInstanceOf(EngineError);
      }
      return product();
    });
    expect(inner).toBe('bfloat16');
  });

  it('gradients come back in full precision, and nothing is left behind', () => {
    expectNoLeak(() =>
      tidy(() => {
        const w = tensor([
          [1, 2],
          [3, 4],
        ]).requiresGrad_();
        const x = tensor([[1, 1]]);
        for (let i = 0; i < 3; i++) {
          const y = autocast({ device: 'cpu' }, () => x.matmul(w));
          expect(y.dtype).toBe('bfloat16');
          y.to('float32').sum().backward();
          expect((w.grad as Tensor).dtype).toBe('float32');
          expect(numbers(w.grad as Tensor)).toEqual([1, 1, 1, 1]);
          w.grad = null;
          noGrad(() => w.mul_(1));
        }
      }),
    );
  });

  it('sees weights that were changed between two regions', () => {
    tidy(() => {
      const w = tensor([[1]]).requiresGrad_();
      const run = () =>
        autocast({ device: 'cpu' }, () =>
          tensor([[2]])
            .matmul(w)
            .item(),
        );
      expect(run()).toBe(2);
      noGrad(() => w.fill_(3));
      expect(run()).toBe(6);
    });
  });

  it('refuses promises', () => {
    expect(thrown(() => autocast({ device: 'cpu' }, async () => 1))).toBeInstanceOf(UsageError);
    expect(product()).toBe('float32');
  });
});
