// The journal of an unfinished import: a line a finished case in DATASET/import.partial.jsonl. An import that was stopped
// at any moment takes up the cases whose source files have not changed since. Not here: writing the cases (case.ts).

import { appendFile, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import { writeFileAtomic } from '@maskrank/torch/io';
import type { ImportedCase } from './case.ts';

const JOURNAL_FILE = 'import.partial.jsonl';

export type Journal = {
  /** The case as it was written before, if its sources and its files are still the same. */
  readonly find: (sourceKey: string) => Promise<ImportedCase | undefined>;
  readonly add: (sourceKey: string, imported: ImportedCase) => Promise<void>;
  readonly remove: () => Promise<void>;
};

/** Opens or starts the journal in `out`. Throws UsageError when it belongs to an import with other settings. */
export async function openJournal(out: string, settings: string): Promise<Journal> {
  const path = join(out, JOURNAL_FILE);
  const header = JSON.stringify({ settings });
  const lines = await readLines(path);
  if (lines.length > 0 && lines[0] !== header)
    throw new UsageError(
      `import: ${out} holds an unfinished import of another source or with other options. Remove the folder, or choose another.`,
    );
  const cases = new Map<string, ImportedCase>();
  const kept = [header];
  for (const line of lines.slice(1)) {
    const entry = parseLine(line);
    if (entry === undefined) break; // a torn last line: the writer was stopped inside it
    cases.set(entry.key, revive(entry.imported));
    kept.push(line);
  }
  await writeFileAtomic(path, `${kept.join('\n')}\n`);
  return {
    find: async (key) => {
      const imported = cases.get(key);
      return imported !== undefined && (await filesStand(out, imported)) ? imported : undefined;
    },
    add: (key, imported) => appendFile(path, `${JSON.stringify({ key, imported: pack(imported) })}\n`),
    remove: () => rm(path, { force: true }),
  };
}

/** True when the folder holds the journal of an import that was stopped. */
export async function hasJournal(out: string): Promise<boolean> {
  return (await readLines(join(out, JOURNAL_FILE))).length > 0;
}

type Packed = Omit<ImportedCase, 'print'> & {
  readonly print: {
    readonly pixels: string;
    readonly dHash: string;
    readonly thumbnail: string;
    readonly constant: boolean;
  };
};

async function readLines(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}

function parseLine(line: string): { key: string; imported: Packed } | undefined {
  try {
    return JSON.parse(line) as { key: string; imported: Packed };
  } catch {
    return undefined;
  }
}

async function filesStand(out: string, { files }: ImportedCase): Promise<boolean> {
  for (const [path, { bytes }] of Object.entries(files)) {
    const found = await stat(join(out, path)).catch(() => undefined);
    if (found?.size !== bytes) return false;
  }
  return true;
}

function pack({ print, ...rest }: ImportedCase): Packed {
  const text = (a: Uint32Array | Int8Array) =>
    Buffer.from(a.buffer, a.byteOffset, a.byteLength).toString('base64');
  return { ...rest, print: { ...print, dHash: text(print.dHash), thumbnail: text(print.thumbnail) } };
}

function revive({ print, ...rest }: Packed): ImportedCase {
  const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64')).buffer;
  return {
    ...rest,
    print: {
      ...print,
      dHash: new Uint32Array(bytes(print.dHash)),
      thumbnail: new Int8Array(bytes(print.thumbnail)),
    },
  };
}
