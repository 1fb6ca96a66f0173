import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EngineError,
  keep,
  memory,
  noGrad,
  resetPeakMemory,
  type Tensor,
  TensorHandle,
  tensor,
  tidy,
  UsageError,
  zeros,
} from '../../src/index.ts';
import { expectNoLeak, numbers, thrown } from '../support/values.ts';

const count = (): number => memory().tensors;

describe('tidy', () => {
  it('frees what was made inside, and hands on what is returned', () => {
    const before = count();
    const result = tidy(() => {
      const a = zeros([2]);
      const b = a.add(1);
      expect(count()).toBe(before + 2);
      return b;
    });
    expect(count()).toBe(before + 1);
    expect(numbers(result)).toEqual([1, 1]);
    result.dispose();
    expect(count()).toBe(before);
  });

  it('hands on tensors in lists, maps, sets and plain objects, however deep', () => {
    expectNoLeak(() =>
      tidy(() => {
        const made = tidy(() => ({
          list: [tensor(1), { inner: tensor(2) }],
          map: new Map([['a', tensor(3)]]),
          set: new Set([tensor(4)]),
          bare: Object.assign(Object.create(null) as object, { t: tensor(5) }) as { t: Tensor },
          number: 1,
          nothing: null,
          data: new Float32Array(2),
        }));
        const [first, second] = made.list as [Tensor, { inner: Tensor }];
        const all = [first, second.inner, made.map.get('a'), [...made.set][0], made.bare.t] as Tensor[];
        expect(all.map((t) => t.item())).toEqual([1, 2, 3, 4, 5]);
      }),
    );
  });

  it('manages values that contain themselves', () => {
    expectNoLeak(() =>
      tidy(() => {
        const loop: { self?: unknown; t: Tensor } = tidy(() => {
          const value: { self?: unknown; t: Tensor } = { t: tensor(1) };
          value.self = [value];
          return value;
        });
        expect(loop.t.item()).toBe(1);
      }),
    );
  });

  it('a tensor that is returned twice, or belongs further out, is left to its owner', () => {
    expectNoLeak(() =>
      tidy(() => {
        const outer = tensor(1);
        const [a, b, c] = tidy(() => {
          const made = tensor(2);
          return [made, made, outer] as const;
        });
        expect(a).toBe(b);
        expect(c).toBe(outer);
        expect([a.item(), outer.item()]).toEqual([2, 1]);
        tidy(() => outer);
        expect(outer.item()).toBe(1);
      }),
    );
  });

  it('frees after an exception, too', () => {
    expectNoLeak(() => {
      expect(() =>
        tidy(() => {
          zeros([3]);
          throw new RangeError('mine');
        }),
      ).toThrow(RangeError);
    });
  });

  it('refuses promises, and still frees', () => {
    expectNoLeak(() => {
      const error = thrown(() =>
        tidy(async () => {
          zeros([1]);
        }),
      );
      expect(error).toBeInstanceOf(UsageError);
      expect(error.message).toContain('promise');
    });
  });

  it('frees nothing twice: disposed inside, surrendered inside', () => {
    expectNoLeak(() =>
      tidy(() => {
        const a = zeros([1]);
        a.dispose();
        a.dispose();
        const b = zeros([1]);
        const c = zeros([2]);
        b.takeOver(c);
        expect([b.shape, c.isDisposed]).toEqual([[2], true]);
      }),
    );
  });

  it('in any nesting ends with exactly what was kept', () => {
    type Tree = { readonly make: number; readonly keep: boolean; readonly inner: readonly Tree[] };
    const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
      tree: fc.record({
        make: fc.integer({ min: 0, max: 3 }),
        keep: fc.boolean(),
        inner: fc.oneof(
          { maxDepth: 3 },
          fc.constant([]),
          fc.array(tie('tree'), { minLength: 1, maxLength: 2 }),
        ),
      }),
    }));
    fc.assert(
      fc.property(tree, (root: Tree) => {
        const before = count();
        const kept: Tensor[] = [];
        const grow = (node: Tree): Tensor[] =>
          tidy(() => {
            const mine = Array.from({ length: node.make }, () => zeros([1]));
            if (node.keep && mine[0]) kept.push(keep(mine[0]));
            return [...mine, ...node.inner.flatMap(grow)];
          });
        tidy(() => {
          for (const t of grow(root)) expect(t.isDisposed).toBe(false);
        });
        expect(count()).toBe(before + kept.length);
        for (const t of kept) t.dispose();
        expect(count()).toBe(before);
      }),
      { numRuns: 30 },
    );
  });
});

describe('the life of a tensor', () => {
  it('keep exempts from every scope, until dispose', () => {
    expectNoLeak(() => {
      const kept = tidy(() => {
        const t = zeros([1]);
        expect(t.isKept).toBe(false);
        tidy(() => keep(t));
        return { t, same: keep(t) };
      });
      tidy(() => kept.t);
      expect([kept.t.isKept, kept.t.isDisposed, kept.same === kept.t]).toEqual([true, false, true]);
      kept.t.dispose();
      expect(kept.t.isDisposed).toBe(true);
    });
  });

  it('works with `using`', () => {
    expectNoLeak(() => {
      using t = zeros([1]);
      expect(t.isDisposed).toBe(false);
    });
  });

  it('use after release is an error that says why, not a crash', () => {
    const gone = tidy(() => ({ t: [zeros([2])] as const, leak: () => 0 })).t[0];
    gone.dispose();
    const late = (body: () => unknown): string => {
      const error = thrown(body);
      expect(error).toBeInstanceOf(EngineError);
      return error.message;
    };
    for (const body of [
      () => gone.add(1),
      () => zeros([2]).add(gone),
      () => gone.shape,
      () => gone.toTypedArray(),
      () => gone.asTypedArray(),
      () => gone.item(),
      () => gone.grad,
      () => gone.backward(),
      () => gone.requiresGrad,
      () => keep(gone),
      () => gone.copyFrom(new Float32Array(2)),
    ])
      expect(late(() => tidy(body))).toContain('was released');
  });

  it('a number that is no tensor is recognised, also after its place was used again', () => {
    expectNoLeak(() =>
      tidy(() => {
        const first = zeros([1]);
        const { handle } = first;
        first.dispose();
        const second = zeros([1]);
        expect(second.handle).not.toBe(handle);
        for (const stale of [handle, -2, 0.5 + 2 ** 60, Number.NaN, 2 ** 52]) {
          const ghost = new TensorHandle(stale);
          expect(thrown(() => second.copy_(ghost as Tensor)).message).toContain('released');
          ghost.dispose();
        }
        expect(second.item()).toBe(0);
      }),
    );
  });

  it('memory counts tensors, and shared bytes once', () => {
    tidy(() => {
      const before = memory();
      const a = zeros([256]);
      const views = [a.view([16, 16]), a.slice(0, 0, 4), a.detach()];
      expect(memory().tensors - before.tensors).toBe(4);
      expect(memory().bytes - before.bytes).toBe(1024);
      for (const view of views) view.dispose();
      expect(memory().bytes - before.bytes).toBe(1024);
      resetPeakMemory();
      tidy(() => {
        zeros([1024]);
      });
      expect(memory().peakBytes - memory().bytes).toBe(4096);
      resetPeakMemory();
      expect(memory().peakBytes).toBe(memory().bytes);
    });
  });

  it('bytes stay right when a tensor grows', () => {
    const before = memory().bytes;
    tidy(() => {
      const out = zeros([1]);
      noGrad(() => out.copy_(zeros([1])));
      zeros([64]).add(1);
    });
    expect(memory().bytes).toBe(before);
  });
});
