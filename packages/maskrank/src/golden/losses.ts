// Fixture sammed2d_losses_metrics, the part on losses: values and gradients of focal, Dice, mask-IoU and combined loss.
// Its overlap metrics are checked in metrics.ts, its boxes and points in prompts.ts.

import { fromTensorData, grad, type Tensor, tidy } from '@maskrank/torch';
import { diceLoss, focalLoss, maskIouLoss, segmentationLoss } from '../training/losses.ts';
import { compareElements, need, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

type Inputs = { readonly logits: Tensor; readonly mask: Tensor; readonly iou: Tensor };

function lossesOf(config: Fixture['json']['config']): Readonly<Record<string, (x: Inputs) => Tensor>> {
  const focal = config.FocalLoss as { alpha: number; gamma: number };
  const dice = config.DiceLoss as { smooth: number };
  const combined = config.FocalDiceloss_IoULoss as { weight: number; iou_scale: number };
  const total = (focalWeight: number, iouWeight: number) => (x: Inputs) =>
    segmentationLoss(x.logits, x.mask, x.iou, { ...focal, ...dice, focalWeight, iouWeight }).total;
  return {
    focal: (x) => focalLoss(x.logits, x.mask, focal),
    focal_g1_a75: (x) => focalLoss(x.logits, x.mask, { gamma: 1, alpha: 0.75 }),
    dice: (x) => diceLoss(x.logits, x.mask, dice),
    maskiou: (x) => maskIouLoss(x.logits, x.mask, x.iou),
    total: total(combined.weight, combined.iou_scale),
    total_w5_s2: total(5, 2),
  };
}

function runCase(fixture: Fixture, name: string): CheckResult[] {
  const input = (part: string) => fromTensorData(need(fixture, `in/${name}.${part}`)).to('float32');
  const [logits, mask, iou] = [input('logits'), input('mask'), input('pred_iou')];
  const wanted: Readonly<Record<string, Tensor>> = { logits, pred_iou: iou };
  for (const leaf of Object.values(wanted)) leaf.requiresGrad = true;
  return Object.entries(lossesOf(fixture.json.config)).flatMap(([loss, f]) => {
    const value = f({ logits, mask, iou });
    const key = `${name}.${loss}`;
    const relative = name === 'extreme' ? 1e-4 : 1e-5;
    const results = [
      compareElements(`out/${key}`, value.toFloat32Array(), numbers(fixture, `out/${key}`), {
        absolute: 0,
        relative,
      }),
    ];
    for (const [leafName, leaf] of Object.entries(wanted)) {
      const gradKey = `grad/${key}.${leafName}`;
      if (!fixture.tensors.has(gradKey)) continue;
      const [got] = grad([value], [leaf], { retainGraph: true }) as [Tensor];
      const ref = numbers(fixture, gradKey);
      const largest = Array.from(ref, Math.abs).reduce((a, b) => Math.max(a, b), 0);
      results.push(
        compareElements(gradKey, got.toFloat32Array(), ref, { absolute: 1e-4 * largest, relative: 0 }),
      );
    }
    return results;
  });
}

export const losses: GoldenCheck = {
  covers: (name) => name === 'sammed2d_losses_metrics',
  run: (fixture) => (fixture.json.cases as string[]).flatMap((name) => tidy(() => runCase(fixture, name))),
};
