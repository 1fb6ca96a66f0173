// Which prompts reach the model for every choice of `--prompts`, from the configuration to the tensors; and which texts they are.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tidy } from '@maskrank/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatasetClass } from '../../src/datasets/schema.ts';
import { createGeometry } from '../../src/imaging/geometry.ts';
import { type InputRecipe, otherPrompts, promptKindsOf } from '../../src/pipeline/model.ts';
import { textRow } from '../../src/pipeline/text.ts';
import { promptedUnits } from '../../src/pipeline/units.ts';
import {
  fromMaskOptions,
  promptKinds,
  promptLayout,
  promptSource,
  textParts,
  textTokens,
} from '../../src/pipeline/workspace.ts';
import { collatePrompts } from '../../src/prompting/collate.ts';
import type { PromptSource } from '../../src/prompting/prompt.ts';
import { readTextFeatures, type TextFeatures, writeTextFeatures } from '../../src/prompting/text/features.ts';
import { allTexts, wholeText } from '../../src/prompting/text/parts.ts';
import { PROMPT_KINDS, type PromptKind } from '../../src/run/config/inputs.ts';
import { configWarnings } from '../../src/run/config.ts';
import { resolveConfig } from '../../src/run/resolve.ts';
import { unitKey } from '../../src/training/units.ts';
import { unitVector } from './text-fixture.ts';

const DIM = 512;
const TEXT = { answer: 'Oval, in the upper half.', knowledge: 'A mass is darker than its surroundings.' };
const CLASSES: DatasetClass[] = [
  { id: 1, name: 'lesion' },
  { id: 2, name: 'lungs', maxComponents: 2 },
];
const dir = mkdtempSync(join(tmpdir(), 'maskrank-kinds-'));
afterAll(() => rmSync(dir, { recursive: true }));
let features: TextFeatures;
beforeAll(async () => {
  const path = join(dir, 'text-features.safetensors');
  const texts = allTexts(TEXT).map(wholeText);
  await writeTextFeatures(
    path,
    { model: 'm0', encoding: 'e0' },
    texts.map((text) => [text, unitVector(text, DIM)]),
  );
  features = await readTextFeatures(path);
});

const configOf = (use: readonly PromptKind[], more: Record<string, string> = {}) =>
  resolveConfig({ flags: { 'prompts.use': use.join(',') || 'none', 'prompts.points': '3', ...more } }).config;
const SUBSETS = Array.from({ length: 15 }, (_, i) => PROMPT_KINDS.filter((_kind, k) => ((i + 1) >> k) & 1));

const PROMPT = {
  boxes: [
    { x0: 1, y0: 2, x1: 30, y1: 40 },
    { x0: 5, y0: 6, x1: 7, y1: 8 },
  ],
  points: [
    { x: 3, y: 4, label: 1 as const },
    { x: 9, y: 9, label: 1 as const },
  ],
};

describe.each(['1', '2'])('with %s text tokens', (tokens) => {
  it.each(SUBSETS)('%s %s %s %s', (...kinds) => {
    const use = kinds.filter((kind) => kind !== undefined);
    const config = configOf(use, { 'prompts.textTokens': tokens });
    const textUse = { parts: textParts(config), tokens: textTokens(config) };
    const text = textRow(TEXT, textUse, features, 'case a');
    const layout = promptLayout(config, CLASSES, DIM);
    tidy(() => {
      const given = collatePrompts(
        [
          { ...PROMPT, text },
          { boxes: [], points: [] },
        ],
        layout,
      );
      const has = (kind: PromptKind) => use.includes(kind);
      expect(given.boxes?.shape).toEqual(has('box') ? [2, 2, 4] : undefined);
      expect(given.points?.coords.shape).toEqual(has('point') ? [2, 3, 2] : undefined);
      if (has('point'))
        expect([...(given.points?.labels.toFloat32Array() ?? [])].slice(0, 3)).toEqual([1, 1, -1]);
      const both = has('vqa') && has('knowledge');
      const expected = !(has('vqa') || has('knowledge'))
        ? []
        : both && tokens === '1'
          ? [`${TEXT.answer} ${TEXT.knowledge}`]
          : [...(has('vqa') ? [TEXT.answer] : []), ...(has('knowledge') ? [TEXT.knowledge] : [])];
      expect(given.text?.shape).toEqual(expected.length === 0 ? undefined : [2, expected.length, DIM]);
      if (expected.length === 0) return;
      const values = given.text?.toFloat32Array().subarray(0, expected.length * DIM);
      expect([...(values ?? [])]).toEqual(expected.flatMap((words) => [...unitVector(words, DIM)]));
      const present = [...(given.textPresent?.toFloat32Array() ?? [])];
      expect(present).toEqual([...expected.map(() => 1), ...expected.map(() => 0)]);
    });
  });
});

