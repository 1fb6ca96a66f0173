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

/** A pairwise term: which pixels speak to each other, and what they say. */
export type PairwiseTerm = {
  /** Potts weight, diagonal or matrix; see `Compatibility`. */
  readonly compatibility: Compatibility;
  /** Default `symmetric`. */
  readonly normalisation?: KernelNormalisation;
  /** Standard deviation of the distance, px. */
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

export type DenseCrfOptions = {
  readonly terms: readonly PairwiseTerm[];
  /** Mean-field steps; 0 gives the unary's own labels. */
  readonly iterations: number;
  /** `exact` sums over all pairs of pixels, for at most 8192 pixels. Default `lattice`. */
  readonly filter?: 'lattice' | 'exact';
};

export type DenseCrfResult = {
  /** [L, h, w], sums to one over labels. */
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
 * @throws UsageError when sizes differ or a setting is out of range
 */
export function denseCrf(image: CrfImage, unary: Unary, options: DenseCrfOptions): DenseCrfResult {
  const { width, height } = unary;
  if (image.width !== width || image.height !== height) {
    throw new UsageError(
      `denseCrf: image ${image.width} x ${image.height}, unary energies ${width} x ${height}; allowed: equal sizes.`,
    );
  }
  if (!Number.isInteger(options.iterations) || options.iterations < 0) {
    throw new UsageError(`denseCrf: iterations = ${options.iterations}; allowed: whole numbers from 0.`);
  }
  const field = new MeanField(unary, pairwisePotentials(image, options));
  for (let i = 0; i < options.iterations; i++) field.step();
  const probabilities = field.probabilities();
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
