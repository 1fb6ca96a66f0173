// The policy of stage 2 on cached embeddings: decode a batch of units, with the heads fixed by whoever holds them.
// Letters: B units, E channels, g grid side, l low-resolution side.

import { noGrad, type Tensor, tidy } from '@maskrank/torch';
import { type DecoderOutput, type PromptTensors, pickBest, pickHead, type Sam } from '../models/sam/index.ts';
import { type CanvasPrompt, collatePrompts, type PromptLayout } from '../prompting/collate.ts';
import { promptsTo } from '../training/batch.ts';
import type { EmbeddingSource } from './embedding-source.ts';

/** A case and class to work on, with its prompt on the canvas. Holds no mask. */
export type AlignUnit = { readonly caseId: string; readonly classId: number; readonly prompt: CanvasPrompt };

export type PolicyOptions = {
  readonly sam: Sam;
  readonly embeddings: EmbeddingSource;
  readonly layout: PromptLayout;
  readonly device: string;
};

export type DecodedBatch = {
  readonly embeddings: Tensor; // [B, E, g, g]
  readonly prompts: PromptTensors;
  readonly decoded: DecoderOutput;
};

/**
 * Decodes the units; the caller's scope owns the tensors. Prompts are encoded at every step, though a frozen prompt encoder gives
 * the same: at SAM-Med2D's size that is 0.2 % of a step (an eighth where boxes are drawn, in the small networks), and a row encoded
 * alone differs from one in a batch in its last bits.
 */
export function decodeUnits(
  { sam, embeddings, layout, device }: PolicyOptions,
  units: readonly AlignUnit[],
): DecodedBatch {
  const embedded = embeddings.tensor(
    units.map((unit) => unit.caseId),
    device,
  );
  const prompts = promptsTo(
    collatePrompts(
      units.map((unit) => unit.prompt),
      layout,
    ),
    device,
  );
  return { embeddings: embedded, prompts, decoded: sam.decode(embedded, prompts, { multimask: true }) };
}

/** Logits and head of each unit under the policy as it stands: the low-resolution logits of the best or the given head. */
export type UnitLogits = { readonly logits: Float32Array<ArrayBuffer>; readonly head: number };

/** Units decoded together when many are decoded without gradients. Part of the result's last bits: do not change it with the machine. */
const CHUNK = 16;

/** Decodes all units without gradients, in chunks, and hands each chunk to `visit` inside a scope. */
export function forChunks(
  options: PolicyOptions,
  units: readonly AlignUnit[],
  visit: (chunk: readonly AlignUnit[], batch: DecodedBatch, start: number) => void,
  signal: AbortSignal,
): void {
  for (let start = 0; start < units.length; start += CHUNK) {
    signal.throwIfAborted();
    const chunk = units.slice(start, start + CHUNK);
    tidy(() => noGrad(() => visit(chunk, decodeUnits(options, chunk), start)));
  }
}

/** Low-resolution logits [l * l] of every unit, at its best head or at `heads`. */
export function logitsOf(
  options: PolicyOptions,
  units: readonly AlignUnit[],
  signal: AbortSignal,
  heads?: readonly number[],
): UnitLogits[] {
  const result: UnitLogits[] = [];
  forChunks(
    options,
    units,
    (chunk, { decoded }, start) => {
      const best = pickBest(decoded);
      const chosen =
        heads === undefined ? best.head : headTensor(best.head, heads.slice(start, start + chunk.length));
      const { masks } = pickHead(decoded, chosen);
      const picked = chosen.toTypedArray() as BigInt64Array;
      const rows = masks.toFloat32Array();
      const size = rows.length / chunk.length;
      for (let i = 0; i < chunk.length; i++)
        result.push({ logits: rows.slice(i * size, (i + 1) * size), head: Number(picked[i]) });
    },
    signal,
  );
  return result;
}

/** Heads as a tensor like `like` [B]. */
export function headTensor(like: Tensor, heads: readonly number[]): Tensor {
  return like.clone().copyFrom(BigInt64Array.from(heads, BigInt));
}
