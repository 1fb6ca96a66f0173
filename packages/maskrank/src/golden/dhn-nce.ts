// Fixture medclipsam_dhn_nce_loss: the hard-negative contrastive loss as MedCLIP-SAM's code has it, value and gradients.

import { fromTensorData, tidy } from '@maskrank/torch';
import { type DhnNceOptions, dhnNceLoss } from '../models/clip/index.ts';
import { compareElements, compareGradient, FORWARD, need, numbers, under } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

function runCase(fixture: Fixture, key: string, options: DhnNceOptions): CheckResult[] {
  const leaf = (name: string) => fromTensorData(need(fixture, `in/${name}`)).requiresGrad_();
  const [batch] = key.split('.');
  const images = leaf(`${batch}.image_features`);
  const texts = leaf(`${batch}.text_features`);
  const loss = dhnNceLoss(images, texts, { ...options, form: 'released' });
  loss.backward();
  const gradient = (name: string, of: typeof images) =>
    compareGradient(name, of.grad?.toFloat32Array() ?? [], numbers(fixture, name));
  return [
    compareElements(`out/${key}`, loss.toFloat32Array(), numbers(fixture, `out/${key}`), FORWARD),
    gradient(`grad/${key}.image`, images),
    gradient(`grad/${key}.text`, texts),
  ];
}

export const dhnNce: GoldenCheck = {
  covers: (name) => name === 'medclipsam_dhn_nce_loss',
  run: (fixture) =>
    [...under(fixture, 'out/').keys()].flatMap((key) => {
      const options = fixture.json.config[key.split('.')[1] as string] as DhnNceOptions;
      return tidy(() => runCase(fixture, key, options));
    }),
};
