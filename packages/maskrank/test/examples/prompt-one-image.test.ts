// Prompts of one image from the library alone, with a tiny network of random weights; and that the page shows what the tests run.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Generator, memory } from '@maskrank/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { promptImage } from '../../../../examples/prompt-one-image.ts';
import * as mr from '../../src/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-one-image-'));
afterAll(() => rmSync(dir, { recursive: true }));
const [file, weights] = [join(dir, 'scan.png'), join(dir, 'clip.safetensors')];

beforeAll(async () => {
  const random = new mr.Random('scan');
  const data = Uint8Array.from({ length: 80 * 60 }, (_, i) => {
    const inside = Math.hypot((i % 80) - 30, Math.floor(i / 80) - 25) < 12;
    return (inside ? 60 : 150) + random.int(0, 30);
  });
  await mr.writeImagePng(file, { width: 80, height: 60, channels: 1, data });
  using model = mr.createClip(mr.clipConfig('biomedclip-nano'), Generator.seeded(1));
  await mr.saveClip(weights, model, mr.WordPiece.ofTexts(['breast tumor', mr.NEUTRAL_TEXT]));
});

describe('the example prompt-one-image', () => {
  it('gives boxes, points, knowledge and a picture, the same each time, and leaves no tensors behind', async () => {
    const before = memory().tensors;
    const found = await promptImage(file, 'breast tumor', 'ultrasound', weights);
    expect(memory().tensors).toBe(before);
    expect(found.boxes.length).toBeGreaterThan(0);
    for (const { x0, y0, x1, y1 } of found.boxes)
      expect(x0 >= 0 && y0 >= 0 && x1 <= 80 && y1 <= 60 && x1 > x0 && y1 > y0).toBe(true);
    if (found.fallback === null) expect(found.points).toHaveLength(3);
    expect(found.sensitivity).not.toBeNull();
    expect(found.knowledge).toMatch(/breast/);
    expect([found.picture.width, found.picture.height]).toEqual([80, 60]);
    expect(await promptImage(file, 'breast tumor', 'ultrasound', weights)).toEqual(found);
  });

  it('is what docs/prompting.md shows', () => {
    const read = (path: string) =>
      readFileSync(fileURLToPath(new URL(`../../../../${path}`, import.meta.url)), 'utf8');
    const shown = /^```ts\n([\s\S]*?)^```/m.exec(read('docs/prompting.md'))?.[1] ?? '';
    const code = read('examples/prompt-one-image.ts').replaceAll(/^ {2}/gm, '');
    expect(shown.length).toBeGreaterThan(300);
    expect(code).toContain(shown);
  });
});
