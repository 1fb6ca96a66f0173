import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interval, percent, points } from '../../../src/evaluation/report/format.ts';
import type { ReportInput } from '../../../src/evaluation/report/input.ts';
import { renderReport } from '../../../src/evaluation/report/render.ts';
import type { Evaluation } from '../../../src/evaluation/schema.ts';
import { EvaluationSchema } from '../../../src/evaluation/schema.ts';
import { fixture } from './fixture.ts';
import {
  all,
  byId,
  type Element,
  elements,
  parseStrict,
  skeleton,
  tableRows,
  textOf,
} from './strict-html.ts';

const THREE = ['liver', 'right kidney', 'left kidney'];
const page = (input: ReportInput) => parseStrict(renderReport(input));
const full = fixture({ cases: 40 });
const fullPage = page(full);

describe('the page', () => {
  it('is made from a valid evaluation', () => {
    expect(EvaluationSchema.safeParse(full.evaluation).error).toBeUndefined();
  });

  it('has one of each id, and every reference leads to one', () => {
    const ids = [...elements(fullPage)]
      .map((one) => one.attributes.get('id'))
      .filter((id) => id !== undefined);
    expect(new Set(ids).size).toBe(ids.length);
    const named = ['aria-labelledby', 'aria-describedby', 'aria-controls'].flatMap((name) =>
      [...elements(fullPage)].flatMap((one) => one.attributes.get(name)?.split(' ') ?? []),
    );
    const links = all(fullPage, 'a').map((link) => link.attributes.get('href')!.slice(1));
    expect(links).toHaveLength(11);
    for (const id of [...named, ...links]) expect(ids).toContain(id);
  });

  it('loads nothing: no address, no handler, images as data, and a policy that admits its own script and style alone', () => {
    const source = renderReport(full);
    expect(source).not.toMatch(/https?:|@import|url\(|<link|<iframe|<object/);
    for (const one of elements(fullPage)) {
      for (const [name, value] of one.attributes) {
        expect(name).not.toMatch(/^on/);
        if (name === 'src') expect(value).toMatch(/^data:image\/png;base64,[A-Za-z0-9+/]+=*$/);
        if (name === 'href') expect(value).toMatch(/^#[a-z]+$/);
        if (name === 'style') expect.fail('the policy forbids style attributes');
      }
    }
    const policy = all(fullPage, 'meta')
      .find((meta) => meta.attributes.has('http-equiv'))!
      .attributes.get('content')!;
    const digest = (tag: string) => {
      const [only, ...more] = all(fullPage, tag);
      expect(more).toHaveLength(0);
      return createHash('sha256').update(only!.children.join(''), 'utf8').digest('base64');
    };
    expect(policy).toBe(
      `default-src 'none'; img-src data:; style-src 'sha256-${digest('style')}'; script-src 'sha256-${digest('script')}'; base-uri 'none'; form-action 'none'`,
    );
  });

  it('is the same bytes for the same input, however the input came about', () => {
    expect(renderReport(fixture({ cases: 40 }))).toBe(renderReport(full));
    expect(renderReport(structuredClone(full))).toBe(renderReport(full));
    expect(renderReport({ ...full, metrics: full.metrics!.toReversed() })).toBe(renderReport(full));
  });

  it('embeds the pictures as given', () => {
    const given = full.panels!.flatMap((panel) => [
      panel.image!,
      panel.groundTruth!,
      panel.stage1!,
      panel.stage2!,
      ...panel.candidates!,
    ]);
    const sources = all(fullPage, 'img').map((image) => image.attributes.get('src'));
    expect(sources).toEqual(
      given.map(({ png }) => `data:image/png;base64,${Buffer.from(png).toString('base64')}`),
    );
    expect(all(fullPage, 'img').every((image) => image.attributes.get('alt')!.length > 5)).toBe(true);
  });
});

describe('numbers', () => {
  const both = [full, fixture({ cases: 25, classes: THREE, panels: false })];

  it.each(both)('every cell of the stage table equals the evaluation, per image and pooled (%#)', (input) => {
    const root = page(input);
    const { evaluation } = input;
    const classes = evaluation.dataset.classes.map(({ id }) => String(id));
    const keys = classes.length > 1 ? ['all', ...classes] : classes;
    const expected = keys.flatMap((one) =>
      evaluation.stages.map((stage) => evaluation.summary[stage.key]![one]!),
    );
    const lead = classes.length > 1 ? 2 : 1;
    const metrics = ['dice', 'iou', 'surfaceDice@1px', 'surfaceDice@2px', 'surfaceDice@3px'];

    const perImage = tableRows(all(byId(root, 'averaging-image'), 'table')[0]!);
    expect(perImage).toHaveLength(expected.length);
    perImage.forEach((row, i) => {
      const summaries = expected[i]!.perImage;
      metrics.forEach((metric, m) => {
        const { mean, sd, ci95 } = summaries[metric]!;
        const cell = row[lead + m]!;
        expect(cell.sort).toBe(String(mean));
        expect(cell.text).toBe(`${percent(mean)} ± ${percent(sd)}${interval(ci95, percent)}`);
      });
      const distance = row[lead + metrics.length]!;
      expect(distance.sort).toBe(String(summaries.hd95Px!.mean));
      expect(distance.text.startsWith(summaries.hd95Px!.mean!.toFixed(1))).toBe(true);
      expect(row.slice(-2).map((cell) => cell.text)).toEqual([String(summaries.dice!.n), '0']);
    });

    const pooled = tableRows(all(byId(root, 'averaging-pooled'), 'table')[0]!);
    pooled.forEach((row, i) => {
      metrics.forEach((metric, m) => {
        const { value, ci95 } = expected[i]!.pooled[metric]!;
        expect(row[lead + m]).toEqual({
          text: `${percent(value)}${interval(ci95, percent)}`,
          sort: String(value),
        });
      });
    });
  });

  it('every difference of the controls table equals the evaluation', () => {
    const { comparisons } = full.evaluation;
    const find = (stage: string, baseline: string) =>
      comparisons.find(
        (c) => c.stage === stage && c.baseline === baseline && c.class === '1' && c.metric === 'dice',
      )!;
    const rows = tableRows(all(byId(fullPage, 'controls'), 'table')[0]!);
    expect(rows[0]![1]!.sort).toBe(String(find('stage2', 'stage1').meanDifference));
    ['continued', 'best-only', 'threshold', 'ceiling'].forEach((control, i) => {
      const [, gain, pooled, gap] = rows[i + 1]!;
      const over = find(control, 'stage1');
      const less = find('stage2', control);
      expect(gain!.sort).toBe(String(over.meanDifference));
      expect(gain!.text.startsWith(`${points(over.meanDifference)}${interval(over.ci95, points)}`)).toBe(
        true,
      );
      expect(pooled!.sort).toBe(String(over.pooled!.difference));
      expect(gap!.sort).toBe(String(less.meanDifference));
      expect(gap!.text.startsWith(`${points(less.meanDifference)}${interval(less.ci95, points)}`)).toBe(true);
    });
  });

  it('every row of the case table, every box dot and every pair equals the records', () => {
    const dice = (id: string, stage: string) =>
      full.evaluation.cases.find((one) => one.case === id && one.stage === stage)!.dice!;
    const rows = tableRows(all(byId(fullPage, 'cases'), 'table')[0]!);
    expect(rows).toHaveLength(40);
    for (const [id, before, after, change] of rows) {
      expect(before!.sort).toBe(String(dice(id!.text, 'stage1')));
      expect(after!.sort).toBe(String(dice(id!.text, 'stage2')));
      expect(change!.text).toBe(points(dice(id!.text, 'stage2') - dice(id!.text, 'stage1')));
    }
    const distribution = byId(fullPage, 'distribution');
    expect(all(distribution, 'circle', 'case-dot')).toHaveLength(40 * full.evaluation.stages.length);
    expect(all(distribution, 'circle', 'pair')).toHaveLength(40);
  });

  it('the pairs of all classes are means over a case’s classes, and their shares the evaluation’s', () => {
    const input = both[1]!;
    const panel = byId(page(input), 'class-0');
    const comparison = input.evaluation.comparisons.find(
      (c) => c.stage === 'stage2' && c.baseline === 'stage1' && c.class === 'all' && c.metric === 'dice',
    )!;
    const kinds = all(panel, 'circle', 'pair').map((dot) => dot.attributes.get('class'));
    expect(kinds).toHaveLength(comparison.n);
    expect(kinds.filter((kind) => kind === 'pair better').length / comparison.n).toBeCloseTo(
      comparison.shareBetter!,
      9,
    );
  });

  it('configuration: every key with its value and origin', () => {
    const tables = all(byId(fullPage, 'configuration'), 'table').map(tableRows);
    const shown = tables[1]!.map((row) => row.map((cell) => cell.text));
    expect(shown).toEqual(
      full.run!.configuration!.map(({ key, value, origin }) => [
        key,
        typeof value === 'string' ? value : JSON.stringify(value),
        origin,
      ]),
    );
    expect(tables[0]!.every((row) => row[2]!.text !== 'default')).toBe(true);
  });
});

describe('text from outside', () => {
  const small = { cases: 4, classes: ['lesion', 'cyst'] };
  const benign = skeleton(page(fixture(small)));

  it('never becomes markup, whatever stands in names, ids, keys and messages', () => {
    const attack = `</script></style></title><script>alert(1)</script><img src=x onerror="alert('2')"> & &lt; ]]> -->`;
    const hostile = fixture({ ...small, text: (plain) => `${plain} ${attack}` });
    const root = page(hostile);
    expect(skeleton(root)).toEqual(benign);
    const text = textOf(root);
    for (const place of [
      hostile.title,
      hostile.dataset.classes[0]!.name,
      hostile.evaluation.cases[0]!.case,
    ]) {
      expect(text).toContain(place.replace(/\s+/g, ' '));
    }
  });

  it('property: any text keeps the page’s tags, attributes and classes as they are', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom(
        '<',
        '>',
        '"',
        "'",
        '&',
        '</td>',
        '<!--',
        '&#60;',
        'javascript:',
        '\u202e',
        '\ud800',
        '\u0000',
        '$&',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 4 }), (pieces) => {
        const end = pieces.join('');
        expect(skeleton(page(fixture({ ...small, text: (plain) => plain + end })))).toEqual(benign);
      }),
      { numRuns: 12 },
    );
  });
});

