import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkFixture } from '../../../src/golden/run.ts';

// The fixtures are not part of the repository: MASKRANK_GOLDEN names their folder, else the one beside the checkout is used.
const dir = process.env.MASKRANK_GOLDEN ?? resolve(import.meta.dirname, '../../../../../../shared/golden');

describe('clip against the references', () => {
  for (const name of ['biomedclip', 'wordpiece', 'medclipsam_dhn_nce_loss']) {
    const exists = existsSync(resolve(dir, `${name}.json`));
    it.skipIf(!exists)(`${name} (skipped where the fixture is absent)`, async () => {
      const report = await checkFixture(dir, name);
      expect(report.status).toBe('checked');
      const results = report.status === 'checked' ? report.results : [];
      expect(results.filter((result) => !result.ok)).toEqual([]);
    });
  }
});
