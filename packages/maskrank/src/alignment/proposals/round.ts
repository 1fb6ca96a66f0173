// One round of proposals: the candidates of every unit under the policy of the moment, stored so that a person can judge
// them, a stopped run can go on with exactly these, and the report can show them.

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Generator as EngineStream, type Tensor } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { readSafetensors, type TensorData, writeSafetensors } from '@maskrank/torch/io';
import { pickBest } from '../../models/sam/index.ts';
import { type ArtefactHeader, headerFromMetadata, headerToMetadata, refuseStale } from '../../run/header.ts';
import { Random } from '../../util/random.ts';
import { CANDIDATES } from '../coefficients.ts';
import { type AlignUnit, forChunks, type PolicyOptions } from '../policy.ts';
import { type Candidates, candidatesHash, packCandidates, regionSize } from './candidates.ts';
import { currentMask, type GeneratorContext, type GeneratorOptions, generate } from './generators.ts';

/** The proposals of one unit. */
export type Proposal = {
  readonly caseId: string;
  readonly classId: number;
  readonly candidates: Candidates;
  /** Head of the policy that made them, which stage 2 keeps to. */
  readonly head: number;
  /** |D|, pixels. */
  readonly regionPx: number;
  /** Content hash of the candidates. */
  readonly hash: string;
  /** Index of the candidate that is the policy's own mask, where one is. */
  readonly current?: number;
};

export type RoundOptions = {
  readonly policy: PolicyOptions;
  readonly options: GeneratorOptions;
  readonly round: number;
  readonly seed: number;
  /** Place of the first unit in its round, where a round is made in parts. */
  readonly offset?: number;
  readonly signal: AbortSignal;
  /** For generators that look at changed views: embeddings of the units' images as `view` shows them. */
  readonly embedViews?: (units: readonly AlignUnit[]) => GeneratorContext['embedView'];
  readonly onProgress?: (done: number, total: number) => void;
};

/** Makes the proposals of `units` with the policy as it stands. Draws from streams named by seed, round and chunk. */
export function propose(units: readonly AlignUnit[], o: RoundOptions): Proposal[] {
  const { imageSize } = o.policy.sam.config;
  const proposals: Proposal[] = [];
  o.policy.sam.eval();
  forChunks(
    o.policy,
    units,
    (chunk, { embeddings, prompts, decoded }, start) => {
      const random = new Random(`${o.seed}/proposals/${o.round}/${(o.offset ?? 0) + start}`);
      const embedView = o.embedViews?.(chunk);
      const context: GeneratorContext = {
        sam: o.policy.sam,
        embeddings,
        prompts,
        canvasPrompts: chunk.map((unit) => unit.prompt),
        layout: o.policy.layout,
        decoded,
        heads: pickBest(decoded).head,
        imageSize,
        options: o.options,
        dropoutStream: EngineStream.seeded(random.int(0, 0x7fffffff)),
        random,
        ...(embedView === undefined ? {} : { embedView }),
      };
      proposals.push(...unpack(chunk, generate(o.options.generator, context), context));
      o.onProgress?.(start + chunk.length, units.length);
    },
    o.signal,
  );
  return proposals;
}

function unpack(units: readonly AlignUnit[], masks: Tensor, context: GeneratorContext): Proposal[] {
  const bytes = masks.toTypedArray() as Uint8Array; // [B, K, S, S]
  const own = currentMask(context).toTypedArray() as Uint8Array; // [B, 1, S, S]
  const picked = context.heads.toTypedArray() as BigInt64Array;
  const side = context.imageSize;
  const size = CANDIDATES * side * side;
  return units.map(({ caseId, classId }, i) => {
    const candidates = packCandidates(bytes.subarray(i * size, (i + 1) * size), CANDIDATES, side, side);
    const current = packCandidates(own.subarray(i * side * side, (i + 1) * side * side), 1, side, side);
    return proposalOf(caseId, classId, candidates, Number(picked[i]), {
      hash: candidatesHash(candidates),
      current: candidates.bits.findIndex((bits) => Buffer.compare(bits, current.bits[0]!) === 0),
    });
  });
}

