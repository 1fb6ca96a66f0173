// What is trained: everything, parts, or low-rank updates (Hu 2021, LoRA) of the image encoder's attention. The updates are
// placed as SAMed (Zhang & Liu 2023) places them in SAM: on the queries and values of every block's fused projection,
// output += B A x, without a scale; prompt encoder and decoder are trained whole beside them.
// Not here: optimisers and their groups.

import { cat, type Generator, nn, noGrad, type Tensor, tidy, zeros } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { Sam } from './sam/sam.ts';

const { F, init } = nn;

/** The update of one projection. */
class LowRank extends nn.Module {
  readonly a: nn.Parameter; // [rank, in]
  readonly b: nn.Parameter; // [out, rank]

  constructor(inDim: number, outDim: number, rank: number) {
    super();
    this.a = new nn.Parameter(zeros([rank, inDim]));
    this.b = new nn.Parameter(zeros([outDim, rank]));
  }
  /** A kaiming uniform, B zero: at first the update is nothing. */
  override resetParameters(generator: Generator): void {
    init.kaimingUniform_(this.a, { a: Math.sqrt(5), generator });
    init.constant_(this.b, 0);
  }
  /** x [..., in] -> [..., out] */
  forward(x: Tensor): Tensor {
    return F.linear(F.linear(x, this.a), this.b);
  }
  /** What it adds to the weight: [out, in]. */
  delta(): Tensor {
    return this.b.matmul(this.a);
  }
}

/** Updates of the first (queries) and last (values) third of a fused projection. */
export class QkvLora extends nn.Module {
  readonly q: LowRank;
  readonly v: LowRank;

  constructor(dim: number, rank: number) {
    super();
    this.q = new LowRank(dim, dim, rank);
    this.v = new LowRank(dim, dim, rank);
  }
  /** x [..., C] -> [..., 3 C], zero for the keys. */
  forward(x: Tensor): Tensor {
    const q = this.q.forward(x);
    return cat([q, zerosLike(q), this.v.forward(x)], -1);
  }
  /** What it adds to the fused weight: [3 C, C]. */
  delta(): Tensor {
    const q = this.q.delta();
    return cat([q, zerosLike(q), this.v.delta()], 0);
  }
}

const zerosLike = (t: Tensor): Tensor => zeros(t.shape, { dtype: t.dtype, device: t.device });

/** Puts fresh updates of `rank` into every block; the network's output stays the same. Replaces updates that were there. */
export function attachLora(
  sam: Sam,
  { rank, generator }: { readonly rank: number; readonly generator: Generator },
): void {
  const { dim } = sam.config.encoder;
  for (const { attn } of sam.image_encoder.blocks) {
    attn.lora?.dispose();
    const { device, dtype } = attn.qkv.weight;
    attn.lora = nn
      .initialise(new QkvLora(dim, rank), generator)
      .to(dtype)
      .to(device as 'cpu');
  }
  setRank(sam, rank);
}

/** Adds the updates to the weights they belong to and removes them; the network's output stays the same but for rounding. */
export function mergeLora(sam: Sam): void {
  for (const { attn } of sam.image_encoder.blocks) {
    const { lora } = attn;
    if (lora === null) continue;
    noGrad(() => tidy(() => void attn.qkv.weight.add_(lora.delta())));
    lora.dispose();
    attn.lora = null;
  }
  setRank(sam, 0);
}

function setRank(sam: Sam, loraRank: number): void {
  sam.config = { ...sam.config, encoder: { ...sam.config.encoder, loraRank } };
}

const isPromptOrDecoder = (name: string): boolean => /^(prompt_encoder|mask_decoder)\./.test(name);

/**
 * - `all`: every parameter
 * - `adapters`: the encoder's adapters, prompt encoder and mask decoder (how SAM-Med2D was trained)
 * - `lora`: the low-rank updates, prompt encoder and mask decoder
 * - `lora-and-adapters`: the same with the encoder's adapters
 * - `prompts-and-decoder`: prompt encoder and mask decoder
 * - `decoder`: the mask decoder alone (stage 2)
 */
export type TrainableScope =
  | 'all'
  | 'adapters'
  | 'lora'
  | 'lora-and-adapters'
  | 'prompts-and-decoder'
  | 'decoder';

type Scope = {
  readonly trains: (name: string) => boolean;
  /** The network must have parameters with this in their names. */
  readonly needs?: { readonly part: string; readonly advice: string };
};

const LORA = { part: '.lora.', advice: 'give the low-rank updates a rank (4 is usual)' } as const;

const SCOPES: Readonly<Record<TrainableScope, Scope>> = {
  all: { trains: () => true },
  adapters: {
    trains: (name) => name.includes('.Adapter.') || isPromptOrDecoder(name),
    needs: { part: '.Adapter.', advice: 'choose an architecture with adapters or switch them on' },
  },
  lora: { trains: (name) => name.includes('.lora.') || isPromptOrDecoder(name), needs: LORA },
  'lora-and-adapters': {
    trains: (name) => /\.(lora|Adapter)\./.test(name) || isPromptOrDecoder(name),
    needs: LORA,
  },
  'prompts-and-decoder': { trains: isPromptOrDecoder },
  decoder: { trains: (name) => name.startsWith('mask_decoder.') },
};

/** Whether a scope trains the parameter of that name. */
export const isTrained = (scope: TrainableScope, name: string): boolean => SCOPES[scope].trains(name);

/** Lets gradients reach the parameters of `scope` and no others; returns them by name, in tree order. */
export function selectTrainable(sam: Sam, scope: TrainableScope): (readonly [string, nn.Parameter])[] {
  const { trains, needs } = SCOPES[scope];
  const all = [...sam.namedParameters()];
  if (needs !== undefined && !all.some(([name]) => name.includes(needs.part))) {
    throw new UsageError(
      `selectTrainable: model '${sam.config.name}' has nothing of '${scope}' to train; ${needs.advice}.`,
    );
  }
  for (const [name, parameter] of all) parameter.requiresGrad = trains(name);
  return all.filter(([name]) => trains(name));
}
