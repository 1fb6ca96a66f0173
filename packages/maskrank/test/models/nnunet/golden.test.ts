// nnU-Net's fixtures: networks, losses, planner.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkFixture } from '../../../src/golden/run.ts';

const golden = process.env.MASKRANK_GOLDEN ?? resolve(import.meta.dirname, '../../../../../../shared/golden');

describe.skipIf(!existsSync(golden))('golden (skipped where the fixtures are absent)', () => {
  it.each([
    ['nnunet_plain_unet', 60],
    ['nnunet_resenc_unet', 80],
    ['nnunet_losses', 21],
    ['nnunet_planner', 350],
  ] as const)('%s', async (name, checks) => {
    const report = await checkFixture(golden, name);
    if (report.status !== 'checked') throw new Error(report.status);
    expect(report.results.filter((result) => !result.ok)).toEqual([]);
    expect(report.results.length).toBeGreaterThan(checks);
  });
});
