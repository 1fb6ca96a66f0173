// Layers against PyTorch's outputs, gradients and buffers (fixtures/make_layers.py), and gradients against differences.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  EngineError,
  Generator,
  nn,
  noGrad,
  type Tensor,
  tensor,
  tidy,
  UsageError,
} from '../../src/index.ts';
import { expectGradients, values } from '../support/gradients.ts';
import { expectClose, largestDifference, thrown } from '../support/values.ts';

const { F } = nn;

type Expected = {
  readonly shape: readonly number[];
  readonly out: readonly number[];
  readonly inputs: readonly (readonly number[] | null)[];
  readonly parameters: Readonly<Record<string, readonly number[]>>;
  readonly buffers?: Readonly<Record<string, readonly number[]>>;
};
const FIXTURE = JSON.parse(readFileSync(new URL('fixtures/layers.json', import.meta.url), 'utf8')) as {
  readonly cases: Readonly<Record<string, Expected>>;
};
const TOLERANCE = 1e-8;

type Case = {
  /** Makes the module, when there is one. */
  readonly module?: () => nn.Module;
  readonly inputs: () => Tensor[];
  readonly call?: (module: never, ...inputs: Tensor[]) => Tensor;
  readonly calls?: number;
};

const image = (): Tensor => values([2, 4, 3, 4]);
const volume = (): Tensor => values([1, 2, 3, 3, 2]);
const tokens = (): Tensor => values([2, 3, 8]);
const others = (): Tensor => values([2, 5, 8], -1, 1, 1);
const logits = (): Tensor => values([2, 4, 2]);
const classes = (): Tensor =>
  tensor(
    [
      [0, 2],
      [3, 1],
    ],
    { dtype: 'int64' },
  );
const visible = (): Tensor =>
  tensor(
    [
      [1, 0, 1],
      [1, 1, 0],
      [0, 1, 1],
    ],
    { dtype: 'bool' },
  );
const qkv = (): Tensor[] => [values([2, 3, 4]), values([2, 5, 4], -1, 1, 1), values([2, 5, 2], -1, 1, 2)];
const on = (input: () => Tensor, call: (x: Tensor) => Tensor): Case => ({
  inputs: () => [input()],
  call: (_, x) => call(x),
});
const of = (input: () => Tensor, module: () => nn.Layer, calls = 1): Case => ({
  module,
  inputs: () => [input()],
  calls,
});
const heads = (options?: Parameters<nn.MultiheadAttention['forward']>[1] | (() => object)): Case => ({
  module: () => new nn.MultiheadAttention(8, 2),
  inputs: () => [tokens()],
  call: (module: nn.MultiheadAttention, x) =>
    module.forward(x, typeof options === 'function' ? options() : options),
});

