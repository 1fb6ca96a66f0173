// One case to its maps and prompts: all classes of an image share what its masked images look like. Takes images, never masks.
// Maps of a case are kept together or not at all: masked images run in other batches where some maps are there already, and
// the last bits would differ from an uninterrupted run's. Not here: which cases, where lines go (job.ts).

import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesOf, writeFileAtomic } from '@maskrank/torch/io';
import type { DatasetClass } from '../../datasets/schema.ts';
import { labelComponents } from '../../imaging/components.ts';
import type { Image, Mask, Point } from '../../imaging/types.ts';
import { embedTexts } from '../../models/clip/index.ts';
import {
  forChannels,
  promptFromSaliency,
  type RegionOptions,
  type RegionPrompt,
} from '../../prompting/regions/index.ts';
import { ImageSaliency, NEUTRAL_TEXT, type Saliency, SaliencyCache } from '../../prompting/saliency/index.ts';
import type { Config } from '../../run/config.ts';
import { canonicalJson } from '../../run/resolve.ts';
import { Random } from '../../util/random.ts';
import { type Network, phrasesOf } from './network.ts';
import { type MapOptions, mapIdentity, mapOptions, regionOptions } from './settings.ts';

/** A class with all that its prompts are made with. */
export type PromptedClass = {
  readonly cls: DatasetClass;
  /** What the network is told. */
  readonly phrases: readonly string[];
  /** Of unit length. */
  readonly embedding: Float32Array;
  readonly regions: RegionOptions;
};

export type Prompter = {
  readonly network: Network;
  readonly classes: readonly PromptedClass[];
  /** Embedding of the text that names nothing; null where maps are not compared with it. */
  readonly neutral: Float32Array | null;
  readonly options: MapOptions;
  /** Whatever maps depend on besides network, image and texts. */
  readonly mapIdentity: Readonly<Record<string, unknown>>;
  /** Folder of the kept maps; null keeps none. */
  readonly cacheDir: string | null;
  readonly seed: number;
};

export function makePrompter(
  network: Network,
  config: Config,
  { classes, modality }: { readonly classes: readonly DatasetClass[]; readonly modality: string },
  cacheDir: string | null,
): Prompter {
  const embed = (texts: readonly string[]) =>
    embedTexts(network.model, network.tokenizer, texts).map(({ embedding }) => embedding);
  const { phrases: choice, sensitivity, cache } = config.saliency;
  const prompted = classes.map((cls) => {
    const all = phrasesOf(cls, modality);
    const phrases = choice === 'first' ? [all[0]] : all;
    return { cls, phrases, embedding: meanOf(embed(phrases)), regions: regionOptions(config, cls) };
  });
  return {
    network,
    classes: prompted,
    neutral: sensitivity ? (embed([NEUTRAL_TEXT])[0] as Float32Array) : null,
    options: mapOptions(config),
    mapIdentity: mapIdentity(config),
    cacheDir: cache ? cacheDir : null,
    seed: config.seed,
  };
}

/** The mean of unit vectors, of unit length. */
function meanOf(vectors: readonly Float32Array[]): Float32Array {
  if (vectors.length === 1) return vectors[0] as Float32Array;
  const sum = (vectors[0] as Float32Array).map((_, i) => vectors.reduce((s, v) => s + (v[i] as number), 0));
  const length = Math.hypot(...sum);
  return sum.map((x) => x / length);
}

/** The map of every class, in order. `signal` can stop it between batches. */
export async function caseMaps(prompter: Prompter, image: Image, signal: AbortSignal): Promise<Saliency[]> {
  const { network, neutral, options, cacheDir } = prompter;
  const folder = cacheDir === null ? null : join(cacheDir, mapsKey(prompter, image));
  const whole = folder === null ? null : join(folder, 'whole');
  if (folder !== null && whole !== null && !existsSync(whole))
    rmSync(folder, { recursive: true, force: true });
  const maps = new ImageSaliency(network.model, image, {
    ...options,
    ...(neutral !== null && { neutral }),
    ...(folder !== null && { cache: { store: new SaliencyCache(folder), model: network.fingerprint } }),
  });
  const found: Saliency[] = [];
  for (const { embedding } of prompter.classes) found.push(await maps.map(embedding, signal));
  if (folder !== null && whole !== null && !existsSync(whole)) {
    await mkdir(folder, { recursive: true });
    await writeFileAtomic(whole, '');
  }
  return found;
}

/** A name for the maps of an image: network, pixels, all texts in order, options. */
function mapsKey({ network, classes, neutral, mapIdentity: identity }: Prompter, image: Image): string {
  const { width, height, channels, data } = image;
  const hash = createHash('sha256');
  hash.update(canonicalJson({ model: network.fingerprint, width, height, channels, identity }));
  hash.update(bytesOf(data as Uint8Array<ArrayBuffer>));
  for (const { embedding } of classes) hash.update(bytesOf(embedding));
  if (neutral !== null) hash.update(bytesOf(neutral));
  return hash.digest('hex').slice(0, 32);
}

/** The regions of one class, its boxes and its points; the regions take turns in the order of the points. */
export function classPrompt(
  { seed }: Pick<Prompter, 'seed'>,
  { cls, regions }: PromptedClass,
  caseId: string,
  image: Image,
  { map }: Pick<Saliency, 'map'>,
): RegionPrompt {
  const random = new Random(`${seed}/${caseId}/${cls.id}`);
  const prompt = promptFromSaliency(map, forChannels(regions, image.channels), { random, image });
  return { ...prompt, points: inTurns(prompt.points, prompt.mask, regions.keep.connectivity) };
}

/** A point of each region, then a second of each, …: whoever takes the first few has all regions. Background points last. */
function inTurns(points: readonly Point[], mask: Mask, connectivity: 4 | 8): Point[] {
  const { labels, components } = labelComponents(mask, connectivity);
  const inside = points.filter(({ label }) => label === 1);
  if (components.length < 2) return [...points];
  const seen = new Map<number, number>();
  const turns = inside.map((point) => {
    const region = labels[point.y * mask.width + point.x] as number;
    const turn = seen.get(region) ?? 0;
    seen.set(region, turn + 1);
    return { point, turn };
  });
  turns.sort((a, b) => a.turn - b.turn); // stable: within a turn the larger region comes first
  return [...turns.map(({ point }) => point), ...points.filter(({ label }) => label === 0)];
}
