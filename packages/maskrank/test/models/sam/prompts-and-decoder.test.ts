import {
  fromTypedArray,
  Generator,
  grad,
  memory,
  nn,
  randn,
  type Tensor,
  tidy,
  zeros,
} from '@maskrank/torch';
import { afterAll, describe, expect, it } from 'vitest';
import { boxMap } from '../../../src/models/sam/box-map.ts';
import { clickMap } from '../../../src/models/sam/click-map.ts';
import { pickBest, pickHead, SAM_CONFIGS } from '../../../src/models/sam/index.ts';
import { distance, images, smallSam } from './small.ts';

const sam = smallSam();
afterAll(() => sam.dispose());

const boxes = (n: number): Tensor =>
  fromTypedArray(
    Float32Array.from({ length: 4 * n }, (_, i) => [4, 6, 40, 50][i % 4]! + i),
    [n, 4],
  );
const point = (label: number) => ({
  coords: fromTypedArray(Float32Array.of(20, 30), [1, 1, 2]),
  labels: fromTypedArray(BigInt64Array.of(BigInt(label)), [1, 1]),
});

describe('prompt encoder', () => {
  it('a mask of 64/4 px becomes a map of the grid', () => {
    tidy(() => {
      const { sparse, dense } = sam.prompt_encoder.forward({ masks: zeros([2, 1, 16, 16]) });
      expect(dense.shape).toEqual([2, 16, 4, 4]);
      expect(sparse.shape).toEqual([2, 0, 16]);
    });
  });

  it('tokens come as points, box corners, text; a padding point only when no box is given', () => {
    tidy(() => {
      const text = randn([1, 2, 6]);
      const count = (p: Parameters<typeof sam.prompt_encoder.forward>[0]) =>
        sam.prompt_encoder.forward(p).sparse.size(1);
      expect(count({})).toBe(0);
      expect(count({ points: point(1) })).toBe(2);
      expect(count({ boxes: boxes(1) })).toBe(2);
      expect(count({ points: point(1), boxes: boxes(1) })).toBe(3);
      expect(count({ boxes: boxes(1), text })).toBe(4);
      expect(count({ boxes: randn([1, 2, 4]) })).toBe(4);
    });
  });

  it('a fresh text token is a padding point, whatever the text; no text is no token', () => {
    tidy(() => {
      const { sparse } = sam.prompt_encoder.forward({ boxes: boxes(1), text: randn([1, 1, 6]) });
      const without = sam.prompt_encoder.forward({ boxes: boxes(1) }).sparse;
      expect(distance(sparse.slice(1, 0, 2), without)).toBe(0);
      expect(distance(sparse.select(1, 2), sam.prompt_encoder.not_a_point_embed.weight)).toBe(0);
    });
  });

  it('absent boxes and texts in a batch become padding points', () => {
    tidy(() => {
      const present = fromTypedArray(Float32Array.of(1, 0), [2, 1]);
      const { sparse } = sam.prompt_encoder.forward({
        boxes: boxes(2).unsqueeze(1),
        boxPresent: present,
        text: randn([2, 1, 6]),
        textPresent: present,
      });
      const alone = sam.prompt_encoder.forward({ boxes: boxes(2).slice(0, 0, 1) }).sparse;
      const padding = sam.prompt_encoder.not_a_point_embed.weight;
      expect(distance(sparse.slice(0, 0, 1).slice(1, 0, 2), alone)).toBe(0);
      for (let token = 0; token < 3; token++) {
        expect(distance(sparse.select(0, 1).slice(0, token, token + 1), padding)).toBe(0);
      }
    });
  });

  it('a point without a place does not depend on its coordinates', () => {
    tidy(() => {
      const token = (x: number) =>
        sam.prompt_encoder.forward({
          points: { coords: fromTypedArray(Float32Array.of(x, 3), [1, 1, 2]), labels: point(-1).labels },
        }).sparse;
      expect(distance(token(1), token(50))).toBe(0);
    });
  });
});

describe('two-way transformer', () => {
  it('in its first layer self-attention replaces the tokens, in the second it is added', () => {
    const model = smallSam();
    tidy(() => {
      const { layers } = model.mask_decoder.transformer;
      const [image, pe, tokenPe] = [randn([1, 16, 16]), randn([1, 16, 16]), randn([1, 3, 16])];
      const [a, b] = [randn([1, 3, 16]), randn([1, 3, 16])];
      const apart = layers.map((layer) => {
        nn.init.constant_(layer.self_attn.out_proj.weight, 0);
        return distance(layer.forward(a, image, tokenPe, pe)[0], layer.forward(b, image, tokenPe, pe)[0]);
      });
      expect(apart[0]).toBe(0);
      expect(apart[1]).toBeGreaterThan(0.01);
    });
    model.dispose();
  });
});

