import { cat, fromTypedArray, memory, noGrad, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { describe, expect, it } from 'vitest';
import {
  buildClip,
  CLIP_CONFIGS,
  clipConfig,
  embedTexts,
  type VisionSite,
  WordPiece,
} from '../../../src/models/clip/index.ts';
import { ALL, distance, images, SMALL, SMALL_RESNET, SMALL_VIT, smallClip } from './small.ts';

const ids = (...rows: number[][]) =>
  fromTypedArray(BigInt64Array.from(rows.flat().map(BigInt)), [rows.length, rows[0]?.length as number]);

describe.each(ALL.map((config) => [config.name, config] as const))('%s', (_, config) => {
  it('gives each image the same features alone and in a batch, and unit embeddings', () => {
    const model = smallClip(config);
    tidy(() => {
      const batch = images(3, config);
      const together = model.embedImages(batch);
      const apart = cat(batch.split(1).map((image) => model.embedImages(image)));
      expect(distance(together, apart)).toBeLessThan(1e-5);
      const lengths = together.mul(together).sum(1).toFloat32Array();
      for (const length of lengths) expect(length).toBeCloseTo(1, 5);
      expect(together.shape).toEqual([3, config.embedDim]);
    });
    model.dispose();
  });

  it('leaves no tensor behind', () => {
    const before = memory().tensors;
    const model = smallClip(config);
    noGrad(() => tidy(() => void model.encodeImage(images(1, config))));
    noGrad(() => tidy(() => void model.encodeText(ids([1, 2, 3, 29]))));
    model.dispose();
    expect(memory().tensors).toBe(before);
  });

  it('gives the same with and without a look inside', () => {
    const model = smallClip(config);
    const sites: string[] = [];
    tidy(() => {
      const batch = images(2, config);
      const value = (site: VisionSite, x: typeof batch) => {
        sites.push(site);
        return x;
      };
      const looked = model.encodeImage(batch, { value, attention: (_block, weights) => weights });
      expect(distance(looked, model.encodeImage(batch))).toBeLessThan(1e-5);
    });
    const last = config.vision.kind === 'clip-resnet' ? 'layer4' : `blocks.${config.vision.depth - 1}`;
    expect(sites.at(-1)).toBe(last);
    model.dispose();
  });
});

describe('what a tap gives back', () => {
  it('goes on in its place', () => {
    const model = smallClip();
    tidy(() => {
      const blank = model.encodeImage(images(1), {
        value: (site, x) => (site === 'blocks.1' ? x.mul(0) : x),
      });
      const other = model.encodeImage(images(1, SMALL, 9), {
        value: (site, x) => (site === 'blocks.1' ? x.mul(0) : x),
      });
      expect(distance(blank, other)).toBe(0);
    });
    model.dispose();
  });

  it('shows attention whose rows sum to one', () => {
    const model = smallClip(SMALL_VIT);
    tidy(() => {
      const seen: number[][] = [];
      model.encodeImage(images(2, SMALL_VIT), {
        attention: (_, weights) => {
          seen.push([...weights.shape]);
          for (const sum of weights.sum(-1).contiguous().toFloat32Array()) expect(sum).toBeCloseTo(1, 5);
          return weights;
        },
      });
      expect(seen).toEqual([
        [2, 2, 17, 17],
        [2, 2, 17, 17],
      ]);
    });
    model.dispose();
  });
});

describe('texts', () => {
  it('padding changes nothing for BERT', () => {
    const model = smallClip();
    tidy(() => {
      const short = model.encodeText(ids([2, 7, 9, 3]));
      const padded = model.encodeText(ids([2, 7, 9, 3, 0, 0, 0]));
      expect(distance(short, padded)).toBeLessThan(1e-6);
      expect(distance(short, model.encodeText(ids([2, 7, 8, 3])))).toBeGreaterThan(1e-4);
    });
    model.dispose();
  });

  it("what follows the end changes nothing for OpenAI's tower", () => {
    const model = smallClip(SMALL_VIT);
    tidy(() => {
      const a = model.encodeText(ids([28, 4, 5, 29, 0, 0]));
      const b = model.encodeText(ids([28, 4, 5, 29, 17, 3]));
      expect(distance(a, b)).toBeLessThan(1e-6);
    });
    model.dispose();
  });

  it('embeds texts to unit length and counts what was cut', () => {
    const model = smallClip();
    const tokenizer = new WordPiece([
      '[PAD]',
      '[UNK]',
      '[CLS]',
      '[SEP]',
      '[MASK]',
      'liver',
      'left',
      'kidney',
    ]);
    const [short, long] = embedTexts(model, tokenizer, ['liver', 'left kidney '.repeat(20)]);
    expect(Math.hypot(...(short?.embedding ?? []))).toBeCloseTo(1, 6);
    expect([short?.droppedPieces, long?.droppedPieces]).toEqual([0, 40 - (SMALL.text.context - 2)]);
    const larger = new WordPiece([...tokenizer.vocabulary, ...Array.from({ length: 40 }, (_, i) => `w${i}`)]);
    expect(() => embedTexts(model, larger, ['liver'])).toThrow('48 pieces');
    model.dispose();
  });
});

describe('configurations', () => {
  it('are found by name', () => {
    expect(clipConfig('clip-rn50').embedDim).toBe(1024);
    expect(() => clipConfig('clip')).toThrow(UsageError);
    expect(() => clipConfig('clip')).toThrow(Object.keys(CLIP_CONFIGS).join(', '));
  });

  it('that cannot be built are refused with every reason', () => {
    const broken = {
      ...SMALL,
      vision: { ...SMALL.vision, imageSize: 30 },
      text: { ...SMALL.text, heads: 3, context: 99 },
    };
    expect(() => buildClip(broken)).toThrow(/imageSize 30.*text\.dim 8.*text\.heads 3.*context 99/s);
    expect(() => buildClip({ ...SMALL_RESNET, vision: { ...SMALL_RESNET.vision, imageSize: 65 } })).toThrow(
      '65',
    );
  });
});
