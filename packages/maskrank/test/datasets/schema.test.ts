import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearestName, parseArtefact, readArtefact } from '../../src/datasets/artefact.ts';
import { ID_PATTERN, pathFault, slug, uniqueSlugs } from '../../src/datasets/names.ts';
import { DatasetSchema, SplitsSchema } from '../../src/datasets/schema.ts';
import { file, messageOf, scratch } from './tree.ts';

const minimal = () => ({
  schemaVersion: 1,
  name: 'd',
  modality: 'ct',
  classes: [{ id: 1, name: 'liver' }],
  cases: [{ id: 'a', image: 'images/a.png', masks: { '1': 'masks/liver/a.png' }, group: 'p1' }],
});
const faultOf = (change: (d: ReturnType<typeof minimal> & Record<string, unknown>) => void) => {
  const value = minimal() as ReturnType<typeof minimal> & Record<string, unknown>;
  change(value);
  return messageOf(() => parseArtefact(value, DatasetSchema, 'dataset.json'));
};

describe('dataset.json', () => {
  it('accepts the smallest dataset and keeps it as it is', () => {
    expect(parseArtefact(minimal(), DatasetSchema, 'x')).toEqual(minimal());
  });

  it('refuses unknown keys at every depth and suggests the nearest', async () => {
    expect(await faultOf((d) => Object.assign(d, { modalty: 'ct' }))).toMatch(
      /unknown key "modalty"\. Did you mean "modality"\?/,
    );
    expect(await faultOf((d) => Object.assign(d.cases[0]!, { grup: 'x' }))).toMatch(
      /cases\[0\]: unknown key "grup"\. Did you mean "group"\? Allowed: id, image, masks, group, volume, tags, empty/,
    );
    expect(await faultOf((d) => Object.assign(d.classes[0]!, { prompt: [] }))).toMatch(
      /classes\[0\].*"prompts"/,
    );
  });

  it('reports every problem at once, with its place', async () => {
    const message = await faultOf((d) => {
      d.classes.push({ id: 1, name: 'liver' });
      d.cases.push({ ...d.cases[0]!, id: 'A' });
      d.cases[0]!.image = '../../etc/passwd';
    });
    expect(message).toMatch(/dataset\.json: \d problem/);
    expect(message).toMatch(/class id 1 stands twice/);
    expect(message).toMatch(/cases\[1\]\.id: case id "A" stands twice/);
    expect(message).toMatch(/cases\[0\]\.image: path "\.\.\/\.\.\/etc\/passwd" leaves the dataset folder/);
  });

  it('refuses undeclared classes, empty cases with masks and odd ids', async () => {
    expect(await faultOf((d) => Object.assign(d.cases[0]!, { masks: { '2': 'm.png' } }))).toMatch(
      /class 2 is not declared; declared: 1/,
    );
    expect(await faultOf((d) => Object.assign(d.cases[0]!, { empty: true }))).toMatch(
      /marked empty, yet it has masks/,
    );
    expect(await faultOf((d) => Object.assign(d.cases[0]!, { id: '../a' }))).toMatch(
      /cases\[0\]\.id: allowed: letters/,
    );
    expect(await faultOf((d) => Object.assign(d, { schemaVersion: 2 }))).toMatch(/schemaVersion/);
  });

  it.each(['/abs.png', 'C:/x.png', 'a\\b.png', 'a/../../b.png', '..', '', 'a//b.png', './a.png', 'a\0b'])(
    'refuses the path %j',
    (path) => {
      expect(pathFault(path)).toBeDefined();
    },
  );

  it('names the file when it is missing or no JSON', async () => {
    const dir = scratch();
    expect(await messageOf(() => readArtefact(`${dir}/none.json`, DatasetSchema))).toMatch(
      /none\.json: cannot be read \(ENOENT\)/,
    );
    file(`${dir}/bad.json`, '{"a":');
    expect(await messageOf(() => readArtefact(`${dir}/bad.json`, DatasetSchema))).toMatch(
      /bad\.json: not valid JSON/,
    );
  });
});

describe('splits.json', () => {
  it('refuses a case in two splits', async () => {
    const splits = {
      schemaVersion: 1,
      datasetHash: 'a'.repeat(64),
      seed: 1,
      fractions: { test: 0.1, validation: 0.1, labelled: 0.1, unlabelled: 0.9 },
      labelled: ['a'],
      unlabelled: [],
      validation: [],
      test: ['a'],
    };
    expect(await messageOf(() => parseArtefact(splits, SplitsSchema, 's'))).toMatch(
      /test\[0\]: case "a" also stands in labelled/,
    );
  });
});

describe('names', () => {
  it('finds the nearest name or none', () => {
    expect(nearestName('Validaton', ['test', 'validation'])).toBe('validation');
    expect(nearestName('xyz', ['test', 'validation'])).toBeUndefined();
  });

  it('makes identifiers out of anything, distinct for distinct names', () => {
    expect(slug('benign (1)')).toBe('benign_1');
    expect(slug('../..')).toMatch(/^x/);
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { maxLength: 20 }), (names) => {
        const ids = uniqueSlugs(names);
        for (const id of ids) expect(id).toMatch(ID_PATTERN);
        expect(new Set(ids.map((id) => id.toLowerCase())).size).toBe(names.length);
      }),
    );
  });

  it('gives a name the same identifier in whatever order the names come', () => {
    const names = ['a b', 'a_b', 'c', 'A B'];
    const ids = uniqueSlugs(names);
    const turned = uniqueSlugs([...names].reverse()).reverse();
    expect(turned).toEqual(ids);
    expect(ids[2]).toBe('c');
  });
});
