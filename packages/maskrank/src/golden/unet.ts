// Fixtures unet_milesial_*: the U-Net with running and with a batch's own statistics, the statistics after a training step, and
// every gradient. Sizes are odd, so the way up pads.

import { fromTensorData, nn, noGrad, tidy } from '@maskrank/torch';
import { Unet } from '../models/unet/index.ts';
import { compareElements, FORWARD, need, numbers, under } from './compare.ts';
import { compareGradients } from './gradients.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

function run(fixture: Fixture): CheckResult[] {
  const { n_channels, n_classes, bilinear, width } = fixture.json.config;
  using unet = new Unet({ inChannels: n_channels, outChannels: n_classes, bilinear, width });
  nn.loadStateDict(unet, under(fixture, 'weights/'), { source: fixture.name });
  const image = fromTensorData(need(fixture, 'in/image'));

  unet.eval();
  const calm = noGrad(() => unet.forward(image));
  unet.train();
  const logits = unet.forward(image);
  logits
    .mul(fromTensorData(need(fixture, 'in/cotangent')))
    .sum()
    .backward();

  const statistics = new Map(unet.namedBuffers());
  const moved = [...under(fixture, 'out/after_train/').keys()].map((name) =>
    compareElements(
      `out/after_train/${name}`,
      statistics.get(name)?.toFloat32Array() ?? [],
      numbers(fixture, `out/after_train/${name}`),
      FORWARD,
    ),
  );
  return [
    compareElements('out/eval_logits', calm.toFloat32Array(), numbers(fixture, 'out/eval_logits'), FORWARD),
    compareElements(
      'out/train_logits',
      logits.toFloat32Array(),
      numbers(fixture, 'out/train_logits'),
      FORWARD,
    ),
    ...moved,
    ...compareGradients(fixture, unet),
  ];
}

export const unet: GoldenCheck = {
  covers: (name) => name.startsWith('unet_milesial_'),
  run: (fixture) => tidy(() => run(fixture)),
};
