import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { barCi } from '../../../src/evaluation/report/charts/bar-ci.ts';
import { boxPlot, boxStatistics } from '../../../src/evaluation/report/charts/box-plot.ts';
import { lineChart } from '../../../src/evaluation/report/charts/line.ts';
import { pairedCounts, pairedScatter } from '../../../src/evaluation/report/charts/paired-scatter.ts';
import { linearScale } from '../../../src/evaluation/report/charts/scale.ts';
import { all, classes, parseFragment, textOf } from './strict-html.ts';

const write = (value: number) => String(Math.round(value * 10) / 10);
const anyNumber = fc.oneof(fc.double(), fc.double({ min: -1e3, max: 1e3, noNaN: true }), fc.constant(0));

describe('linearScale', () => {
  it('maps the ends of the domain to the ends of the range and stops beyond them', () => {
    const scale = linearScale({ domain: [0, 10], range: [100, 0] });
    expect([0, 5, 10, 99].map(scale.at)).toEqual([100, 50, 0, 0]);
    expect(scale.ticks).toEqual([0, 2, 4, 6, 8, 10]);
  });

  it('widens to whole ticks and an empty span to something', () => {
    expect(linearScale({ domain: [0.13, 0.87], range: [0, 1], nice: true }).domain).toEqual([0.1, 0.9]);
    const [low, high] = linearScale({ domain: [5, 5], range: [0, 1] }).domain;
    expect(low).toBeLessThan(5);
    expect(high).toBeGreaterThan(5);
  });

  it('property: ticks rise, lie inside the domain and are about as many as asked for', () => {
    const ends = fc.tuple(
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
    );
    fc.assert(
      fc.property(ends, fc.integer({ min: 2, max: 10 }), ([low, span], ticks) => {
        const scale = linearScale({ domain: [low, low + span], range: [0, 1], ticks, nice: true });
        expect(scale.domain[0]).toBeLessThanOrEqual(low + span * 1e-6 + 1e-6);
        expect(scale.domain[1]).toBeGreaterThanOrEqual(low + span - span * 1e-6 - 1e-6);
        expect(scale.ticks.length).toBeGreaterThanOrEqual(2);
        expect(scale.ticks.length).toBeLessThanOrEqual(2 * ticks + 3);
        expect(scale.ticks.every((tick, i) => i === 0 || tick > scale.ticks[i - 1]!)).toBe(true);
      }),
    );
  });
});

describe('boxPlot', () => {
  it('has the quartiles, whiskers and mean that one gets by hand', () => {
    // Sorted 1 2 3 4 100: quartiles 2, 3, 4; fence 2 - 3 .. 4 + 3; 100 lies outside.
    expect(boxStatistics([3, 1, 100, 2, 4])).toEqual({
      n: 5,
      mean: 22,
      quartiles: [2, 3, 4],
      whiskers: [1, 4],
    });
    // Between order statistics: position 0.25 * 3 = 0.75.
    expect(boxStatistics([10, 20, 30, 40]).quartiles).toEqual([17.5, 25, 32.5]);
    expect(boxStatistics([7])).toEqual({ n: 1, mean: 7, quartiles: [7, 7, 7], whiskers: [7, 7] });
  });

  it('draws a dot a case that names it, and says how many values it left out', () => {
    const markup = boxPlot({
      id: 'b',
      title: 'Dice',
      label: 'Dice (%)',
      format: write,
      groups: [
        {
          name: 'Stage 1',
          tone: 'stage1',
          values: [80, 90, Number.NaN].map((value, i) => ({ value, label: `case ${i}` })),
        },
      ],
    }).markup;
    const figure = parseFragment(markup);
    const dots = all(figure, 'circle', 'case-dot');
    expect(dots.map((dot) => dot.attributes.get('data-tip'))).toEqual(['case 0\n80', 'case 1\n90']);
    expect(textOf(figure)).toContain('1 value missing or infinite, not drawn.');
    expect(textOf(all(figure, 'desc')[0]!)).toBe('Stage 1: median 85, quartiles 82.5 to 87.5, mean 85, n 2.');
  });
});

describe('pairedScatter', () => {
  const pairs = [
    { label: 'up', before: 50, after: 60 },
    { label: 'down', before: 70, after: 65 },
    { label: 'same', before: 80, after: 80.05 },
    { label: 'lost', before: 80, after: Number.NaN },
  ];

  it('counts better, worse and unchanged within the tolerance', () => {
    expect(pairedCounts(pairs.slice(0, 3), 0.1)).toEqual({ better: 1, worse: 1, unchanged: 1 });
  });

  it('puts better cases above the line of no change and worse ones below', () => {
    const figure = parseFragment(
      pairedScatter({
        id: 's',
        title: 'Pairs',
        beforeLabel: 'before',
        afterLabel: 'after',
        pairs,
        unchangedWithin: 0.1,
        format: write,
        formatChange: write,
      }).markup,
    );
    const [line] = all(figure, 'line', 'identity');
    const [x1, y1, x2, y2] = ['x1', 'y1', 'x2', 'y2'].map((name) => Number(line!.attributes.get(name)));
    const height = (x: number) => y1! + ((x - x1!) / (x2! - x1!)) * (y2! - y1!);
    const dots = all(figure, 'circle', 'pair');
    expect(dots.map((dot) => classes(dot)[1])).toEqual(['better', 'worse', 'unchanged']);
    const above = dots.map(
      (dot) => height(Number(dot.attributes.get('cx'))) - Number(dot.attributes.get('cy')),
    );
    expect(above[0]).toBeGreaterThan(1);
    expect(above[1]).toBeLessThan(-1);
    expect(textOf(all(figure, 'desc')[0]!)).toBe(
      'Of 3 cases 1 (33 %) are better, 1 (33 %) worse, 1 (33 %) unchanged.',
    );
    expect(textOf(figure)).toContain('1 without both values left out.');
  });
});