const CASES: Readonly<Record<string, Case>> = {
  linear: of(
    () => values([2, 3]),
    () => new nn.Linear(3, 2),
  ),
  conv2d: of(image, () => new nn.Conv2d(4, 2, 3)),
  'conv2d options': of(
    image,
    () =>
      new nn.Conv2d(4, 6, [2, 3], {
        stride: [2, 1],
        padding: [1, 2],
        dilation: [1, 2],
        groups: 2,
        bias: false,
      }),
  ),
  conv3d: of(volume, () => new nn.Conv3d(2, 3, 2, { stride: [1, 2, 1], padding: 1 })),
  'conv transpose 2d': of(
    image,
    () => new nn.ConvTranspose2d(4, 2, 3, { stride: 2, padding: 1, outputPadding: 1 }),
  ),
  'conv transpose 2d groups': of(
    image,
    () => new nn.ConvTranspose2d(4, 4, 2, { stride: 2, groups: 2, bias: false }),
  ),
  'conv transpose 3d': of(volume, () => new nn.ConvTranspose3d(2, 2, 2, { stride: 2 })),
  embedding: of(
    () =>
      tensor(
        [
          [0, 4],
          [1, 4],
        ],
        { dtype: 'int64' },
      ),
    () => new nn.Embedding(5, 3),
  ),
  'layer norm': of(image, () => new nn.LayerNorm(4)),
  'layer norm of two': of(image, () => new nn.LayerNorm([3, 4], { eps: 1e-3 })),
  'rms norm': of(image, () => new nn.RMSNorm(4)),
  'group norm': of(image, () => new nn.GroupNorm(2, 4)),
  'group norm plain': of(image, () => new nn.GroupNorm(4, 4, { affine: false })),
  'batch norm 1d': of(
    () => values([4, 3]),
    () => new nn.BatchNorm1d(3),
    2,
  ),
  'batch norm 1d tokens': of(
    () => values([2, 3, 4]),
    () => new nn.BatchNorm1d(3),
  ),
  'batch norm 2d': of(image, () => new nn.BatchNorm2d(4, { momentum: 0.3, eps: 1e-3 }), 3),
  'batch norm 3d': of(volume, () => new nn.BatchNorm3d(2)),
  'batch norm 2d evaluated': {
    module: () => new nn.BatchNorm2d(4),
    inputs: () => [image()],
    call: (module: nn.BatchNorm2d, x) => {
      module.train().forward(x.detach().mul(2).add(1));
      return module.eval().forward(x);
    },
  },
  'batch norm 2d plain': of(image, () =>
    new nn.BatchNorm2d(4, { affine: false, runningStatistics: false }).eval(),
  ),
  'instance norm 2d': of(image, () => new nn.InstanceNorm2d(4, { affine: true })),
  'instance norm 2d plain': of(image, () => new nn.InstanceNorm2d(4)),
  'instance norm 3d': of(volume, () => new nn.InstanceNorm3d(2, { affine: true, eps: 1e-3 })),
  'max pool 2d': of(image, () => new nn.MaxPool2d(2)),
  'max pool 2d options': of(image, () => new nn.MaxPool2d(3, { stride: 2, padding: 1, ceilMode: true })),
  'max pool 3d': of(volume, () => new nn.MaxPool3d([1, 2, 2])),
  'avg pool 2d': of(image, () => new nn.AvgPool2d(2)),
  'avg pool 2d options': of(
    image,
    () => new nn.AvgPool2d(3, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false }),
  ),
  'avg pool 3d': of(volume, () => new nn.AvgPool3d(2)),
  'adaptive avg pool 2d': of(image, () => new nn.AdaptiveAvgPool2d([2, 3])),
  'adaptive avg pool 3d': of(volume, () => new nn.AdaptiveAvgPool3d(2)),
  'upsample bilinear': of(image, () => new nn.Upsample({ scale: 2, mode: 'bilinear', alignCorners: true })),
  'interpolate bilinear': on(image, (x) => F.interpolate(x, [3, 8], { mode: 'bilinear' })),
  'interpolate bicubic': on(image, (x) => F.interpolate(x, [7, 4], { mode: 'bicubic' })),
  'interpolate nearest 1d': on(
    () => values([1, 2, 4]),
    (x) => F.interpolate(x, [7], { mode: 'nearest' }),
  ),
  'interpolate nearest': on(image, (x) => F.interpolate(x, [3, 8], { mode: 'nearest' })),
  'interpolate nearest 3d': on(volume, (x) => F.interpolate(x, [2, 8, 3], { mode: 'nearest' })),
  'interpolate trilinear': on(volume, (x) => F.interpolate(x, [2, 5, 4], { mode: 'trilinear' })),
  'interpolate linear': on(
    () => values([1, 2, 4]),
    (x) => F.interpolate(x, [7], { mode: 'linear' }),
  ),
  pad: on(
    () => values([1, 2, 3]),
    (x) => F.pad(x, [1, 0, 2, 1], 0.5),
  ),
  ...Object.fromEntries(
    (
      [
        ['relu', () => new nn.ReLU()],
        ['gelu', () => new nn.GELU()],
        ['silu', () => new nn.SiLU()],
        ['sigmoid', () => new nn.Sigmoid()],
        ['tanh', () => new nn.Tanh()],
        ['softplus', () => new nn.Softplus()],
        ['leaky relu', () => new nn.LeakyReLU(0.2)],
        ['identity', () => new nn.Identity()],
      ] as const
    ).map(([name, make]) => [name, of(() => values([7], -2, 2), make)]),
  ),
  'cross entropy': on(logits, (x) => F.crossEntropy(x, classes())),
  'cross entropy options': on(logits, (x) =>
    F.crossEntropy(x, classes(), { ignoreIndex: 3, labelSmoothing: 0.1 }),
  ),
  'binary cross entropy': on(
    () => values([2, 3], -3, 3),
    (x) => F.bceWithLogits(x, values([2, 3], 0, 1, 1)),
  ),
  attention: heads(),
  'attention without bias': { ...heads(), module: () => new nn.MultiheadAttention(8, 4, { bias: false }) },
  'attention masked': heads(() => ({ mask: visible() })),
  'attention additive': heads(() => ({ mask: values([3, 3]) })),
  'attention causal': heads({ causal: true }),
  'attention cross': {
    ...heads(),
    inputs: () => [tokens(), others()],
    call: (module: nn.MultiheadAttention, x, key) => module.forward(x, { key }),
  },
  'attention cross, values apart': {
    ...heads(),
    inputs: () => [tokens(), others()],
    call: (module: nn.MultiheadAttention, x, key) => module.forward(x, { key, value: key.mul(2) }),
  },
  'product attention': {
    inputs: qkv,
    call: (_, ...t) => nn.scaledDotProductAttention(...(t as [Tensor, Tensor, Tensor])),
  },
  'product attention, scale': {
    inputs: qkv,
    call: (_, ...t) => nn.scaledDotProductAttention(...(t as [Tensor, Tensor, Tensor]), { scale: 0.3 }),
  },
  'product attention, causal': {
    inputs: qkv,
    call: (_, ...t) => nn.scaledDotProductAttention(...(t as [Tensor, Tensor, Tensor]), { causal: true }),
  },
};

