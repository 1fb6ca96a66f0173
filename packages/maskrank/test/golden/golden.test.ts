import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkFixture, listFixtures } from '../../src/golden/run.ts';

// The fixtures are not part of the repository: MASKRANK_GOLDEN names their folder, else the one beside the checkout is used.
const dir = process.env.MASKRANK_GOLDEN ?? resolve(import.meta.dirname, '../../../../../shared/golden');

describe.skipIf(!existsSync(dir))('golden fixtures (skipped where their folder is absent)', () => {
  const names = existsSync(dir) ? listFixtures(dir) : [];
  it.each(names)('%s', async (name) => {
    const report = await checkFixture(dir, name);
    if (report.status === 'not covered') return;
    expect(report.results.filter((r) => !r.ok)).toEqual([]);
    expect(report.results.length).toBeGreaterThan(0);
  });
});
