import { grad, nn, randn, type Tensor, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { embeddingChannels, packHighRes, unpackHighRes } from '../../../src/models/sam/high-res.ts';
import { inferSamConfig, SAM_CONFIGS, Sam } from '../../../src/models/sam/index.ts';
import { distance, images, SMALL, smallSam } from './small.ts';

const sam = smallSam({ highRes: true });
afterAll(() => sam.dispose());
const plain = smallSam();
afterAll(() => plain.dispose());

describe('high-resolution features', () => {
  it('travel behind the embedding and come back by place, in the order of the doublings', () => {
    tidy(() => {
      const [embedding, half, quarter] = [randn([2, 5, 4, 4]), randn([2, 3, 8, 8]), randn([2, 2, 16, 16])];
      const packed = packHighRes(embedding, { half, quarter });
      expect(packed.shape).toEqual([2, 5 + 4 * 3 + 16 * 2, 4, 4]);
      const back = unpackHighRes(packed, 5, { half: 3, quarter: 2 });
      expect(distance(back.embedding, embedding)).toBe(0);
      // Place (gy, gx), then row and column of each doubling, is the pixel in image order.
      const ordered = back.quarter
        .view([2, 4, 4, 2, 2, 2, 2, 2])
        .permute([0, 7, 1, 3, 5, 2, 4, 6])
        .reshape([2, 2, 16, 16]);
      expect(distance(ordered, quarter)).toBe(0);
      const halves = back.half.view([2, 4, 4, 2, 2, 3]).permute([0, 5, 1, 3, 2, 4]).reshape([2, 3, 8, 8]);
      expect(distance(halves, half)).toBe(0);
    });
  });

  it("the encoder gives as many channels as the configuration says, the embedding first; released models' embeddings are alone", () => {
    tidy(() => {
      const packed = sam.embed(images(2));
      expect(packed.shape).toEqual([2, embeddingChannels(sam.config), 4, 4]);
      expect(embeddingChannels(SAM_CONFIGS['sam-med2d_b'])).toBe(256);
      nn.loadStateDict(plain, sam.stateDict(), { allowUnexpected: [/conv_s/] });
      expect(distance(packed.slice(1, 0, 16), plain.embed(images(2)))).toBeLessThan(1e-6);
    });
  });

  it('join the upscaling as 1x1 convolutions in image order do, also in its gradients', () => {
    tidy(() => {
      const decoder = sam.mask_decoder;
      const [first, norm, , second] = decoder.output_upscaling.layers as unknown as [
        nn.ConvTranspose2d,
        nn.LayerNorm2d,
        unknown,
        nn.ConvTranspose2d,
      ];
      const [s0, s1] = [decoder.conv_s0 as nn.Conv2d, decoder.conv_s1 as nn.Conv2d];
      const { tokens, fine } = sam.image_encoder.patch_embed.levels(images(2));
      expect(tokens.shape).toEqual([2, 4, 4, 16]);
      const { half, quarter } = fine as { half: Tensor; quarter: Tensor };
      const embeddings = sam.embed(images(2));
      const embedding = embeddings.slice(1, 0, 16);
      const { masks } = sam.decode(embeddings, {}, { multimask: false });

      const dense = sam.prompt_encoder.forward({}).dense;
      const output = [decoder.iou_token.weight, decoder.mask_tokens.weight];
      const all = nn.F.pad(output[0] as Tensor, [0, 0, 0, 4]).add(
        nn.F.pad(output[1] as Tensor, [0, 0, 1, 0]),
      );
      const places = (x: Tensor) => x.flatten(2).transpose(1, 2);
      const told = decoder.transformer.forward(
        places(embedding.add(dense)),
        places(sam.prompt_encoder.densePositions()),
        all.unsqueeze(0).expand([2, 5, 16]),
      );
      const image = told.image.transpose(1, 2).reshape([2, 16, 4, 4]);
      const once = norm
        .forward(first.forward(image).add(s1.forward(half)).contiguous())
        .contiguous()
        .gelu();
      const up = second.forward(once).add(s0.forward(quarter)).contiguous().gelu();
      const weight = (decoder.output_hypernetworks_mlps[0] as nn.Layer).forward(told.tokens.select(1, 1));
      const expected = up.mul(weight.unsqueeze(2).unsqueeze(3)).sum(1, true);
      expect(distance(masks, expected)).toBeLessThan(1e-5);
      const leaves = [s0.weight, s1.weight, s0.bias as Tensor];
      const options = { retainGraph: true };
      const got = grad([masks.pow(2).sum()], leaves, options);
      const ref = grad([expected.pow(2).sum()], leaves, options);
      for (const [k, g] of got.entries()) expect(distance(g as Tensor, ref[k] as Tensor)).toBeLessThan(1e-3);
    });
  });

  it('are told by a checkpoint, and need a stem that has them', () => {
    expect(inferSamConfig(sam.stateDict() as never, 'a').highRes).toBe(true);
    expect(inferSamConfig(plain.stateDict() as never, 'a').highRes).toBe(false);
    const patches = { ...SMALL, highRes: true, encoder: { ...SMALL.encoder, stem: 'patch' as const } };
    expect(() => new Sam(patches)).toThrow(UsageError);
  });
});
