import { describe, expect, it } from 'vitest';
import { createProgress, duration } from '../../src/cli/progress.ts';
import { textTable } from '../../src/cli/table.ts';

function setUp(options: { isTTY?: boolean; quiet?: boolean; columns?: number } = {}) {
  const { isTTY = false, columns = 100, quiet = false } = options;
  const clock = { ms: 0 };
  const writes: string[] = [];
  const stream = { write: (text: string) => writes.push(text), isTTY, columns };
  return { clock, writes, progress: createProgress({ stream, quiet, now: () => clock.ms }) };
}

describe('progress off a terminal', () => {
  it('writes a plain line every five seconds and one at the end', () => {
    const { clock, writes, progress } = setUp();
    const task = progress.task('fine-tuning', { total: 100, unit: 'steps' });
    for (let step = 1; step <= 100; step++) {
      clock.ms += 120;
      task.update(step, `loss ${(1 / step).toFixed(2)}`);
    }
    task.end();
    expect(writes).toEqual([
      'fine-tuning  42 %  42/100 steps  8.33 steps/s  7.0 s left  loss 0.02\n',
      'fine-tuning  84 %  84/100 steps  8.33 steps/s  1.9 s left  loss 0.01\n',
      'fine-tuning: 100 steps in 12 s, loss 0.01\n',
    ]);
  });

  it('gives seconds for slow units, and no time left without a total', () => {
    const { clock, writes, progress } = setUp();
    const task = progress.task('reading', { unit: 'volumes' });
    clock.ms = 20_000;
    task.tick(4);
    expect(writes).toEqual(['reading  4 volumes  5.00 s each\n']);
  });

  it('does not count resumed units for the rate, and says what is missing at a stop', () => {
    const { clock, writes, progress } = setUp();
    const task = progress.task('aligning', { total: 600, unit: 'steps', done: 500 });
    clock.ms = 10_000;
    task.tick(20);
    task.end();
    task.end();
    expect(writes).toEqual([
      'aligning  86 %  520/600 steps  2.00 steps/s  40 s left\n',
      'aligning: 520 of 600 steps in 10 s\n',
    ]);
  });

  it('writes nothing when quiet', () => {
    const { clock, writes, progress } = setUp({ quiet: true });
    const task = progress.task('x', { unit: 'steps' });
    clock.ms = 1e5;
    task.tick();
    task.end();
    progress.note('x');
    expect(writes).toEqual([]);
  });
});

describe('progress on a terminal', () => {
  it('redraws one line at most ten times a second, cuts it to the width, and clears it for notes', () => {
    const { clock, writes, progress } = setUp({ isTTY: true, columns: 40 });
    const task = progress.task('fine-tuning', { total: 10, unit: 'steps' });
    for (let step = 1; step <= 5; step++) {
      clock.ms += 60;
      task.update(step, 'a detail that is far too long for this terminal');
    }
    const bars = writes.filter((text) => text.startsWith('\r') && text.length > 10);
    expect(bars).toHaveLength(3);
    const shown = bars.map((bar) => bar.replace('\r', '').replace('\u001b[K', ''));
    for (const bar of shown) expect(bar.length).toBeLessThanOrEqual(39);
    expect(bars.at(-1)).toContain('██████░░');
    progress.note('saved');
    expect(writes.slice(-2)).toEqual(['\r\u001b[2K', 'saved\n']);
  });
});

describe('duration', () => {
  it.each([
    [0.04, '0.0 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 min 00 s'],
    [185, '3 min 05 s'],
    [3599.6, '1 h 00 min'],
    [7800, '2 h 10 min'],
  ])('%d s is %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
});

describe('textTable', () => {
  it('takes a column with words for words', () => {
    const rows = [
      ['what', 'found'],
      ['node', 'v20'],
      ['threads', 2],
    ];
    expect(textTable(rows)).toBe('what     found\nnode     v20\nthreads  2');
  });

  it('aligns words left and numbers right', () => {
    expect(
      textTable([
        ['split', 'cases'],
        ['test', 153],
        ['validation', 7],
      ]),
    ).toBe('split       cases\ntest          153\nvalidation      7');
  });
});
