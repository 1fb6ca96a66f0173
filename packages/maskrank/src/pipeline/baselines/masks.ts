// Masks by a trained baseline, at the images' own size: the one way that measured cases and new images go, so that an evaluation says
// what a prediction is worth. Not here: where cases and prompts come from (measure.ts, predictor.ts).

import { fromTypedArray, type nn, noGrad, type Tensor, tidy } from '@maskrank/torch';
import type { UnlabelledCase } from '../../datasets/cases.ts';
import { logitsToOriginal } from '../../models/sam/postprocess.ts';
import { type CanvasImage, imageArea, normaliseCanvas } from '../../training/canvas.ts';
import { logit } from '../../util/logit.ts';
import type { Workspace } from '../workspace.ts';
import { type BaselineSetting, type CaseMask, UNPROMPTED } from './method.ts';
import type { AnyBaseline } from './registry.ts';

/** Masks of cases and classes, the classes of a case in order. `prompts`: what the method's `prompting` made, if it has any. */
export function masksOf(
  method: AnyBaseline,
  network: nn.Module,
  cases: readonly UnlabelledCase[],
  setting: BaselineSetting,
  prompts: unknown,
): AsyncIterable<CaseMask> {
  return method.masks?.(network, cases, setting, prompts) ?? masksOfPictures(method, network, cases, setting);
}

/** Masks of every class of every case, each picture by itself. */
async function* masksOfPictures(
  method: AnyBaseline,
  network: nn.Module,
  cases: readonly UnlabelledCase[],
  setting: BaselineSetting,
): AsyncGenerator<CaseMask> {
  const { workspace, classIds, config } = setting;
  const level = logit(config.evaluation.threshold);
  for (const item of cases) {
    const canvas = await workspace.cache.loadImage(item);
    const scores = scoresOf(canvas, workspace, (images) => method.predict(network, images, setting));
    const { width, height } = canvas.geometry.original;
    for (const [c, classId] of classIds.entries()) {
      const own = scores.subarray(c * width * height, (c + 1) * width * height);
      const mask = { width, height, data: Uint8Array.from(own, (score) => Number(score > level)) };
      yield { caseId: item.id, classId, mask, prompt: UNPROMPTED };
    }
  }
}

/** Scores of every class at the image's own size, C x height x width. */
function scoresOf(
  canvas: CanvasImage,
  { canvas: { normalisation }, device }: Workspace,
  predict: (images: Tensor) => Tensor,
): Float32Array {
  const planes = normaliseCanvas(canvas.pixels, imageArea(canvas), normalisation);
  const { width, height } = canvas.pixels;
  return tidy(() =>
    noGrad(() => {
      const images = fromTypedArray(planes, [1, 3, height, width], { share: true }).to(device as 'cuda');
      return logitsToOriginal(predict(images), canvas.geometry).toFloat32Array();
    }),
  );
}
