// The definitions that come with maskrank: each is read, expanded and stands in the paper's layout; what is wrong in one's own is told.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { afterAll, describe, expect, it } from 'vitest';
import { registry } from '../../src/cli/registry.ts';
import { annotatorMinutes, readAnnotationCost } from '../../src/experiments/annotation-cost.ts';
import { type Results, referenceOf } from '../../src/experiments/collect.ts';
import { definitionNames, readDefinition } from '../../src/experiments/definition.ts';
import { drawFigures } from '../../src/experiments/figures.ts';
import { buildGraph } from '../../src/experiments/graph.ts';
import { allMethods } from '../../src/experiments/methods.ts';
import { readPaper } from '../../src/experiments/paper.ts';
import { rowsOf } from '../../src/experiments/rows.ts';
import { csvTable, latexTable, markdownTable } from '../../src/experiments/tables.ts';
import { BASELINES } from '../../src/pipeline/baselines/registry.ts';
import { METHODS } from './fake.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-definitions-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const methods = allMethods(registry);
const paper = readPaper();
const NAMES = definitionNames();

it('are those of the paper, and those that the paper lacks', () => {
  expect(NAMES).toEqual(
    expect.arrayContaining([
      'figure3',
      'table1',
      'table2',
      'noise',
      'beta',
      'cost',
      'prompts',
      'proposals',
      'controls',
    ]),
  );
});

it('every baseline that the registry has may be an arm', () => {
  expect(methods.map(({ name }) => name)).toEqual(['stage1', 'stage2', ...BASELINES.map(({ name }) => name)]);
});

it("makes prompts anew where a class's words change, which are no part of a dataset's hash", async () => {
  const definition = readDefinition('table1');
  const keysWith = async (prompts?: string[]) => {
    const classes = [{ id: 1, name: 'lesion', ...(prompts && { prompts }) }];
    const dataset = { schemaVersion: 1 as const, name: 'breast', modality: 'ultrasound', classes, cases: [] };
    const data = [{ name: 'breast', dir: '/data/breast', hash: 'h', dataset }];
    const { jobs } = await buildGraph({
      definition,
      rows: rowsOf(definition, methods),
      data,
      seeds: [0],
      person: {},
    });
    return (kind: string) => [...jobs.values()].filter((job) => job.kind === kind).map(({ key }) => key);
  };
  const [bare, named, again] = [
    await keysWith(),
    await keysWith(['breast lesion']),
    await keysWith(['breast lesion']),
  ];
  expect(named('prompts')).not.toEqual(bare('prompts'));
  expect(named('prompts')).toEqual(again('prompts'));
  expect(named('split')).toEqual(bare('split'));
});

describe.each(NAMES)('%s', (name) => {
  const definition = readDefinition(name);
  const rows = rowsOf(definition, methods);

  it('expands to rows and jobs', async () => {
    expect(definition.name).toBe(name);
    const data = [{ name: 'chest', dir: '/data/chest', hash: 'h' }];
    const graph = await buildGraph({ definition, rows, data, seeds: [0], person: {} });
    expect(graph.cells).toHaveLength(rows.length);
    for (const job of graph.jobs.values())
      for (const need of job.needs) expect(graph.jobs.has(need)).toBe(true);
  });

  it('has a reference that its rows find', () => {
    const found = rows.map(({ id }) => referenceOf(id, definition, rows)).filter((id) => id !== undefined);
    expect(found.length).toBeGreaterThan(0);
  });

  it("has rows for the paper's numbers", () => {
    const section = definition.paper === undefined ? {} : paper.sections[definition.paper];
    expect(section).toBeDefined();
    const ids = rows.map(({ id }) => id);
    // Figure 3 names methods that may not be there.
    if (name !== 'figure3') for (const id of Object.keys(section!)) expect(ids).toContain(id);
  });
});

