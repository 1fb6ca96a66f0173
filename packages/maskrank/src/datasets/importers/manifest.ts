// The optional table of a folder source: manifest.csv with a row an image. Columns: id, image, mask, group (or
// patient_or_group, patient), class_labels (or classes), split, mask_nonempty (not needed); pathology, collection and
// any column named tag_… become tags. Other columns are left alone. Not here: matching by name (folder.ts).

import { readFile } from 'node:fs/promises';
import { DataError } from '@maskrank/torch/errors';
import { parse } from 'csv-parse/sync';

export type ManifestRow = {
  /** Line number in the file, 1-based, for messages. */
  readonly line: number;
  readonly id: string;
  /** Paths as written: relative to the manifest's folder. */
  readonly image: string;
  /** `undefined`: no mask column or an empty cell, ground truth unknown. */
  readonly mask: string | undefined;
  readonly group: string | undefined;
  readonly classes: string | undefined;
  readonly split: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
};

/** Accepted names of each column, in order of preference. */
const COLUMNS = {
  id: ['id', 'case', 'name'],
  image: ['image', 'image_path', 'file'],
  mask: ['mask', 'mask_path', 'label', 'segmentation'],
  group: ['group', 'patient_or_group', 'patient', 'patient_id', 'subject'],
  classes: ['class_labels', 'classes', 'labels'],
  split: ['split', 'fold', 'set_type'],
} as const;

/** Columns kept as tags without being asked. */
const TAG_COLUMNS = ['pathology', 'collection', 'diagnosis', 'site'];

/** Reads a table with a header. Throws DataError for broken CSV, a missing image column or repeated ids. */
export async function readManifest(path: string): Promise<ManifestRow[]> {
  const { header, rows } = await readTable(path);
  const column = Object.fromEntries(
    Object.entries(COLUMNS).map(([key, names]) => [key, names.find((n) => header.includes(n))]),
  ) as Record<keyof typeof COLUMNS, string | undefined>;
  if (column.image === undefined) {
    throw new DataError(
      `${path}: no column "image"; found: ${header.join(', ')}. The table needs a header with at least image, and mask where there is one.`,
    );
  }
  const cell = (row: Record<string, string>, key: keyof typeof COLUMNS): string | undefined => {
    const name = column[key];
    const text = name === undefined ? '' : (row[name] ?? '').trim();
    return text === '' ? undefined : text;
  };
  const tagColumns = header.filter((h) => TAG_COLUMNS.includes(h) || h.startsWith('tag_'));
  return rows.map((row, i) => {
    const line = i + 2;
    const image = cell(row, 'image');
    if (image === undefined) throw new DataError(`${path}: line ${line} has no image; every row needs one.`);
    const tags = tagColumns.map((h) => [h.replace(/^tag_/, ''), (row[h] ?? '').trim()] as const);
    return {
      line,
      id: cell(row, 'id') ?? image.replace(/\.[^./]+$/, '').replace(/^images\//, ''),
      image,
      mask: cell(row, 'mask'),
      group: cell(row, 'group'),
      classes: cell(row, 'classes'),
      split: cell(row, 'split'),
      tags: Object.fromEntries(tags.filter(([, value]) => value !== '')),
    };
  });
}

/** A CSV file (comma, semicolon or tab) as rows by column name; header names in lower case, blanks as underscores. */
export async function readTable(path: string): Promise<{ header: string[]; rows: Record<string, string>[] }> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new DataError(`${path}: cannot be read (${cause.code}). Check that the table exists.`, { cause });
  });
  const firstLine = text.slice(0, text.indexOf('\n') < 0 ? undefined : text.indexOf('\n'));
  const delimiter = [',', ';', '\t'].reduce((best, d) =>
    firstLine.split(d).length > firstLine.split(best).length ? d : best,
  );
  let header: string[] = [];
  let rows: Record<string, string>[];
  try {
    rows = parse(text, {
      bom: true,
      delimiter,
      skip_empty_lines: true,
      columns: (names: string[]) => {
        header = names.map((n) => n.trim().toLowerCase().replace(/\s+/g, '_'));
        return header;
      },
    }) as unknown as Record<string, string>[];
  } catch (cause) {
    throw new DataError(
      `${path}: not a readable table (${(cause as Error).message}). Save it again as CSV.`,
      { cause },
    );
  }
  return { header, rows };
}
