// Importer `busi`: Dataset_BUSI_with_GT (Al-Dhabyani et al. 2020, doi 10.1016/j.dib.2019.104863), breast ultrasound.
// {benign,malignant,normal}/benign (1).png with benign (1)_mask.png and, for several lesions, _mask_1.png, _mask_2.png,
// which are united. Normals are kept as empty cases. BUSI names no patients and repeats images, so images that look
// alike share a group. One image stands in it twice with contradicting diagnoses: both copies are dropped.

import { basename, join, relative } from 'node:path';
import { fingerprint } from '../fingerprint.ts';
import { readSourceImage } from './pixels.ts';
import { defaultName, few, findLayout, imagesIn, layoutError } from './source.ts';
import type { Importer, ImportNote, PlannedCase, PlannedMask } from './types.ts';

const PATHOLOGIES = ['benign', 'malignant', 'normal'] as const;
const LAYOUT =
  'benign/benign (1).png with benign (1)_mask.png (and _mask_1.png, …); likewise malignant/ and normal/';
const FILE = /^(benign|malignant|normal) \((\d+)\)(_mask(?:_\d+)?)?\.png$/i;

/** The same picture under two diagnoses (found by comparing all pixels of the released set). */
const CONTRADICTING = ['benign (433)', 'malignant (145)'] as const;

export const busi: Importer = {
  summary: 'Dataset_BUSI_with_GT: breast ultrasound, benign, malignant and normal',
  layout: LAYOUT,
  accepts: [],
  scan: async (source, options) => {
    const root = await findLayout(source, ['benign', 'malignant']);
    if (root === undefined) throw await layoutError('busi', source, LAYOUT);
    const problems: string[] = [];
    const notes: ImportNote[] = [];
    const cases: PlannedCase[] = [];
    for (const pathology of PATHOLOGIES) {
      const images = new Map<string, string>();
      const masks = new Map<string, string[]>();
      for (const path of await imagesIn(join(root, pathology))) {
        const match = FILE.exec(basename(path));
        if (!match) {
          problems.push(
            `${path}: the name is not like "${pathology} (1).png" or "${pathology} (1)_mask.png".`,
          );
          continue;
        }
        const name = `${match[1]!.toLowerCase()} (${Number(match[2])})`;
        if (match[3] === undefined) images.set(name, path);
        else masks.set(name, [...(masks.get(name) ?? []), path]);
      }
      for (const [name, paths] of masks) {
        if (!images.has(name)) problems.push(`${few(paths)}: there is no image "${name}.png" beside it.`);
      }
      for (const [name, image] of images) {
        const files = masks.get(name) ?? [];
        if (files.length === 0 && pathology !== 'normal') {
          problems.push(`${image}: no "${name}_mask.png" beside it.`);
          continue;
        }
        const planned = files.map((path): PlannedMask => ({ kind: 'binary', path, classId: 1 }));
        cases.push({ name, image, masks: planned, tags: { pathology, collection: 'BUSI' } });
      }
    }
    const kept = await dropContradicting(cases, root, notes);
    return {
      name: options.name ?? (root === source ? defaultName(source) : 'BUSI'),
      modality: options.modality ?? 'ultrasound',
      classes: [{ id: 1, name: 'lesion', prompts: ['benign breast tumor', 'malignant breast tumor'] }],
      cases: kept,
      notes,
      problems,
      groupNearDuplicates: true,
    };
  },
};

const pixelHash = async (path: string): Promise<string> =>
  fingerprint((await readSourceImage(path)).image).pixels;

/** Drops the known pair when both files are there with equal pixels; names alone are no proof. */
async function dropContradicting(
  cases: PlannedCase[],
  root: string,
  notes: ImportNote[],
): Promise<PlannedCase[]> {
  const pair = CONTRADICTING.map((name) => cases.find((c) => c.name === name));
  const [a, b] = pair;
  if (a === undefined || b === undefined || (await pixelHash(a.image)) !== (await pixelHash(b.image)))
    return cases;
  notes.push({
    message: 'the same image with contradicting diagnoses: both copies are left out',
    files: [relative(root, a.image), relative(root, b.image)],
  });
  return cases.filter((c) => c !== a && c !== b);
}
