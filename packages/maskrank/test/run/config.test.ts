import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { configWarnings, defaultConfig } from '../../src/run/config.ts';
import { type Leaf, leafAt, leaves, nearestKey, parseLeaf } from '../../src/run/leaves.ts';
import { alignmentPresets } from '../../src/run/presets.ts';
import {
  canonicalJson,
  configHash,
  formatConfig,
  hashedValues,
  readConfigFile,
  resolveConfig,
  valueAt,
  valueText,
} from '../../src/run/resolve.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-config-'));
afterAll(() => rmSync(dir, { recursive: true }));
const file = (value: unknown) => ({ path: 'my.json', value });

describe('the schema', () => {
  it('gives every key a default, a description and a flag of its own', () => {
    for (const leaf of leaves) {
      expect(leaf.description, leaf.path).not.toBe('');
      expect(leaf.default, leaf.path).toEqual(valueAt(defaultConfig(), leaf.path));
      expect(leaf.flag).toMatch(/^--[a-z0-9]+([.-][a-z0-9]+)*$/);
    }
    expect(new Set(leaves.map((leaf) => leaf.flag)).size).toBe(leaves.length);
  });

  it('has the recommended values of stage 2 as defaults', () => {
    const { alignment } = defaultConfig();
    expect(alignment.proposals).toMatchObject({
      generator: 'dropout',
      dropoutProbability: 0.35,
      threshold: 0.5,
    });
    expect(alignment.refresh).toMatchObject({ everySteps: 100, resync: 1, rounds: 'refreshed' });
    expect(alignment.loss).toMatchObject({
      kind: 'sigmoid',
      reduction: 'region',
      kappa: 10,
      beta1: 1,
      beta2: 0.5,
    });
    expect(alignment.anchor).toEqual({ reference: 0.1, labels: 0 });
    expect(alignment).toMatchObject({
      learningRate: 1e-4,
      gradClip: 1,
      batchSize: 8,
      minSteps: 600,
      epochs: 30,
      scope: 'decoder',
    });
    expect(alignment.skip).toEqual({ minRegionPx: 16, maxRegionFraction: 0.3 });
  });

  it('spells flags as keys', () => {
    expect(leafAt('training.batchSize')?.flag).toBe('--training.batch-size');
    expect(leafAt('alignment.proposals.dropoutProbability')?.flag).toBe(
      '--alignment.proposals.dropout-probability',
    );
    expect(leafAt('seed')?.flag).toBe('--seed');
  });

  it('property: a default written as a flag is read back', () => {
    fc.assert(
      fc.property(fc.constantFrom(...leaves), (leaf: Leaf) => {
        expect(parseLeaf(leaf, valueText(leaf.default), 'flag')).toEqual(leaf.default);
      }),
    );
  });
});

