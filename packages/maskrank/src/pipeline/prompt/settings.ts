// From the configuration to the options of saliency, CRF and regions: presets first, then the keys that were given.
// Pure. Not here: the keys themselves (run/config/prompting.ts), networks, texts.

import type { DatasetClass } from '../../datasets/schema.ts';
import { CRF_PRESETS, type DenseCrfOptions, type SaliencyUnary } from '../../prompting/crf/index.ts';
import { type ForegroundRule, REGION_PRESETS, type RegionOptions } from '../../prompting/regions/index.ts';
import type { SaliencyOptions } from '../../prompting/saliency/index.ts';
import type { Config } from '../../run/config.ts';

/** Saliency options, but for the neutral text and the cache. */
export type MapOptions = Omit<SaliencyOptions, 'neutral' | 'cache'>;

export function mapOptions({ saliency }: Pick<Config, 'saliency'>): MapOptions {
  const { layer, batch, phrases: _phrases, sensitivity: _sensitivity, cache: _cache, ...given } = saliency;
  return { ...given, ...(layer !== null && { layer }), ...(batch !== null && { batch }) };
}

/** What maps depend on, with every value; `batch` and `cache` change none. */
export function mapIdentity({ saliency }: Pick<Config, 'saliency'>): Readonly<Record<string, unknown>> {
  const { batch: _batch, cache: _cache, ...identifying } = saliency;
  return identifying;
}

/** The preset's value where a key is none. */
const given = <T>(value: T | null, preset: T): T => value ?? preset;

/** The values of `keys` that are not none, over those of the preset. */
function overlay<T extends object>(preset: T, keys: { readonly [K in keyof T]?: T[K] | null }): T {
  const set = Object.entries(keys).filter(([, value]) => value !== null && value !== undefined);
  return { ...preset, ...Object.fromEntries(set) };
}

/** How the regions of a class become its prompt. Colour sigmas are for images of three channels: see `forChannels`. */
export function regionOptions(
  { regions, crf }: Pick<Config, 'regions' | 'crf'>,
  cls: Pick<DatasetClass, 'maxComponents'>,
): RegionOptions {
  const preset: RegionOptions = REGION_PRESETS[regions.preset];
  const { connectivity, maxRegions, ...keep } = regions.keep;
  return {
    foreground: foregroundRule({ regions, crf }, preset.foreground),
    keep: {
      ...overlay(preset.keep, keep),
      maxRegions: maxRegions ?? cls.maxComponents ?? preset.keep.maxRegions,
      connectivity: given(connectivity as 4 | 8 | null, preset.keep.connectivity),
    },
    boxes: overlay(preset.boxes, regions.boxes),
    points: overlay(preset.points, regions.points),
    // A flag's `none` stands for the preset.
    fallback: regions.fallback === 'no-prompt' ? 'none' : given(regions.fallback, preset.fallback),
    peakShare: given(regions.peakShare, preset.peakShare),
  };
}

function foregroundRule(
  { regions, crf }: Pick<Config, 'regions' | 'crf'>,
  preset: ForegroundRule,
): ForegroundRule {
  if (usesCrf(crf.enabled, preset)) return { kind: 'crf', unary: unary(crf), crf: crfOptions(crf) };
  const { kind, threshold, sidePx } = regions.foreground;
  const chosen = kind ?? (preset.kind === 'crf' ? 'two-means' : preset.kind);
  switch (chosen) {
    case 'threshold':
      return { kind: chosen, value: threshold };
    case 'otsu':
      return { kind: chosen };
    case 'two-means':
      return { kind: chosen, sidePx: sidePx ?? (preset.kind === chosen ? preset.sidePx : 256) };
    default:
      return chosen satisfies never;
  }
}

const usesCrf = (enabled: boolean | null, preset: ForegroundRule): boolean =>
  enabled ?? preset.kind === 'crf';

const unary = ({ unary: { form, tau, epsilon, clip } }: Config['crf']): SaliencyUnary =>
  form === 'log' ? { form, clip } : { form, tau, epsilon };

function crfOptions(crf: Config['crf']): DenseCrfOptions {
  const preset = CRF_PRESETS[crf.preset];
  const [smoothness, appearance] = preset.terms;
  const { normalisation, filter, workingSidePx } = crf;
  const weight = { gaussian: crf.gaussian.weight, bilateral: crf.bilateral.weight };
  const terms: DenseCrfOptions['terms'] = [
    {
      ...smoothness,
      normalisation,
      sigmaPx: given(crf.gaussian.sigmaPx, smoothness.sigmaPx),
      compatibility: given(weight.gaussian, smoothness.compatibility),
    },
    {
      ...appearance,
      normalisation,
      sigmaPx: given(crf.bilateral.sigmaPx, appearance.sigmaPx),
      sigmaColour: given(crf.bilateral.sigmaColour, appearance.sigmaColour),
      compatibility: given(weight.bilateral, appearance.compatibility),
    },
  ];
  return {
    iterations: given(crf.iterations, preset.iterations),
    filter,
    workingSidePx,
    terms: terms.filter(({ compatibility }) => compatibility !== 0),
  };
}
