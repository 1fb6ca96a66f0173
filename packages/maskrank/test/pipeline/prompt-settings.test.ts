// From keys to options: presets, what overrides them, and what a grey image stands for.
import { describe, expect, it } from 'vitest';
import { mapIdentity, mapOptions, regionOptions } from '../../src/pipeline/prompt/settings.ts';
import { CRF_PRESETS } from '../../src/prompting/crf/index.ts';
import { forChannels, REGION_PRESETS, type RegionOptions } from '../../src/prompting/regions/index.ts';
import { resolveConfig } from '../../src/run/resolve.ts';

const configOf = (flags: Record<string, string> = {}) => resolveConfig({ flags }).config;
const optionsOf = (flags: Record<string, string> = {}, cls = {}): RegionOptions =>
  regionOptions(configOf(flags), cls);
const crfOf = ({ foreground }: RegionOptions) => {
  if (foreground.kind !== 'crf') throw new Error(`no CRF but ${foreground.kind}`);
  return foreground;
};

describe('regionOptions', () => {
  it('are the preset as published where nothing is given', () => {
    const strip = (options: RegionOptions) => ({ ...options, foreground: options.foreground.kind });
    for (const preset of ['paper', 'medclip-sam', 'medclip-sam-v2'] as const)
      expect(strip(optionsOf({ 'regions.preset': preset }))).toEqual(strip(REGION_PRESETS[preset]));
    expect(optionsOf({ 'regions.preset': 'medclip-sam-v2' })).toEqual(REGION_PRESETS['medclip-sam-v2']);
    const { unary, crf } = crfOf(optionsOf());
    expect(unary).toEqual({ form: 'medclip-sam', tau: 1.05, epsilon: 1e-8 });
    expect(crf.iterations).toBe(1);
    expect(crf.workingSidePx).toBe(512);
    expect(crfOf(optionsOf({ 'crf.workingSidePx': 'none' })).crf.workingSidePx).toBeNull();
    expect(crf.terms).toEqual(
      CRF_PRESETS['medclip-sam'].terms.map((term) => ({ ...term, normalisation: 'symmetric' })),
    );
  });

  it('keep as many regions as the class may have, unless a number is given', () => {
    expect(optionsOf({}, { maxComponents: 2 }).keep.maxRegions).toBe(2);
    expect(optionsOf({ 'regions.keep.maxRegions': '3' }, { maxComponents: 2 }).keep.maxRegions).toBe(3);
    expect(optionsOf().keep.maxRegions).toBe(1);
  });

  it('take every key over the preset', () => {
    const { crf } = crfOf(
      optionsOf({
        'crf.preset': 'pydensecrf',
        'crf.iterations': '2',
        'crf.gaussian.weight': '0',
        'crf.bilateral.sigmaPx': '40',
      }),
    );
    expect(crf).toEqual({
      iterations: 2,
      filter: 'lattice',
      workingSidePx: 512,
      terms: [
        { kind: 'bilateral', sigmaPx: 40, sigmaColour: 13, compatibility: 10, normalisation: 'symmetric' },
      ],
    });
    const options = optionsOf({
      'regions.points.count': '5',
      'regions.points.per': 'prompt',
      'regions.boxes.marginShare': '0.2',
      'regions.fallback': 'no-prompt',
    });
    expect(options.points).toMatchObject({ count: 5, per: 'prompt', placing: 'core' });
    expect(options.boxes).toEqual({ around: 'each', marginShare: 0.2 });
    expect(options.fallback).toBe('none');
  });

  it('find the foreground without a CRF where it is off', () => {
    const foreground = (flags: Record<string, string>) => optionsOf(flags).foreground;
    expect(foreground({ 'crf.enabled': 'false' })).toEqual({ kind: 'two-means', sidePx: 256 });
    expect(
      foreground({
        'crf.enabled': 'false',
        'regions.foreground.kind': 'threshold',
        'regions.foreground.threshold': '0.6',
      }),
    ).toEqual({ kind: 'threshold', value: 0.6 });
    expect(foreground({ 'crf.enabled': 'true', 'regions.preset': 'medclip-sam-v2' }).kind).toBe('crf');
  });
});

describe('forChannels', () => {
  it('lets one grey channel stand for three equal ones', () => {
    const options = optionsOf();
    expect(forChannels(options, 3)).toBe(options);
    const [, term] = crfOf(forChannels(options, 1)).crf.terms;
    expect(term).toMatchObject({ kind: 'bilateral', sigmaColour: 5 / Math.sqrt(3) });
  });
});

describe('maps', () => {
  it('leave out what is none', () => {
    expect(mapOptions(configOf())).toEqual({
      method: 'gscorecam',
      k: 300,
      temperature: 1,
      baseline: 'none',
      softmaxOver: 'all',
      view: 'stretch',
      minSensitivity: 0.05,
      precision: 'float32',
    });
    expect(mapOptions(configOf({ 'saliency.layer': 'last-norm1' }))).toMatchObject({ layer: 'last-norm1' });
  });

  it('are the same whatever the batch and the cache', () => {
    const identity = (flags: Record<string, string>) => mapIdentity(configOf(flags));
    expect(identity({ 'saliency.batch': '3', 'saliency.cache': 'false' })).toEqual(identity({}));
    expect(identity({ 'saliency.k': '20' })).not.toEqual(identity({}));
  });
});
