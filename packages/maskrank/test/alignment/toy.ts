// A SAM small enough for exact tests, with units, embeddings and truth that need no images.

import { fromTypedArray, Generator, type Tensor } from '@maskrank/torch';
import type { EmbeddingSource } from '../../src/alignment/embedding-source.ts';
import type { AlignUnit, PolicyOptions } from '../../src/alignment/policy.ts';
import type { Mask } from '../../src/imaging/types.ts';
import { createSam, type Sam, type SamConfig, samConfig } from '../../src/models/sam/index.ts';
import { type Config, defaultConfig } from '../../src/run/config.ts';
import { Random } from '../../src/util/random.ts';

export const SIDE = 64;

const base = samConfig('sam_vit_b');
export const TOY_CONFIG: SamConfig = {
  ...base,
  name: 'toy',
  imageSize: SIDE,
  patchSize: 16,
  embedDim: 16,
  encoder: { ...base.encoder, dim: 16, depth: 1, heads: 2, mlpRatio: 2, windowSize: 4, globalBlocks: [0] },
  decoder: {
    depth: 1,
    heads: 2,
    mlpDim: 16,
    multimaskOutputs: 3,
    iouHeadDepth: 2,
    iouHeadDim: 8,
    refine: null,
  },
  maskInChannels: 4,
  textDim: 0,
  geometry: 'sammed2d',
  maskPrompt: 'probabilities',
};

export const LAYOUT = { points: 1, boxes: 1 };

/** Random weights, the same at every call. */
export function toySam(seed = 3, changes: Partial<SamConfig> = {}): Sam {
  const sam = createSam({ ...TOY_CONFIG, ...changes }, Generator.seeded(seed));
  sam.eval();
  return sam;
}

/** Every parameter and buffer, to compare exactly. */
export function snapshot(sam: Sam): Record<string, number[]> {
  return Object.fromEntries([...sam.stateDict()].map(([name, t]) => [name, [...t.toFloat32Array()]]));
}

const truthBox = (index: number) => {
  const random = new Random(`toy truth ${index}`);
  const x0 = random.int(8, 24);
  const y0 = random.int(8, 24);
  return { x0, y0, x1: x0 + random.int(16, 28), y1: y0 + random.int(16, 28) };
};

/** `count` cases of class 1 with a box and a point each. */
export function toyUnits(count: number): AlignUnit[] {
  return Array.from({ length: count }, (_, i) => {
    const box = truthBox(i);
    return {
      caseId: `case${i}`,
      classId: 1,
      prompt: {
        boxes: [box],
        points: [{ x: (box.x0 + box.x1) / 2, y: (box.y0 + box.y1) / 2, label: 1 as const }],
      },
    };
  });
}

/** The truth of a toy case: its box, filled. */
export function toyTruth(caseId: string): Mask {
  const box = truthBox(Number(caseId.slice('case'.length)));
  const data = new Uint8Array(SIDE * SIDE);
  for (let y = box.y0; y < box.y1; y++) data.fill(1, y * SIDE + box.x0, y * SIDE + box.x1);
  return { width: SIDE, height: SIDE, data };
}

/** An image [3, SIDE, SIDE] of a case as the network takes it. */
export function toyInput(caseId: string): Float32Array<ArrayBuffer> {
  const random = new Random(`toy image ${caseId}`);
  const mask = toyTruth(caseId).data;
  return Float32Array.from(
    { length: 3 * SIDE * SIDE },
    (_, i) => (mask[i % (SIDE * SIDE)] as number) - 0.5 + 0.3 * random.normal(),
  );
}

/** Random embeddings, the same for a case at every call. */
export class ToyEmbeddings implements EmbeddingSource {
  readonly #size = TOY_CONFIG.embedDim * 4 * 4;

  tensor(caseIds: readonly string[], device: string): Tensor {
    const data = new Float32Array(caseIds.length * this.#size);
    for (const [i, id] of caseIds.entries()) {
      const random = new Random(`toy embedding ${id}`);
      for (let j = 0; j < this.#size; j++) data[i * this.#size + j] = random.normal();
    }
    return fromTypedArray(data, [caseIds.length, TOY_CONFIG.embedDim, 4, 4]).to(device as 'cpu');
  }
}

export const toyPolicy = (sam: Sam, embeddings: EmbeddingSource = new ToyEmbeddings()): PolicyOptions => ({
  sam,
  embeddings,
  layout: LAYOUT,
  device: 'cpu',
});

type Alignment = Config['alignment'];
type Changes = {
  readonly [K in keyof Alignment]?: Alignment[K] extends object ? Partial<Alignment[K]> : Alignment[K];
};

/** The default configuration of stage 2 with changes, one level deep. */
export function toyAlignment(changes: Changes = {}): Alignment {
  const base = defaultConfig().alignment;
  return Object.fromEntries(
    Object.entries(base).map(([key, value]) => {
      const change = changes[key as keyof Alignment];
      const isSection = typeof value === 'object' && value !== null && !Array.isArray(value);
      return [key, change === undefined ? value : isSection ? { ...value, ...(change as object) } : change];
    }),
  ) as Alignment;
}

export const never: AbortSignal = new AbortController().signal;
