// What a small MedVInT learns beside answers where masks may be used: its vision part which classes lie at each place of its map,
// four cells of a place in each direction, and its soft tokens how much of each class lies at each place. MedVInT's vision part
// was pretrained (PMC-CLIP); from answers alone, one word about a whole image, a fresh network hardly learns to see.
// The head is thrown away after the training.
// Shapes: B images, C channels of the map, Q soft tokens of D channels, K classes of all datasets together, h h places, s = 4.

import { fromTypedArray, nn, type Tensor } from '@maskrank/torch';
import { featureDim, featureSide, type MedvintConfig } from '../../models/medvint/index.ts';
import { diceCrossEntropy } from '../baselines/loss.ts';
import type { ClassMaps } from '../class-maps.ts';

/** Cells of a place in each direction. */
const CELLS = 4;

/** Cells along a side of the network's image. */
export const cellsAlong = (config: Pick<MedvintConfig, 'vision'>): number => CELLS * featureSide(config);

/** Beside Dice: most cells hold nothing of most classes, and their mean is small. */
const CROSS_ENTROPY_WEIGHT = 10;

/** Logit of what cannot be there. */
const NEVER = -20;

/** Where the classes of an image's dataset are, and which of all datasets' classes is their first. */
export type PlacedClasses = {
  readonly maps: ClassMaps;
  readonly first: number;
};

/** Logits of places: of their cells by the map [B, K, s h, s h], of how much is covered by the soft tokens [B, K, h, h]. */
export type PlacesSeen = { readonly cells: Tensor; readonly covered: Tensor };

/** Masks of a batch as plain arrays; classes of other datasets than an image's own are unknown. */
export type PlacesTruth = {
  readonly classes: number;
  readonly side: number;
  /** [B, K, side, side], 0 or 1. */
  readonly masks: Float32Array<ArrayBuffer>;
  /** [B, K], 1 where known. */
  readonly known: Float32Array<ArrayBuffer>;
};

export class PlacesHead extends nn.Module {
  readonly cells: nn.Conv2d;
  readonly covered: nn.Linear;
  readonly classes: number;

  /** For a network of that configuration. */
  constructor({ vision, decoder, llama }: MedvintConfig, classes: number) {
    super();
    const places = featureSide({ vision });
    this.classes = classes;
    this.cells = new nn.Conv2d(featureDim({ vision }), classes * CELLS * CELLS, 1);
    this.covered = new nn.Linear(decoder.queries * llama.dim, classes * places * places);
  }

  /** Features [B, C, h, h] and soft tokens [B, Q, D] */
  forward(features: Tensor, soft: Tensor): PlacesSeen {
    const [batch, , side] = features.shape as [number, number, number];
    const cells = this.cells
      .forward(features)
      .view([batch, this.classes, CELLS, CELLS, side, side])
      .permute([0, 1, 4, 2, 5, 3])
      .reshape([batch, this.classes, CELLS * side, CELLS * side]);
    const covered = this.covered.forward(soft.flatten(1)).view([batch, this.classes, side, side]);
    return { cells, covered };
  }
}

/** The truth of images in their order, mirrored where they are. `classes`: of all datasets together. */
export function placesTruth(
  images: readonly { readonly placed: PlacedClasses; readonly isMirrored: boolean }[],
  classes: number,
): PlacesTruth {
  const side = images[0]?.placed.maps.side ?? 0;
  const masks = new Float32Array(images.length * classes * side * side);
  const known = new Float32Array(images.length * classes);
  for (const [b, { placed, isMirrored }] of images.entries())
    for (const c of placed.maps.classes.keys()) {
      const channel = b * classes + placed.first + c;
      known[channel] = 1;
      for (let i = 0; i < side * side; i++) {
        const from = isMirrored ? i - (i % side) + side - 1 - (i % side) : i;
        masks[channel * side * side + i] = ((placed.maps.bits[from] as number) >>> c) & 1;
      }
    }
  return { classes, side, masks, known };
}

const like = (
  { device, dtype }: Tensor,
  values: Float32Array<ArrayBuffer>,
  shape: readonly number[],
): Tensor => fromTypedArray(values, shape, { device }).to(dtype);

/** Dice and cross-entropy of known classes. */
export function placesLoss(
  { cells, covered }: PlacesSeen,
  { classes, side, masks, known }: PlacesTruth,
): Tensor {
  const count = cells.size(0);
  const told = like(cells, known, [count, classes, 1, 1]);
  const truth = like(cells, masks, [count, classes, side, side]);
  const loss = (logits: Tensor, wanted: Tensor): Tensor =>
    diceCrossEntropy(logits.mul(told).add(told.rsub(1).mul(NEVER)), wanted, {
      relation: 'overlapping',
      crossEntropyWeight: CROSS_ENTROPY_WEIGHT,
    }).total;
  return loss(cells, truth).add(loss(covered, nn.F.adaptiveAvgPool(2, truth, [side / CELLS, side / CELLS])));
}
