import { describe, expect, it } from 'vitest';
import {
  EngineError,
  Generator,
  hasKernel,
  hasOperator,
  listOperators,
  memory,
  op,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from '../../src/index.ts';
import { KINDS, native } from '../../src/native.ts';
import { expectClose, numbers, thrown } from '../support/values.ts';

const message = (body: () => unknown): string => {
  const error = thrown(body);
  expect(error).toBeInstanceOf(EngineError);
  return error.message;
};

describe('op', () => {
  it('fills defaults, takes null for none', () => {
    tidy(() => {
      const x = tensor([1, 2, 3]);
      const add = op('aten::add.Tensor');
      expectClose(add(x, x), [2, 4, 6]);
      expectClose(add(x, x, undefined), [2, 4, 6]);
      expectClose(add(x, x, 2), [3, 6, 9]);
      expectClose(op('aten::clamp')(x, null, 2), [1, 2, 2]);
      expectClose(op('aten::clamp')(x, 2), [2, 2, 3]);
    });
  });

  it('takes every kind of argument', () => {
    tidy(() => {
      const x = tensor([[1, 2, 3]]);
      expect(op('aten::zeros')([2], 'float64', 'strided', 'cpu', false).dtype).toBe('float64'); // lists, dtype, layout, device, bool
      expectClose(op('aten::cat')([x, x], 0), [1, 2, 3, 1, 2, 3]); // tensors
      expectClose(op('aten::index.Tensor')(x, [null, tensor([2], { dtype: 'int64' })]), [3]); // optional tensors
      expectClose(op('aten::linear')(x, x, null), [14]); // optional tensor
      expect(op('aten::einsum')('ij,ij->i', [x, x]).shape).toEqual([1]); // string
      expectClose(op('aten::upsample_nearest2d.vec')(x.view([1, 1, 1, 3]), null, [1, 2]), [1, 1, 2, 2, 3, 3]); // floats
      expect(op('aten::rand.generator')([2], Generator.seeded(3), 'float32').shape).toEqual([2]); // generator
      expect(op('aten::clone')(x, 'contiguous').shape).toEqual([1, 3]); // memory format
      expectClose(
        op<Tensor[]>('aten::_foreach_add.ScalarList')([x, x], [1, 0.5])[1] as Tensor,
        [1.5, 2.5, 3.5],
      ); // scalars
      expectClose(op('aten::fft_fftshift')(x, [1]), [3, 1, 2]);
      expect(numbers(op('aten::full')([2], 3n, 'int64'))).toEqual([3, 3]); // bigint
      expect(numbers(op('aten::full')([1], true, 'bool'))).toEqual([1]); // bool as a number
    });
  });

  it('gives single values, lists, several results, or nothing', () => {
    tidy(() => {
      const x = tensor([[3, 1, 2]]);
      expect(op<number>('aten::size.int')(x, 1)).toBe(3);
      expect(op<boolean>('aten::is_floating_point')(x)).toBe(true);
      expect(op<boolean>('aten::equal')(x, x)).toBe(true);
      const [top, positions] = op<[Tensor, Tensor]>('aten::topk')(x, 2);
      expect([numbers(top), numbers(positions)]).toEqual([
        [3, 2],
        [0, 2],
      ]);
      expect(op<Tensor[]>('aten::unbind.int')(x, 1).map((t) => t.item())).toEqual([3, 1, 2]);
      expect(op<unknown>('aten::_foreach_mul_.Scalar')([x], 2)).toBeUndefined();
      expectClose(x, [6, 2, 4]);
    });
  });

  it('writing in place returns the tensor itself, and its new shape is seen', () => {
    tidy(() => {
      const x = tensor([[1, 2, 3]]);
      const before = memory().tensors;
      expect(op('aten::mul_.Scalar')(x, 2)).toBe(x);
      expect(x.shape).toEqual([1, 3]);
      expect(op('aten::squeeze_')(x)).toBe(x);
      expect(x.shape).toEqual([3]);
      expect(op('aten::unsqueeze_')(x, -1)).toBe(x);
      expect(x.shape).toEqual([3, 1]);
      expect(op('aten::t_')(x).shape).toEqual([1, 3]);
      expect(op('aten::resize_')(x, [2, 2])).toBe(x);
      expect(x.shape).toEqual([2, 2]);
      expect(memory().tensors).toBe(before);
      const out = zeros([0]);
      expect(out.shape).toEqual([0]);
      expect(op('aten::add.out')(x, x, 1, out)).toBe(out);
      expect(out.shape).toEqual([2, 2]);
      const [values, positions] = [zeros([0]), zeros([0], { dtype: 'int64' })];
      const found = op<[Tensor, Tensor]>('aten::max.dim_max')(tensor([[1, 5]]), 1, false, values, positions);
      expect(found[0]).toBe(values);
      expect(found[1]).toBe(positions);
      expect([values.shape, positions.item()]).toEqual([[1], 1]);
    });
  });

  it('names what is wrong with a call', () => {
    tidy(() => {
      const x = zeros([2, 3]);
      const any = (name: string) => op(name) as (...args: unknown[]) => Tensor;
      expect(message(() => any('aten::nonsense')(x))).toMatch(
        /aten::nonsense: this engine .* has no operator/,
      );
      expect(message(() => any('nonsense')(x))).toContain('has no operator');
      expect(message(() => any('aten::add')(x, x))).toContain('has no operator'); // the overload is missing
      expect(message(() => any('aten::add.Tensor')(x))).toBe("aten::add.Tensor: missing argument 'other'");
      expect(message(() => any('aten::add.Tensor')(x, 1))).toBe(
        "aten::add.Tensor: argument 'other': expected a tensor, found number",
      );
      expect(message(() => any('aten::add.Tensor')(x, null))).toContain("missing argument 'other'");
      expect(message(() => any('aten::sum.dim_IntList')(x, 'a'))).toContain(
        'a list of whole numbers, found string',
      );
      expect(message(() => any('aten::sum.dim_IntList')(x, [0.5]))).toContain(
        "argument 'dim': expected a whole number",
      );
      expect(message(() => any('aten::select.int')(x, 0, 1.5))).toContain(
        'expected a whole number, found 1.5',
      );
      expect(message(() => any('aten::zeros')([1], 'float99'))).toContain('an element type (');
      expect(message(() => any('aten::zeros')([1], 'float32', null, 'moon'))).toMatch(/aten::zeros: .*moon/);
      expect(message(() => any('aten::relu')(x, 1))).toMatch(
        /more than 1 arguments given, allowed: aten::relu\(Tensor self\)/,
      );
      expect(message(() => any('aten::cat')([x, 3]))).toContain('expected a tensor, found number');
      expect(message(() => any('aten::randn.generator')([1], x))).toContain(
        'expected a generator, found a tensor',
      );
      expect(message(() => any('aten::sum.dim_IntList')(x, [0], 1))).toContain('expected true or false');
      expect(message(() => any('aten::einsum')(3, [x]))).toContain('expected a string');
      expect(message(() => any('aten::set_.source_Storage')(x, 1))).toContain(
        'cannot be passed from JavaScript',
      );
    });
  });

  it("passes on libtorch's own message", () => {
    tidy(() => {
      expect(message(() => zeros([2, 3]).matmul(zeros([2, 3])))).toMatch(
        /^aten::matmul: (mm: )?mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\)$/,
      );
      expect(message(() => zeros([2]).view([3]))).toContain("shape '[3]' is invalid for input of size 2");
      expect(message(() => zeros([2]).select(1, 0))).toContain('Dimension out of range');
      expect(message(() => zeros([2]).gather(0, zeros([1], { dtype: 'int64' }).add(9)))).toContain(
        'out of bounds',
      );
      expect(message(() => zeros([2 ** 40, 2 ** 20]))).toMatch(/aten::zeros: .*(allocate|overflow|Storage)/);
    });
  });

  it('fails without a trace: the next call works, nothing is leaked', () => {
    const before = memory().tensors;
    tidy(() => {
      const x = zeros([2, 3]);
      for (let i = 0; i < 20; i++) {
        thrown(() => x.matmul(x));
        thrown(() => (x.add as (v: unknown) => unknown)('a'));
      }
      expect(x.add(1).sum().item()).toBe(6);
    });
    expect(memory().tensors).toBe(before);
  });
});

describe('what the engine has', () => {
  it('lists its operators', () => {
    const names = listOperators();
    expect(names.length).toBeGreaterThan(2500);
    expect(names).toContain('aten::add.Tensor');
    expect(hasOperator('aten::add.Tensor')).toBe(true);
    expect(hasOperator('aten::nonsense')).toBe(false);
  });

  it('knows which are written for a device', () => {
    expect(hasKernel('aten::mm', 'cpu')).toBe(true);
    expect(hasKernel('aten::matmul', 'cpu')).toBe(false); // composed of others
    expect(hasKernel('aten::nonsense', 'cpu')).toBe(false);
  });

  it('every operator of aten can be described', () => {
    const engine = native();
    const names = listOperators().filter((name) => name.startsWith('aten::'));
    const kinds = new Set<string>();
    for (const name of names)
      for (const { kind } of engine.lookup(name).arguments) kinds.add(KINDS[kind] ?? '?');
    expect([...kinds].toSorted()).toEqual([...KINDS].toSorted());
  });
});
