import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  EngineError,
  fromTensorData,
  Generator,
  hasKernel,
  keep,
  memory,
  nn,
  optim,
  randn,
  type Tensor,
  tensor,
  tidy,
  UsageError,
  zeros,
} from '../../src/index.ts';
import { readSafetensors, type TensorData } from '../../src/io/index.ts';
import { expectNoLeak, numbers, thrown } from '../support/values.ts';

type Rule = (parameters: optim.NamedParameters, fused: boolean) => optim.Adam | optim.AdamW | optim.SGD;
const RULES: Readonly<Record<string, Rule>> = {
  adam: (p, fused) => new optim.Adam(p, { learningRate: 1e-2, fused }),
  adam_wd: (p, fused) =>
    new optim.Adam(p, { learningRate: 1e-2, weightDecay: 0.1, betas: [0.8, 0.95], eps: 1e-6, fused }),
  adamw: (p, fused) => new optim.AdamW(p, { learningRate: 1e-2, weightDecay: 0.1, fused }),
  adam_amsgrad: (p, fused) => new optim.Adam(p, { learningRate: 1e-2, amsgrad: true, fused }),
  sgd_nesterov: (p, fused) =>
    new optim.SGD(p, { learningRate: 1e-2, momentum: 0.99, nesterov: true, weightDecay: 3e-5, fused }),
  sgd_momentum: (p, fused) => new optim.SGD(p, { learningRate: 1e-2, momentum: 0.9, fused }),
};
const PLAIN: Rule = (p, fused) => new optim.SGD(p, { learningRate: 0.1, fused });

const GOLDEN = fileURLToPath(
  new URL('../../../../../shared/golden/torch_optimisers.safetensors', import.meta.url),
);

/** Expects `body` to leave no tensor behind, parameters and state included. */
function withParameters(shapes: readonly number[][], body: (named: [string, nn.Parameter][]) => void): void {
  const named = shapes.map((shape, i): [string, nn.Parameter] => [
    `p${i}`,
    tidy(() => new nn.Parameter(randn(shape, { generator: Generator.seeded(i) }))),
  ]);
  try {
    body(named);
  } finally {
    for (const [, p] of named) p.dispose();
  }
}

const gradients = (named: readonly [string, nn.Parameter][], seed: number): void =>
  tidy(() => {
    for (const [i, [, p]] of named.entries())
      p.grad = randn(p.shape, { generator: Generator.seeded(100 * seed + i), dtype: p.dtype });
  });

describe.skipIf(!existsSync(GOLDEN))("PyTorch's numbers (skipped without the reference files)", () => {
  it.each(
    Object.keys(RULES).flatMap(
      (rule) =>
        [
          [rule, true],
          [rule, false],
        ] as const,
    ),
  )('%s, fused where the engine can: %s', async (rule, fused) => {
    const { tensors } = await readSafetensors(GOLDEN);
    const data = (name: string) => tensors.get(name) as TensorData;
    expectNoLeak(() => {
      const named = [...tensors.keys()]
        .filter((name) => /^in\/param\d+$/.test(name))
        .toSorted()
        .map((name): [string, nn.Parameter] => [name.slice(3), new nn.Parameter(fromTensorData(data(name)))]);
      const optimiser = (RULES[rule] as Rule)(named, fused);
      const schedule = optim.schedules.multiStep({ milestones: [2, 4], factor: 0.5 });
      for (let k = 0; tensors.has(`in/step${k}.grad0`); k++) {
        optimiser.scaleLearningRate(schedule(k));
        tidy(() => {
          for (const [i, [, p]] of named.entries()) p.grad = fromTensorData(data(`in/step${k}.grad${i}`));
        });
        optimiser.step();
        for (const [name, p] of named) {
          const expected = data(`out/${rule}.step${k}.${name}`).data as Float32Array;
          const found = p.toTypedArray() as Float32Array;
          expected.forEach((value, i) => {
            expect(Math.abs(value - (found[i] as number))).toBeLessThan(1e-6);
          });
        }
      }
      optimiser.disposeState();
      for (const [, p] of named) p.dispose();
    });
  });
});

