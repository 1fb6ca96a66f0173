import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import type { Prompt } from '../../src/prompting/prompt.ts';
import {
  openPromptStore,
  promptKey,
  promptLine,
  promptOfLine,
  readPrompts,
} from '../../src/prompting/prompt-store.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-prompts-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${files++}.jsonl`);

const prompt: Prompt = {
  boxes: [{ x0: 1, y0: 2, x1: 30.5, y1: 40 }],
  points: [
    { x: 5, y: 6, label: 1 },
    { x: 0, y: 0, label: 0 },
  ],
  source: 'self',
};
const line = promptLine('a', 2, prompt, { passes: 1 });

describe('prompts.jsonl', () => {
  it('gives prompts back as they were; of two for a case and class the last one', () => {
    const path = fresh();
    {
      using store = openPromptStore(path);
      store.append(promptLine('a', 2, { boxes: [], points: [], source: 'none' }));
      store.append(promptLine('b', 2, prompt));
      store.append(line);
    }
    const prompts = readPrompts(path);
    expect(prompts.size).toBe(2);
    const read = prompts.get(promptKey({ case: 'a', class: 2 }));
    expect(read?.provenance).toEqual({ source: 'self', passes: 1 });
    expect(promptOfLine(read as typeof line)).toEqual(prompt);
  });

  it.each([
    [
      'a box without a side',
      { ...line, boxes: [{ x0: 1, y0: 2, x1: 3 }] },
      /boxes\[0\]\.y1 is missing: .*number/,
    ],
    [
      'a side as text',
      { ...line, boxes: [{ ...line.boxes[0], x1: '30' }] },
      /boxes\[0\]\.x1 = "30": .*number/,
    ],
    ['a label that is none', { ...line, points: [{ x: 1, y: 1, label: 2 }] }, /points\[0\]\.label = 2: /],
    ['a class 0', { ...line, class: 0 }, /class = 0: .*1/],
    [
      'an unknown source',
      { ...line, provenance: { source: 'guess' } },
      /provenance\.source = "guess": .*"oracle-box"/,
    ],
    ['a key that means nothing', { ...line, box: [] }, /unknown key box/],
    ['a key inside', { ...line, text: { words: 'x' } }, /text: unknown key words/],
  ])('refuses %s: file, line, field, what was found and what is allowed', (_what, bad, message) => {
    const path = fresh();
    writeFileSync(path, `${JSON.stringify(line)}\n${JSON.stringify(bad)}\n`);
    expect(() => readPrompts(path)).toThrow(DataError);
    expect(() => readPrompts(path)).toThrow(message);
    expect(() => openPromptStore(path)).toThrow(`${path}: line 2 of the prompt store: `);
  });
});