describe('mask decoder', () => {
  const embedding = tidy(() => sam.embed(images(2)).detach());
  afterAll(() => embedding.dispose());

  it('answers many prompts of one image as it answers each alone', () => {
    tidy(() => {
      const one = embedding.slice(0, 0, 1);
      const all = sam.decode(one, { boxes: boxes(3) }, { multimask: true });
      expect(all.masks.shape).toEqual([3, 3, 16, 16]);
      for (let i = 0; i < 3; i++) {
        const alone = sam.decode(one, { boxes: boxes(3).slice(0, i, i + 1) }, { multimask: true });
        expect(distance(all.masks.slice(0, i, i + 1), alone.masks)).toBeLessThan(1e-5);
      }
    });
  });

  it('without any prompt answers once an image', () => {
    tidy(() => {
      const { masks, iou } = sam.decode(embedding, {}, { multimask: false });
      expect(masks.shape).toEqual([2, 1, 16, 16]);
      expect(iou.shape).toEqual([2, 1]);
    });
  });

  it('upscales as transposed convolutions do, also in its gradients', () => {
    tidy(() => {
      const decoder = sam.mask_decoder;
      const [first, norm, , second] = decoder.output_upscaling.layers as unknown as [
        nn.ConvTranspose2d,
        nn.LayerNorm2d,
        unknown,
        nn.ConvTranspose2d,
      ];
      const input = {
        imageEmbeddings: embedding,
        imagePe: sam.prompt_encoder.densePositions(),
        ...sam.prompt_encoder.forward({ boxes: boxes(2) }),
      };
      const { masks } = decoder.forward(input, true);
      // The same by the layers themselves, in image order.
      const output = [decoder.iou_token.weight, decoder.mask_tokens.weight].map((t) =>
        t.unsqueeze(0).expand([2, t.size(0), 16]),
      );
      const places = (x: Tensor) => x.flatten(2).transpose(1, 2);
      const tokens = nn.F.pad(input.sparse, [0, 0, 5, 0])
        .add(nn.F.pad(output[0]!, [0, 0, 0, 6]))
        .add(nn.F.pad(output[1]!, [0, 0, 1, 2]));
      const told = decoder.transformer.forward(
        places(embedding.add(input.dense)),
        places(input.imagePe),
        tokens,
      );
      const image = told.image.transpose(1, 2).reshape([2, 16, 4, 4]);
      const up = second
        .forward(norm.forward(first.forward(image)).contiguous().gelu())
        .contiguous()
        .gelu();
      const weights = decoder.output_hypernetworks_mlps
        .slice(1)
        .map((mlp, i) => mlp.forward(told.tokens.select(1, 2 + i)));
      const expected = weights.map((w) => up.mul(w.unsqueeze(2).unsqueeze(3)).sum(1, true));
      for (const [i, mask] of expected.entries()) {
        expect(distance(masks.slice(1, i, i + 1), mask)).toBeLessThan(1e-5);
        const leaves = [first.weight, first.bias as Tensor, second.weight, second.bias as Tensor];
        const options = { retainGraph: true };
        const got = grad(
          [
            masks
              .slice(1, i, i + 1)
              .pow(2)
              .sum(),
          ],
          leaves,
          options,
        );
        const ref = grad([mask.pow(2).sum()], leaves, options);
        for (const [k, g] of got.entries())
          expect(distance(g as Tensor, ref[k] as Tensor)).toBeLessThan(1e-3);
      }
    });
  });

  it('drops channels only when asked, by its own stream, for each prompt anew', () => {
    tidy(() => {
      const decode = () =>
        sam.decode(
          embedding.slice(0, 0, 1).expand([2, 16, 4, 4]),
          { boxes: boxes(1).expand([2, 4]) },
          { multimask: false },
        ).masks;
      const plain = decode();
      expect(distance(plain.slice(0, 0, 1), plain.slice(0, 1, 2))).toBeLessThan(1e-6);
      sam.mask_decoder.dropoutP = 0.35;
      const drawn = [8, 8, 9].map((seed) => {
        sam.mask_decoder.dropoutGenerator = Generator.seeded(seed);
        return decode();
      }) as [Tensor, Tensor, Tensor];
      sam.mask_decoder.dropoutP = 0;
      sam.mask_decoder.dropoutGenerator = null;
      expect(distance(drawn[0], drawn[1])).toBe(0);
      expect(distance(drawn[0], drawn[2])).toBeGreaterThan(1e-4);
      expect(distance(drawn[0].slice(0, 0, 1), drawn[0].slice(0, 1, 2))).toBeGreaterThan(1e-4);
      expect(distance(decode(), plain)).toBe(0);
    });
  });

  it('picks the head with the largest predicted IoU, and any head by number', () => {
    tidy(() => {
      const out = sam.decode(embedding, { boxes: boxes(2) }, { multimask: true });
      const best = pickBest(out);
      const heads = Array.from(best.head.toTypedArray() as BigInt64Array, Number);
      const ious = out.iou.toFloat32Array();
      for (const [i, head] of heads.entries()) {
        const row = ious.slice(3 * i, 3 * i + 3);
        expect(row[head]).toBe(Math.max(...row));
        expect(distance(best.masks.select(0, i).squeeze(0), out.masks.select(0, i).select(0, head))).toBe(0);
      }
      expect(distance(pickHead(out, best.head).masks, best.masks)).toBe(0);
    });
  });

  it('leaves as many tensors alive after a step as before', () => {
    const step = () =>
      tidy(() => {
        sam.zeroGrad();
        sam
          .decode(embedding, { boxes: boxes(2), text: randn([2, 1, 6]) }, { multimask: true })
          .masks.mean()
          .backward();
        return null;
      });
    step();
    const before = memory().tensors;
    for (let i = 0; i < 3; i++) step();
    expect(memory().tensors).toBe(before);
    sam.zeroGrad();
  });
});

