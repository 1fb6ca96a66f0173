// Fixture torch_optimisers: six steps of each update rule, clipping, and learning-rate schedules.

import { fromTensorData, nn, optim, type Tensor, tidy } from '@maskrank/torch';
import { compareElements, need, numbers } from './compare.ts';

import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const TOLERANCE = { absolute: 1e-6, relative: 0 };

type Named = [string, nn.Parameter][];
// The fixture's JSON gives these settings in words, one a rule.
const RULES: Readonly<Record<string, (parameters: Named) => optim.Adam | optim.AdamW | optim.SGD>> = {
  adam: (p) => new optim.Adam(p, { learningRate: 1e-2 }),
  adam_wd: (p) => new optim.Adam(p, { learningRate: 1e-2, weightDecay: 0.1, betas: [0.8, 0.95], eps: 1e-6 }),
  adamw: (p) => new optim.AdamW(p, { learningRate: 1e-2, weightDecay: 0.1 }),
  adam_amsgrad: (p) => new optim.Adam(p, { learningRate: 1e-2, amsgrad: true }),
  sgd_nesterov: (p) =>
    new optim.SGD(p, { learningRate: 1e-2, momentum: 0.99, nesterov: true, weightDecay: 3e-5 }),
  sgd_momentum: (p) => new optim.SGD(p, { learningRate: 1e-2, momentum: 0.9 }),
};

const SCHEDULES: Readonly<Record<string, { readonly base: number; readonly schedule: optim.Schedule }>> = {
  cosine: { base: 0.1, schedule: optim.schedules.cosine({ total: 10, floor: 1e-4 }) },
  step: { base: 0.1, schedule: optim.schedules.stepDecay({ every: 3, factor: 0.3 }) },
  multistep_5_10: { base: 0.1, schedule: optim.schedules.multiStep({ milestones: [5, 10], factor: 0.5 }) },
  onecycle: { base: 0.1, schedule: optim.schedules.oneCycle({ total: 20 }) },
};

function parametersOf(fixture: Fixture): Named {
  const names = [...fixture.tensors.keys()].filter((name) => /^in\/param\d+$/.test(name)).sort();
  return names.map((name) => [name.slice(3), new nn.Parameter(fromTensorData(need(fixture, name)))]);
}

function runRule(
  fixture: Fixture,
  rule: string,
  make: (parameters: Named) => optim.Adam | optim.AdamW | optim.SGD,
): CheckResult[] {
  const parameters = parametersOf(fixture);
  const optimiser = make(parameters);
  const schedule = optim.schedules.multiStep({ milestones: [2, 4], factor: 0.5 });
  const results: CheckResult[] = [];
  for (let k = 0; fixture.tensors.has(`in/step${k}.grad0`); k++) {
    optimiser.scaleLearningRate(schedule(k));
    for (const [i, [, parameter]] of parameters.entries())
      parameter.grad = fromTensorData(need(fixture, `in/step${k}.grad${i}`));
    optimiser.step();
    for (const [name, parameter] of parameters) {
      const key = `out/${rule}.step${k}.${name}`;
      results.push(compareElements(key, parameter.toFloat32Array(), numbers(fixture, key), TOLERANCE));
    }
  }
  optimiser.disposeState();
  for (const [, parameter] of parameters) parameter.dispose();
  return results;
}

function runClip(fixture: Fixture): CheckResult[] {
  const parameters = parametersOf(fixture);
  for (const [i, [, p]] of parameters.entries())
    p.grad = fromTensorData(need(fixture, `in/step0.grad${i}`)).mul(10);
  const norm = optim.clipGradNorm(
    parameters.map(([, p]) => p),
    1.5,
  );
  const results = parameters.map(([, p], i) => {
    const key = `out/clip.grad${i}`;
    return compareElements(key, (p.grad as Tensor).toFloat32Array(), numbers(fixture, key), TOLERANCE);
  });
  results.push(
    compareElements('out/clip.total_norm', [norm], numbers(fixture, 'out/clip.total_norm'), {
      absolute: 0,
      relative: 1e-6,
    }),
  );
  for (const [, parameter] of parameters) parameter.dispose();
  return results;
}

export const optimisers: GoldenCheck = {
  covers: (name) => name === 'torch_optimisers',
  run: (fixture) =>
    tidy(() => [
      ...Object.entries(RULES).flatMap(([rule, make]) => runRule(fixture, rule, make)),
      ...runClip(fixture),
      ...Object.entries(SCHEDULES).map(([name, { base, schedule }]) => {
        const reference = fixture.json.lr_float64[name] as number[];
        return compareElements(
          `lr.${name}`,
          reference.map((_, step) => base * schedule(step)),
          reference,
          { absolute: 1e-12, relative: 0 },
        );
      }),
    ]),
};
