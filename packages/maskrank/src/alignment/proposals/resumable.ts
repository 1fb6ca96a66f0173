// A round of proposals that can be stopped in its middle: made part by part, each kept on the disk until the round is whole.
// A part belongs to exactly one policy, one set of units and one configuration; whatever does not fit is made anew, so the
// round is the same bit for bit as one that was never stopped. Not here: how a round is stored (round.ts).

import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toTensorData } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { bytesOf } from '@maskrank/torch/io';
import type { Sam } from '../../models/sam/index.ts';
import type { ArtefactHeader } from '../../run/header.ts';
import type { AlignUnit } from '../policy.ts';
import { type Proposal, propose, type RoundOptions, readRound, writeRound } from './round.ts';

/** Units a part: some seconds of work. A multiple of the units that are decoded together, since those share their streams. */
export const PART = 64;

/** Folder of a round's parts, beside its file. */
export const partsFolder = (path: string): string => `${path}.parts`;

/** Lets signal handlers run. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Makes the round that is to stand at `path`, writes it there and returns it. Stopped by `o.signal`, it throws the signal's
 * reason and keeps the finished parts; called again with the same policy and units it goes on after them.
 */
export async function makeRound(
  path: string,
  units: readonly AlignUnit[],
  o: RoundOptions,
  header: ArtefactHeader,
  facts: Readonly<Record<string, unknown>>,
): Promise<Proposal[]> {
  const policy = weightsHash(o.policy.sam);
  const folder = partsFolder(path);
  const proposals: Proposal[] = [];
  for (let start = 0; start < units.length; start += PART) {
    await breathe();
    o.signal.throwIfAborted();
    const part = units.slice(start, start + PART);
    const file = join(folder, `${String(start).padStart(6, '0')}.safetensors`);
    const key = partKey(policy, part, o, start);
    const kept = await readPart(file, key, header);
    const made = kept ?? propose(part, shifted(o, start, units.length));
    // The last part is written with the round.
    if (kept === undefined && start + PART < units.length) await writeRound(file, made, header, { key });
    proposals.push(...made);
    o.onProgress?.(proposals.length, units.length);
  }
  await writeRound(path, proposals, header, facts);
  await rm(folder, { recursive: true, force: true });
  return proposals;
}

/** The options for a part that begins at unit `start` of the round. */
function shifted(o: RoundOptions, start: number, total: number): RoundOptions {
  return { ...o, offset: start, onProgress: (done) => o.onProgress?.(start + done, total) };
}

/** A kept part; undefined where there is none that fits, for whatever reason: it is only work saved. */
async function readPart(
  file: string,
  key: string,
  header: ArtefactHeader,
): Promise<readonly Proposal[] | undefined> {
  try {
    const read = await readRound(file, { header, rerun: '' });
    return read?.facts.key === key ? read.proposals : undefined;
  } catch (error) {
    if (error instanceof DataError) return undefined;
    throw error;
  }
}

/** What a part depends on beside the run's header: weights, units with their prompts, streams, the generator. */
function partKey(policy: string, units: readonly AlignUnit[], o: RoundOptions, start: number): string {
  const generator = typeof o.options.generator === 'string' ? '' : String(o.options.generator);
  const about = [policy, units, o.options, generator, o.round, o.seed, start];
  return createHash('sha256').update(JSON.stringify(about)).digest('hex');
}

function weightsHash(sam: Sam): string {
  const hash = createHash('sha256');
  for (const [name, tensor] of sam.stateDict()) hash.update(name).update(bytesOf(toTensorData(tensor).data));
  return hash.digest('hex');
}
