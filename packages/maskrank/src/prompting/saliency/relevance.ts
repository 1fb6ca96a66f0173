// Attention relevance (Chefer, Gur and Wolf 2021, rules for self-attention): R starts as the identity; each block adds the mean
// over heads of the positive part of attention times its gradient, times R. The class token's row says what each patch adds.
// Shapes: h heads, N = 1 + patches tokens.

import { enableGrad, eye, grad, type Tensor, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { FloatMap } from '../../imaging/types.ts';
import type { Clip } from '../../models/clip/index.ts';
import { inputOf, logitOf } from './evidence.ts';

/** The map at the network's grid of patches, not negative. */
export function attentionRelevance(
  model: Clip,
  planes: Float32Array<ArrayBuffer>,
  text: Float32Array,
): FloatMap {
  const { vision, name } = model.config;
  if (vision.kind === 'clip-resnet') {
    throw new UsageError(
      `saliency: attention relevance follows the blocks of a transformer; the vision tower of '${name}' is a ResNet. Choose gscorecam, scorecam or one of the gradient methods.`,
    );
  }
  const data = enableGrad(() =>
    tidy(() => {
      const seen: Tensor[] = [];
      const attention = (_: number, weights: Tensor): Tensor => {
        // With frozen parameters the first block's weights depend on nothing that is differentiated.
        const watched = weights.requiresGrad ? weights : weights.detach().requiresGrad_();
        seen.push(watched);
        return watched;
      };
      const logit = logitOf(model, model.encodeImage(inputOf(model, planes), { attention }), text);
      const gradients = grad([logit], seen) as Tensor[];
      const start = eye(seen[0]?.size(-1) as number, { device: model.device }); // [N, N]
      const relevance = seen.reduce((r, weights, i) => {
        const positive = weights
          .detach()
          .mul(gradients[i] as Tensor)
          .clamp(0); // [1, h, N, N]
        return r.add(positive.mean(1).squeeze(0).matmul(r));
      }, start);
      return relevance.select(0, 0).slice(0, 1).contiguous().toFloat32Array();
    }),
  );
  const side = Math.sqrt(data.length);
  return { width: side, height: side, data };
}
