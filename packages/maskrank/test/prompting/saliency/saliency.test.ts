import { fromTypedArray, Generator, memory, randn, type Tensor, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FloatMap, Image } from '../../../src/imaging/types.ts';
import type { ClipConfig } from '../../../src/models/clip/index.ts';
import {
  attentionRelevance,
  CAM_LAYERS,
  CamImage,
  type CamOptions,
  type ChannelWeights,
  camSite,
  defaultCamLayer,
  gatherEvidence,
  ImageSaliency,
  meanGradients,
  normaliseMap,
  SALIENCY_METHODS,
  type SaliencyMethod,
  sensitivityWarning,
  textSensitivity,
  toWholeImage,
} from '../../../src/prompting/saliency/index.ts';
import { SMALL, SMALL_RESNET, SMALL_VIT, smallClip, unitVector } from '../../models/clip/small.ts';

function planes(config: ClipConfig = SMALL, seed = 2): Float32Array<ArrayBuffer> {
  const side = config.vision.imageSize;
  return tidy(() => randn([3, side, side], { generator: Generator.seeded(seed) }).toFloat32Array());
}

const text = (config: ClipConfig, seed = 3) => unitVector(config.embedDim, seed);

async function cam(config: ClipConfig, method: SaliencyMethod, options: CamOptions = {}) {
  const model = smallClip(config);
  const result = await SALIENCY_METHODS[method](new CamImage(model, planes(config), options), text(config));
  model.dispose();
  return result;
}

const largest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((worst, x, i) => Math.max(worst, Math.abs(x - (b[i] as number))), 0);

const map = (width: number, height: number, at: (x: number, y: number) => number): FloatMap => ({
  width,
  height,
  data: Float32Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width))),
});

describe('evidence', () => {
  it('at patches behind the last attention has no gradient, in front of it it has', () => {
    const model = smallClip();
    const request = { model, planes: planes(), text: text(SMALL) };
    const legacy = gatherEvidence({ ...request, layer: 'medclip-sam' });
    expect(legacy.gradients.every((g) => g === 0)).toBe(true);
    for (const layer of ['penultimate-block', 'last-norm1', 'last-block-class'] as const) {
      const { gradients, channels } = gatherEvidence({ ...request, layer });
      expect(Math.max(...gradients.map(Math.abs))).toBeGreaterThan(1e-6);
      expect(gradients.length).toBe(channels * (layer === 'last-block-class' ? 1 : 16));
    }
    model.dispose();
  });

  it('is the derivative of the logit', () => {
    // One channel everywhere a little larger: the logit moves by the sum of that channel's gradients.
    const model = smallClip(SMALL_RESNET);
    const request = {
      model,
      planes: planes(SMALL_RESNET),
      text: text(SMALL_RESNET),
      layer: 'last-stage',
    } as const;
    const evidence = gatherEvidence(request);
    const count = evidence.width * evidence.height;
    const logit = (moved: number, by: number) =>
      tidy(() => {
        const input = randn([1, 3, 64, 64], { generator: Generator.seeded(2) });
        const features = model.encodeImage(input, {
          value: (site, x) => {
            if (site !== 'layer4') return x;
            const data = x.toFloat32Array();
            for (let i = moved * count; i < (moved + 1) * count; i++) data[i] = (data[i] as number) + by;
            return x.clone().copyFrom(data);
          },
        });
        const own = features.toFloat32Array();
        const length = Math.hypot(...own);
        const cosine = own.reduce((sum, value, i) => sum + value * (request.text[i] as number), 0) / length;
        return cosine * Math.exp(model.logit_scale.item());
      });
    const importance = meanGradients(evidence);
    for (const channel of [0, 17, 100]) {
      const numeric = (logit(channel, 0.02) - logit(channel, -0.02)) / 0.04;
      expect((importance[channel] as number) * count).toBeCloseTo(numeric, 3);
    }
    model.dispose();
  });

  it('knows which layers a network has', () => {
    const [vit, resNet] = [smallClip(SMALL), smallClip(SMALL_RESNET)];
    expect(defaultCamLayer(vit)).toBe('penultimate-block');
    expect(defaultCamLayer(resNet)).toBe('last-stage');
    expect(camSite(vit, 'penultimate-block')).toEqual({ site: 'blocks.1', gradient: 'places' });
    expect(() => camSite(vit, 'last-stage')).toThrow(/allowed are penultimate-block, .*medclip-sam\.$/);
    expect(() => camSite(resNet, 'last-norm1')).toThrow('allowed are last-stage.');
    expect(CAM_LAYERS.length).toBe(5);
    vit.dispose();
    resNet.dispose();
  });
});