describe('fused and foreach', () => {
  it.each(Object.entries({ ...RULES, sgd_plain: PLAIN }))('%s: the same steps', (_, make) => {
    expectNoLeak(() => {
      const run = (fused: boolean): number[][] => {
        const result: number[][] = [];
        withParameters([[3, 2], [5]], (named) => {
          using optimiser = make(named, fused);
          for (let k = 0; k < 5; k++) {
            gradients(named, k);
            optimiser.step();
          }
          for (const [, p] of named) result.push(numbers(p));
        });
        return result;
      };
      const [a, b] = [run(true), run(false)];
      for (const [i, list] of a.entries())
        for (const [j, value] of list.entries()) expect(value).toBeCloseTo(b[i]?.[j] as number, 5);
    });
  });

  it('gradients that lie otherwise in memory, and element types mixed', () => {
    withParameters([[2, 3], [4]], (named) => {
      const [[, a], [, b]] = named as [[string, nn.Parameter], [string, nn.Parameter]];
      tidy(() => b.takeOver(keep(b.detach().to('float64'))));
      b.requiresGrad = true;
      using optimiser = new optim.Adam(named, { learningRate: 1 });
      tidy(() => {
        a.copyFrom(new Float32Array(6));
        b.copyFrom(new Float64Array(4));
        a.grad = tensor([
          [1, -1],
          [1, -1],
          [1, -1],
        ]).t();
        b.grad = tensor([1, -1, 1, -1], { dtype: 'float64' });
      });
      optimiser.step();
      expect(numbers(a).map(Math.round)).toEqual([-1, -1, -1, 1, 1, 1]);
      expect(numbers(b).map(Math.round)).toEqual([-1, 1, -1, 1]);
    });
  });

  it('says which the engine has', () => {
    // The kernels for the CPU came in 2.4.
    expect(typeof hasKernel('aten::_fused_adam_', 'cpu')).toBe('boolean');
  });
});

describe('Optimizer', () => {
  it('one step by hand', () => {
    withParameters([[2]], (named) => {
      const [[, p]] = named as [[string, nn.Parameter]];
      p.copyFrom(Float32Array.of(1, 2));
      using sgd = new optim.SGD(named, { learningRate: 0.5, weightDecay: 1 });
      tidy(() => {
        p.grad = tensor([2, 0]);
      });
      sgd.step(); // 1 - 0.5 (2 + 1), 2 - 0.5 (0 + 2)
      expect(numbers(p)).toEqual([-0.5, 1]);
    });
  });

  it('goes on exactly from a saved state', () => {
    for (const make of Object.values(RULES)) {
      withParameters([[3], [2, 2]], (named) => {
        using optimiser = make(named, true);
        const start = new Map(
          named.map(([name, p]) => [name, p.toTypedArray() as Float32Array<ArrayBuffer>]),
        );
        const steps = (o: ReturnType<Rule>, from: number, to: number): number[][] => {
          for (let k = from; k < to; k++) {
            gradients(named, k);
            o.step();
          }
          return named.map(([, p]) => numbers(p));
        };
        steps(optimiser, 0, 3);
        const middle = new Map(
          named.map(([name, p]) => [name, p.toTypedArray() as Float32Array<ArrayBuffer>]),
        );
        const { tensors, steps: counts } = optimiser.stateDict();
        const saved = {
          tensors: new Map([...tensors].map(([k, t]) => [k, keep(t.clone())])),
          steps: { ...counts },
        };
        const end = steps(optimiser, 3, 6);
        for (const [name, p] of named) p.copyFrom(middle.get(name) as Float32Array<ArrayBuffer>);
        using other = make(named, true);
        expectNoLeak(() => {
          other.loadStateDict(saved);
          other.disposeState();
        });
        other.loadStateDict(saved);
        for (const t of saved.tensors.values()) t.dispose();
        expect(steps(other, 3, 6)).toEqual(end);
        expect(start.size).toBe(2);
      });
    }
  });

  it('a state of other parameters is refused with everything that does not fit, and changes nothing', () => {
    withParameters([[3]], (named) => {
      using optimiser = new optim.Adam(named);
      gradients(named, 1);
      optimiser.step();
      const before = [...optimiser.stateDict().tensors].map(([k, t]) => [k, numbers(t)]);
      tidy(() => {
        const error = thrown(() =>
          optimiser.loadStateDict({
            tensors: new Map([
              ['p0/exp_avg', zeros([2])],
              ['q/exp_avg', zeros([3])],
            ]),
            steps: { p0: 1, other: 2 },
          }),
        );
        expect(error).toBeInstanceOf(EngineError);
        expect(error.message).toContain("no parameter 'other'");
        expect(error.message).toContain("'p0/exp_avg' has shape [2], the parameter [3]");
        expect(error.message).toContain("'q/exp_avg' belongs to no parameter");
      });
      expect([...optimiser.stateDict().tensors].map(([k, t]) => [k, numbers(t)])).toEqual(before);
    });
  });

  it('passes over parameters without a gradient, and counts their steps apart', () => {
    withParameters([[1], [1]], (named) => {
      const [[, a], [, b]] = named as [[string, nn.Parameter], [string, nn.Parameter]];
      using optimiser = new optim.Adam(named, { learningRate: 0.1 });
      const still = b.item();
      gradients(named.slice(0, 1), 1);
      optimiser.step();
      expect(b.item()).toBe(still);
      optimiser.zeroGrad();
      expect(a.grad).toBeNull();
      gradients(named, 2);
      optimiser.step();
      expect(optimiser.stateDict().steps).toEqual({ p0: 2, p1: 1 });
    });
  });

  it('groups have settings of their own, and all follow the schedule', () => {
    withParameters([[1], [1]], (named) => {
      const [first, second] = named as [[string, nn.Parameter], [string, nn.Parameter]];
      for (const [, p] of named) p.copyFrom(Float32Array.of(0));
      using sgd = new optim.SGD([{ parameters: [first], learningRate: 1 }, { parameters: [second] }], {
        learningRate: 0.1,
      });
      const step = (): number[] => {
        tidy(() => {
          for (const [, p] of named) p.grad = tensor([-1]);
        });
        sgd.step();
        return named.map(([, p]) => Number(p.item().toFixed(6)));
      };
      expect(step()).toEqual([1, 0.1]);
      sgd.scaleLearningRate(0.5);
      expect(step()).toEqual([1.5, 0.15]);
      sgd.scaleLearningRate(2);
      expect(step()).toEqual([3.5, 0.35]);
    });
  });

  it('refuses no parameters, the same twice, and Nesterov without momentum', () => {
    withParameters([[1]], (named) => {
      expect(thrown(() => new optim.SGD([]))).toBeInstanceOf(UsageError);
      expect(thrown(() => new optim.SGD([...named, ...named])).message).toContain("'p0' is given twice");
      expect(thrown(() => new optim.SGD(named, { nesterov: true }))).toBeInstanceOf(UsageError);
    });
  });
});