/** A module in float64 whose parameters follow the fixture's formula, and how to call it. */
function build({ module, call }: Case): {
  model: nn.Module | null;
  run: (inputs: readonly Tensor[]) => Tensor;
} {
  const model = module?.().to('float64') ?? null;
  if (model !== null) {
    noGrad(() => {
      for (const [k, parameter] of model.parameters().entries())
        parameter.copy_(values(parameter.shape, -0.5, 0.5, k));
    });
  }
  const run = (inputs: readonly Tensor[]): Tensor =>
    call === undefined ? (model as nn.Layer).forward(inputs[0] as Tensor) : call(model as never, ...inputs);
  return { model, run };
}

it('every case of the fixture is checked, and no other', () => {
  expect(Object.keys(CASES).toSorted()).toEqual(Object.keys(FIXTURE.cases).toSorted());
});

describe('layers and functions of layers', () => {
  it.each(Object.keys(FIXTURE.cases))('%s', (name) => {
    const expected = FIXTURE.cases[name] as Expected;
    const definition = CASES[name] as Case;
    tidy(() => {
      const { model, run } = build(definition);
      const leaves = definition.inputs().map((x) => (x.dtype === 'float64' ? x.requiresGrad_() : x));
      let out = run(leaves);
      for (let i = 1; i < (definition.calls ?? 1); i++) out = run(leaves);
      expect(out.shape).toEqual(expected.shape);
      expectClose(out, expected.out, TOLERANCE);
      out
        .mul(values(out.shape, -1, 1, 5))
        .sum()
        .backward();
      for (const [i, found] of leaves.entries()) {
        const gradient = expected.inputs[i];
        if (gradient) expectClose(found.grad as Tensor, gradient, TOLERANCE);
      }
      const parameters = new Map<string, Tensor>(model?.namedParameters() ?? []);
      expect([...parameters.keys()].toSorted()).toEqual(Object.keys(expected.parameters).toSorted());
      for (const [key, gradient] of Object.entries(expected.parameters))
        expectClose(parameters.get(key)?.grad as Tensor, gradient, TOLERANCE);
      const buffers = new Map<string, Tensor>(model?.namedBuffers() ?? []);
      expect([...buffers.keys()].toSorted()).toEqual(Object.keys(expected.buffers ?? {}).toSorted());
      for (const [key, value] of Object.entries(expected.buffers ?? {}))
        expectClose(buffers.get(key) as Tensor, value, TOLERANCE);
      model?.dispose();
    });
  });
});