describe('what is wrong', () => {
  const arm = { name: 'a', title: 'A', method: 'stage1', labelled: 0.1 };
  const read = (change: object) => {
    const path = join(dir, 'own.json');
    writeFileSync(
      path,
      JSON.stringify({ schemaVersion: 1, name: 'own', title: 'Own', about: 'Own.', arms: [arm], ...change }),
    );
    return readDefinition(path);
  };

  it('is told', () => {
    expect(() => readDefinition('figure4')).toThrow(/no experiment "figure4"\. Did you mean "figure3"\?/);
    expect(() => read({ armz: [] })).toThrow(/unknown key "armz"\. Did you mean "arms"\?/);
    expect(() => read({ arms: [arm, arm] })).toThrow(/two arms are called "a"/);
    expect(() => read({ arms: [{ ...arm, variants: 'some' }] })).toThrow(/takes variants "some"/);
    expect(() => rowsOf(read({ arms: [{ ...arm, method: 'unett' }] }), METHODS)).toThrow(
      /own, arm a: there is no method "unett"\. Did you mean "unet"\? There are: stage1, stage2, unet, every-baseline/,
    );
    expect(() => rowsOf(read({ arms: [{ ...arm, unlabelled: 0.95 }] }), METHODS)).toThrow(
      /more than all training cases/,
    );
    expect(() => rowsOf(read({}), METHODS, ['b'])).toThrow(/has no arm "b".* It has: a/);
  });

  it('a method that is added appears where every baseline is meant', () => {
    const definition = read({
      arms: [{ ...arm, name: 'all', method: 'every-baseline', labelled: [0.1, 1] }],
    });
    const added = { ...METHODS[2]!, name: 'other', title: 'Other' };
    expect(rowsOf(definition, [...METHODS, added]).map(({ id }) => id)).toEqual([
      'unet@0.1',
      'unet@1',
      'other@0.1',
      'other@1',
    ]);
    expect(rowsOf(definition, [...METHODS, added], ['other']).map(({ id }) => id)).toEqual([
      'other@0.1',
      'other@1',
    ]);
  });
});

it('annotation costs what its model says', () => {
  const cost = readAnnotationCost();
  const { mask, box, ranking } = cost.seconds;
  const labour = { masks: 10, validationMasks: 2, boxes: 5, judgements: 30, judging: 'ranking' } as const;
  expect(annotatorMinutes(labour, cost)).toBeCloseTo(
    (12 * mask.value + 5 * box.value + 30 * ranking.value) / 60,
  );
  for (const { source } of Object.values(cost.seconds)) expect(source).toMatch(/^(measured|assumed)/);
});

describe("the paper's layout", () => {
  const definition = readDefinition('figure3');
  const rows = rowsOf(definition, METHODS);
  const result = (row: string, mean: number) => ({
    row,
    data: 'chest',
    metric: 'dice',
    perSeed: [{ seed: 0, value: mean }],
    mean,
    sd: 0.012,
  });
  const all: Results = {
    definition,
    rows,
    data: [{ name: 'chest', metrics: ['iou', 'dice'] }],
    seeds: [0, 1, 2],
    empties: ['exclude'],
    results: [
      {
        ...result('unet@0.2', 0.7),
        paper: { value: 0.5866, confidence: 'medium' },
        difference: {
          reference: 'ours@0.2',
          mean: -0.11,
          ci95: [-0.2, -0.05],
          p: 0.0001,
          pHolm: 0.0002,
          n: 40,
          unpaired: 3,
        },
      },
      { ...result('ours@0.2', 0.812), paper: { value: 0.7887, confidence: 'high' } },
      result('ours@0.5', 0.83),
    ],
    costs: [],
    sources: [],
    missing: [],
  };

  it('has a line a method and a column a share, the paper beside it where it says something', () => {
    const table = markdownTable(all, paper).split('\n');
    expect(table).toContain(
      '| method | chest 10 % Dice | chest 20 % Dice | chest 20 % Dice, paper | chest 50 % Dice | chest 100 % Dice |',
    );
    expect(table).toContain('| U-Net | – | 70.0 ± 1.2* | 58.66 (M) | – | – |');
    expect(table).toContain('| Ours | – | 81.2 ± 1.2 | 78.87 | 83.0 ± 1.2 | – |');
    expect(table.find((line) => line.startsWith('| U-Net, 20 %'))).toMatch(
      /−11\.0 \[−20\.0, −5\.0\] \| < 0\.001 \| < 0\.001 \| 40 \| 3 \|$/,
    );
    expect(table.filter((line) => line.startsWith('- Left out: '))).toHaveLength(1);
    const whole = { ...all.results[0]!, difference: { ...all.results[0]!.difference!, unpaired: 0 } };
    expect(markdownTable({ ...all, results: [whole] }, paper)).not.toContain('- Left out: ');
    expect(latexTable(all, paper)).toContain('U-Net & -- & 70.0 $\\pm$ 1.2$^{*}$ & 58.66 (M) & -- & -- \\\\');
    expect(latexTable(all, paper)).toContain('chest 20 \\% Dice');
    expect(table.filter((line) => line.startsWith('- Empty masks, exclude: Where'))).toHaveLength(1);
    const [first] = parse(csvTable(all), { columns: true }) as Record<string, string>[];
    const value = (name: string) => first![name];
    expect([value('row'), value('mean'), value('paper_confidence'), value('p_holm')]).toEqual([
      'unet@0.2',
      '0.7',
      'medium',
      '0.0002',
    ]);
  });

  it('has a curve a method, hollow where the paper is', () => {
    const [{ name, svg } = { name: '', svg: '' }] = drawFigures(all);
    expect(name).toBe('share-chest');
    expect(svg).toContain('hollow: the paper');
    expect(svg.match(/class="curve"/g)).toHaveLength(2);
    expect(svg).not.toContain('NaN');
  });
});
