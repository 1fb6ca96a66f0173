// The next token from its logits: the likeliest, or a draw from a softened and cut distribution (temperature, then top-k, then
// nucleus of Holtzman 2020, in the order of the usual libraries). Plain numbers and a stream that is passed in; no tensors.

import { UsageError } from '@maskrank/torch/errors';
import type { Random } from '../../util/random.ts';

export type SamplingOptions = {
  /** Divides the logits: below 1 sharper, above 1 flatter. 1 unless given. */
  readonly temperature?: number;
  /** Only so many of the likeliest; all unless given. Equals go by smaller id. */
  readonly topK?: number;
  /** Only the fewest of the likeliest that have this share of the probability together (0..1]; 1, all, unless given. */
  readonly topP?: number;
  /** Draws; the same stream gives the same tokens. */
  readonly random: Random;
};

/** A token that may be drawn, and its probability. */
export type Candidate = { readonly id: number; readonly probability: number };

/** The id with the largest logit, the smallest among equals. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

/** What is left to draw from, likeliest first; the probabilities add up to one. */
export function candidates(
  logits: Float32Array,
  { temperature = 1, topK = logits.length, topP = 1 }: Omit<SamplingOptions, 'random'>,
): Candidate[] {
  check({ temperature, topK, topP });
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  const kept = order.slice(0, topK);
  const largest = logits[kept[0]!]!;
  const weights = kept.map((id) => Math.exp((logits[id]! - largest) / temperature));
  const nucleus = countNucleus(weights, topP);
  const total = sum(weights.slice(0, nucleus));
  return kept.slice(0, nucleus).map((id, i) => ({ id, probability: weights[i]! / total }));
}

/** Draws a token. */
export function sample(logits: Float32Array, options: SamplingOptions): number {
  const all = candidates(logits, options);
  let left = options.random.next();
  for (const { id, probability } of all) {
    left -= probability;
    if (left < 0) return id;
  }
  return all.at(-1)!.id; // rounding left a crumb
}

const sum = (xs: readonly number[]): number => xs.reduce((total, x) => total + x, 0);

/** How many of the weights, largest first, it takes to have the share `topP` of all. */
function countNucleus(weights: readonly number[], topP: number): number {
  if (topP >= 1) return weights.length;
  const needed = topP * sum(weights);
  let reached = 0;
  const last = weights.findIndex((weight) => {
    reached += weight;
    return reached >= needed;
  });
  return last < 0 ? weights.length : last + 1;
}

/** Refuses numbers that mean nothing. */
function check({ temperature, topK, topP }: Required<Omit<SamplingOptions, 'random'>>): void {
  const wrong: string[] = [];
  if (!(temperature > 0 && Number.isFinite(temperature)))
    wrong.push(`temperature ${temperature}, allowed above 0 (for the likeliest token ask for no sampling)`);
  if (!(Number.isInteger(topK) && topK > 0)) wrong.push(`topK ${topK}, allowed whole numbers from 1`);
  if (!(topP > 0 && topP <= 1)) wrong.push(`topP ${topP}, allowed above 0, up to 1`);
  if (wrong.length > 0) throw new UsageError(`sampling: ${wrong.join('; ')}.`);
}