describe('gradients against differences, of inputs and parameters', () => {
  const v = values;
  const FUNCTIONS: Readonly<
    Record<string, readonly [(...t: Tensor[]) => Tensor, readonly (readonly number[])[]]>
  > = {
    linear: [(x, w, b) => F.linear(x as Tensor, w as Tensor, b), [[2, 3], [2, 3], [2]]],
    conv2d: [
      (x, w, b) => F.conv2d(x as Tensor, w as Tensor, b, { padding: 1, stride: 2 }),
      [[1, 2, 3, 3], [2, 2, 2, 2], [2]],
    ],
    conv3d: [(x, w, b) => F.conv3d(x as Tensor, w as Tensor, b), [[1, 1, 2, 3, 2], [2, 1, 2, 2, 1], [2]]],
    convTranspose2d: [
      (x, w, b) => F.convTranspose2d(x as Tensor, w as Tensor, b, { stride: 2 }),
      [[1, 2, 2, 2], [2, 1, 2, 2], [1]],
    ],
    convTranspose3d: [
      (x, w, b) => F.convTranspose3d(x as Tensor, w as Tensor, b),
      [[1, 1, 1, 2, 2], [1, 2, 1, 2, 1], [2]],
    ],
    layerNorm: [
      (x, w, b) => F.layerNorm(x as Tensor, [3], w as Tensor, b as Tensor, 1e-5),
      [[2, 3], [3], [3]],
    ],
    groupNorm: [
      (x, w, b) => F.groupNorm(x as Tensor, 2, w as Tensor, b as Tensor, 1e-5),
      [[1, 4, 3], [4], [4]],
    ],
    batchNorm: [
      (x, w, b) => F.batchNorm(x as Tensor, w as Tensor, b as Tensor, null, null, true, 0.1, 1e-5),
      [[3, 2, 2], [2], [2]],
    ],
    instanceNorm: [
      (x, w, b) => F.instanceNorm(x as Tensor, w as Tensor, b as Tensor, 1e-5),
      [[1, 2, 2, 3], [2], [2]],
    ],
    embedding: [(w) => F.embedding(w as Tensor, tensor([2, 0, 2], { dtype: 'int64' })), [[3, 2]]],
    layerNorm2d: [(x) => layer(new nn.LayerNorm2d(3), x as Tensor), [[1, 3, 2, 2]]],
    quickGelu: [(x) => layer(new nn.QuickGELU(), x as Tensor), [[6]]],
    rmsNorm: [(x) => layer(new nn.RMSNorm(3), x as Tensor), [[2, 3]]],
    bceWithLogits: [(x, y) => F.bceWithLogits(x as Tensor, (y as Tensor).sigmoid()), [[5], [5]]],
  };
  const layer = (made: nn.Layer, x: Tensor): Tensor => made.to('float64').forward(x);

  it.each(Object.entries(FUNCTIONS))('%s', (_, [call, shapes]) => {
    tidy(() =>
      expectGradients(
        call,
        shapes.map((shape, i) => v(shape, -1, 1, i)),
      ),
    );
  });
});

