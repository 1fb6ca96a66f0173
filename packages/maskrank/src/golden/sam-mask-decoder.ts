// Fixture sammed2d_mask_decoder: the two-way transformer alone, the decoder with one mask and with three, and the gradients.

import { fromTensorData, nn, type Tensor, tidy } from '@maskrank/torch';
import { MaskDecoder } from '../models/sam/index.ts';
import { compareElements, FORWARD, need, numbers, under } from './compare.ts';
import { compareGradients } from './gradients.ts';
import { configOf } from './sam-config.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const MODES = { multi: true, single: false } as const;

function run(fixture: Fixture): CheckResult[] {
  const decoder = new MaskDecoder(configOf(fixture));
  nn.loadStateDict(decoder, under(fixture, 'weights/'), { source: fixture.name });
  const load = (name: string): Tensor => fromTensorData(need(fixture, `in/${name}`));
  const forward = (name: string, got: Tensor): CheckResult =>
    compareElements(name, got.toFloat32Array(), numbers(fixture, name), FORWARD);
  const input = {
    imageEmbeddings: load('image_embeddings'),
    imagePe: load('image_pe'),
    sparse: load('sparse'),
    dense: load('dense'),
  };
  for (const leaf of Object.values(input)) leaf.requiresGrad = true;

  const places = (x: Tensor) => x.flatten(2).transpose(1, 2); // [N, C, G, G] -> [N, L, C]
  const twoWay = decoder.transformer.forward(
    places(input.imageEmbeddings),
    places(input.imagePe),
    load('transformer.tokens'),
  );
  const results = [
    forward('out/transformer.queries', twoWay.tokens),
    forward('out/transformer.keys', twoWay.image),
  ];

  const losses = Object.entries(MODES).flatMap(([mode, multimask]) => {
    const { masks, iou } = decoder.forward(input, multimask);
    results.push(forward(`out/${mode}.masks`, masks), forward(`out/${mode}.iou`, iou));
    return [masks.mul(load(`cot.${mode}.masks`)).sum(), iou.mul(load(`cot.${mode}.iou`)).sum()];
  });
  losses.reduce((a, b) => a.add(b)).backward();
  const inputs = {
    'input.image_embeddings': input.imageEmbeddings,
    'input.image_pe': input.imagePe,
    'input.sparse': input.sparse,
    'input.dense': input.dense,
  };
  results.push(...compareGradients(fixture, decoder, { inputs }));
  decoder.dispose();
  return results;
}

export const samMaskDecoder: GoldenCheck = {
  covers: (name) => name === 'sammed2d_mask_decoder',
  run: (fixture) => tidy(() => run(fixture)),
};