describe('gScoreCAM', () => {
  it('keeps the channels with the largest gradients and weighs all to one', async () => {
    const { channels } = await cam(SMALL, 'gscorecam', { k: 5 });
    const { kept, importance, weights } = channels as ChannelWeights;
    const least = Math.min(...kept.map((c) => importance[c] as number));
    const others = Array.from(importance.keys()).filter((c) => !kept.includes(c));
    expect(kept.length).toBe(5);
    expect(Math.max(...others.map((c) => importance[c] as number))).toBeLessThanOrEqual(least);
    expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
    for (const c of others) expect(weights[c]).toBe(weights[others[0] as number]);
  });

  it('with softmax over kept channels gives the others nothing', async () => {
    const { channels } = await cam(SMALL, 'gscorecam', { k: 5, softmaxOver: 'kept' });
    const counted = Array.from(channels?.weights ?? []).filter((weight) => weight > 0);
    expect(counted.length).toBe(5);
    expect(counted.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
  });

  it('keeping all channels is ScoreCAM up to the epsilon', async () => {
    const all = await cam(SMALL, 'gscorecam', { k: 300 });
    const plain = await cam(SMALL, 'scorecam');
    expect(largest(all.grid.data, plain.grid.data)).toBeLessThan(1e-4);
  });

  it('does not depend on the batch', async () => {
    const one = await cam(SMALL_VIT, 'gscorecam', { k: 7, batch: 1 });
    const many = await cam(SMALL_VIT, 'gscorecam', { k: 7, batch: 64 });
    expect(largest(one.grid.data, many.grid.data)).toBeLessThan(1e-6);
  });

  it('a high temperature makes channels equal, a blank baseline moves the scores alike', async () => {
    const hot = await cam(SMALL, 'gscorecam', { k: 4, temperature: 1e9 });
    for (const weight of hot.channels?.weights ?? []) expect(weight).toBeCloseTo(1 / 16, 6);
    const plain = await cam(SMALL, 'gscorecam', { k: 4 });
    const moved = await cam(SMALL, 'gscorecam', { k: 4, baseline: 'blank' });
    const shifts = (plain.channels?.scores ?? new Float64Array()).map(
      (score, i) => score - (moved.channels?.scores?.[i] as number),
    );
    expect(Math.max(...shifts) - Math.min(...shifts)).toBeLessThan(1e-9);
    expect(Math.abs(shifts[0] as number)).toBeGreaterThan(1e-6);
  });

  it('says when no gradient reaches the layer', async () => {
    const { warnings, channels } = await cam(SMALL, 'gscorecam', { layer: 'medclip-sam', k: 3 });
    expect(warnings[0]).toContain('exactly zero');
    expect(channels?.kept).toEqual([0, 1, 2]);
    expect((await cam(SMALL, 'gscorecam', { k: 3 })).warnings).toEqual([]);
  });

  it.each<CamOptions>([{ k: 0 }, { k: 2.5 }, { batch: 0 }, { temperature: 0 }, { precision: 'bfloat16' }])(
    'refuses %j on a processor',
    (options) => {
      const model = smallClip();
      expect(() => new CamImage(model, planes(), options)).toThrow(UsageError);
      model.dispose();
    },
  );

  it('refuses an image or a text of another network', () => {
    const model = smallClip();
    expect(() => new CamImage(model, new Float32Array(12))).toThrow('3 planes of 32 x 32 px');
    expect(() => new CamImage(model, planes()).evidence(unitVector(7))).toThrow('7 values');
    model.dispose();
  });
});

describe('activations', () => {
  it.each([SMALL, SMALL_VIT, SMALL_RESNET])(
    '$name: are those of the evidence of any text, taken once',
    (config) => {
      const model = smallClip(config);
      const image = new CamImage(model, planes(config));
      const { gradients, ...seen } = image.evidence(text(config));
      expect(gradients.length).toBeGreaterThan(0);
      expect(image.activations).toEqual(seen);
      expect(image.activations).toBe(image.activations);
      model.dispose();
    },
  );
});

describe('every method', () => {
  // As many channels in a place as in a text, which similarity needs.
  const ALIKE: ClipConfig = { ...SMALL, embedDim: SMALL.vision.dim };
  const methods = Object.keys(SALIENCY_METHODS) as SaliencyMethod[];
  it.each(methods)('%s gives a finite map of the grid', async (method) => {
    const { grid } = await cam(ALIKE, method, { k: 4 });
    expect([grid.width, grid.height, grid.data.length]).toEqual([4, 4, 16]);
    expect(grid.data.every(Number.isFinite)).toBe(true);
  });

  it('leaves no tensor behind', async () => {
    const model = smallClip(ALIKE);
    const before = memory().tensors;
    for (const method of methods) {
      await SALIENCY_METHODS[method](new CamImage(model, planes(), { k: 4 }), text(ALIKE));
    }
    expect(memory().tensors).toBe(before);
    model.dispose();
  });
});

describe('attention relevance', () => {
  it('is not negative, and is refused for a ResNet', () => {
    const [vit, resNet] = [smallClip(SMALL_VIT), smallClip(SMALL_RESNET)];
    const { data } = attentionRelevance(vit, planes(SMALL_VIT), text(SMALL_VIT));
    expect(data.every((x) => x >= 0)).toBe(true);
    expect(data.some((x) => x > 0)).toBe(true);
    expect(() => attentionRelevance(resNet, planes(SMALL_RESNET), text(SMALL_RESNET))).toThrow(UsageError);
    vit.dispose();
    resNet.dispose();
  });

  it('of one block is the mean over heads of attention times its derivative where that is positive', () => {
    const model = smallClip({ ...SMALL, vision: { ...SMALL.vision, depth: 1 } });
    const own = text(SMALL);
    const got = attentionRelevance(model, planes(), own);
    /** The logit with one attention weight of the class token moved, and that weight. */
    const moved = (head: number, patch: number, by: number) =>
      tidy(() => {
        let weight = 0;
        const input = fromTypedArray(planes(), [1, 3, 32, 32]);
        const attention = (_: number, weights: Tensor) => {
          const data = weights.toFloat32Array();
          const at = head * 17 * 17 + patch;
          weight = data[at] as number;
          data[at] = weight + by;
          return weights.clone().copyFrom(data);
        };
        const features = model.encodeImage(input, { attention }).toFloat32Array();
        const dot = features.reduce((sum, value, i) => sum + value * (own[i] as number), 0);
        return { weight, logit: (Math.exp(model.logit_scale.item()) * dot) / Math.hypot(...features) };
      });
    const top = Math.max(...got.data);
    for (const patch of [1, 6, 16]) {
      const parts = [0, 1].map((head) => {
        const [up, down] = [moved(head, patch, 0.01), moved(head, patch, -0.01)];
        return Math.max(0, (up.weight * (up.logit - down.logit)) / 0.02);
      });
      const expected = ((parts[0] as number) + (parts[1] as number)) / 2;
      expect(Math.abs((got.data[patch - 1] as number) - expected)).toBeLessThan(0.01 * top);
    }
    model.dispose();
  });

  it('is the same whether the parameters are frozen or not', () => {
    const model = smallClip();
    const frozen = attentionRelevance(model, planes(), text(SMALL));
    model.requiresGrad_(true);
    const trained = attentionRelevance(model, planes(), text(SMALL));
    expect(largest(frozen.data, trained.data)).toBeLessThan(1e-7);
    expect(model.parameters().every((parameter) => parameter.grad === null)).toBe(true);
    model.dispose();
  });
});

describe('a map on the whole image', () => {
  it('spans 0 to 1 and follows its cells', () => {
    const whole = toWholeImage(
      map(2, 2, (x, y) => x + 2 * y - 1),
      { x0: 0, y0: 0, x1: 8, y1: 6 },
      { width: 8, height: 6 },
    );
    expect([whole.width, whole.height]).toEqual([8, 6]);
    expect(whole.data[0]).toBe(0);
    expect(whole.data[47]).toBeCloseTo(1, 6);
  });

  it('is 0 where the network did not look', () => {
    const whole = toWholeImage(
      map(2, 2, (x) => x),
      { x0: 10, y0: 0, x1: 30, y1: 20 },
      { width: 40, height: 20 },
    );
    for (let y = 0; y < 20; y++) {
      for (const x of [0, 9, 30, 39]) expect(whole.data[y * 40 + x]).toBe(0);
    }
    expect(whole.data[29]).toBeCloseTo(1, 6);
  });

  it('stays within 0 and 1, whatever the sums', () => {
    const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 9, maxLength: 9 });
    fc.assert(
      fc.property(
        values,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        (sums, width, height) => {
          const raw = { width: 3, height: 3, data: Float32Array.from(sums) };
          const whole = toWholeImage(raw, { x0: 0, y0: 0, x1: width, y1: height }, { width, height });
          expect(whole.data.length).toBe(width * height);
          expect(whole.data.every((x) => x >= 0 && x <= 1)).toBe(true);
        },
      ),
    );
  });

  it('without a range is all zeros', () => {
    expect(normaliseMap(map(3, 2, () => 5)).data.every((x) => x === 0)).toBe(true);
    expect(normaliseMap(map(3, 2, (x) => -x)).data.every((x) => x === 0)).toBe(true);
  });
});

