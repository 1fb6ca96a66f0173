// SAM (Kirillov 2023) and SAM-Med2D (Cheng 2023): image encoder, prompt encoder, mask decoder. Parameter names are the released
// checkpoints'. Not here: laying images and prompts on the canvas (predictor.ts, imaging/geometry.ts), loading (checkpoint.ts).
// Shapes: B images, N prompts, M masks, E channels of an embedding, G grid side, S canvas side in px.

import { type Generator, nn, type Tensor } from '@maskrank/torch';
import { checkSamConfig, type SamConfig } from './config.ts';
import { ImageEncoder } from './image-encoder.ts';
import { type DecoderOutput, MaskDecoder } from './mask-decoder.ts';
import { PromptEncoder, type PromptTensors } from './prompt-encoder.ts';

export class Sam extends nn.Module {
  readonly image_encoder: ImageEncoder;
  readonly prompt_encoder: PromptEncoder;
  readonly mask_decoder: MaskDecoder;
  /** The numbers it was built from. */
  config: SamConfig;

  /** Parameters are zeros until they are loaded or drawn (`createSam`, `nn.initialise`). */
  constructor(config: SamConfig) {
    super();
    checkSamConfig(config);
    this.config = config;
    this.image_encoder = new ImageEncoder(config);
    this.prompt_encoder = new PromptEncoder(config);
    this.mask_decoder = new MaskDecoder(config);
  }

  /** Normalised images on the canvas [B, 3, S, S] -> embeddings [B, E, G, G]. */
  embed(images: Tensor): Tensor {
    return this.image_encoder.forward(images);
  }

  /**
   * Masks for N prompts. `embeddings`: one a prompt [N, E, G, G], or one image for all [1, E, G, G]. Logits come at a
   * quarter of the canvas [N, M, S/4, S/4]; M is 3 with `multimask`, else 1.
   */
  decode(
    embeddings: Tensor,
    prompts: PromptTensors,
    options: { readonly multimask: boolean },
  ): DecoderOutput {
    const { sparse, dense, drawn } = this.prompt_encoder.forward(prompts);
    const n = Math.max(embeddings.size(0), sparse.size(0));
    const input = {
      imageEmbeddings: embeddings,
      imagePe: this.prompt_encoder.densePositions(),
      // Without any prompt there is one row for all images.
      sparse: sparse.size(0) === n ? sparse : sparse.expand([n, sparse.size(1), sparse.size(2)]),
      dense,
      drawn,
    };
    return this.mask_decoder.forward(input, options.multimask);
  }
}

/** A new network with weights drawn from `generator`. */
export function createSam(config: SamConfig, generator: Generator): Sam {
  return nn.initialise(new Sam(config), generator);
}

/** Of each prompt's masks the one with the largest predicted IoU: masks [N, 1, h, w], iou [N, 1], head [N] (int64, 0-based). */
export function pickBest({ masks, iou }: DecoderOutput): DecoderOutput & { readonly head: Tensor } {
  const [n, , h, w] = masks.shape as [number, number, number, number];
  const [best, head] = iou.max(1, true); // [N, 1]
  const places = head.view([n, 1, 1, 1]).expand([n, 1, h, w]);
  return { masks: masks.gather(1, places), iou: best, head: head.squeeze(1) };
}

/** Of each prompt's masks the one of the given head [N] (int64, 0-based): masks [N, 1, h, w], iou [N, 1]. */
export function pickHead({ masks, iou }: DecoderOutput, head: Tensor): DecoderOutput {
  const [n, , h, w] = masks.shape as [number, number, number, number];
  const places = head.view([n, 1, 1, 1]).expand([n, 1, h, w]);
  return { masks: masks.gather(1, places), iou: iou.gather(1, head.view([n, 1])) };
}
