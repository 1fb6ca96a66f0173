// Fixture nnunet_losses: every variant of the loss with its gradient, the fall of the learning rate, the weights of deep supervision.

import { fromTensorData, optim, type Tensor, tidy } from '@maskrank/torch';
import { deepSupervisionWeights, labelLoss, type NnunetLoss, regionLoss } from '../training/nnunet/loss.ts';
import { compareElements, failed, need, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const RELATIVE = { absolute: 1e-7, relative: 1e-5 };

type Variant = { readonly target: string; readonly loss: (logits: Tensor, target: Tensor) => NnunetLoss };

const smooth = 1e-5;
const own = { batchDice: true, smooth, background: false };
// The fixture's JSON gives these settings in words.
const VARIANTS: Readonly<Record<string, Variant>> = {
  dc_ce_batch: { target: 'target', loss: (z, t) => labelLoss(z, t, { dice: own }) },
  dc_ce_nobatch: {
    target: 'target',
    loss: (z, t) => labelLoss(z, t, { dice: { ...own, batchDice: false } }),
  },
  dc_ce_softdice_bg: {
    target: 'target',
    loss: (z, t) => labelLoss(z, t, { dice: { smooth: 1, background: true } }),
  },
  dc_ce_ignore: {
    target: 'target_with_ignore',
    loss: (z, t) => labelLoss(z, t, { dice: own, ignore: 4 }),
  },
  dc_ce_w2_05: {
    target: 'target',
    loss: (z, t) => labelLoss(z, t, { dice: own, crossEntropyWeight: 2, diceWeight: 0.5 }),
  },
  dc_bce_regions: {
    target: 'regions',
    loss: (z, t) => regionLoss(z, t, { dice: { batchDice: true, smooth } }),
  },
  dc_bce_regions_ignore: {
    target: 'regions_with_ignore_channel',
    loss: (z, t) => regionLoss(z, t, { dice: { batchDice: false, smooth }, ignore: true }),
  },
};

function runVariant(fixture: Fixture, name: string): CheckResult[] {
  const variant = VARIANTS[name];
  if (variant === undefined) return [failed(name, 'known', 'no such variant here')];
  const logits = fromTensorData(need(fixture, 'in/logits')).requiresGrad_();
  const { total } = variant.loss(logits, fromTensorData(need(fixture, `in/${variant.target}`)));
  total.backward();
  const reference = numbers(fixture, `grad/${name}.logits`);
  const largest = Array.from(reference).reduce((most, g) => Math.max(most, Math.abs(g)), 0);
  return [
    compareElements(`out/${name}`, [total.item()], numbers(fixture, `out/${name}`), RELATIVE),
    compareElements(`grad/${name}.logits`, (logits.grad as Tensor).toFloat32Array(), reference, {
      absolute: 1e-4 * largest,
      relative: 0,
    }),
  ];
}

function runSchedules({ json: { values_float64: values } }: Fixture): CheckResult[] {
  const rates = values.poly_lr as [number, number][];
  const poly = optim.schedules.poly({ total: 1000 });
  const exact = { absolute: 0, relative: 1e-12 };
  return [
    compareElements(
      'poly_lr',
      rates.map(([epoch]) => 1e-2 * poly(epoch)),
      rates.map(([, rate]) => rate),
      exact,
    ),
    ...Object.entries(values.deep_supervision_weights as Record<string, number[]>).map(([count, weights]) =>
      compareElements(
        `deep_supervision_weights.${count}`,
        deepSupervisionWeights(Number(count)),
        weights,
        exact,
      ),
    ),
  ];
}

export const nnunetLosses: GoldenCheck = {
  covers: (name) => name === 'nnunet_losses',
  run: (fixture) =>
    tidy(() => [
      ...Object.keys(fixture.json.config).flatMap((name) => runVariant(fixture, name)),
      ...runSchedules(fixture),
    ]),
};
