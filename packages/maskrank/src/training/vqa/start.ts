// How the bridge of a small MedVInT begins, so that it can learn from a few thousand images: each query looks at a place of its
// own, near which its keys are like it. From random weights all queries see the mean of the image, in which one image is like
// another (their tokens then differ between images by half a percent of their squares instead of six), and answers stay for long
// what the question alone tells. Training may move everything. Not here: what it learns (train.ts).
// Shapes: Q queries, C channels, h w places of the vision part's map.

import { fromTypedArray, type Generator, noGrad, randn, tidy } from '@maskrank/torch';
import { featureDim, featureSide, type Medvint } from '../../models/medvint/index.ts';
import { sinePositions } from '../../models/medvint/positions.ts';

/** Length of a query beside what it sees, and of the turned sines by which queries and keys meet: a place and its neighbours. */
const QUERY_LENGTH = 0.7;
const SHARPNESS = 1.2;

/** Queries begin on a grid of places, and queries and keys are turned alike; only where the network knows places. */
export function startAtPlaces(network: Medvint, generator: Generator): void {
  const { config, query_embed, decoder, place } = network;
  if (config.decoder.positions !== 'sine') return;
  const [dim, side] = [featureDim(config), featureSide(config)];
  noGrad(() =>
    tidy(() => {
      const sines = sinePositions(side, side, dim, place).flatten(1).t(); // [h w, C]
      const at = gridPlaces(config.decoder.queries, side).map(BigInt);
      const chosen = fromTypedArray(BigInt64Array.from(at), [at.length], { device: place.device });
      query_embed.weight.copy_(sines.indexSelect(0, chosen).mul(QUERY_LENGTH));
      for (const { multihead_attn } of decoder.layers) {
        const turn = randn([dim, dim], { generator }).mul(SHARPNESS / Math.sqrt(dim));
        for (const start of [0, dim]) multihead_attn.in_proj_weight?.slice(0, start, start + dim).copy_(turn);
      }
    }),
  );
}

/** Numbers of so many places, row-major, spread evenly over a map of side x side: as many columns as rows, or a few more. */
export function gridPlaces(count: number, side: number): number[] {
  const rows = Array.from({ length: count }, (_, i) => count - i).find(
    (n) => n * n <= count && count % n === 0,
  ) as number;
  const columns = count / rows;
  const middle = (i: number, n: number) => Math.min(side - 1, Math.floor(((i + 0.5) * side) / n));
  return Array.from(
    { length: count },
    (_, q) => middle(Math.floor(q / columns), rows) * side + middle(q % columns, columns),
  );
}