describe('scaledDotProductAttention', () => {
  const shapes = [
    [1, 2, 3, 4],
    [1, 2, 5, 4],
    [1, 2, 5, 2],
  ] as const;
  const inputs = (): Tensor[] => shapes.map((shape, i) => values(shape, -1, 1, i));
  const FORMS: Readonly<Record<string, () => nn.AttentionOptions>> = {
    plain: () => ({}),
    scale: () => ({ scale: 0.7 }),
    causal: () => ({ causal: true }),
    'bool mask with a row that sees nothing': () => ({
      mask: tensor(
        [
          [1, 0, 1, 0, 0],
          [0, 0, 0, 0, 0],
          [1, 1, 1, 1, 1],
        ],
        { dtype: 'bool' },
      ),
    }),
    'mask that is added': () => ({ mask: values([3, 5]) }),
  };
  it.each(Object.entries(FORMS))('%s: fused where the engine can, and composed, are the same', (_, form) => {
    tidy(() => {
      const [q, k, v] = inputs() as [Tensor, Tensor, Tensor];
      const composed = nn.scaledDotProductAttention(q, k, v, { ...form(), fused: false });
      expectClose(
        nn.scaledDotProductAttention(q, k, v, form()),
        Array.from(composed.toTypedArray() as Float64Array),
        1e-12,
      );
      for (const fused of [true, false])
        expectGradients(
          (a, b, c) =>
            nn.scaledDotProductAttention(a as Tensor, b as Tensor, c as Tensor, { ...form(), fused }),
          [q, k, v],
          { tolerance: 1e-5 },
        );
    });
  });

  it('in reduced precision a row that sees nothing is zero, not NaN', () => {
    tidy(() => {
      const [q, k, v] = inputs().map((t) => t.to('bfloat16')) as [Tensor, Tensor, Tensor];
      const mask = tensor(
        [
          [1, 1, 1, 1, 1],
          [0, 0, 0, 0, 0],
          [1, 1, 1, 1, 1],
        ],
        { dtype: 'bool' },
      );
      const out = nn.scaledDotProductAttention(q, k, v, { mask, fused: false }).to('float32');
      expectClose(out.select(2, 1), [0, 0, 0, 0]);
      expect(out.isfinite().all().item()).toBe(1);
    });
  });

  it('drops weights while training', () => {
    tidy(() => {
      const model = new nn.MultiheadAttention(4, 2, { dropout: 0.9 });
      nn.initialise(model, Generator.seeded(1));
      const x = values([1, 6, 4]).to('float32');
      const [a, b] = [model.forward(x), model.forward(x)];
      expect(largestDifference(a, b)).toBeGreaterThan(0);
      model.eval();
      expect(largestDifference(model.forward(x), model.forward(x))).toBe(0);
      model.dispose();
    });
  });

  it('refuses what cannot be', () => {
    tidy(() => {
      const [q, k, v] = inputs() as [Tensor, Tensor, Tensor];
      const mask = values([3, 5]);
      expect(thrown(() => nn.scaledDotProductAttention(q, k, v, { mask, causal: true }))).toBeInstanceOf(
        UsageError,
      );
      expect(thrown(() => new nn.MultiheadAttention(5, 2))).toBeInstanceOf(UsageError);
      expect(thrown(() => new nn.MultiheadAttention(4, 2).forward(values([3, 4])))).toBeInstanceOf(
        EngineError,
      );
    });
  });
});

describe('shapes that a layer does not take', () => {
  it('are named', () => {
    tidy(() => {
      const four = values([1, 2, 3, 3]).to('float32');
      for (const made of [new nn.BatchNorm1d(2), new nn.BatchNorm3d(2), new nn.InstanceNorm3d(2)]) {
        const error = thrown(() => made.forward(four));
        expect(error).toBeInstanceOf(EngineError);
        expect(error.message).toMatch(new RegExp(`^${made.constructor.name}: .*\\[1,2,3,3\\]`));
        made.dispose();
      }
      expect(thrown(() => F.interpolate(values([2]), [3], { mode: 'nearest' })).message).toContain('found 1');
    });
  });
});
