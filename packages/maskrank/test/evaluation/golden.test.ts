// The reference implementations' numbers for everything measured in evaluation/.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { readSafetensors } from '@maskrank/torch/io';
import { describe, expect, it } from 'vitest';
import { metrics } from '../../src/golden/metrics.ts';
import { surface } from '../../src/golden/surface.ts';

// The fixtures are not part of the repository: MASKRANK_GOLDEN names their folder, else the one beside the checkout is used.
const dir = process.env.MASKRANK_GOLDEN ?? resolve(import.meta.dirname, '../../../../../shared/golden');
const families = { surface_distance: surface, sammed2d_losses_metrics: metrics };

describe.skipIf(!existsSync(dir))(
  'golden fixtures of evaluation (skipped where their folder is absent)',
  () => {
    it.each(Object.entries(families))('%s', async (name, check) => {
      const json = JSON.parse(await readFile(resolve(dir, `${name}.json`), 'utf8'));
      const { tensors } = await readSafetensors(resolve(dir, `${name}.safetensors`));
      expect(check.covers(name)).toBe(true);
      const results = await check.run({ name, json, tensors, dir });
      expect(results.filter((r) => !r.ok)).toEqual([]);
      expect(results.length).toBeGreaterThan(40);
    });
  },
);