describe('barCi', () => {
  it('starts bars at zero and ends intervals where they end', () => {
    const figure = parseFragment(
      barCi({
        id: 'c',
        title: 'Change',
        label: 'points',
        format: write,
        width: 432, // 400 units between the margins
        items: [
          { name: 'gain', tone: 'stage2', value: 6, ci95: [4, 8] },
          { name: 'control', tone: 'control', value: -2 },
        ],
      }).markup,
    );
    const [gain, control] = all(figure, 'rect', 'bar').map((bar) =>
      ['x', 'width'].map((name) => Number(bar.attributes.get(name))),
    );
    expect(gain).toEqual([96, 240]); // -2..8 on 16..416: 40 units a point, zero at 96
    expect(control).toEqual([16, 80]);
    expect(all(figure, 'path', 'ci').map((path) => path.attributes.get('d'))).toEqual([
      expect.stringMatching(/^M256 \d+H416M256/),
    ]);
    expect(textOf(all(figure, 'desc')[0]!)).toBe('gain: 6 [4, 8]; control: -2.');
  });
});

describe('lineChart', () => {
  const base = { id: 'l', title: 'Loss', xLabel: 'step', yLabel: 'loss' };

  it('draws every point of a short curve, and bundles a long one with its range', () => {
    const points = (n: number) => Array.from({ length: n }, (_, i) => ({ x: i, y: i % 2 }));
    const draw = (n: number) =>
      parseFragment(
        lineChart({ ...base, series: [{ name: 'total', tone: 'stage1', points: points(n) }] }).markup,
      );
    const path = (n: number) => all(draw(n), 'path', 'stroke')[0]!.attributes.get('d')!;
    expect(path(100).split('L')).toHaveLength(100);
    expect(all(draw(100), 'path', 'band')).toHaveLength(0);
    expect(path(5000).split('L')).toHaveLength(160);
    expect(all(draw(5000), 'path', 'band')).toHaveLength(1);
    expect(textOf(draw(5000))).toContain('shade: lowest to highest');
  });

  it('draws a schedule in steps without averaging it', () => {
    const points = Array.from({ length: 1000 }, (_, i) => ({ x: i, y: i < 500 ? 2 : 1 }));
    const figure = parseFragment(
      lineChart({ ...base, series: [{ name: 'rate', tone: 'stage1', points, stepped: true }] }).markup,
    );
    const corners = all(figure, 'path', 'stroke')[0]!.attributes.get('d')!.slice(1).split('L');
    expect(corners).toHaveLength(4);
    expect(corners[1]!.split(' ')[0]).toBe(corners[2]!.split(' ')[0]); // upright at the step
  });

  it('says so when nothing was recorded', () => {
    const text = textOf(parseFragment(lineChart({ ...base, series: [] }).markup));
    expect(text).toBe('LossNot recorded in this run.');
  });

  it('names first and last value for those who cannot see it', () => {
    const series = [
      {
        name: 'total',
        tone: 'stage1' as const,
        points: [
          { x: 1, y: 0.5 },
          { x: 9, y: 0.25 },
        ],
      },
    ];
    const figure = parseFragment(lineChart({ ...base, series }).markup);
    expect(textOf(all(figure, 'desc')[0]!)).toBe('total: 0.5 at step 1, 0.25 at step 9.');
    expect(all(figure, 'svg')[0]!.attributes.get('aria-labelledby')).toBe('l-title l-desc');
  });
});

describe('all charts', () => {
  const label = fc.string({ maxLength: 8 });
  it('property: any numbers, infinite and missing ones too, give strict markup without NaN', () => {
    const rows = fc.array(fc.record({ label, x: anyNumber, y: anyNumber }), { maxLength: 12 });
    fc.assert(
      fc.property(rows, (data) => {
        const charts = [
          lineChart({
            id: 'l',
            title: 'a',
            xLabel: 'x',
            yLabel: 'y',
            series: [{ name: 'n', tone: 'stage1', points: data }],
            events: data.map(({ x, label: name }) => ({ x, label: name })),
          }),
          boxPlot({
            id: 'b',
            title: 'b',
            label: 'y',
            format: write,
            groups: [
              { name: 'g', tone: 'stage1', values: data.map((row) => ({ label: row.label, value: row.y })) },
            ],
          }),
          pairedScatter({
            id: 's',
            title: 'c',
            beforeLabel: 'x',
            afterLabel: 'y',
            pairs: data.map((row) => ({ label: row.label, before: row.x, after: row.y })),
            unchangedWithin: 0.1,
            format: write,
            formatChange: write,
          }),
          barCi({
            id: 'c',
            title: 'd',
            label: 'y',
            format: write,
            items: data.map((row) => ({
              name: row.label,
              tone: 'control' as const,
              value: row.x,
              ci95: [row.x, row.y] as const,
            })),
          }),
        ];
        for (const chart of charts) {
          const figure = parseFragment(chart.markup);
          const numbers = all(figure, 'path').map((path) => path.attributes.get('d'));
          expect(numbers.join(' ')).not.toMatch(/NaN|Infinity|undefined/);
        }
      }),
      {
        numRuns: 60,
        // A difference of two representable values that is not.
        examples: [
          [
            [
              { label: '', x: 0, y: 4.9896007738367995e292 },
              { label: '', x: 0, y: -Number.MAX_VALUE },
            ],
          ],
        ],
      },
    );
  });
});
