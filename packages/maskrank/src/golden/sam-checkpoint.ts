// Fixture sammed2d_checkpoint_resize: position tables of a checkpoint for another image size, mask heads left as they were.

import { adaptState } from '../models/sam/adapt-state.ts';
import { compareElements, compareExact, numbers, under } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const TOLERANCE = { absolute: 1e-6, relative: 0 };

function run(fixture: Fixture): CheckResult[] {
  const target = under(fixture, 'in/target/');
  const { tensors } = adaptState(under(fixture, 'in/source/'), target, {
    globalBlocks: fixture.json.config.global_attn_indexes,
    heads: 'fresh',
  });
  return [...under(fixture, 'out/')].flatMap(([key, ref]) => {
    const got = tensors.get(key) ?? target.get(key);
    return [
      compareExact(`shape of ${key}`, got?.shape ?? [], ref.shape),
      compareElements(
        `out/${key}`,
        (got?.data ?? []) as Float32Array,
        numbers(fixture, `out/${key}`),
        TOLERANCE,
      ),
    ];
  });
}

export const samCheckpoint: GoldenCheck = { covers: (name) => name === 'sammed2d_checkpoint_resize', run };