describe('boxes drawn as a mask prompt', () => {
  it('each cell holds the part of it that boxes cover; absent boxes cover nothing', () => {
    tidy(() => {
      const list = fromTypedArray(Float32Array.of(2, 4, 8, 6, 0, 0, 16, 16), [1, 2, 4]);
      const present = fromTypedArray(Float32Array.of(1, 0), [1, 2]);
      const map = boxMap(list, present, { cells: 4, cell: 4 });
      expect(map.shape).toEqual([1, 1, 4, 4]);
      expect([...map.toFloat32Array()]).toEqual([0, 0, 0, 0, 0.25, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
      expect(boxMap(list, undefined, { cells: 4, cell: 4 }).amin().item()).toBe(1);
    });
  });

  it('is what the mask prompt would be; a given mask wins, and a sample without a box gets no map', () => {
    tidy(() => {
      const { prompt_encoder: encoder } = sam;
      const map = boxMap(boxes(2).unsqueeze(1), undefined, { cells: 16, cell: 4 });
      const drawn = encoder.forward({ boxes: boxes(2) }).dense;
      expect(distance(drawn, encoder.forward({ masks: map }).dense)).toBe(0);
      const masks = zeros([2, 1, 16, 16]);
      expect(
        distance(encoder.forward({ boxes: boxes(2), masks }).dense, encoder.forward({ masks }).dense),
      ).toBe(0);
      const boxPresent = fromTypedArray(Float32Array.of(1, 0), [2, 1]);
      const { dense } = encoder.forward({ boxes: boxes(2).unsqueeze(1), boxPresent });
      expect(distance(dense.slice(0, 0, 1), drawn.slice(0, 0, 1))).toBeLessThan(1e-6);
      expect(distance(dense.slice(0, 1, 2), encoder.forward({}).dense)).toBeLessThan(1e-6);
    });
  });

  it('is off in the released configurations', () => {
    for (const name of ['sam_vit_b', 'sam_vit_l', 'sam_vit_h', 'sam-med2d_b'] as const) {
      const { boxMaps, clickMaps, encoder } = SAM_CONFIGS[name];
      expect([boxMaps, clickMaps, encoder.stem]).toEqual([false, false, 'patch']);
    }
  });
});

describe('clicks drawn as spots on a mask prompt', () => {
  const clicks = (labels: readonly number[]) => ({
    coords: fromTypedArray(Float32Array.of(9.5, 5.5, 1.5, 13.5), [1, 2, 2]),
    labels: fromTypedArray(BigInt64Array.from(labels, BigInt), [1, 2]),
  });

  it('are 1 where something belongs, -1 where it does not, and nothing where there is none', () => {
    tidy(() => {
      const { coords, labels } = clicks([1, 0]);
      const map = clickMap(coords, labels, { cells: 4, cell: 4 });
      expect(map.shape).toEqual([1, 1, 4, 4]);
      // (9.5, 5.5) is the middle of cell (2, 1), (1.5, 13.5) that of (0, 3); one cell away is exp(-1 / 4.5).
      const at = (x: number, y: number) => map.toFloat32Array()[4 * y + x];
      expect(at(2, 1)).toBeCloseTo(1 - Math.exp(-8 / 4.5), 5);
      expect(at(0, 3)).toBeCloseTo(Math.exp(-8 / 4.5) - 1, 5);
      expect(at(3, 1)).toBeCloseTo(Math.exp(-1 / 4.5) - Math.exp(-13 / 4.5), 5);
      expect(
        clickMap(coords, clicks([-1, -1]).labels, { cells: 4, cell: 4 })
          .abs()
          .amax()
          .item(),
      ).toBe(0);
    });
  });

  it('lie over a mask or drawn boxes; padding alone is no mask', () => {
    tidy(() => {
      const { prompt_encoder: encoder } = sam;
      const points = clicks([1, -1]);
      const spots = clickMap(points.coords, points.labels, { cells: 16, cell: 4 });
      const masks = zeros([1, 1, 16, 16]).add(0.25);
      const over = encoder.forward({ points, masks }).dense;
      expect(distance(over, encoder.forward({ masks: masks.add(spots) }).dense)).toBe(0);
      const alone = encoder.forward({ points }).dense;
      expect(distance(alone, encoder.forward({ masks: spots }).dense)).toBeLessThan(1e-6);
      const padding = encoder.forward({ points: clicks([-1, -1]) }).dense;
      expect(distance(padding, encoder.forward({}).dense)).toBeLessThan(1e-6);
    });
  });
});
