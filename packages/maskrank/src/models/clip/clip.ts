// A network that puts images and texts into one space (Radford 2021): the cosine of an image's and a text's features, times a
// learned scale, is how well they go together. Two families with the released parameter names: BiomedCLIP (open_clip's) and
// OpenAI's CLIP. Not here: pixels and words to tensors (preprocess.ts, wordpiece.ts), loading (checkpoint.ts), losses.
// Shapes: B images, T texts, L tokens of a text, S side of the input, E features.

import { full, type Generator, nn, op, type Tensor, zeros } from '@maskrank/torch';
import { BertText } from './bert.ts';
import {
  type BiomedClipConfig,
  type ClipConfig,
  type ClipVisionConfig,
  checkClipConfig,
  type OpenAiClipConfig,
} from './config.ts';
import { type Tap, unitRows } from './layers.ts';
import { ClipVit, Transformer } from './openai-blocks.ts';
import { ModifiedResNet } from './resnet.ts';
import { TimmVit } from './timm-vit.ts';
import type { VisionTower } from './vision-tower.ts';

const { init } = nn;
const triu = op('aten::triu');

export abstract class Clip extends nn.Module {
  /** The logarithm of the scale, []. */
  readonly logit_scale: nn.Parameter = new nn.Parameter(zeros([]));
  abstract readonly visual: VisionTower;
  /** The numbers it was built from. */
  abstract readonly config: ClipConfig;

  /** ids [T, L] (int64) -> features [T, E], not of unit length. */
  abstract encodeText(ids: Tensor): Tensor;

  /** Normalised images [B, 3, S, S] -> features [B, E], not of unit length. */
  encodeImage(images: Tensor, tap?: Tap): Tensor {
    return this.visual.forward(images, tap);
  }
  /** Features of unit length, [B, E]. */
  embedImages(images: Tensor): Tensor {
    return unitRows(this.encodeImage(images));
  }
  /** Features of unit length, [T, E]. */
  embedTexts(ids: Tensor): Tensor {
    return unitRows(this.encodeText(ids));
  }
  /** Scaled cosines [B, T] of features of unit length. */
  logitsPerImage(imageEmbeddings: Tensor, textEmbeddings: Tensor): Tensor {
    return imageEmbeddings.matmul(textEmbeddings.t()).mul(this.logit_scale.exp());
  }
  /** Where its tensors are. */
  get device(): string {
    return this.logit_scale.device;
  }
}

/** CLIP's first scale: 1 / 0.07. */
const drawScale = (parameter: nn.Parameter) => init.constant_(parameter, Math.log(1 / 0.07));

export class BiomedClip extends Clip {
  readonly visual: TimmVit;
  readonly text: BertText;
  readonly config: BiomedClipConfig;

  constructor(config: BiomedClipConfig) {
    super();
    checkClipConfig(config);
    this.config = config;
    this.visual = new TimmVit(config.vision, config.embedDim);
    this.text = new BertText(config.text, config.embedDim);
  }
  override resetParameters(_generator: Generator): void {
    drawScale(this.logit_scale);
  }
  override encodeText(ids: Tensor): Tensor {
    return this.text.forward(ids);
  }
}

const VISION: {
  readonly [K in OpenAiClipConfig['vision']['kind']]: (
    config: Extract<ClipVisionConfig, { kind: K }>,
    embedDim: number,
  ) => VisionTower;
} = {
  'clip-vit': (config, embedDim) => new ClipVit(config, embedDim),
  'clip-resnet': (config, embedDim) => new ModifiedResNet(config, embedDim),
};

class NormalEmbedding extends nn.Embedding {
  override resetParameters(generator: Generator): void {
    init.normal_(this.weight, 0, 0.02, generator);
  }
}

/** The text tower's parts stand beside the vision tower, as in the released state dicts. */
export class OpenAiClip extends Clip {
  readonly positional_embedding: nn.Parameter; // [context, D]
  readonly text_projection: nn.Parameter; // [D, E]
  readonly visual: VisionTower;
  readonly transformer: Transformer;
  readonly token_embedding: NormalEmbedding;
  readonly ln_final: nn.LayerNorm;
  readonly config: OpenAiClipConfig;

  constructor(config: OpenAiClipConfig) {
    super();
    checkClipConfig(config);
    this.config = config;
    const { vision, text, embedDim } = config;
    this.positional_embedding = new nn.Parameter(zeros([text.context, text.dim]));
    this.text_projection = new nn.Parameter(zeros([text.dim, embedDim]));
    this.visual = (VISION[vision.kind] as (config: typeof vision, embedDim: number) => VisionTower)(
      vision,
      embedDim,
    );
    this.transformer = new Transformer(text.dim, text.depth, text.heads);
    this.token_embedding = new NormalEmbedding(text.vocabulary, text.dim);
    this.ln_final = new nn.LayerNorm(text.dim);
  }
  override resetParameters(generator: Generator): void {
    drawScale(this.logit_scale);
    init.normal_(this.positional_embedding, 0, 0.01, generator);
    init.normal_(this.text_projection, 0, this.config.text.dim ** -0.5, generator);
  }
  /** Read where the largest id stands: the end of the text. */
  override encodeText(ids: Tensor): Tensor {
    const [t, l] = ids.shape as [number, number];
    const start = this.token_embedding.forward(ids).add(this.positional_embedding.slice(0, 0, l));
    const states = this.ln_final.forward(this.transformer.forward(start, causal(l, start))); // [T, L, D]
    const ends = ids
      .argmax(-1)
      .view([t, 1, 1])
      .expand([t, 1, states.size(2)]);
    return states.gather(1, ends).squeeze(1).matmul(this.text_projection);
  }
}

/** 0 on and below the diagonal, minus infinity above: [L, L]. */
function causal(length: number, like: Tensor): Tensor {
  const { dtype, device } = like;
  return triu(full([length, length], Number.NEGATIVE_INFINITY, { dtype, device }), 1);
}

/** A network of that configuration; parameters are zeros until they are loaded or drawn. */
export function buildClip(config: ClipConfig): Clip {
  return config.family === 'biomedclip' ? new BiomedClip(config) : new OpenAiClip(config);
}

/** A new network with weights drawn from `generator`. */
export function createClip(config: ClipConfig, generator: Generator): Clip {
  return nn.initialise(buildClip(config), generator);
}
