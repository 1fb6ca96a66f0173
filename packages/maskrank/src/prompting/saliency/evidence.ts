// What a network shows of one image and one text: a layer's activations, and how the image-text logit changes with them.
// Plain arrays come out, so that nothing of the engine is held.
// Shapes: C channels, h w places, S side of the input, E features.

import { enableGrad, fromTypedArray, grad, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { type Clip, unitRows, type VisionSite } from '../../models/clip/index.ts';
import { type CamLayer, camSite } from './layers.ts';

/** What a layer says of an image, whatever the text. */
export type Activations = {
  readonly channels: number;
  readonly width: number;
  readonly height: number;
  /** [C, h w] */
  readonly activations: Float32Array<ArrayBuffer>;
};

export type Evidence = Activations & {
  /** [C, h w], or [C, 1] where one gradient stands for all places. */
  readonly gradients: Float32Array<ArrayBuffer>;
};

/** Normalised planes [3, S, S] as the network's input [1, 3, S, S]. */
export function inputOf(model: Clip, planes: Float32Array<ArrayBuffer>): Tensor {
  const side = model.config.vision.imageSize;
  return fromTypedArray(planes, [1, 3, side, side], { device: model.device });
}

/** Scaled cosine of one image's features [1, E] and one text embedding of unit length, []. */
export function logitOf(model: Clip, features: Tensor, text: Float32Array): Tensor {
  const embedding = fromTypedArray(Float32Array.from(text), [1, text.length], { device: model.device });
  return model.logitsPerImage(unitRows(features), embedding).sum();
}

/** Places of a layer's value as [C, h, w]: the patches of tokens [1, 1 + h w, C], or a map [1, C, h, w] as it is. */
function places(value: Tensor): Tensor {
  if (value.ndim === 4) return value.squeeze(0);
  const patches = value.squeeze(0).slice(0, 1).t(); // [C, h w]
  const side = Math.sqrt(patches.size(1));
  return patches.reshape([patches.size(0), side, side]);
}

export type EvidenceRequest = {
  readonly model: Clip;
  /** Normalised planes, [3, S, S]. */
  readonly planes: Float32Array<ArrayBuffer>;
  /** Embedding of unit length, E values. */
  readonly text: Float32Array;
  readonly layer: CamLayer;
};

function activationsIn(value: Tensor): Activations {
  const activations = places(value); // [C, h, w]
  const [channels, height, width] = activations.shape as [number, number, number];
  return { channels, height, width, activations: activations.contiguous().toFloat32Array() };
}

/** The activations alone, for methods that ask no gradient. */
export function gatherActivations({ model, planes, layer }: Omit<EvidenceRequest, 'text'>): Activations {
  const { site } = camSite(model, layer);
  return noGrad(() =>
    tidy(() => {
      let seen: Activations | undefined;
      const value = (at: VisionSite, x: Tensor): Tensor => {
        if (at === site) seen = activationsIn(x);
        return x;
      };
      model.encodeImage(inputOf(model, planes), { value });
      return seen as Activations;
    }),
  );
}

export function gatherEvidence({ model, planes, text, layer }: EvidenceRequest): Evidence {
  const { site, gradient } = camSite(model, layer);
  return enableGrad(() =>
    tidy(() => {
      const seen: Tensor[] = [];
      // Cut off from what comes before: only the way from here to the logit is differentiated.
      const value = (at: VisionSite, x: Tensor): Tensor => {
        if (at !== site) return x;
        seen.push(x.detach().requiresGrad_());
        return seen[0] as Tensor;
      };
      const logit = logitOf(model, model.encodeImage(inputOf(model, planes), { value }), text);
      const watched = seen[0] as Tensor;
      const [g] = grad([logit], [watched]) as [Tensor];
      const gradients = gradient === 'places' ? places(g) : g.squeeze(0).select(0, 0); // [C, h, w] or [C]
      return { ...activationsIn(watched.detach()), gradients: gradients.contiguous().toFloat32Array() };
    }),
  );
}

/** Mean of a channel's gradients over places, signed: [C]. gScoreCAM's importance and GradCAM's weight. */
export function meanGradients({ channels, gradients }: Evidence): Float64Array {
  const count = gradients.length / channels;
  return Float64Array.from({ length: channels }, (_, c) => {
    let sum = 0;
    for (let i = c * count; i < (c + 1) * count; i++) sum += gradients[i] as number;
    return sum / count;
  });
}