describe('clipGradNorm', () => {
  it('scales the joint norm down to the limit, and tells the norm before', () => {
    withParameters([[1], [1]], (named) => {
      const parameters = named.map(([, p]) => p);
      const set = (a: number, b: number): void =>
        tidy(() => {
          for (const [i, p] of parameters.entries()) p.grad = tensor([[a, b][i] as number]);
        });
      const now = (): number[] => tidy(() => parameters.map((p) => (p.grad as Tensor).item()));
      const before = memory().tensors;
      set(3, 4);
      expect(optim.clipGradNorm(parameters, 10)).toBeCloseTo(5, 6);
      expect(now()).toEqual([3, 4]);
      expect(optim.clipGradNorm(parameters, 1)).toBeCloseTo(5, 6);
      expect(now()[0]).toBeCloseTo(0.6, 5);
      expect(now()[1]).toBeCloseTo(0.8, 5);
      set(Number.NaN, 1);
      expect(optim.clipGradNorm(parameters, 1)).toBeNaN();
      for (const p of parameters) p.grad = null;
      expect(optim.clipGradNorm(parameters, 1)).toBe(0);
      expect(memory().tensors).toBe(before);
    });
  });
});

describe('schedules', () => {
  const { stepDecay, multiStep, poly, cosine, warmUp, oneCycle } = optim.schedules;
  const at = (schedule: optim.Schedule, ...steps: number[]): number[] =>
    steps.map((s) => Number(schedule(s).toFixed(9)));

  it('by hand', () => {
    expect(at(stepDecay({ every: 3, factor: 0.5 }), 0, 2, 3, 6)).toEqual([1, 1, 0.5, 0.25]);
    expect(at(multiStep({ milestones: [2, 5], factor: 0.1 }), 1, 2, 4, 5)).toEqual([1, 0.1, 0.1, 0.01]);
    expect(at(poly({ total: 4, power: 1 }), 0, 1, 4, 9)).toEqual([1, 0.75, 0, 0]);
    expect(at(cosine({ total: 2, floor: 0.5 }), 0, 1, 2)).toEqual([1, 0.75, 0.5]);
    expect(at(warmUp({ steps: 4, after: () => 1 }), 0, 1, 3, 4)).toEqual([0.25, 0.5, 1, 1]);
    const cycle = oneCycle({ total: 20 });
    expect(at(cycle, 0, 5)).toEqual([0.04, 1]);
    expect(cycle(19)).toBeCloseTo(1 / 25e4, 12);
  });
});
