import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Generator, memory } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { writeSafetensors } from '@maskrank/torch/io';
import { afterAll, describe, expect, it } from 'vitest';
import {
  CLIP_CONFIGS,
  clipFingerprint,
  createClip,
  embedTexts,
  WordPiece,
} from '../../../src/models/clip/index.ts';
import { addTextFeatures, encodeTexts, encodingIdentity } from '../../../src/prompting/text/encode.ts';
import {
  findTextFeatures,
  readTextFeatures,
  textKey,
  writeTextFeatures,
} from '../../../src/prompting/text/features.ts';
import { joinText } from '../../../src/prompting/text/join.ts';
import { cardText, findCard } from '../../../src/prompting/text/knowledge/cards.ts';
import { allTexts, wholeText } from '../../../src/prompting/text/parts.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-text-'));
const path = (name: string) => join(dir, name);
const IDENTITY = { model: 'a'.repeat(64), encoding: 'b'.repeat(64) };
const unit = (...values: number[]) => Float32Array.from(values, (v) => v / Math.hypot(...values));

describe('the file of text features', () => {
  it('gives back what was written, by text, and undefined for others', async () => {
    const file = path('cache/a.safetensors');
    expect(await findTextFeatures(file)).toBeUndefined();
    await writeTextFeatures(file, IDENTITY, [
      ['An  oval\n shape', unit(3, 4)],
      ['liver', unit(0, 1)],
    ]);
    const features = await readTextFeatures(file);
    expect(features).toMatchObject({ ...IDENTITY, dim: 2, size: 2 });
    expect(features.get('An oval shape')).toEqual(unit(3, 4));
    expect(features.get('liver')).toEqual(unit(0, 1));
    expect(features.get('Liver')).toBeUndefined();
    expect(textKey(' a  b ')).toBe(textKey('a b'));
  });

  it('grows, and has the same bytes whatever the order', async () => {
    const [one, two] = [path('one.safetensors'), path('two.safetensors')];
    const rows = ['x', 'y', 'z'].map((text, i) => [text, unit(1, i)] as const);
    for (const row of rows) await writeTextFeatures(one, IDENTITY, [row]);
    await writeTextFeatures(two, IDENTITY, [...rows].reverse());
    expect(readFileSync(one).equals(readFileSync(two))).toBe(true);
    await writeTextFeatures(one, IDENTITY, [['x', unit(5, 5)]]);
    expect((await readTextFeatures(one)).get('x')).toEqual(unit(5, 5));
    expect((await readTextFeatures(one)).size).toBe(3);
  });

  it('may be empty', async () => {
    await writeTextFeatures(path('none.safetensors'), IDENTITY, []);
    expect(await readTextFeatures(path('none.safetensors'))).toMatchObject({ size: 0, dim: 0 });
  });

  it('refuses features of another network or encoding, and stays as it was', async () => {
    const file = path('other.safetensors');
    await writeTextFeatures(file, IDENTITY, [['x', unit(1, 2)]]);
    const before = readFileSync(file);
    const write = (more: object) => writeTextFeatures(file, { ...IDENTITY, ...more }, [['y', unit(1, 2)]]);
    await expect(write({ model: 'c'.repeat(64) })).rejects.toThrow(
      'made with network aaaaaaaaaaaa, now it is cccccccccccc',
    );
    await expect(write({ encoding: 'd' })).rejects.toThrow(DataError);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('refuses lengths other than one and dimensions that differ', async () => {
    const file = path('bad.safetensors');
    const write = (...values: number[]) =>
      writeTextFeatures(file, IDENTITY, [['x', Float32Array.from(values)]]);
    await expect(write(3, 4)).rejects.toThrow(UsageError);
    await expect(write(Number.NaN, 1)).rejects.toThrow(UsageError);
    await expect(
      writeTextFeatures(file, IDENTITY, [
        ['x', unit(1, 2)],
        ['y', unit(1, 2, 3)],
      ]),
    ).rejects.toThrow('features of 2 and of 3 values');
    expect(existsSync(file)).toBe(false);
  });

  it('is told from other files', async () => {
    const file = path('foreign.safetensors');
    await writeSafetensors(file, [['w', { dtype: 'F32', shape: [1], data: Float32Array.of(1) }]]);
    await expect(readTextFeatures(file)).rejects.toThrow('not a file of text features of this version');
    writeFileSync(file, 'no safetensors');
    await expect(readTextFeatures(file)).rejects.toThrow(DataError);
    await expect(readTextFeatures(path('absent'))).rejects.toThrow(DataError);
  });
});

describe('encoding', () => {
  const card = cardText(findCard({ className: 'liver' })!, 'ct');
  const texts = [
    { answer: 'It is oval.' },
    { knowledge: card },
    { answer: 'It is oval.', knowledge: card },
    { answer: 'It lies in the upper left.' },
    { answer: ' It is  oval. ' },
    {},
  ];
  const tokenizer = WordPiece.ofTexts(texts.map(wholeText));
  const model = createClip(CLIP_CONFIGS['biomedclip-tiny'], Generator.seeded(1));
  const fingerprint = clipFingerprint(model);
  const context = model.config.text.context;
  afterAll(() => {
    model.dispose();
    rmSync(dir, { recursive: true });
  });

  it('gives unit features of the joined texts, each once, and leaves no tensors', async () => {
    const before = memory().tensors;
    const progress: number[] = [];
    const all = [];
    for await (const batch of encodeTexts(model, tokenizer, texts, {
      batch: 3,
      progress: (n) => progress.push(n),
    }))
      all.push(...batch);
    expect(memory().tensors).toBe(before);
    expect(progress).toEqual([3, 4]);
    expect(all.map(({ text }) => text).sort()).toEqual(
      [...new Set(texts.map(wholeText))].filter(Boolean).sort(),
    );
    for (const { text, feature, dropped } of all) {
      const source = texts.find((one) => wholeText(one) === text)!;
      const joined = joinText(tokenizer, source, context);
      expect(dropped).toBe(joined.dropped);
      const [expected] = embedTexts(model, tokenizer, [joined.text]);
      expect(Math.hypot(...feature)).toBeCloseTo(1, 5);
      for (const [i, value] of feature.entries()) expect(value).toBeCloseTo(expected!.embedding[i]!, 5);
    }
  });

  it('fills the file with what is missing and says what was cut', async () => {
    const file = path('features.safetensors');
    const parts = { model, fingerprint, tokenizer };
    const first = await addTextFeatures(file, parts, texts.slice(0, 2), { writeEvery: 1, batch: 1 });
    expect(first).toMatchObject({ encoded: 2, reused: 0, cut: { texts: 1 } });
    expect(first.cut.pieces).toBe(joinText(tokenizer, { knowledge: card }, context).dropped);
    const bytes = readFileSync(file);
    const again = await addTextFeatures(file, parts, texts.slice(0, 2));
    expect(again).toMatchObject({ encoded: 0, reused: 2, cut: { texts: 0, pieces: 0 } });
    expect(readFileSync(file).equals(bytes)).toBe(true);
    const wanted = allTexts({ answer: 'It is oval.', knowledge: card });
    const all = await addTextFeatures(file, parts, wanted);
    expect(all).toMatchObject({ encoded: 1, reused: 2 });
    for (const text of wanted) expect(all.features.get(wholeText(text))).toBeDefined();
    expect(all.features).toMatchObject({ dim: model.config.embedDim, model: fingerprint });
  });

  it('does not mix networks, vocabularies or budgets', async () => {
    const file = path('mixed.safetensors');
    const parts = { model, fingerprint, tokenizer };
    await addTextFeatures(file, parts, texts.slice(0, 1));
    const other = WordPiece.ofTexts(['other words']);
    await expect(addTextFeatures(file, { ...parts, tokenizer: other }, texts)).rejects.toThrow(DataError);
    await expect(addTextFeatures(file, parts, texts, { budget: 20 })).rejects.toThrow('tokeniser and budget');
    await expect(addTextFeatures(file, { ...parts, fingerprint: 'e'.repeat(64) }, texts)).rejects.toThrow(
      'network',
    );
    expect(encodingIdentity(model, tokenizer)).toBe(encodingIdentity(model, tokenizer, context));
    await expect(encodeTexts(model, tokenizer, texts, { budget: context + 1 }).next()).rejects.toThrow(
      UsageError,
    );
    await expect(encodeTexts(model, tokenizer, texts, { batch: 0 }).next()).rejects.toThrow(UsageError);
  });

  it('can be stopped, and keeps what it had', async () => {
    const file = path('stopped.safetensors');
    const control = new AbortController();
    const stop = {
      batch: 1,
      writeEvery: 1,
      signal: control.signal,
      progress: () => control.abort(new Error('stop')),
    };
    await expect(addTextFeatures(file, { model, fingerprint, tokenizer }, texts, stop)).rejects.toThrow(
      'stop',
    );
    expect((await readTextFeatures(file)).size).toBe(1);
  });
});
