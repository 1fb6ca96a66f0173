import { describe, expect, it } from 'vitest';
import { findings } from '../../../src/evaluation/report/findings.ts';
import type { ReportInput } from '../../../src/evaluation/report/input.ts';
import { viewOf } from '../../../src/evaluation/report/view.ts';
import type { Comparison } from '../../../src/evaluation/schema.ts';
import { fixture } from './fixture.ts';
import { parseFragment, textOf } from './strict-html.ts';

const base = fixture({ cases: 8, panels: false, oracle: false });

/** The fixture with these differences of Dice instead of its own: `stage - baseline` to [mean, low, high] in points. */
function withDifferences(points: Record<string, readonly [number, number, number]>): ReportInput {
  const comparisons = base.evaluation.comparisons.flatMap((one): Comparison[] => {
    const given = points[`${one.stage} - ${one.baseline}`];
    if (given === undefined || one.metric !== 'dice') return [];
    const [mean, low, high] = given.map((value) => value / 100) as [number, number, number];
    return [{ ...one, meanDifference: mean, ci95: [low, high] }];
  });
  return { ...base, warnings: [], evaluation: { ...base.evaluation, comparisons } };
}

function read(input: ReportInput) {
  const { headline, aside, banners } = findings(input, viewOf(input));
  const plain = (markup: string | undefined) =>
    markup === undefined ? undefined : textOf(parseFragment(`<p>${markup}</p>`));
  return {
    headline: plain(headline.markup),
    aside: plain(aside?.markup),
    banners: banners.map((banner) => `${banner.severity}: ${banner.title}`),
    celebrated: headline.markup.includes('class="gain"'),
  };
}

describe('findings', () => {
  it('a gain with its controls in one sentence', () => {
    expect(
      read(
        withDifferences({
          'stage2 - stage1': [6.1, 4.9, 7.2],
          'continued - stage1': [-0.4, -1, 0.2],
          'best-only - stage1': [2.6, 1.1, 4],
          'threshold - stage1': [0.8, 0.2, 1.3],
          'ceiling - stage1': [8.4, 7, 9.8],
          'stage2 - continued': [6.5, 5.1, 7.9],
          'stage2 - best-only': [3.5, 2.2, 4.9],
          'stage2 - threshold': [5.3, 4, 6.5],
        }),
      ),
    ).toEqual({
      headline:
        'Alignment gains +6.1 Dice points [+4.9, +7.2] over stage 1; continuing stage 1 for the same number of steps gives −0.4 [−1.0, +0.2].',
      aside:
        'Other controls over stage 1: best candidate only +2.6 [+1.1, +4.0], best single threshold +0.8 [+0.2, +1.3]. Full masks of the same images would give +8.4 [+7.0, +9.8].',
      banners: [],
      celebrated: true,
    });
  });

  it('a gain that continued training explains is not celebrated, and the first banner says why', () => {
    const result = read(
      withDifferences({
        'stage2 - stage1': [14.3, 12, 16.5],
        'continued - stage1': [17.5, 15, 20],
        'stage2 - continued': [-3.2, -3.5, -2.9],
        'best-only - stage1': [4.4, 3, 6],
        'stage2 - best-only': [9.9, 8, 12],
        'threshold - stage1': [4.7, 3, 6],
        'stage2 - threshold': [9.6, 8, 12],
      }),
    );
    expect(result.headline).toBe(
      'Alignment gains +14.3 Dice points [+12.0, +16.5] over stage 1, but continuing stage 1 for the same number of steps gives +17.5 [+15.0, +20.0].',
    );
    expect(result.banners[0]).toBe('alarm: A control explains the gain');
    expect(result.celebrated).toBe(false);
  });

  it('a control that is not told apart may explain the gain', () => {
    const result = read(
      withDifferences({
        'stage2 - stage1': [2, 1, 3],
        'continued - stage1': [0, -1, 1],
        'stage2 - continued': [2, 1, 3],
        'best-only - stage1': [1.6, 0.5, 2.5],
        'stage2 - best-only': [0.4, -0.3, 1.1],
        'threshold - stage1': [0.1, 0, 0.2],
        'stage2 - threshold': [1.9, 1, 3],
      }),
    );
    expect(result.banners).toEqual(['caution: A control may explain the gain']);
  });

  it('without paired differences the intervals of the two gains decide', () => {
    const gain = { 'stage2 - stage1': [6, 5, 7] } as const;
    const banners = (low: number, mean: number, high: number) =>
      read(
        withDifferences({
          ...gain,
          'continued - stage1': [mean, low, high],
          'best-only - stage1': [0, 0, 0],
          'threshold - stage1': [0, 0, 0],
        }),
      ).banners;
    expect(banners(1, 2, 3)).toEqual([]);
    expect(banners(4, 5, 6)).toEqual(['caution: A control may explain the gain']);
    expect(banners(5, 6, 7)).toEqual(['alarm: A control explains the gain']);
  });

  it('an interval over zero is no gain, one below is a loss', () => {
    expect(read(withDifferences({ 'stage2 - stage1': [0.2, -0.3, 0.7] })).headline).toBe(
      'Alignment shows no reliable gain: +0.2 Dice points [−0.3, +0.7] against stage 1; no control was run.',
    );
    const loss = read(
      withDifferences({ 'stage2 - stage1': [-2.1, -3, -1.2], 'continued - stage1': [0.1, -0.5, 0.7] }),
    );
    expect(loss.headline).toBe(
      'Alignment loses 2.1 Dice points [−3.0, −1.2] against stage 1; continuing stage 1 for the same number of steps gives +0.1 [−0.5, +0.7].',
    );
    expect(loss.celebrated).toBe(false);
  });

  it('oracle prompts, the validation split and missing controls each raise a banner', () => {
    const input = fixture({ cases: 40, panels: false, controls: 'some' });
    const dataset = { ...input.evaluation.dataset, split: 'validation' };
    const { banners } = read({ ...input, evaluation: { ...input.evaluation, dataset } });
    expect(banners).toEqual(
      expect.arrayContaining([
        'caution: Oracle prompts',
        'caution: Not the test split',
        'caution: Controls missing',
        'note: Saturation',
      ]),
    );
  });
});
