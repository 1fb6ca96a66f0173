import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type MetricsLine, MetricsLog, readMetrics } from '../../src/run/metrics.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-metrics-'));
afterAll(() => rmSync(dir, { recursive: true }));

const at = (stage: MetricsLine['stage'], step: number): MetricsLine => ({
  stage,
  step,
  epoch: step / 10,
  losses: { total: 1 / step },
});

describe('MetricsLog', () => {
  it('drops on resume only the lines of that stage beyond the restored step', async () => {
    const path = join(dir, 'metrics.jsonl');
    using log = MetricsLog.open(path);
    for (const step of [10, 20, 30]) log.log(at('stage1', step));
    for (const step of [10, 20]) log.log(at('stage2', step));
    expect(await log.resumeAt('stage2', 10)).toBe(1);
    log.log(at('stage2', 20));
    const steps = () => readMetrics(path).map(({ stage, step }) => `${stage}:${step}`);
    expect(steps()).toEqual(['stage1:10', 'stage1:20', 'stage1:30', 'stage2:10', 'stage2:20']);
    expect(await log.resumeAt('stage2', 0)).toBe(2);
    expect(steps()).toEqual(['stage1:10', 'stage1:20', 'stage1:30']);
  });

  it('writes six digits, and null where JSON has no number', () => {
    const path = join(dir, 'numbers.jsonl');
    using log = MetricsLog.open(path);
    log.log({
      stage: 'stage1',
      step: 1,
      epoch: 1 / 3,
      losses: { total: Number.NaN },
      peakMemoryBytes: 123456789012,
    });
    expect(readMetrics(path)).toEqual([
      { stage: 'stage1', step: 1, epoch: 0.333333, losses: { total: null }, peakMemoryBytes: 123456789012 },
    ]);
  });
});
