// Fixture sammed2d_end_to_end, training: the three kinds of passes of SAM-Med2D's loop with their losses and gradients, and
// four steps of Adam with the encoder frozen but for its adapters.

import { fromTensorData, noGrad, optim, type Tensor, tidy } from '@maskrank/torch';
import { logitsToCanvas, type PromptTensors, pickBest, type Sam } from '../models/sam/index.ts';
import { type SegmentationLoss, segmentationLoss } from '../training/losses.ts';
import { compareElements, FORWARD, need, numbers, under } from './compare.ts';
import { checkWithoutGradient, compareGradients } from './gradients.ts';
import type { CheckResult, Fixture } from './types.ts';

type Pass = {
  readonly loss: SegmentationLoss['total'];
  readonly lowRes: Tensor;
  readonly iou: Tensor;
  readonly masks: Tensor;
};

const load = (fixture: Fixture, name: string): Tensor => fromTensorData(need(fixture, name));
const forward = (fixture: Fixture, name: string, got: Tensor): CheckResult =>
  compareElements(name, got.toFloat32Array(), numbers(fixture, name), FORWARD);

/** Each image's embedding once for each of its masks, image by image. */
function embed(fixture: Fixture, sam: Sam): Tensor {
  return sam.embed(load(fixture, 'in/image')).repeatInterleave(fixture.json.config.mask_num as number, 0);
}

function finish(fixture: Fixture, sam: Sam, out: { masks: Tensor; iou: Tensor }): Pass {
  const { masks: lowRes, iou } = pickBest(out);
  const masks = logitsToCanvas(lowRes, sam.config.imageSize);
  const label = load(fixture, 'in/train.label').to('float32');
  return { loss: segmentationLoss(masks, label, iou).total, lowRes, iou, masks };
}

function boxPass(fixture: Fixture, sam: Sam): Pass {
  const boxes = load(fixture, 'in/train.boxes');
  return finish(fixture, sam, sam.decode(embed(fixture, sam), { boxes }, { multimask: true }));
}

/** A later round: only the decoder learns. */
function laterPass(fixture: Fixture, sam: Sam, embeddings: Tensor, prompts: PromptTensors): Pass {
  const { sparse, dense } = noGrad(() => sam.prompt_encoder.forward(prompts));
  const imagePe = sam.prompt_encoder.densePositions();
  return finish(
    fixture,
    sam,
    sam.mask_decoder.forward({ imageEmbeddings: embeddings, imagePe, sparse, dense }, true),
  );
}

function runPasses(fixture: Fixture, sam: Sam): CheckResult[] {
  const box = boxPass(fixture, sam);
  box.loss.backward();
  const results = [
    forward(fixture, 'out/train.loss_box', box.loss),
    forward(fixture, 'out/train.low_res_box', box.lowRes),
    forward(fixture, 'out/train.iou_box', box.iou),
    forward(fixture, 'out/train.masks_box_sample0', box.masks.slice(0, 0, 1)),
    ...compareGradients(fixture, sam),
    checkWithoutGradient(
      'parameters without gradient in the box pass',
      sam,
      fixture.json.parameters_without_gradient_in_box_pass,
    ),
  ];
  sam.zeroGrad();
  const embeddings = noGrad(() => embed(fixture, sam));
  const points = {
    coords: load(fixture, 'in/train.iter_points'),
    labels: load(fixture, 'in/train.iter_labels'),
  };
  const iter = laterPass(fixture, sam, embeddings, {
    points,
    masks: load(fixture, 'out/train.low_res_box').sigmoid(),
  });
  iter.loss.backward();
  results.push(
    forward(fixture, 'out/train.loss_iter_points', iter.loss),
    forward(fixture, 'out/train.low_res_iter_points', iter.lowRes),
    forward(fixture, 'out/train.iou_iter_points', iter.iou),
    ...compareGradients(fixture, sam, { suffix: '_iter_points' }),
  );
  const masks = load(fixture, 'out/train.low_res_iter_points').sigmoid();
  const maskOnly = laterPass(fixture, sam, embeddings, { masks });
  results.push(
    forward(fixture, 'out/train.loss_iter_maskonly', maskOnly.loss),
    forward(fixture, 'out/train.low_res_iter_maskonly', maskOnly.lowRes),
  );
  return results;
}

function runAdam(fixture: Fixture, sam: Sam): CheckResult[] {
  for (const [name, parameter] of sam.image_encoder.namedParameters())
    parameter.requiresGrad = name.includes('Adapter');
  const optimiser = new optim.Adam(sam.namedParameters(), { learningRate: 1e-3 });
  const losses = Array.from(numbers(fixture, 'out/train.adam_losses'), () =>
    tidy(() => {
      sam.zeroGrad();
      const { loss } = boxPass(fixture, sam);
      loss.backward();
      optimiser.step();
      return loss.item();
    }),
  );
  optimiser.disposeState();
  const parameters = new Map(sam.namedParameters());
  const key = 'out/train.adam_losses';
  return [
    compareElements(key, losses, numbers(fixture, key), { absolute: 0, relative: 1e-4 }),
    ...[...under(fixture, 'out/train.after_adam/').keys()].map((name) =>
      compareElements(
        `out/train.after_adam/${name}`,
        (parameters.get(name) as Tensor).toFloat32Array(),
        numbers(fixture, `out/train.after_adam/${name}`),
        { absolute: 2e-4, relative: 0 },
      ),
    ),
  ];
}

/** `makeSam` gives a fresh copy of the fixture's model. */
export function runTraining(fixture: Fixture, makeSam: () => Sam): CheckResult[] {
  return [runPasses, runAdam].flatMap((part) => {
    const sam = makeSam();
    const results = tidy(() => part(fixture, sam));
    sam.dispose();
    return results;
  });
}