describe('resolveConfig', () => {
  it('is all defaults when nothing is given, and frozen', () => {
    const { config, origins } = resolveConfig();
    expect(config).toEqual(defaultConfig());
    expect(new Set(Object.values(origins))).toEqual(new Set(['default']));
    expect(Object.isFrozen(config.alignment.proposals.thresholds)).toBe(true);
  });

  it('lays flags over file over preset over defaults, and keeps the origin of each value', () => {
    const { config, origins } = resolveConfig({
      file: file({ alignment: { preset: 'paper', epochs: 12, loss: { reduction: 'region' } }, seed: 3 }),
      flags: { 'alignment.epochs': '5', 'scoring.noise': '0.1' },
      flagNames: { 'scoring.noise': '--noise' },
    });
    expect(config.alignment).toMatchObject({ preset: 'paper', epochs: 5, maxSteps: null });
    expect(config.alignment.loss.reduction).toBe('region');
    expect(config.alignment.proposals.generator).toBe('thresholds');
    expect(origins).toMatchObject({
      'alignment.epochs': 'flag --alignment.epochs',
      'alignment.loss.reduction': 'file my.json',
      'alignment.proposals.generator': 'preset paper',
      'alignment.preset': 'file my.json',
      'scoring.noise': 'flag --noise',
      'training.batchSize': 'default',
      seed: 'file my.json',
    });
  });

  it('lets a flag choose the preset', () => {
    const { config, origins } = resolveConfig({ flags: { 'alignment.preset': 'paper' } });
    expect(config.alignment.loss.reduction).toBe('sum');
    expect(origins['alignment.loss.reduction']).toBe('preset paper');
  });

  it('keeps what a run fixed, under file and flags', () => {
    const run = resolveConfig({
      flags: { 'training.batchSize': '4', 'training.epochs': '2', 'alignment.preset': 'paper' },
    });
    const { config, origins } = resolveConfig({ run, file: file({ training: { epochs: 9 } }) });
    expect(config.training).toMatchObject({ batchSize: 4, epochs: 9 });
    expect(origins['training.batchSize']).toBe('flag --training.batch-size');
    expect(origins['training.epochs']).toBe('file my.json');
    expect(origins['alignment.loss.reduction']).toBe('preset paper');
    const back = resolveConfig({ run, flags: { 'alignment.preset': 'recommended' } });
    expect(back.config.alignment).toEqual({ ...defaultConfig().alignment });
  });

  it("keeps a run's recorded default when a newer version changed it", () => {
    const old = resolveConfig();
    const run = { ...old, config: { ...old.config, training: { ...old.config.training, epochs: 99 } } };
    const { config, origins } = resolveConfig({ run });
    expect(config.training.epochs).toBe(99);
    expect(origins['training.epochs']).toMatch(/^run/);
  });

  it('reads lists, none and switches from flags', () => {
    const { config } = resolveConfig({
      flags: {
        'evaluation.tolerancesPx': '1, 2.5',
        'data.classes': 'none',
        'model.adapters': 'false',
        'training.learningRate': '3e-4',
        'alignment.maxSteps': 'none',
      },
    });
    expect(config.evaluation.tolerancesPx).toEqual([1, 2.5]);
    expect(config.data.classes).toBeNull();
    expect(config.model.adapters).toBe(false);
    expect(config.training.learningRate).toBe(3e-4);
    expect(config.alignment.maxSteps).toBeNull();
  });

  it.each([
    [
      { 'training.batchSize': '0' },
      /training\.batchSize \(flag --training\.batch-size\) = 0, allowed: integer, at least 1/,
    ],
    [
      { 'training.batchSize': 'many' },
      /training\.batchSize \(flag --training\.batch-size\) = 'many', allowed: integer/,
    ],
    [{ 'training.batchSize': '1.5' }, /= '1\.5', allowed: integer/],
    [{ 'training.batchSize': '' }, /= '', allowed: integer/],
    [{ 'training.learningRate': 'Infinity' }, /= 'Infinity', allowed: number, above 0, at most 1/],
    [{ 'training.trainable': 'encoder' }, /= 'encoder', allowed: all, adapters, lora, decoder/],
    [
      { 'training.trainable': 'lora' },
      /training\.trainable \(flag --training\.trainable\) = "lora": needs low-rank updates/,
    ],
    [{ 'data.imageSize': '100' }, /= 100, allowed: integer, at least 32, at most 2048, multiple of 16/],
    [{ 'model.adapters': 'perhaps' }, /= 'perhaps', allowed: true, false, or none/],
    [{ 'evaluation.tolerancesPx': '1,x' }, /= '1,x', allowed: list of at least 1 of: number/],
    [{ 'scoring.ratingBins': '0.5,0.4,0.7' }, /must ascend/],
    [{ 'alignment.proposals.thresholds': '0.3,0.5' }, /allowed: list of 4 of: number/],
    [{ 'alignment.preset': 'papers' }, /= 'papers', allowed: recommended, paper/],
    [{ 'alignment.minSteps': '2000' }, /alignment\.maxSteps .* is below alignment\.minSteps = 2000/],
  ] as [Record<string, string>, RegExp][])('refuses %o', (flags, message) => {
    expect(() => resolveConfig({ flags })).toThrow(UsageError);
    expect(() => resolveConfig({ flags })).toThrow(message);
  });

  it.each([
    [
      { training: { batchsize: 4 } },
      /unknown key training\.batchsize \(file my\.json\)\. Did you mean training\.batchSize\?/,
    ],
    [
      { batchSize: 4 },
      /unknown key batchSize .*Did you mean (?=.*training\.batchSize)(?=.*alignment\.batchSize).*\?/,
    ],
    [{ trainning: { epochs: 4 } }, /unknown key trainning .*Did you mean training\?/],
    [{ training: { kappa: 4 } }, /unknown key training\.kappa .*Did you mean alignment\.loss\.kappa\?/],
    [{ training: 4 }, /training \(file my\.json\): found 4, allowed: an object/],
    [[1], /the configuration \(file my\.json\): found \[1\], allowed: an object/],
    [
      { training: { batchSize: '4' } },
      /training\.batchSize \(file my\.json\) = "4", allowed: integer, at least 1/,
    ],
    [
      { alignment: { proposals: { thresholds: [0.3, 0.4, 0.5, 2] } } },
      /thresholds \(file my\.json\) = \[0\.3,0\.4,0\.5,2\], allowed: list of 4/,
    ],
  ])('refuses the file %o', (value, message) => {
    expect(() => resolveConfig({ file: file(value) })).toThrow(UsageError);
    expect(() => resolveConfig({ file: file(value) })).toThrow(message);
  });

  it('reports all problems of all layers at once', () => {
    const attempt = () =>
      resolveConfig({
        file: file({ colour: 1, training: { epochs: 0 } }),
        flags: { 'training.batchSize': 'x', seed: '-1' },
      });
    expect(attempt).toThrow(/4 problems:\n.*batchSize.*\n.*colour.*\n.*seed.*\n.*epochs/);
  });

  it('ignores the $schema that editors add', () => {
    expect(resolveConfig({ file: file({ $schema: './x.json', seed: 1 }) }).config.seed).toBe(1);
  });

  it('property: a resolved configuration given as file resolves to itself', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.constantFrom('paper', 'recommended'),
        (batch, preset) => {
          const { config } = resolveConfig({
            flags: { 'training.batchSize': String(batch), 'alignment.preset': preset },
          });
          expect(resolveConfig({ file: file(JSON.parse(JSON.stringify(config))) }).config).toEqual(config);
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('presets', () => {
  it('name known keys and lead to a valid configuration', () => {
    for (const [name, preset] of Object.entries(alignmentPresets)) {
      for (const path of Object.keys(preset)) expect(leafAt(path), path).toBeDefined();
      expect(() => resolveConfig({ flags: { 'alignment.preset': name } })).not.toThrow();
    }
  });
});

describe('configHash', () => {
  const hashOf = (flags: Record<string, string>, sections?: Parameters<typeof configHash>[1]) =>
    configHash(resolveConfig({ flags }).config, sections);

  it('depends on values, not on origins, device or threads', () => {
    expect(hashOf({ 'training.batchSize': '8', device: 'cpu', threads: '2' })).toBe(hashOf({}));
    expect(hashOf({ 'training.batchSize': '4' })).not.toBe(hashOf({}));
    expect(hashOf({ seed: '8' }, ['training'])).not.toBe(hashOf({}, ['training']));
  });

  it('of some sections ignores the others', () => {
    expect(hashOf({ 'alignment.loss.kappa': '3' }, ['training', 'model'])).toBe(
      hashOf({}, ['training', 'model']),
    );
    expect(hashOf({ 'alignment.loss.kappa': '3' }, ['alignment'])).not.toBe(hashOf({}, ['alignment']));
  });

  it('writes canonical JSON', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'x' }], a: 1e-4, z: undefined })).toBe(
      '{"a":0.0001,"b":[1,{"c":"x","d":null}]}',
    );
  });
});