describe('missing parts', () => {
  const sections = (root: Element) => all(root, 'section').map((section) => section.attributes.get('id'));
  const missing = (root: Element) => all(root, 'p', 'missing').map(textOf);

  it('no stage 2 yet: says so, and shows no controls and no pairs', () => {
    const root = page(fixture({ cases: 12, stage2: false }));
    expect(sections(root)).not.toContain('controls');
    expect(sections(root)).not.toContain('ranking');
    expect(textOf(all(root, 'h1')[0]!)).toContain('alignment has not been evaluated yet');
    expect(missing(root)).toEqual([
      'No stage 2 in this evaluation: there is nothing to pair.',
      'No training metrics of this stage in the run.',
    ]);
  });

  it('no controls: the headline, a banner and the section say that the gain is not attributable', () => {
    const root = page(fixture({ cases: 40, controls: 'none' }));
    expect(textOf(all(root, 'h1')[0]!)).toContain(
      'no control was run, so it cannot be attributed to the rankings',
    );
    expect(all(root, 'b').map(textOf)).toContain('No controls');
    const rows = tableRows(all(byId(root, 'controls'), 'table')[0]!);
    expect(rows.slice(1).map((row) => [row[1]!.text, row.at(-1)!.text])).toEqual(
      Array.from({ length: 4 }, () => ['not run', 'unknown']),
    );
  });

  it('the least input: every section that should be there names what is missing', () => {
    const { evaluation, dataset } = fixture({ cases: 12 });
    const root = page({ title: 'bare', evaluation, dataset: { ...dataset, splits: [], findings: [] } });
    expect(missing(root)).toEqual([
      'No case pictures were handed to this report.',
      'No training metrics of this stage in the run.',
      'No training metrics of this stage in the run.',
      'Nothing was recorded about proposals and rankings.',
      'No splits recorded.',
      "The run's configuration was not handed to this report.",
      'No record of the run was handed to this report: it cannot be reproduced from this page.',
    ]);
  });

  it('a metric that was not finite (null in metrics.jsonl) leaves a gap that is counted, not a zero', () => {
    const metrics = [0.8, null, 0.9].map((validationDice, i) => ({
      stage: 'stage1',
      step: i,
      validationDice,
    }));
    const root = page({
      ...fixture({ cases: 4, panels: false }),
      metrics: metrics as ReportInput['metrics'] & {},
    });
    const chart = all(byId(root, 'curves'), 'figure')[0]!;
    expect(all(chart, 'path', 'stroke')[0]!.attributes.get('d')!.split('L')).toHaveLength(2);
    expect(textOf(chart)).toContain('1 value that was not finite is left out.');
  });

  it('rounds without a word on saturation: the alarms of the training log stand for it, else it is not recorded', () => {
    const { proposals, metrics, ...rest } = fixture({ cases: 4, panels: false });
    const silent = proposals!.rounds.map(({ round, cases }) => ({ round, cases }));
    const read = (lines: NonNullable<ReportInput['metrics']>) => {
      const section = byId(
        page({ ...rest, metrics: lines, proposals: { ...proposals!, rounds: silent } }),
        'ranking',
      );
      expect(all(section, 'th').map(textOf)).not.toContain('Alarm');
      return textOf(all(section, 'dd').at(-1)!);
    };
    expect(read(metrics!)).toBe('alarm at 1 logged step');
    expect(read(metrics!.filter((line) => line.alarm !== true))).toBe('no alarm in the training log');
    expect(read([])).toBe('not recorded');
  });

  it('values that no case has are dashes, and cases of one stage alone have no change', () => {
    const { evaluation, ...rest } = fixture({ cases: 8, panels: false });
    const cases = evaluation.cases.map((one) =>
      one.stage === 'stage2' ? { ...one, dice: null, hd95Px: null } : one,
    );
    const emptied: Evaluation = {
      ...evaluation,
      cases,
      comparisons: evaluation.comparisons.map((one) => ({ ...one, meanDifference: null, ci95: null })),
      summary: {
        ...evaluation.summary,
        stage2: {
          '1': {
            perImage: {
              dice: { mean: null, sd: null, median: null, ci95: null, n: 0, nExcluded: 8, nPenalised: 0 },
            },
            pooled: {},
          },
        },
      },
    };
    const root = page({ ...rest, evaluation: emptied });
    expect(tableRows(all(byId(root, 'averaging-image'), 'table')[0]!)[1]![1]).toEqual({
      text: '–',
      sort: '',
    });
    expect(textOf(all(root, 'h1')[0]!)).toContain('not compared case by case');
    const header = all(all(byId(root, 'cases'), 'table')[0]!, 'th').map(textOf);
    expect(header.slice(0, 3)).toEqual(['Case', 'Stage 1Dice, %', 'Stage 1HD95, px']);
  });
});

