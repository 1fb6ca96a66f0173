// The last block of a small CLIP as a weighted mean of places, kept so when places learn beside whole images: attention and norms
// are trained, but values go through unchanged. The class token then gets the channels of the places themselves, and an image's
// features are compared with texts channel by channel, as places are. So the gradients by which gScoreCAM chooses channels
// point at those of the class; where the readout was trained, it turned the channels and they did not.
// Not here: the losses (loss.ts).
// Shapes: D channels of a token and of the features.

import { fromTypedArray, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { Clip } from '../../models/clip/index.ts';

/**
 * Values, the projection after them and the head become the identity; the MLP adds nothing.
 * @throws UsageError unless the vision tower is a timm ViT with as many channels as the features
 */
export function startAsMeanOfPlaces(model: Clip): void {
  const { config, visual } = model;
  const { vision, embedDim, name } = config;
  if (vision.kind !== 'timm-vit' || vision.dim !== embedDim)
    throw new UsageError(
      `places cannot be compared with texts in '${name}': its tokens and features need equally many channels. Use biomedclip-tiny, biomedclip-nano, or --clip-pretraining.places 0.`,
    );
  const named = new Map<string, Tensor>(visual.namedParameters());
  const of = (key: string): Tensor => named.get(key) as Tensor;
  const last = `trunk.blocks.${vision.depth - 1}`;
  noGrad(() =>
    tidy(() => {
      const head = of('head.proj.weight');
      const identity = fromTypedArray(eye(embedDim), [embedDim, embedDim], { device: head.device });
      for (const weight of [of(`${last}.attn.proj.weight`), head]) weight.copy_(identity);
      of(`${last}.mlp.fc2.weight`).zero_();
    }),
  );
  keepValues(model);
}

/** Whether a parameter of the network is part of the readout and stays as it is. */
export function isReadout(name: string, { config: { vision } }: Clip): boolean {
  if (vision.kind !== 'timm-vit') return false;
  const last = `visual.trunk.blocks.${vision.depth - 1}`;
  return (
    name === 'visual.head.proj.weight' ||
    [`${last}.attn.proj.`, `${last}.mlp.`].some((part) => name.startsWith(part))
  );
}

/** Puts the values' rows, which share a tensor with trained ones, back to the identity. */
export function keepValues({ config, visual }: Clip): void {
  const { vision, embedDim } = config;
  if (vision.kind !== 'timm-vit') return;
  const last = `trunk.blocks.${vision.depth - 1}`;
  const named = new Map<string, Tensor>(visual.namedParameters());
  noGrad(() =>
    tidy(() => {
      const weight = named.get(`${last}.attn.qkv.weight`) as Tensor;
      const bias = named.get(`${last}.attn.qkv.bias`) as Tensor;
      weight
        .slice(0, 2 * embedDim)
        .copy_(fromTypedArray(eye(embedDim), [embedDim, embedDim], { device: weight.device }));
      bias.slice(0, 2 * embedDim).zero_();
    }),
  );
}

const eye = (size: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
