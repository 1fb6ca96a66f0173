// Unary energies of a CRF from what one has: a saliency map, probabilities, or labels that may be wrong.
// Label 0 is the background, label 1 the foreground where there are two. Not here: where saliency comes from.

import { DataError, UsageError } from '@maskrank/torch/errors';
import type { FloatMap, LabelMap, Size } from '../../imaging/types.ts';
import type { Unary } from './mean-field.ts';

/** How a saliency s in 0..1 becomes an energy. */
export type SaliencyUnary =
  /**
   * MedCLIP-SAM's: U = -ln(p + epsilon) / (tau sigmoid(p)), p = s for the foreground and 1 - s for the background: 1.3
   * (likely) to 1.9 times (unlikely) the energy of `log`.
   */
  | {
      readonly form: 'medclip-sam';
      /** Larger trusts the map less. Default 1.05. */
      readonly tau?: number;
      /** Keeps the logarithm finite. Default 1e-8. */
      readonly epsilon?: number;
    }
  /** Minus log likelihood: U = -ln(max(p, clip)). */
  | {
      readonly form: 'log';
      /** Smallest probability. Default 1e-5. */
      readonly clip?: number;
    };

type EnergyOf = (p: number) => number;

/** Two labels: background and foreground. */
export function unaryFromSaliency(map: FloatMap, options: SaliencyUnary = { form: 'medclip-sam' }): Unary {
  const { width, height, data } = map;
  const outside = data.findIndex((s) => !(s >= 0 && s <= 1));
  if (outside >= 0 || data.length !== width * height) {
    const found = outside >= 0 ? `value ${outside} is ${data[outside]}` : `${data.length} values`;
    throw new DataError(
      `unaryFromSaliency: ${found}; allowed: ${width} * ${height} values in 0..1. Rescale the map first.`,
    );
  }
  const energy = energyOf(options);
  const points = data.length;
  const energies = new Float32Array(2 * points);
  for (let i = 0; i < points; i++) {
    energies[i] = energy(1 - data[i]!);
    energies[points + i] = energy(data[i]!);
  }
  return { width, height, labels: 2, energies };
}

function energyOf(options: SaliencyUnary): EnergyOf {
  switch (options.form) {
    case 'medclip-sam': {
      const { tau = 1.05, epsilon = 1e-8 } = options;
      positive('tau', tau);
      positive('epsilon', epsilon);
      return (p) => (-Math.log(p + epsilon) * (1 + Math.exp(-p))) / tau;
    }
    case 'log': {
      const { clip = 1e-5 } = options;
      positive('clip', clip);
      return (p) => -Math.log(Math.max(p, clip));
    }
    default:
      return options satisfies never;
  }
}

export type ProbabilityUnaryOptions = {
  /** Smallest probability. Default 1e-5. */
  readonly clip?: number;
  /** Trust in (0, 1]: probabilities are mixed with the uniform ones, `trust` p + (1 - `trust`) / L. Default 1. */
  readonly trust?: number;
};

/** From probabilities [L, h, w], such as a softmax: U = -ln p. */
export function unaryFromProbabilities(
  probabilities: Float32Array,
  labels: number,
  { width, height }: Size,
  { clip = 1e-5, trust = 1 }: ProbabilityUnaryOptions = {},
): Unary {
  positive('clip', clip);
  if (!(trust > 0 && trust <= 1))
    throw new UsageError(`unaryFromProbabilities: trust = ${trust}; allowed: (0, 1].`);
  const uniform = (1 - trust) / labels;
  const energies = probabilities.map((p) => -Math.log(Math.min(1, Math.max(clip, trust * p + uniform))));
  return { width, height, labels, energies };
}

export type LabelUnaryOptions = {
  /** Probability that a pixel's label is right, in (0, 1); the other labels share the rest. */
  readonly certainty: number;
  /** Pixels of this value may be anything: all labels cost the same. Default: none. */
  readonly unsure?: number;
};

/** From a label map with values 0..L - 1 (besides `unsure`). */
export function unaryFromLabels(
  map: LabelMap,
  labels: number,
  { certainty, unsure }: LabelUnaryOptions,
): Unary {
  if (!(certainty > 0 && certainty < 1)) {
    throw new UsageError(
      `unaryFromLabels: certainty = ${certainty}; allowed: between 0 and 1, both excluded.`,
    );
  }
  const { width, height, data } = map;
  const points = data.length;
  const energies = new Float32Array(labels * points).fill(-Math.log((1 - certainty) / (labels - 1)));
  for (let i = 0; i < points; i++) {
    const label = data[i]!;
    if (label === unsure) {
      for (let l = 0; l < labels; l++) energies[l * points + i] = Math.log(labels);
    } else if (label < labels) {
      energies[label * points + i] = -Math.log(certainty);
    } else {
      throw new DataError(
        `unaryFromLabels: pixel (${i % width}, ${Math.floor(i / width)}) has label ${label}; allowed: 0..${labels - 1}.`,
      );
    }
  }
  return { width, height, labels, energies };
}

function positive(name: string, value: number): void {
  if (!(value > 0)) throw new UsageError(`unary energies: ${name} = ${value}; allowed: positive numbers.`);
}
