// Fixture dense_crf: the lattice beside pydensecrf's own lattice, the exact filter beside the exact mean field; kernels one by
// one, divergence, three labels with matrices and all normalisations, and MedCLIP-SAM's step from saliency to mask.

import type { Image } from '../imaging/types.ts';
import {
  type Compatibility,
  CRF_PRESETS,
  denseCrf,
  type KernelNormalisation,
  MeanField,
  type PairwiseTerm,
  pairwisePotentials,
  type Unary,
  unaryFromLabels,
  unaryFromProbabilities,
  unaryFromSaliency,
} from '../prompting/crf/index.ts';
import { compareElements, compareExact, need, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const LATTICE = { absolute: 1e-3, relative: 0 };
const EXACT = { absolute: 1e-4, relative: 0 };
const DIVERGENCE = { absolute: 0, relative: 1e-3 };
const UNARY = { absolute: 1e-6, relative: 1e-6 };

/** The exact filter takes all pairs of pixels: every image of the fixture has few enough. */
const FILTERS = { lattice: LATTICE, exact: EXACT } as const;
type FilterName = keyof typeof FILTERS;

type Settings = {
  readonly h: number;
  readonly w: number;
  readonly sxy_gaussian: number;
  readonly compat_gaussian: number;
  readonly sxy_bilateral: number;
  readonly srgb: number;
  readonly compat_bilateral: number;
};

const floats = (fixture: Fixture, name: string): Float32Array => Float32Array.from(numbers(fixture, name));

function imageOf(fixture: Fixture, key: string): Image {
  const { shape, data } = need(fixture, `in/${key}.image_rgb`);
  const [height, width] = shape as [number, number, number];
  return { width, height, channels: 3, data: data as Uint8Array };
}

function termsOf(settings: Settings): { gaussian: PairwiseTerm; bilateral: PairwiseTerm } {
  return {
    gaussian: {
      kind: 'gaussian',
      sigmaPx: settings.sxy_gaussian,
      compatibility: settings.compat_gaussian,
    },
    bilateral: {
      kind: 'bilateral',
      sigmaPx: settings.sxy_bilateral,
      sigmaColour: settings.srgb,
      compatibility: settings.compat_bilateral,
    },
  };
}

function saliencyUnary(fixture: Fixture, key: string, size: { width: number; height: number }): Unary {
  const foreground = floats(fixture, `in/${key}.saliency`);
  const both = new Float32Array(2 * foreground.length);
  both.set(foreground.map((s) => 1 - s));
  both.set(foreground, foreground.length);
  return unaryFromProbabilities(both, 2, size);
}

/** Two labels, both kernels and each alone, and what each kernel makes of one map. */
function checkImage(fixture: Fixture, key: string, filter: FilterName): CheckResult[] {
  const image = imageOf(fixture, key);
  const points = image.width * image.height;
  const unary = saliencyUnary(fixture, key, image);
  const { gaussian, bilateral } = termsOf(fixture.json.config[`image${key}`]);
  const potentials = pairwisePotentials(image, { terms: [gaussian, bilateral], filter });
  const tolerance = FILTERS[filter];
  const results: CheckResult[] = [];

  /** The reference stores both labels of some maps, only label 1 of others. */
  const compare = (name: string, probabilities: Float32Array): void => {
    const reference = numbers(fixture, `out/${key}.${name}`);
    const got = reference.length === points ? probabilities.subarray(points) : probabilities;
    results.push(compareElements(`${key}.${name}`, got, reference, tolerance));
  };
  const prefix = filter === 'exact' ? 'exact_' : '';
  const both = new MeanField(unary, potentials);
  for (let step = 1; step <= 10; step++) {
    both.step();
    if (step === 1 || step === 5 || step === 10) compare(`${prefix}Q_iter${step}`, both.probabilities());
  }
  for (const [index, name] of ['gaussian', 'bilateral'].entries()) {
    const alone = new MeanField(unary, [potentials[index]!]);
    const divergences: number[] = [];
    const wanted = name === 'bilateral' && filter === 'lattice';
    for (let step = 0; step < 5; step++) {
      if (wanted && step < 4) divergences.push(alone.divergence());
      alone.step();
    }
    compare(`${name}_only_${prefix}Q_iter5`, alone.probabilities());
    if (wanted) {
      const what = `${key}.bilateral_only_kl_per_pixel`;
      const perPixel = divergences.map((kl) => kl / points);
      results.push(compareElements(what, perPixel, numbers(fixture, `out/${what}`), DIVERGENCE));
    }
    const response = floats(fixture, `in/${key}.filter_input`);
    potentials[index]!.kernel.apply(response, response);
    const what = `${key}.${name}_filter_response${filter === 'exact' ? '_exact' : ''}`;
    results.push(compareElements(what, response, numbers(fixture, `out/${what}`), tolerance));
  }
  return results;
}

/** MedCLIP-SAM reads the image as blue, green, red, which turns the lattice. */
function checkMedclipSam(fixture: Fixture, key: string): CheckResult[] {
  const rgb = imageOf(fixture, key);
  const { width, height } = rgb;
  const bgr = { ...rgb, data: rgb.data.map((_, i) => rgb.data[i - (i % 3) + 2 - (i % 3)]!) };
  const data = floats(fixture, `in/${key}.medclipsam_saliency_u8`).map((v) => v / 255);
  const unary = unaryFromSaliency({ width, height, data }, { form: 'medclip-sam' });
  const { probabilities, labels } = denseCrf(bgr, unary, CRF_PRESETS['medclip-sam']);
  const map = numbers(fixture, `out/${key}.medclipsam_map`);
  const stored = `out/${key}.medclipsam_unary`;
  return [
    ...(fixture.tensors.has(stored)
      ? [compareElements(`${key}.medclipsam_unary`, unary.energies, numbers(fixture, stored), UNARY)]
      : []),
    compareElements(
      `${key}.medclipsam_Q`,
      probabilities,
      numbers(fixture, `out/${key}.medclipsam_Q`),
      LATTICE,
    ),
    compareExact(
      `${key}.medclipsam_map`,
      labels.data.map((l) => 255 * l),
      map,
    ),
  ];
}

const NORMALISATIONS: Readonly<Record<string, KernelNormalisation>> = {
  sym: 'symmetric',
  none: 'none',
  before: 'before',
  after: 'after',
};

function checkThreeLabels(fixture: Fixture, key: string): CheckResult[] {
  const image = imageOf(fixture, key);
  const { width, height } = image;
  const map = Uint8Array.from(numbers(fixture, `in/${key}.labels3`));
  const unary = unaryFromLabels({ width, height, data: map }, 3, { certainty: 0.6 });
  const flat = Array.from(numbers(fixture, `in/${key}.compat3`));
  const matrix: Compatibility = [flat.slice(0, 3), flat.slice(3, 6), flat.slice(6, 9)];
  const outcomes = Object.entries(NORMALISATIONS).map(([name, normalisation]) => {
    const { probabilities } = denseCrf(image, unary, {
      iterations: 4,
      terms: [
        { kind: 'gaussian', sigmaPx: [3, 2], compatibility: matrix, normalisation },
        {
          kind: 'bilateral',
          sigmaPx: [25, 40],
          sigmaColour: [10, 12, 14],
          compatibility: [4, 6, 5],
          normalisation,
        },
      ],
    });
    const what = `${key}.labels3_${name}_Q_iter4`;
    return compareElements(what, probabilities, numbers(fixture, `out/${what}`), LATTICE);
  });
  const reference = numbers(fixture, `out/${key}.unary3`);
  return [compareElements(`${key}.unary3`, unary.energies, reference, UNARY), ...outcomes];
}

export const denseCrfCheck: GoldenCheck = {
  covers: (name) => name === 'dense_crf',
  run: (fixture) => {
    const keys = Object.keys(fixture.json.config).map((name) => name.replace('image', ''));
    const results = keys.flatMap((key) => [
      ...checkImage(fixture, key, 'lattice'),
      ...checkImage(fixture, key, 'exact'),
      ...checkMedclipSam(fixture, key),
    ]);
    const stored = saliencyUnary(fixture, '2', imageOf(fixture, '2')).energies;
    return [
      ...results,
      compareElements('2.unary', stored, numbers(fixture, 'out/2.unary'), UNARY),
      ...checkThreeLabels(fixture, '2'),
    ];
  },
};
