// SAM-Med3D (Wang 2023): SAM with volumes in the place of images. Parameter names are the released checkpoints'. Not here:
// bringing a scan to the canvas (canvas.ts), choosing clicks (clicks.ts), loading (checkpoint.ts).
// Shapes: B volumes, N prompts, M masks, E channels of an embedding, G grid side, S side of the volume in voxels.

import { type Generator, nn, type Tensor } from '@maskrank/torch';
import { checkSam3dConfig, type Sam3dConfig } from './config.ts';
import { VolumeEncoder } from './image-encoder.ts';
import { type VolumeDecoderOutput, VolumeMaskDecoder } from './mask-decoder.ts';
import { VolumePromptEncoder, type VolumePrompts } from './prompt-encoder.ts';

export class Sam3d extends nn.Module {
  readonly image_encoder: VolumeEncoder;
  readonly prompt_encoder: VolumePromptEncoder;
  readonly mask_decoder: VolumeMaskDecoder;
  readonly #config: Sam3dConfig;

  /** Parameters are zeros until they are loaded or drawn (`createSam3d`, `nn.initialise`). */
  constructor(config: Sam3dConfig) {
    super();
    checkSam3dConfig(config);
    this.#config = config;
    this.image_encoder = new VolumeEncoder(config);
    this.prompt_encoder = new VolumePromptEncoder(config);
    this.mask_decoder = new VolumeMaskDecoder(config);
  }

  /** The numbers it was built from. */
  get config(): Sam3dConfig {
    return this.#config;
  }

  /** Normalised volumes [B, channels, S, S, S] -> embeddings [B, E, G, G, G]. */
  embed(volumes: Tensor): Tensor {
    return this.image_encoder.forward(volumes);
  }

  /**
   * Masks for N prompts. `embeddings`: one a prompt [N, E, G, G, G], or one volume for all [1, E, G, G, G]. Logits come at four
   * places a token's side [N, M, 4 G, 4 G, 4 G]; M is 3 with `multimask`, else 1.
   */
  decode(
    embeddings: Tensor,
    prompts: VolumePrompts,
    options: { readonly multimask: boolean },
  ): VolumeDecoderOutput {
    const { sparse, dense } = this.prompt_encoder.forward(prompts);
    const n = Math.max(embeddings.size(0), sparse.size(0));
    const input = {
      embeddings,
      positions: this.prompt_encoder.densePositions(),
      // Without any prompt there is one row for all volumes.
      sparse: sparse.size(0) === n ? sparse : sparse.expand([n, sparse.size(1), sparse.size(2)]),
      dense,
    };
    return this.mask_decoder.forward(input, options.multimask);
  }
}

/** Logits of masks [N, M, g, g, g] enlarged to the volume's side: [N, M, S, S, S]. */
export function logitsToVolume(masks: Tensor, volumeSize: number): Tensor {
  return nn.F.interpolate(masks, [volumeSize, volumeSize, volumeSize], { mode: 'trilinear' });
}

/** A new network with weights drawn from `generator`. */
export function createSam3d(config: Sam3dConfig, generator: Generator): Sam3d {
  return nn.initialise(new Sam3d(config), generator);
}
