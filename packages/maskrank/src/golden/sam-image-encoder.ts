// Fixtures sammed2d_image_encoder and sammed2d_encoder_nonsquare_relpos: every stage of the image encoder and its gradients,
// with windows computed exactly from real tokens and, for comparison, padded as the reference does.

import { fromTensorData, nn, type Tensor, tidy } from '@maskrank/torch';
import { ImageEncoder, type Windowing } from '../models/sam/index.ts';
import {
  realBias,
  relativePositions,
  relativeTables,
  relativeTerms,
} from '../models/sam/relative-positions.ts';
import { partition, unpartition } from '../models/sam/windows.ts';
import { checkFact, compareElements, compareExact, FORWARD, need, numbers, under } from './compare.ts';
import { compareGradients } from './gradients.ts';
import { configOf } from './sam-config.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const load = (fixture: Fixture, name: string): Tensor => fromTensorData(need(fixture, name));

function forward(fixture: Fixture, name: string, got: Tensor): CheckResult {
  return compareElements(name, got.toFloat32Array(), numbers(fixture, name), FORWARD);
}

function makeEncoder(fixture: Fixture, windowing: Windowing): ImageEncoder {
  const encoder = new ImageEncoder(configOf(fixture));
  nn.loadStateDict(encoder, under(fixture, 'weights/'), { source: fixture.name });
  encoder.mode.windowing = windowing;
  return encoder;
}

/** The parts inside the blocks that the fixture holds, from the tokens that went into each block. */
function insideBlocks(fixture: Fixture, encoder: ImageEncoder, inputs: readonly Tensor[]): CheckResult[] {
  return encoder.blocks.flatMap((block, i) => {
    if (!fixture.tensors.has(`out/block${i}.attn`)) return [];
    const x = inputs[i] as Tensor;
    const normal = block.norm1.forward(x); // [B, H, W, C]
    const attended = block.attn.forward(normal, block.windowSide, encoder.mode.windowing);
    const results = [compareAttention(fixture, `out/block${i}.attn`, encoder, i, normal, attended)];
    const adapted = block.norm2.forward(x.add(attended));
    results.push(forward(fixture, `out/block${i}.Adapter.in`, adapted));
    if (block.Adapter !== null) {
      results.push(forward(fixture, `out/block${i}.Adapter.out`, block.Adapter.forward(adapted)));
    }
    return results;
  });
}

/** The reference keeps padded tokens as queries too; only the padded form has them. */
function compareAttention(
  fixture: Fixture,
  name: string,
  encoder: ImageEncoder,
  index: number,
  normal: Tensor,
  attended: Tensor,
): CheckResult {
  const { attn, windowSide } = encoder.blocks[index] as ImageEncoder['blocks'][number];
  if (windowSide === null) return forward(fixture, name, attended);
  const { windows, paddedSize } = partition(normal, windowSide);
  if (encoder.mode.windowing === 'padded') return forward(fixture, name, attn.forward(windows));
  const size = [normal.size(1), normal.size(2)] as const;
  const real = unpartition(load(fixture, name), paddedSize, size).toFloat32Array();
  return compareElements(`${name} (real tokens)`, attended.toFloat32Array(), real, FORWARD);
}

function runEncoder(fixture: Fixture, windowing: Windowing): CheckResult[] {
  const encoder = makeEncoder(fixture, windowing);
  const image = load(fixture, 'in/image');
  image.requiresGrad = true;
  const stages: Tensor[] = [];
  const results: CheckResult[] = [];
  const tokens = encoder.tokens(image, (stage, x) => {
    const name = stage === 'patch_embed' ? 'out/patch_embed' : `out/block${stage}`;
    if (fixture.tensors.has(name)) results.push(forward(fixture, name, x));
    stages.push(stage === 'patch_embed' && encoder.pos_embed !== null ? x.add(encoder.pos_embed) : x);
  });
  results.push(...insideBlocks(fixture, encoder, stages));
  const embedding = encoder.neck.forward(tokens.permute([0, 3, 1, 2]));
  results.push(forward(fixture, 'out/embedding', embedding));
  embedding.mul(load(fixture, 'in/cotangent')).sum().backward();
  results.push(...compareGradients(fixture, encoder, { inputs: { 'input.image': image } }));
  encoder.dispose();
  return results.map((r) => ({ ...r, what: `${r.what} [${windowing}]` }));
}

/** `get_rel_pos`, `add_decomposed_rel_pos` and the window functions alone. */
function runFunctions(fixture: Fixture): CheckResult[] {
  const results: CheckResult[] = [];
  for (let i = 0; fixture.tensors.has(`in/get_rel_pos.${i}`); i++) {
    const [q, k] = Array.from(numbers(fixture, `in/get_rel_pos.${i}.qk`)) as [number, number];
    results.push(
      forward(fixture, `out/get_rel_pos.${i}`, relativePositions(q, k, load(fixture, `in/get_rel_pos.${i}`))),
    );
  }
  const [h, w] = [4, 5]; // as the fixture's calls say
  const q = load(fixture, 'in/decomposed.q');
  const tables = relativeTables(
    load(fixture, 'in/decomposed.rel_pos_h'),
    load(fixture, 'in/decomposed.rel_pos_w'),
    [h, w],
  );
  const terms = relativeTerms(q.view([q.size(0), h, w, -1]), tables);
  results.push(forward(fixture, 'out/decomposed', load(fixture, 'in/decomposed.attn').add(realBias(terms))));
  const grid = load(fixture, 'in/window');
  const { windows, paddedSize } = partition(grid, 4);
  results.push(forward(fixture, 'out/window.partition', windows));
  results.push(compareExact('out/window.pad_hw', paddedSize, numbers(fixture, 'out/window.pad_hw')));
  const back = unpartition(windows, paddedSize, [grid.size(1), grid.size(2)]);
  const same = compareExact('window_unpartition', back.toFloat32Array(), grid.toFloat32Array());
  results.push(checkFact(same.what, same.ok));
  return results;
}

export const samImageEncoder: GoldenCheck = {
  covers: (name) => name === 'sammed2d_image_encoder' || name === 'sammed2d_encoder_nonsquare_relpos',
  run: (fixture) => [
    ...(['exact', 'padded'] as const).flatMap((windowing) => tidy(() => runEncoder(fixture, windowing))),
    ...(fixture.tensors.has('in/get_rel_pos.0') ? tidy(() => runFunctions(fixture)) : []),
  ],
};