describe('prompts with nobody in the loop', () => {
  const quality = (source: string, boxIou: number | null) => ({
    split: 'labelled',
    class: 'lesion',
    source,
    cases: 12,
    boxIou,
    boxIou50: 0.25,
    boxHit: 0.5,
    pointPrecision: null,
  });
  const prompting: ReportInput['prompting'] = {
    classes: [
      { name: 'lesion', prompts: 40, found: 30, boxes: 1.1, points: 2, answers: 40, knowledge: 40 },
      { name: 'cyst', prompts: 0, found: 0, boxes: 0, points: 0, answers: 0, knowledge: 0 },
    ],
    quality: [quality('saliency', 0.42), quality('centre box', null)],
    sheet: full.panels![0]!.image!,
    texts: [{ case: 'a', class: 'lesion', answer: '<b>upper left</b>' }],
  };
  const section = byId(page({ ...full, prompting }), 'prompting');
  const tables = all(section, 'table');

  it('says what was found, and nothing of a class without prompts', () => {
    const [lesion, cyst] = tableRows(tables[0]!).map((row) => row.map(({ text }) => text));
    expect(lesion).toEqual(['lesion', '40', '75.0', '1.10', '2.00', '40', '40']);
    expect(cyst!.slice(0, 3)).toEqual(['cyst', '0', '–']);
  });

  it('stands beside prompts that look at nothing, with dashes for what was not measured', () => {
    const rows = tableRows(tables[1]!).map((row) => row.map(({ text }) => text));
    expect(rows[0]).toEqual(['labelled', 'lesion', 'saliency', '12', '42.0', '25.0', '50.0', '–']);
    expect(rows[1]![4]).toBe('–');
  });

  it('shows the sheet and the words, as text', () => {
    expect(all(section, 'img')).toHaveLength(1);
    expect(textOf(tables[2]!)).toContain('<b>upper left</b>–');
  });

  it('is left out where nobody made prompts so', () => {
    expect(all(fullPage, 'section').map((one) => one.attributes.get('id'))).not.toContain('prompting');
  });
});