describe('a key that came later', () => {
  const hashOf = (flags: Record<string, string>) => {
    const { config } = resolveConfig({ flags });
    return { hash: configHash(config, ['baselines.unet']), values: hashedValues(config, ['baselines.unet']) };
  };
  const key = 'baselines.unet.imageSize';

  it('enters hashes only where it is not as before it came', () => {
    const before = hashOf({});
    expect(leafAt(key)).toMatchObject({ isLater: true, default: null });
    expect(before.values).not.toHaveProperty([key]);
    expect(before.values).toHaveProperty(['baselines.unet.steps'], null);
    expect(hashOf({ [key]: 'none' })).toEqual(before);
    const set = hashOf({ [key]: '128' });
    expect(set.values).toEqual({ ...before.values, [key]: 128 });
    expect(set.hash).not.toBe(before.hash);
  });
});

describe('readConfigFile', () => {
  it('names a missing file, and the line of a mistake', () => {
    expect(() => readConfigFile(join(dir, 'no.json'))).toThrow(DataError);
    expect(() => readConfigFile(join(dir, 'no.json'))).toThrow(
      /configuration file cannot be read \(no such file/,
    );
    const path = join(dir, 'bad.json');
    writeFileSync(path, '{\n  "seed": 1,\n}');
    expect(() => readConfigFile(path)).toThrow(/bad\.json: not valid JSON .*line 3/);
  });
});

describe('the rest', () => {
  it('finds the nearest key', () => {
    expect(nearestKey('training.learnigRate')).toBe('training.learningRate');
    expect(nearestKey('tolerancesPx')).toBe('evaluation.tolerancesPx');
    expect(nearestKey('xylophone')).toBeUndefined();
  });

  it('prints each value with its origin', () => {
    const text = formatConfig(resolveConfig({ flags: { 'training.batchSize': '4' } }));
    expect(text).toMatch(/^training\.batchSize = 4 +flag --training\.batch-size$/m);
    expect(text).toMatch(/^data\.classes = none +default$/m);
  });

  it('warns of choices that are known to fail', () => {
    const warnings = (flags: Record<string, string>) =>
      configWarnings(resolveConfig({ flags }).config).map(({ text }) => text);
    expect(warnings({})).toEqual([]);
    expect(warnings({ 'alignment.loss.reduction': 'mean' })).toEqual([expect.stringContaining('collapsed')]);
    expect(warnings({ 'prompts.test': 'oracle-box' })).toEqual([expect.stringContaining('benchmarks only')]);
    expect(warnings({ 'alignment.refresh.everySteps': '0' })).toEqual([
      expect.stringContaining('offline 1 to 3'),
    ]);
    expect(warnings({ 'alignment.preset': 'paper' })).toEqual([]);
  });
});