describe('sensitivity to the text', () => {
  it('is 0 for the same map, 2 for the reverse, 1 beside a constant one', () => {
    const ramp = map(4, 3, (x) => x / 3);
    expect(
      textSensitivity(
        ramp,
        map(4, 3, (x) => 0.2 + x / 9),
      ),
    ).toBeCloseTo(0, 6);
    expect(
      textSensitivity(
        ramp,
        map(4, 3, (x) => 1 - x / 3),
      ),
    ).toBeCloseTo(2, 6);
    expect(
      textSensitivity(
        ramp,
        map(4, 3, () => 0.5),
      ),
    ).toBe(1);
    expect(
      textSensitivity(
        map(2, 2, () => 0),
        map(2, 2, () => 1),
      ),
    ).toBe(0);
    expect(() =>
      textSensitivity(
        ramp,
        map(3, 4, () => 0),
      ),
    ).toThrow(UsageError);
  });

  it('warns below its limit', () => {
    expect(sensitivityWarning(0.2, 0.05)).toBeNull();
    expect(sensitivityWarning(0.01, 0.05)).toContain('0.010');
  });
});

describe('saliency of an image', () => {
  const image: Image = {
    width: 30,
    height: 20,
    channels: 1,
    data: Uint8Array.from({ length: 600 }, (_, i) => (i * 37) % 251),
  };

  it('comes at the size of the image, with its sensitivity', async () => {
    const model = smallClip();
    const saliency = new ImageSaliency(model, image, { k: 4, neutral: text(SMALL, 8) });
    const { map: whole, sensitivity, warnings } = await saliency.map(text(SMALL));
    expect([whole.width, whole.height, whole.data.length]).toEqual([30, 20, 600]);
    expect(sensitivity).toBeGreaterThan(0);
    expect(warnings.length).toBe((sensitivity as number) < 0.05 ? 1 : 0);
    model.dispose();
  });

  it('warns when the text is the neutral one', async () => {
    const model = smallClip();
    const saliency = new ImageSaliency(model, image, { k: 4, neutral: text(SMALL) });
    const { sensitivity, warnings } = await saliency.map(text(SMALL));
    expect(sensitivity).toBeCloseTo(0, 6);
    expect(warnings[0]).toContain('hardly depends on the text');
    model.dispose();
  });

  it('is 0 outside a centre crop', async () => {
    const model = smallClip();
    const { map: whole } = await new ImageSaliency(model, image, { k: 4, view: 'centre-crop' }).map(
      text(SMALL),
    );
    for (let y = 0; y < 20; y++) {
      for (const x of [0, 4, 25, 29]) expect(whole.data[y * 30 + x]).toBe(0);
    }
    expect(Math.max(...whole.data)).toBeCloseTo(1, 5);
    model.dispose();
  });

  it('of a second text reuses masked images and equals a fresh one', async () => {
    const model = smallClip();
    const options = { k: 16, batch: 4 };
    const shared = new ImageSaliency(model, image, options);
    let passes = 0;
    const encode = model.encodeImage.bind(model);
    model.encodeImage = (...args) => {
      passes++;
      return encode(...args);
    };
    await shared.map(text(SMALL));
    expect(passes).toBe(1 + 4);
    const second = await shared.map(text(SMALL, 5));
    expect(passes).toBe(1 + 4 + 1);
    const fresh = await new ImageSaliency(model, image, options).map(text(SMALL, 5));
    expect(largest(second.map.data, fresh.map.data)).toBeLessThan(1e-6);
    model.dispose();
  });

  it('of a damaged network or text is refused', async () => {
    const model = smallClip();
    const broken = text(SMALL).fill(Number.NaN);
    for (const method of ['gradcam', 'relevance'] as const) {
      await expect(new ImageSaliency(model, image, { method }).map(broken)).rejects.toThrow(DataError);
    }
    model.dispose();
  });

  it('stops between batches on request', async () => {
    const model = smallClip();
    const controller = new AbortController();
    const running = new ImageSaliency(model, image, { k: 16, batch: 1 }).map(text(SMALL), controller.signal);
    controller.abort();
    await expect(running).rejects.toThrow('abort');
    model.dispose();
  });
});