it('nothing in use is the source none, and said once', () => {
  const config = configOf([], { 'prompts.test': 'saliency' });
  expect(promptSource(config, 'test')).toBe('none');
  expect(promptSource(config, 'labelled')).toBe('none');
  expect(promptLayout(config, CLASSES, DIM)).toEqual({ points: 0, boxes: 0 });
  expect(configWarnings(config).map(({ text }) => text)).toEqual([expect.stringContaining('given nothing')]);
  expect(promptSource(configOf(['vqa'], { 'prompts.test': 'saliency' }), 'test')).toBe('saliency');
});

it('the choice is a set: order and repetition do not count', () => {
  const { config } = resolveConfig({ flags: { 'prompts.use': 'knowledge,box,knowledge' } });
  expect(config.prompts.use).toEqual(['box', 'knowledge']);
  expect(() => resolveConfig({ flags: { 'prompts.use': 'boxes' } })).toThrow(/box, point, vqa, knowledge/);
});

it('points without a number are no points', () => {
  const config = configOf(['box', 'point'], { 'prompts.points': '0' });
  expect(promptKinds(config)).toEqual(['box']);
  expect(promptLayout(config, CLASSES, DIM)).toEqual({ points: 0, boxes: 2 });
});

it('prompts from masks have what is in use', () => {
  const cls = CLASSES[0] as DatasetClass;
  expect(fromMaskOptions(configOf(['box']), cls)).toMatchObject({ boxes: true, points: 0 });
  expect(fromMaskOptions(configOf(['point', 'vqa']), cls)).toMatchObject({ boxes: false, points: 3 });
});

it('a model without a branch for text is told apart', () => {
  expect(() => promptLayout(configOf(['vqa']), CLASSES, 0)).toThrow(/no branch for text/);
});

describe('a text', () => {
  it('that was never encoded is named with its case and the command', () => {
    const use = { parts: ['vqa' as const], tokens: 1 };
    expect(() => textRow({ answer: 'Something else.' }, use, features, 'case b, class 1')).toThrow(
      /case b, class 1.*Something else.*maskrank prompt/,
    );
  });

  it('that is not there leaves its token empty; tokens keep their places', () => {
    const both = ['vqa', 'knowledge'] as const;
    const { knowledge } = TEXT;
    expect(textRow({}, { parts: both, tokens: 1 }, features, 'a')).toEqual([null]);
    expect(textRow({ knowledge }, { parts: both, tokens: 1 }, features, 'a')).toEqual([
      unitVector(knowledge, DIM),
    ]);
    expect(textRow({ knowledge }, { parts: both, tokens: 2 }, features, 'a')).toEqual([
      null,
      unitVector(knowledge, DIM),
    ]);
  });
});

describe('a unit without box and point', () => {
  const units = [{ caseId: 'a', classId: 1 }];
  const geometry = createGeometry('stretch', { width: 64, height: 64 }, 64);
  const left = (source: PromptSource, feature: Float32Array | null) =>
    promptedUnits(
      units,
      new Map([[unitKey('a', 1), { boxes: [], points: [], source }]]),
      { geometry: () => geometry },
      { model: 'm0', of: () => [feature] },
    ).length;
  const feature = Float32Array.of(1);

  it('is left out where that means that the class is not there', () => {
    expect(left('oracle-box', feature)).toBe(0); // every class has a text
    expect(left('file', null)).toBe(0);
    expect(left('file', feature)).toBe(1); // a prompt of words
  });

  it('stays where nothing was found: leaving it out would flatter', () => {
    for (const source of ['saliency', 'self', 'none'] as const) expect(left(source, null)).toBe(1);
  });
});

describe('what a checkpoint was trained with', () => {
  const recipe = (layout: InputRecipe['layout'], prompts?: InputRecipe['prompts']): InputRecipe =>
    ({ layout, ...(prompts === undefined ? {} : { prompts }) }) as InputRecipe;

  it('is recorded; older ones say it by their slots', () => {
    expect(promptKindsOf(recipe({ points: 0, boxes: 1 }))).toEqual(['box']);
    const told = recipe({ points: 3, boxes: 1 }, { use: ['box', 'point', 'vqa'], points: 3 });
    expect(promptKindsOf(told)).toEqual(['box', 'point', 'vqa']);
    expect(otherPrompts(told, ['box', 'point', 'vqa'])).toBeUndefined();
    expect(otherPrompts(told, ['box'])).toMatch(/trained with prompts box,point,vqa and is now given box/);
  });
});
