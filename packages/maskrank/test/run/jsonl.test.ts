import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { JsonlStore, readJsonl } from '../../src/run/jsonl.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-jsonl-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${files++}.jsonl`);

type Line = { case: string; class: number; order: number[]; note?: string };
const options = { what: 'rating store', key: (line: Line) => `${line.case}/${line.class}` };
const header = { schemaVersion: 1, configHash: 'c0', madeFrom: { dataset: 'd0' } };

const line = fc.record({
  case: fc.string({ maxLength: 8, unit: 'grapheme' }),
  class: fc.integer({ min: 1, max: 2 }),
  order: fc.shuffledSubarray([0, 1, 2, 3]),
  note: fc.string({ maxLength: 6, unit: 'binary' }),
});

describe('JsonlStore', () => {
  it('gives back what was added; of equal keys the last line wins', () => {
    const path = fresh();
    using store = JsonlStore.open<Line>(path, options);
    store.append({ case: 'a', class: 1, order: [0, 1, 2, 3] });
    store.append({ case: 'b', class: 1, order: [1, 0, 2, 3] });
    store.append({ case: 'a', class: 1, order: [3, 2, 1, 0] });
    expect(store.entries().map((entry) => [entry.case, entry.order[0]])).toEqual([
      ['a', 3],
      ['b', 1],
    ]);
    using again = JsonlStore.open<Line>(path, options);
    expect(again.entries()).toEqual(store.entries());
    expect(again.recovery).toEqual({ cutBytes: 0, replacedLines: 1 });
    expect(again.get('a/1')?.order).toEqual([3, 2, 1, 0]);
    expect(again.size).toBe(2);
  });

  it('cut at any byte, keeps every whole line, and the next line starts clean', () => {
    const path = fresh();
    const lines: Line[] = [
      { case: 'a', class: 1, order: [0, 1], note: 'é\n"}' },
      { case: 'b', class: 1, order: [] },
      { case: 'a', class: 1, order: [2], note: '🩻' },
    ];
    const store = JsonlStore.open<Line>(path, { ...options, header });
    for (const entry of lines) store.append(entry);
    store.close();
    const bytes = readFileSync(path);
    const ends = [...bytes.entries()].filter(([, byte]) => byte === 10).map(([at]) => at);
    expect(ends).toHaveLength(4);
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      const whole = ends.filter((end) => end <= length).length; // a line counts from its last brace on
      const kept = lines.slice(0, Math.max(0, whole - 1));
      using cut = JsonlStore.open<Line>(path, { ...options, header });
      expect(cut.entries()).toEqual([...new Map(kept.map((entry) => [options.key(entry), entry])).values()]);
      expect(cut.header).toEqual(header);
      cut.append({ case: 'z', class: 1, order: [9] });
      cut.close();
      const { entries, header: found } = readJsonl<Line>(path, options);
      expect(found).toEqual(header);
      expect(entries.at(-1)).toEqual({ case: 'z', class: 1, order: [9] });
      expect(entries).toHaveLength(new Set(kept.map(options.key)).size + 1);
    }
  });

  it('property: any lines, cut anywhere, leave a prefix', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), fc.nat(), (lines, at) => {
        const path = fresh();
        const store = JsonlStore.open<Line>(path, { what: 'store', fsync: 'never' });
        for (const entry of lines) store.append(entry);
        store.close();
        const size = readFileSync(path).length;
        truncateSync(path, at % (size + 1));
        using cut = JsonlStore.open<Line>(path, { what: 'store', fsync: 'never' });
        expect(lines.slice(0, cut.size)).toEqual(cut.entries());
        rmSync(path);
      }),
      { numRuns: 60 },
    );
  });

  it('reports the bytes it cut', () => {
    const path = fresh();
    writeFileSync(path, '{"case":"a"}\n{"case":"b');
    using store = JsonlStore.open(path, { what: 'store' });
    expect(store.recovery.cutBytes).toBe(10);
    expect(readFileSync(path, 'utf8')).toBe('{"case":"a"}\n');
  });

  it('cuts the zeros that a power cut can leave behind', () => {
    const path = fresh();
    writeFileSync(path, '{"case":"a"}\n\0\0\0\0');
    using store = JsonlStore.open(path, { what: 'store' });
    expect(store.entries()).toEqual([{ case: 'a' }]);
  });

  it('refuses a damaged line in the middle, naming file, line and remedy', () => {
    const path = fresh();
    writeFileSync(path, '{"case":"a"}\n{"case:\n{"case":"b"}\n');
    expect(() => JsonlStore.open(path, options)).toThrow(DataError);
    expect(() => JsonlStore.open(path, options)).toThrow(
      /\.jsonl: line 2 of the rating store is not JSON: .*Delete that line/,
    );
    writeFileSync(path, '{"case":"a"}\n7\n');
    expect(() => JsonlStore.open(path, options)).toThrow(
      /line 2 of the rating store is "7", allowed: an object/,
    );
  });

  it('names the line that its parser refuses', () => {
    const path = fresh();
    writeFileSync(path, '{"grade":1}\n{"grade":9}\n');
    const parse = (value: { [key: string]: unknown }) => {
      if (value.grade === 9) throw new Error('grade = 9, allowed: 1..4.');
      return value;
    };
    expect(() => JsonlStore.open(path, { what: 'store', parse })).toThrow(
      /line 2 of the store: grade = 9, allowed: 1..4/,
    );
  });

  it('drops lines atomically and keeps the header', async () => {
    const path = fresh();
    using store = JsonlStore.open<Line>(path, { ...options, header });
    for (const id of ['a', 'b', 'c']) store.append({ case: id, class: 1, order: [] });
    expect(await store.retain((entry) => entry.case !== 'b')).toBe(1);
    expect(await store.retain(() => true)).toBe(0);
    store.append({ case: 'd', class: 1, order: [] });
    const { header: found, entries } = readJsonl<Line>(path, options);
    expect(found).toEqual(header);
    expect(entries.map((entry) => entry.case)).toEqual(['a', 'c', 'd']);
  });

  it('keeps the header of an existing file, so that a stale one can be refused', () => {
    const path = fresh();
    JsonlStore.open(path, { what: 'store', header }).close();
    using other = JsonlStore.open(path, { what: 'store', header: { ...header, configHash: 'c1' } });
    expect(other.header?.configHash).toBe('c0');
  });

  it('says when the folder is missing', () => {
    expect(() => JsonlStore.open(join(dir, 'no', 'x.jsonl'), options)).toThrow(
      /rating store cannot be opened \(no such file/,
    );
    expect(() => readJsonl(join(dir, 'no.jsonl'), options)).toThrow(
      /rating store cannot be read \(no such file/,
    );
  });

  it('reads while another writes: a torn last line is left alone', () => {
    const path = fresh();
    writeFileSync(path, '{"case":"a"}\n');
    appendFileSync(path, '{"case":');
    expect(readJsonl(path, { what: 'store' }).entries).toEqual([{ case: 'a' }]);
    expect(readFileSync(path, 'utf8')).toBe('{"case":"a"}\n{"case":');
  });
});
