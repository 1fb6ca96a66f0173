// Fixture sammed2d_prompt_encoder: tokens and maps of every combination of prompts, with the gradients of each.

import { fromTensorData, nn, type Tensor, tidy } from '@maskrank/torch';
import { PromptEncoder, type PromptTensors } from '../models/sam/index.ts';
import { compareElements, compareExact, FORWARD, need, numbers, under } from './compare.ts';
import { checkWithoutGradient, compareGradients } from './gradients.ts';
import { configOf } from './sam-config.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

function runCase(fixture: Fixture, name: string): CheckResult[] {
  const encoder = new PromptEncoder(configOf(fixture));
  nn.loadStateDict(encoder, under(fixture, 'weights/'), { source: fixture.name });
  const load = (part: string): Tensor => fromTensorData(need(fixture, `in/${name}.${part}`));
  const has = (part: string): boolean => fixture.tensors.has(`in/${name}.${part}`);
  const masks = has('masks') ? load('masks') : null;
  if (masks !== null) masks.requiresGrad = true;
  const prompts: PromptTensors = {
    ...(has('points') ? { points: { coords: load('points'), labels: load('labels') } } : {}),
    ...(has('boxes') ? { boxes: load('boxes') } : {}),
    ...(masks === null ? {} : { masks }),
  };
  const { sparse, dense } = encoder.forward(prompts);
  const results = Object.entries({ sparse, dense }).flatMap(([part, got]) => [
    compareElements(
      `out/${name}.${part}`,
      got.toFloat32Array(),
      numbers(fixture, `out/${name}.${part}`),
      FORWARD,
    ),
    compareExact(`shape of out/${name}.${part}`, got.shape, need(fixture, `out/${name}.${part}`).shape),
  ]);
  sparse
    .mul(load('cotangent_sparse'))
    .sum()
    .add(dense.mul(load('cotangent_dense')).sum())
    .backward();
  results.push(
    ...compareGradients(fixture, encoder, {
      suffix: `/${name}`,
      inputs: masks === null ? {} : { 'input.masks': masks },
    }),
    checkWithoutGradient(
      `${name}: parameters without gradient`,
      encoder,
      fixture.json.parameters_without_gradient[name],
    ),
  );
  encoder.dispose();
  return results;
}

function runPositions(fixture: Fixture): CheckResult {
  const encoder = new PromptEncoder(configOf(fixture));
  nn.loadStateDict(encoder, under(fixture, 'weights/'), { source: fixture.name });
  const got = encoder.densePositions().toFloat32Array();
  encoder.dispose();
  return compareElements('out/dense_pe', got, numbers(fixture, 'out/dense_pe'), FORWARD);
}

export const samPromptEncoder: GoldenCheck = {
  covers: (name) => name === 'sammed2d_prompt_encoder',
  run: (fixture) => [
    ...(fixture.json.cases as string[]).flatMap((name) => tidy(() => runCase(fixture, name))),
    tidy(() => runPositions(fixture)),
  ],
};
