// Importer `udiat`: UDIAT "Dataset B" (Yap et al. 2018), breast ultrasound: original/000001.png with GT/000001.png. The
// released table of diagnoses is a spreadsheet, which is not read; saved as CSV (columns Image, Type) beside the folders
// it gives the tag `pathology`. One image a patient.

import { join } from 'node:path';
import { extension, stem } from '../names.ts';
import { readTable } from './manifest.ts';
import { defaultName, few, findLayout, imagesIn, layoutError, list } from './source.ts';
import type { Importer, ImportNote, PlannedCase } from './types.ts';

const LAYOUT = 'original/000001.png with GT/000001.png, optional CSV with the columns Image and Type';

export const udiat: Importer = {
  summary: 'UDIAT Dataset B: breast ultrasound, original/ and GT/',
  layout: LAYOUT,
  accepts: [],
  scan: async (source, options) => {
    const root = await findLayout(source, ['original', 'GT']);
    if (root === undefined) throw await layoutError('udiat', source, LAYOUT);
    const problems: string[] = [];
    const notes: ImportNote[] = [];
    const types = await readTypes(root, notes);
    const images = await imagesIn(join(root, 'original'));
    const masks = new Map((await imagesIn(join(root, 'GT'))).map((path) => [stem(path), path]));
    const cases: PlannedCase[] = [];
    for (const image of images) {
      const name = stem(image);
      const mask = masks.get(name);
      masks.delete(name);
      if (mask === undefined) {
        problems.push(`${image}: no ${join(root, 'GT', `${name}.png`)}.`);
        continue;
      }
      const type = types.get(withoutZeros(name));
      cases.push({
        name,
        image,
        masks: [{ kind: 'binary', path: mask, classId: 1 }],
        tags: { collection: 'UDIAT', ...(type === undefined ? {} : { pathology: type }) },
      });
    }
    if (masks.size > 0)
      problems.push(`${few([...masks.values()])}: no image of that name in ${join(root, 'original')}.`);
    return {
      name: options.name ?? (root === source ? defaultName(source) : 'UDIAT'),
      modality: options.modality ?? 'ultrasound',
      classes: [{ id: 1, name: 'lesion', prompts: ['benign breast tumor', 'malignant breast tumor'] }],
      cases,
      notes,
      problems,
      groupNearDuplicates: false,
    };
  },
};

/** Image number (without leading zeros) -> diagnosis, from the first CSV that has both columns. */
async function readTypes(root: string, notes: ImportNote[]): Promise<Map<string, string>> {
  const files = (await list(root)).map((e) => e.name);
  for (const file of files.filter((f) => extension(f) === '.csv')) {
    const { header, rows } = await readTable(join(root, file));
    if (!header.includes('image') || !header.includes('type')) continue;
    return new Map(
      rows.map((row) => [withoutZeros(stem(row.image!.trim())), row.type!.trim().toLowerCase()]),
    );
  }
  const sheets = files.filter((f) => ['.xlsx', '.xls'].includes(extension(f)));
  if (sheets.length > 0)
    notes.push({
      message: 'spreadsheets are not read; save as CSV to get the diagnoses as tags',
      files: sheets,
    });
  return new Map();
}

const withoutZeros = (name: string): string => name.replace(/^0+(?=\d)/, '');