/** `current` as stored: below 0 where no candidate is the policy's own mask. */
function proposalOf(
  caseId: string,
  classId: number,
  candidates: Candidates,
  head: number,
  { hash, current }: { readonly hash: string; readonly current: number },
): Proposal {
  const facts = { caseId, classId, candidates, head, regionPx: regionSize(candidates), hash };
  return current < 0 ? facts : { ...facts, current };
}

/** RUN/proposals/round-003.safetensors */
export const roundPath = (folder: string, round: number): string =>
  join(folder, `round-${String(round).padStart(3, '0')}.safetensors`);

/** Stores a round, in a folder made for it; the old or the new file stands, whenever this is killed. */
export async function writeRound(
  path: string,
  proposals: readonly Proposal[],
  header: ArtefactHeader,
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  const [first] = proposals;
  const { width, height, bits } = first?.candidates ?? { width: 0, height: 0, bits: [] };
  const bytes = bits[0]?.length ?? 0;
  const data = new Uint8Array(proposals.length * bits.length * bytes);
  for (const [i, { candidates }] of proposals.entries()) {
    for (const [k, packed] of candidates.bits.entries()) data.set(packed, (i * bits.length + k) * bytes);
  }
  const tensors = new Map<string, TensorData>([
    ['candidates', { dtype: 'U8', shape: [proposals.length, bits.length, bytes], data }],
    ['heads', integers(proposals.map((p) => p.head))],
    ['current', integers(proposals.map((p) => p.current ?? -1))],
  ]);
  const units = proposals.map(({ caseId, classId, hash }) => [caseId, classId, hash]);
  await mkdir(dirname(path), { recursive: true });
  await writeSafetensors(path, tensors, {
    ...headerToMetadata(header),
    size: JSON.stringify({ width, height }),
    units: JSON.stringify(units),
    facts: JSON.stringify(facts),
  });
}

const integers = (values: readonly number[]): TensorData => ({
  dtype: 'I32',
  shape: [values.length],
  data: Int32Array.from(values),
});

/** Reads a round back; undefined when there is none. Throws DataError when it is stale or damaged. */
export async function readRound(
  path: string,
  expected: { readonly header: ArtefactHeader; readonly rerun: string } | null,
): Promise<{ proposals: Proposal[]; facts: Record<string, unknown> } | undefined> {
  if (!existsSync(path)) return undefined;
  const { tensors, metadata } = await readSafetensors(path);
  if (expected !== null)
    refuseStale(path, headerFromMetadata(metadata), { ...expected.header, rerun: expected.rerun });
  const packed = tensors.get('candidates');
  const heads = tensors.get('heads');
  if (
    packed === undefined ||
    heads === undefined ||
    metadata.units === undefined ||
    metadata.size === undefined
  ) {
    throw new DataError(
      `${path}: is no round of proposals (candidates, heads, units and size are needed). Make it anew: maskrank propose`,
    );
  }
  const { width, height } = JSON.parse(metadata.size) as { width: number; height: number };
  const [, count, bytes] = packed.shape as [number, number, number];
  const proposals = (JSON.parse(metadata.units) as [string, number, string][]).map(
    ([caseId, classId, hash], i) => {
      const bits = Array.from({ length: count }, (_, k) =>
        (packed.data as Uint8Array).slice((i * count + k) * bytes, (i * count + k + 1) * bytes),
      );
      const candidates = { width, height, bits };
      if (candidatesHash(candidates) !== hash)
        throw new DataError(
          `${path}: the candidates of case ${caseId}, class ${classId} are not those that were written (their hash is not ${hash}): the file is damaged. Delete it and make it anew: maskrank propose`,
        );
      const current = Number(tensors.get('current')?.data[i] ?? -1); // files of before did not say
      return proposalOf(caseId, classId, candidates, Number(heads.data[i]), { hash, current });
    },
  );
  return { proposals, facts: JSON.parse(metadata.facts ?? '{}') };
}
