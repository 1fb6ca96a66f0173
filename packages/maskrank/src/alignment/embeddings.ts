// Image embeddings, computed once: stage 2 trains the decoder alone, so the encoder's output never changes. Kept in memory
// and in RUN/cache, keyed by the checkpoint and the dataset; a stale file is refused. Letters: B images, E channels, g grid side.

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromTypedArray, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { openSafetensors, type TensorData, writeSafetensors } from '@maskrank/torch/io';
import type { LabelledCase, OpenDataset, UnlabelledCase } from '../datasets/cases.ts';
import { createGeometry, type Geometry, imageToCanvas } from '../imaging/geometry.ts';
import type { Image } from '../imaging/types.ts';
import { embeddingChannels, type Sam } from '../models/sam/index.ts';
import { type ArtefactHeader, headerFromMetadata, headerToMetadata, refuseStale } from '../run/header.ts';
import type { CanvasOptions } from '../training/canvas.ts';

/** An image as the network takes it: [3, S, S], padding exactly 0. */
export function networkInput(
  image: Image,
  options: CanvasOptions,
): { geometry: Geometry; data: Float32Array<ArrayBuffer> } {
  const geometry = createGeometry(options.rule, image, options.imageSize);
  return {
    geometry,
    data: imageToCanvas(geometry, image, options.normalisation) as Float32Array<ArrayBuffer>,
  };
}

type Entry = { readonly geometry: Geometry; readonly data: Float32Array<ArrayBuffer> };

type CacheFile = { readonly path: string; readonly header: ArtefactHeader; readonly rerun: string };

export type EmbedOptions = {
  readonly sam: Sam;
  readonly dataset: OpenDataset;
  readonly canvas: CanvasOptions;
  readonly device: string;
  /** Images embedded together. */
  readonly batchSize: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
};

/** Embeddings of cases by id. */
export class EmbeddingCache {
  readonly #entries = new Map<string, Entry>();
  readonly #shape: readonly number[]; // [E, g, g]

  private constructor(shape: readonly number[]) {
    this.#shape = shape;
  }

  /** Embeds every case that the file at `path` (null: no file) does not hold yet, and adds them to those that are there. */
  static async build(
    cases: readonly (LabelledCase | UnlabelledCase)[],
    options: EmbedOptions,
    file: CacheFile | null,
  ): Promise<EmbeddingCache> {
    const { config } = options.sam;
    const grid = config.imageSize / config.patchSize;
    const cache = new EmbeddingCache([embeddingChannels(config), grid, grid]);
    const wanted = new Set(cases.map((item) => item.id));
    const isWanted = (id: string): boolean => wanted.has(id);
    const stored = file !== null && existsSync(file.path);
    if (stored) for (const [id, entry] of await readEntries(file, isWanted)) cache.#entries.set(id, entry);
    const missing = cases.filter((item) => !cache.#entries.has(item.id));
    await cache.#embed(missing, options);
    if (file !== null && missing.length > 0) {
      // Cases that nobody asks for now stay valid: another split or a smaller set must not cost them.
      const others = stored ? await readEntries(file, (id) => !isWanted(id)) : [];
      await cache.#write(file, [...others, ...cache.#entries]);
    }
    return cache;
  }

  geometry(caseId: string): Geometry {
    return this.#entry(caseId).geometry;
  }

  /** [B, E, g, g]; the caller's scope owns it. */
  tensor(caseIds: readonly string[], device: string): Tensor {
    const [channels, height, width] = this.#shape as [number, number, number];
    const size = channels * height * width;
    const data = new Float32Array(caseIds.length * size);
    for (const [i, id] of caseIds.entries()) data.set(this.#entry(id).data, i * size);
    return fromTypedArray(data, [caseIds.length, channels, height, width], { share: true }).to(
      device as 'cuda',
    );
  }

  #entry(caseId: string): Entry {
    const entry = this.#entries.get(caseId);
    if (entry === undefined) throw new DataError(`case ${caseId}: its embedding was not computed before use`);
    return entry;
  }

  async #embed(cases: readonly (LabelledCase | UnlabelledCase)[], options: EmbedOptions): Promise<void> {
    const { sam, batchSize, device } = options;
    const side = options.canvas.imageSize;
    sam.eval();
    for (let start = 0; start < cases.length; start += batchSize) {
      options.signal.throwIfAborted();
      const batch = cases.slice(start, start + batchSize);
      const inputs = await Promise.all(
        batch.map(async (item) => networkInput(await options.dataset.loadImage(item), options.canvas)),
      );
      const embedded = tidy(() =>
        noGrad(() => {
          const images = inputs.map(({ data }) =>
            fromTypedArray(data, [1, 3, side, side], { share: true }).to(device as 'cuda'),
          );
          // One image at a time: a case's embedding must not depend on its neighbours in a batch, not even in the last bit.
          return images.map((image) => sam.embed(image).toFloat32Array());
        }),
      );
      for (const [i, item] of batch.entries()) {
        this.#entries.set(item.id, {
          geometry: (inputs[i] as { geometry: Geometry }).geometry,
          data: embedded[i] as Float32Array<ArrayBuffer>,
        });
      }
      options.onProgress?.(Math.min(start + batchSize, cases.length), cases.length);
    }
  }

  async #write(file: CacheFile, entries: readonly (readonly [string, Entry])[]): Promise<void> {
    await mkdir(dirname(file.path), { recursive: true });
    const tensors = new Map<string, TensorData>();
    for (const [id, { data }] of entries) tensors.set(id, { dtype: 'F32', shape: [...this.#shape], data });
    const geometries = Object.fromEntries(entries.map(([id, { geometry }]) => [id, geometry]));
    await writeSafetensors(file.path, tensors, {
      ...headerToMetadata(file.header),
      geometries: JSON.stringify(geometries),
    });
  }
}

/** Entries of a file whose case `keep` accepts. Throws DataError when the file is stale. */
async function readEntries(
  { path, header, rerun }: CacheFile,
  keep: (id: string) => boolean,
): Promise<[string, Entry][]> {
  const opened = await openSafetensors(path);
  try {
    const { schemaVersion, madeFrom } = header;
    refuseStale(path, headerFromMetadata(opened.metadata), { schemaVersion, madeFrom, rerun });
    const geometries = JSON.parse(opened.metadata.geometries ?? '{}') as Record<string, Geometry>;
    const entries: [string, Entry][] = [];
    for (const [id, geometry] of Object.entries(geometries)) {
      if (keep(id))
        entries.push([id, { geometry, data: (await opened.read(id)).data as Float32Array<ArrayBuffer> }]);
    }
    return entries;
  } finally {
    await opened.close();
  }
}
