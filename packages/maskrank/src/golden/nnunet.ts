// Fixtures nnunet_plain_unet and nnunet_resenc_unet: features and logits at every resolution, the planner's measure of memory, the
// loss with deep supervision, all gradients, and four steps of SGD.

import { fromTensorData, noGrad, optim, type Tensor, tidy } from '@maskrank/torch';
import {
  featureMapSize,
  loadNnunetState,
  Nnunet,
  type NnunetConfig,
  type Sizes,
} from '../models/nnunet/index.ts';
import {
  DICE,
  deepSupervised,
  deepSupervisionWeights,
  labelLoss,
  truthPyramid,
} from '../training/nnunet/loss.ts';
import {
  checkFact,
  compareElements,
  compareExact,
  compareNoise,
  FORWARD,
  need,
  numbers,
  under,
} from './compare.ts';
import { checkWithoutGradient, compareGradients } from './gradients.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

/** Optimiser of the fixture: its `calls`, in words there. */
const SGD = { learningRate: 1e-2, momentum: 0.99, nesterov: true, weightDecay: 3e-5 };
const EPOCHS = 1000;
const EPOCHS_A_STEP = 200;
const MAX_NORM = 12;

function configOf({ json: { config } }: Fixture): NnunetConfig {
  const residual = config.block !== null;
  return {
    dimension: config.image_hw.length,
    inChannels: config.input_channels,
    outChannels: config.num_classes,
    features: config.features_per_stage,
    kernelSizes: config.kernel_sizes,
    strides: config.strides,
    blocksEncoder: residual ? config.n_blocks_per_stage : config.n_conv_per_stage,
    blocksDecoder: config.n_conv_per_stage_decoder,
    residual,
  };
}

const load = (fixture: Fixture, name: string): Tensor => fromTensorData(need(fixture, name));
const forward = (fixture: Fixture, name: string, got: Tensor): CheckResult =>
  compareElements(name, got.toFloat32Array(), numbers(fixture, name), FORWARD);

function run(fixture: Fixture): CheckResult[] {
  const config = configOf(fixture);
  using network = new Nnunet(config);
  const state = new Map(under(fixture, 'weights/'));
  for (const [alias, name] of Object.entries(
    fixture.json.aliases_of_shared_parameters as Record<string, string>,
  )) {
    const tensor = state.get(name);
    if (tensor !== undefined) state.set(alias, tensor);
  }
  loadNnunetState(network, state, fixture.name);

  const image = load(fixture, 'in/image');
  const strides = config.strides.slice(0, -1);
  const truths = truthPyramid(load(fixture, 'in/target0').to('int64'), strides);
  const weights = deepSupervisionWeights(network.resolutions);
  const lossOf = () => {
    const logits = network.forwardAll(image);
    const loss = deepSupervised(logits, truths, weights, (z, t) =>
      labelLoss(z, t, { dice: { ...DICE, background: false } }),
    );
    return { logits, loss: loss.total };
  };

  const { logits, loss } = lossOf();
  loss.backward();
  const patch = fixture.json.config.image_hw as Sizes;
  const size = featureMapSize(config, patch, { deepSupervision: true });
  const results = [
    ...logits.map((z, i) => forward(fixture, `out/ds${i}`, z)),
    ...noGrad(() => network.encoder.forward(image)).map((x, i) => forward(fixture, `out/skip${i}`, x)),
    forward(
      fixture,
      'out/no_ds',
      noGrad(() => network.forward(image)),
    ),
    ...truths.map((t, i) =>
      compareExact(`in/target${i}`, t.toFloat32Array(), numbers(fixture, `in/target${i}`)),
    ),
    compareElements('out/ds_weights', weights, numbers(fixture, 'out/ds_weights'), {
      absolute: 1e-7,
      relative: 0,
    }),
    forward(fixture, 'out/loss', loss),
    checkFact(
      'compute_conv_feature_map_size',
      size === fixture.json.compute_conv_feature_map_size,
      `${size}`,
    ),
    ...gradients(fixture, network),
    checkWithoutGradient('without gradient', network, fixture.json.parameters_without_gradient),
  ];
  network.zeroGrad();
  return [...results, ...descent(fixture, network, () => lossOf().loss)];
}

/** A bias in front of a normalisation shifts nothing: its gradient is rounding. */
const SHIFTS_NOTHING = /\.conv\.bias$/;

function gradients(fixture: Fixture, network: Nnunet): CheckResult[] {
  const parameters = new Map(network.namedParameters());
  return compareGradients(fixture, network).map((result) =>
    SHIFTS_NOTHING.test(result.what)
      ? compareNoise(
          result.what,
          parameters.get(result.what.slice('grad/'.length))?.grad?.toFloat32Array() ?? [NaN],
        )
      : result,
  );
}

function descent(fixture: Fixture, network: Nnunet, lossOf: () => Tensor): CheckResult[] {
  using optimizer = new optim.SGD(network.namedParameters(), SGD);
  const schedule = optim.schedules.poly({ total: EPOCHS });
  const [losses, norms]: [number[], number[]] = [[], []];
  for (let step = 0; step < numbers(fixture, 'out/sgd_losses').length; step++) {
    optimizer.scaleLearningRate(schedule(EPOCHS_A_STEP * step));
    tidy(() => {
      const loss = lossOf();
      losses.push(loss.item());
      loss.backward();
    });
    norms.push(optim.clipGradNorm(network.parameters(), MAX_NORM));
    optimizer.step();
    optimizer.zeroGrad();
  }
  const tolerance = { absolute: 0, relative: 1e-3 };
  return [
    compareElements('out/sgd_losses', losses, numbers(fixture, 'out/sgd_losses'), tolerance),
    compareElements('out/sgd_grad_norms', norms, numbers(fixture, 'out/sgd_grad_norms'), tolerance),
  ];
}

export const nnunet: GoldenCheck = {
  covers: (name) => name === 'nnunet_plain_unet' || name === 'nnunet_resenc_unet',
  run: (fixture) => tidy(() => run(fixture)),
};
