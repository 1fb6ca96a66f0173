// A fully connected CRF over an image in one call: kernels from plain options, mean-field steps, probabilities and labels.
// Source: Krähenbühl and Koltun 2011; numbers of MedCLIP-SAM, MedCLIP-SAMv2 and pydensecrf as presets.
// Pure and without state, on typed arrays: callers may run it in worker threads. Not here: worker threads.

import { UsageError } from '@maskrank/torch/errors';
import type { LabelMap } from '../../imaging/types.ts';
import type { Compatibility } from './compatibility.ts';
import { ExactFilter } from './exact-filter.ts';
import {
  bilateralFeatures,
  type CrfImage,
  gaussianFeatures,
  type SigmaColour,
  type SigmaPx,
} from './features.ts';
import type { Features, KernelFilter } from './filter.ts';
import { Kernel, type KernelNormalisation } from './kernel.ts';
import { LatticeFilter } from './lattice-filter.ts';
import { MeanField, type PairwisePotential, type Unary } from './mean-field.ts';
import { growProbabilities, isSize, shrinkImage, shrinkUnary, workingSize } from './working-size.ts';

/** A pairwise term: which pixels speak to each other, and what they say. */
export type PairwiseTerm = {
  /** Potts weight, diagonal or matrix; see `Compatibility`. */
  readonly compatibility: Compatibility;
  /** Default `symmetric`. */
  readonly normalisation?: KernelNormalisation;
  /** Standard deviation of the distance, px of the image as the CRF sees it (`workingSidePx`). */
  readonly sigmaPx: SigmaPx;
} & (
  | {
      /** Near pixels agree: removes specks. */
      readonly kind: 'gaussian';
    }
  | {
      /** Near pixels of like colour agree: draws borders to edges. */
      readonly kind: 'bilateral';
      /** Standard deviation of the difference in colour, in the image's own values (0..255 for 8 bits). */
      readonly sigmaColour: SigmaColour;
    }
);

/** A CRF over one image: its terms, its steps, and how its sums are computed. */
export type DenseCrfOptions = {
  readonly terms: readonly PairwiseTerm[];
  /** Mean-field steps; 0 gives the unary's own labels. */
  readonly iterations: number;
  /** `exact` sums over all pairs of pixels, for at most 8192 pixels. Default `lattice`. */
  readonly filter?: 'lattice' | 'exact';
  /**
   * Longer side at which the CRF works, px: larger images are shrunk for it (working-size.ts), which bounds its time whatever
   * the image. `sigmaPx` is in pixels of the shrunk image. null (default) is full size, as the reference.
   */
  readonly workingSidePx?: number | null;
};

/** What a CRF makes of an image, at the image's size. */
export type DenseCrfResult = {
  /** [L, h, w], sums to one over labels; of the image's size. */
  readonly probabilities: Float32Array;
  /** The most probable label of every pixel, the first of equal ones. */
  readonly labels: LabelMap;
};

/** Settings of published methods. The colour sigmas are for 8-bit RGB. */
export const CRF_PRESETS = {
  'medclip-sam': {
    iterations: 1,
    terms: [
      { kind: 'gaussian', sigmaPx: 3, compatibility: 3 },
      { kind: 'bilateral', sigmaPx: 60, sigmaColour: 5, compatibility: 5 },
    ],
  },
  'medclip-sam-v2': {
    iterations: 1,
    terms: [
      { kind: 'gaussian', sigmaPx: 5, compatibility: 3 },
      { kind: 'bilateral', sigmaPx: 5, sigmaColour: 3, compatibility: 5 },
    ],
  },
  /** The example of pydensecrf's documentation. */
  pydensecrf: {
    iterations: 5,
    terms: [
      { kind: 'gaussian', sigmaPx: 3, compatibility: 3 },
      { kind: 'bilateral', sigmaPx: 80, sigmaColour: 13, compatibility: 10 },
    ],
  },
} as const satisfies Record<string, DenseCrfOptions>;

export type CrfPreset = keyof typeof CRF_PRESETS;

const FILTERS: Readonly<Record<'lattice' | 'exact', (features: Features) => KernelFilter>> = {
  lattice: (features) => new LatticeFilter(features),
  exact: (features) => new ExactFilter(features),
};

/** The features that a term looks at: place, or place and colour, in units of its sigmas. [N, D] */
export function featuresOf(image: CrfImage, term: PairwiseTerm): Features {
  switch (term.kind) {
    case 'gaussian':
      return gaussianFeatures(image, term.sigmaPx);
    case 'bilateral':
      return bilateralFeatures(image, term.sigmaPx, term.sigmaColour);
    default:
      return term satisfies never;
  }
}

/** The potentials of an image; they may serve several unaries. */
export function pairwisePotentials(
  image: CrfImage,
  { terms, filter = 'lattice' }: Pick<DenseCrfOptions, 'terms' | 'filter'>,
): PairwisePotential[] {
  return terms.map((term) => ({
    kernel: new Kernel(FILTERS[filter](featuresOf(image, term)), term.normalisation),
    compatibility: term.compatibility,
  }));
}

/**
 * Refines what is known of every pixel by what its neighbours and pixels of like colour say.
 * @param unary of the image's size, or of the size at which the CRF works (`workingSize`)
 * @throws UsageError when sizes differ or a setting is out of range
 */
export function denseCrf(image: CrfImage, unary: Unary, options: DenseCrfOptions): DenseCrfResult {
  const { width, height } = image;
  const { iterations, workingSidePx = null } = options;
  const size = workingSize(image, workingSidePx);
  if (!isSize(unary, image) && !isSize(unary, size)) {
    throw new UsageError(
      `denseCrf: image ${width} x ${height}, unary energies ${unary.width} x ${unary.height}; allowed: equal sizes${isSize(image, size) ? '' : `, or ${size.width} x ${size.height}`}.`,
    );
  }
  if (!Number.isInteger(iterations) || iterations < 0) {
    throw new UsageError(`denseCrf: iterations = ${iterations}; allowed: whole numbers from 0.`);
  }
  const field = new MeanField(
    shrinkUnary(unary, size),
    pairwisePotentials(shrinkImage(image, size), options),
  );
  for (let i = 0; i < iterations; i++) field.step();
  const probabilities = growProbabilities(field.probabilities(), size, image);
  return { probabilities, labels: { width, height, data: mostProbable(probabilities, unary.labels) } };
}

function mostProbable(probabilities: Float32Array, labels: number): Uint8Array {
  const points = probabilities.length / labels;
  const out = new Uint8Array(points);
  for (let l = 1; l < labels; l++) {
    for (let i = 0; i < points; i++) {
      if (probabilities[l * points + i]! > probabilities[out[i]! * points + i]!) out[i] = l;
    }
  }
  return out;
}
