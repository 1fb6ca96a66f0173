// One step of stage 2 on cached embeddings of SAM-Med2D's ViT-B: decode, preference loss on four candidates, backward, Adam.
// Runs the real loop on random embeddings and discs for candidates; what is timed lies between two steps of it.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Generator, nn, type Tensor } from '@maskrank/torch';
import { align } from '../alignment/align.ts';
import { rankingCoefficients } from '../alignment/coefficients.ts';
import type { EmbeddingSource } from '../alignment/embedding-source.ts';
import type { Judged } from '../alignment/objectives/judging.ts';
import { preferenceObjective } from '../alignment/objectives/preference.ts';
import type { AlignUnit, PolicyOptions } from '../alignment/policy.ts';
import { candidatesHash, packCandidates, regionSize } from '../alignment/proposals/candidates.ts';
import { gridSize, Sam, type SamConfig, samConfig } from '../models/sam/index.ts';
import { defaultConfig } from '../run/config.ts';
import { matmulRate, median, normals } from './measure.ts';
import type { Bench, BenchOptions } from './types.ts';

const UNITS = 16;
const WARM_UP = 3;
const BOX = { x0: 64, y0: 64, x1: 192, y1: 192 };

/** Four discs of growing radius in the middle. */
function judgedOf(unit: AlignUnit, side: number): Judged {
  const data = new Uint8Array(4 * side * side);
  for (let k = 0; k < 4; k++) {
    const radius = (0.18 + 0.03 * k) * side;
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++)
        data[(k * side + y) * side + x] = Number((x - side / 2) ** 2 + (y - side / 2) ** 2 <= radius ** 2);
  }
  const candidates = packCandidates(data, 4, side, side);
  const order = [1, 2, 0, 3];
  const betas = defaultConfig().alignment.loss;
  return {
    proposal: {
      caseId: unit.caseId,
      classId: unit.classId,
      candidates,
      head: 0,
      regionPx: regionSize(candidates),
      hash: candidatesHash(candidates),
    },
    coefficients: rankingCoefficients(order, betas),
    order,
  };
}

class RandomEmbeddings implements EmbeddingSource {
  readonly #all: Tensor;
  constructor(config: SamConfig, device: BenchOptions['device']) {
    const side = gridSize(config);
    this.#all = normals([UNITS, config.embedDim, side, side], 'stage2-step', device);
  }
  tensor(caseIds: readonly string[]): Tensor {
    return this.#all.slice(0, 0, caseIds.length);
  }
  dispose(): void {
    this.#all.dispose();
  }
}

/**
 * Arithmetic of the decoder's large products for one image, forward: projections of the grid's tokens (four a layer and two
 * at the end, to half the channels), and the two transposed convolutions. Tokens of prompts are few and left out.
 */
export function decoderGflop({ embedDim: e, decoder, ...config }: SamConfig): number {
  const tokens = gridSize(config) ** 2;
  const projections = (4 * decoder.depth + 2) * 2 * tokens * e * (e / 2);
  const upscaling = 2 * tokens * 4 * e * (e / 4) + 2 * tokens * 16 * (e / 4) * (e / 8);
  return (projections + upscaling) / 1e9;
}

export const stage2Step: Bench = {
  name: 'stage2-step',
  describe: 'a preference step of stage 2 on cached embeddings of SAM-Med2D ViT-B',
  run: async (options) => {
    const { device, rounds } = options;
    using sam = new Sam(samConfig('sam-med2d_b')); // the encoder stays zero: it takes no part
    for (const part of [sam.prompt_encoder, sam.mask_decoder]) nn.initialise(part, Generator.seeded(1));
    sam.prompt_encoder.to(device);
    sam.mask_decoder.to(device);
    const embeddings = new RandomEmbeddings(sam.config, device);
    const policy: PolicyOptions = { sam, embeddings, layout: { points: 0, boxes: 1 }, device };
    const units = Array.from({ length: UNITS }, (_, i): AlignUnit => {
      return { caseId: `case ${i}`, classId: 1, prompt: { boxes: [BOX], points: [] } };
    });
    const judged = units.map((unit) => judgedOf(unit, sam.config.imageSize));
    const config = { ...defaultConfig().alignment, checkpointEverySteps: Number.MAX_SAFE_INTEGER };
    const totalSteps = WARM_UP + 4 * rounds;
    const dir = await mkdtemp(join(tmpdir(), 'maskrank-bench-'));
    const ends: number[] = [];
    try {
      await align({
        policy,
        trainable: [...sam.mask_decoder.namedParameters()].map(
          ([name, p]) => [`mask_decoder.${name}`, p] as const,
        ),
        units,
        objective: preferenceObjective({
          policy,
          loss: config.loss,
          anchor: 0,
          judgedOf: async () => judged,
        }),
        config,
        totalSteps,
        seed: 1,
        stream: 'bench',
        loop: {
          label: 'bench',
          statePath: join(dir, 'state.safetensors'),
          header: { schemaVersion: 1, configHash: '', madeFrom: {} },
          rerun: 'npm run bench',
          metrics: null,
          signal: new AbortController().signal,
          onProgress: () => {
            ends.push(performance.now());
          },
        },
        onAlarm: () => {},
      });
    } finally {
      embeddings.dispose();
      await rm(dir, { recursive: true, force: true });
    }
    const steps = ends.slice(1 + WARM_UP).map((end, i) => end - (ends[i + WARM_UP] as number));
    const gflop = 3 * decoderGflop(sam.config);
    return [
      {
        what: `an image of a step of ${config.batchSize}`,
        value: median(steps) / config.batchSize,
        unit: 'ms',
        limit: {
          what: `${gflop.toFixed(2)} GFLOP at the rate of products`,
          value: (gflop / matmulRate(options)) * 1000,
        },
        aim: { comparison: 'at most', value: 20 },
      },
    ];
  },
};
