import { describe, expect, it } from 'vitest';
import {
  FAMILIES,
  manualSteps,
  maskrankHome,
  REGISTERED_WEIGHTS,
  sizeText,
} from '../../../src/models/weights/index.ts';

describe('the registry', () => {
  it('gives every entry a name of its own, a network that exists and an https address or a page', () => {
    const names = REGISTERED_WEIGHTS.map(({ name }) => name);
    expect(names).toEqual([
      'sam_vit_b',
      'sam_vit_l',
      'sam_vit_h',
      'sam-med2d_b',
      'biomedclip',
      'medvint-td',
      'pmc-clip',
      'llama-tokenizer',
    ]);
    for (const entry of REGISTERED_WEIGHTS) {
      const { family, architecture, origin, licence, trainedOn, beside = [] } = entry;
      expect(FAMILIES[family].describe(architecture)).toMatch(/\d/);
      for (const text of [origin, licence, trainedOn]) expect(text).not.toBe('');
      expect(origin).toMatch(/^https:\/\//);
      for (const { file, url, sha256 } of [entry, ...beside]) {
        expect(sha256 ?? '0'.repeat(64)).toMatch(/^[0-9a-f]{64}$/);
        if (url !== null) expect(url).toMatch(new RegExp(`^https://.*/${file.replaceAll('.', '\\.')}$`));
      }
    }
  });

  it('says how to do it by hand, with and without an address', () => {
    const [vit, , , med] = REGISTERED_WEIGHTS;
    expect(manualSteps(vit!)).toMatch(
      /download https:.*01ec64\.pth,.*weights add sam_vit_b sam_vit_b_01ec64\.pth$/,
    );
    expect(manualSteps(med!)).toMatch(
      /links on https:\/\/github\.com\/OpenGVLab\/SAM-Med2D,.*weights add sam-med2d_b/,
    );
  });

  it('writes sizes for people', () => {
    expect([17, 1234, 375_042_383, 2_564_550_879].map(sizeText)).toEqual([
      '17 bytes',
      '1.23 kB',
      '375 MB',
      '2.56 GB',
    ]);
  });
});

describe('maskrankHome', () => {
  it.each([
    [{ MASKRANK_HOME: '/x', XDG_CACHE_HOME: '/y' }, 'linux', '/x'],
    [{ XDG_CACHE_HOME: '/y' }, 'linux', '/y/maskrank'],
    [{ XDG_CACHE_HOME: 'relative' }, 'linux', '/home/a/.cache/maskrank'],
    [{ MASKRANK_HOME: '' }, 'darwin', '/home/a/.cache/maskrank'],
    [{ LOCALAPPDATA: '/local' }, 'win32', '/local/maskrank'],
  ])('%j on %s is %s', (env, platform, expected) => {
    expect(maskrankHome(env, { platform, home: '/home/a' })).toBe(expected);
  });
});
