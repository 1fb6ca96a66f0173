import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importDataset, openDataset } from '../../src/datasets/index.ts';
import { file, messageOf, picture, scratch, square, texture } from './tree.ts';

async function source(count = 6): Promise<string> {
  const s = scratch();
  for (let i = 0; i < count; i++) {
    await picture(`${s}/images/c${i}.png`, 16, 16, texture(i));
    await picture(`${s}/masks/c${i}.png`, 16, 16, square(1, 3 + i));
  }
  return s;
}
const contents = (dir: string) =>
  Object.fromEntries(
    (readdirSync(dir, { recursive: true }) as string[])
      .filter((name) => /\.(png|jpg)$|dataset\.json$/.test(name))
      .map((name) => [name, readFileSync(join(dir, name)).toString('base64')]),
  );

describe('runImport', () => {
  it('stopped after any case, goes on and ends with the same bytes', async () => {
    const s = await source();
    const whole = join(scratch(), 'd');
    await importDataset('folder', { source: s, out: whole });
    for (const stopAfter of [1, 3, 6]) {
      const out = join(scratch(), 'd');
      const abort = new AbortController();
      const stopped = importDataset('folder', {
        source: s,
        out,
        signal: abort.signal,
        onProgress: ({ done }) => done === stopAfter && done < 6 && abort.abort(),
      });
      if (stopAfter < 6) await expect(stopped).rejects.toThrow(/abort/i);
      else await stopped;
      expect(existsSync(join(out, 'dataset.json'))).toBe(stopAfter === 6);
      // A writer killed inside a line leaves half of one.
      if (stopAfter < 6) appendFileSync(join(out, 'import.partial.jsonl'), '{"key":"abc","impor');
      const { reused } = await importDataset('folder', { source: s, out });
      expect(reused).toBe(stopAfter === 6);
      expect(contents(out)).toEqual(contents(whole));
      expect(existsSync(join(out, 'import.partial.jsonl'))).toBe(false);
    }
  });

  it('takes up only cases whose files still stand', async () => {
    const s = await source(3);
    file(`${s}/masks/c2.png`, 'bad');
    const out = join(scratch(), 'd');
    expect(await messageOf(() => importDataset('folder', { source: s, out }))).toMatch(/1 problem/);
    rmSync(join(out, 'images/c0.png'));
    await picture(`${s}/masks/c2.png`, 16, 16, square(1, 5));
    await picture(`${s}/masks/c1.png`, 16, 16, square(1, 9));
    utimesSync(`${s}/masks/c1.png`, 1, 1);
    const { dir } = await importDataset('folder', { source: s, out });
    const fresh = join(scratch(), 'd');
    await importDataset('folder', { source: s, out: fresh });
    expect(contents(dir)).toEqual(contents(fresh));
  });

  it('repeated, does nothing; with another source or other options it refuses', async () => {
    const s = await source(2);
    const out = join(scratch(), 'd');
    const first = await importDataset('folder', { source: s, out });
    const again = await importDataset('folder', { source: s, out });
    expect(again).toMatchObject({ reused: true, hash: first.hash });
    expect(again.report).toEqual(first.report);
    expect(
      await messageOf(() => importDataset('folder', { source: s, out, options: { name: 'x' } })),
    ).toMatch(/UsageError: import folder: .* already holds a dataset from another source/);
    await picture(`${s}/images/c2.png`, 16, 16, texture(2));
    expect(await messageOf(() => importDataset('folder', { source: s, out }))).toMatch(
      /already holds a dataset/,
    );
  });

  it('refuses folders that hold something else', async () => {
    const s = await source(1);
    const out = scratch();
    writeFileSync(join(out, 'thesis.doc'), '');
    expect(await messageOf(() => importDataset('folder', { source: s, out }))).toMatch(
      /holds other files \(thesis\.doc\)/,
    );
    expect(
      await messageOf(() => importDataset('folder', { source: s, out: join(out, 'thesis.doc') })),
    ).toMatch(/is a file; choose a folder/);
    const half = join(scratch(), 'd');
    file(join(half, 'import.partial.jsonl'), '{"settings":"other"}\n');
    expect(await messageOf(() => importDataset('folder', { source: s, out: half }))).toMatch(
      /unfinished import of another source/,
    );
  });

  it('gives the same hash wherever it is imported, and another when a pixel, class or group differs', async () => {
    const s = await source(3);
    const hashOf = async (options = {}) =>
      (await importDataset('folder', { source: s, out: join(scratch(), 'd'), options })).hash;
    const hash = await hashOf();
    expect(await hashOf({ name: 'another name', modality: 'ct' })).toBe(hash);
    expect(await hashOf({ classes: '1=other' })).not.toBe(hash);
    expect(await hashOf({ groupPattern: '(c)' })).not.toBe(hash);
    await picture(`${s}/masks/c1.png`, 16, 16, square(2, 4));
    expect(await hashOf()).not.toBe(hash);
  });
});

describe('openDataset', () => {
  it('gives labelled cases masks and unlabelled cases none', async () => {
    const s = await source(2);
    await picture(`${s}/images/bare.png`, 16, 16, texture(7));
    const { dir, hash } = await importDataset('folder', { source: s, out: join(scratch(), 'd') });
    const open = await openDataset(dir);
    expect(open.hash).toBe(hash);
    expect(open.labelled().map((c) => c.id)).toEqual(['c0', 'c1']);
    expect(open.unlabelled().map((c) => c.id)).toEqual(['bare', 'c0', 'c1']);
    expect(Object.keys(open.unlabelled(['c1'])[0]!).sort()).toEqual(['group', 'id', 'imagePath', 'kind']);
    expect(await messageOf(() => open.labelled(['bare']))).toMatch(
      /DataError: case "bare" has no ground truth/,
    );
    expect(await messageOf(() => open.labelled(['c7x']))).toMatch(/UsageError: .*no case "c7x"/);
    expect(await messageOf(() => open.loadMask(open.labelled(['c0'])[0]!, 2))).toMatch(
      /no class 2; allowed: 1=foreground/,
    );
    const { width, height, data } = await open.loadMask(open.labelled(['c0'])[0]!, 1);
    expect([width, height, data.reduce((a, b) => a + b, 0)]).toEqual([16, 16, 4]);
  });

  it('lists files that are missing or of another size', async () => {
    const { dir } = await importDataset('folder', { source: await source(2), out: join(scratch(), 'd') });
    rmSync(join(dir, 'images/c0.png'));
    writeFileSync(join(dir, 'images/c1.png'), 'x');
    const message = await messageOf(() => openDataset(dir));
    expect(message).toMatch(/DataError: .*2 file\(s\) differ from what was imported/);
    expect(message).toMatch(/images\/c0\.png: missing/);
    expect(message).toMatch(/images\/c1\.png: 1 bytes, \d+ at import/);
  });

  it('opens a dataset written by hand, without recorded hashes', async () => {
    const { dir, hash } = await importDataset('folder', {
      source: await source(2),
      out: join(scratch(), 'd'),
    });
    const path = join(dir, 'dataset.json');
    const { files: _, ...rest } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...rest, cases: (rest.cases as unknown[]).reverse() }));
    expect((await openDataset(dir)).hash).toBe(hash);
    expect(await messageOf(() => openDataset(scratch()))).toMatch(
      /dataset\.json does not exist: .* is no dataset\. Import one first/,
    );
  });
});
