// Importer `covid-qu-ex`: COVID-QU-Ex (Tahir et al. 2021, doi 10.1016/j.compbiomed.2021.104319), chest X-rays:
// "Lung Segmentation Data" and "Infection Segmentation Data", each {Train,Val,Test}/{COVID-19,Non-COVID,Normal}/{images,
// lung masks,infection masks}. The released division is kept as the tag `split`, the folder as `pathology`.
// The set names no patients.

import { join } from 'node:path';
import { stem } from '../names.ts';
import { defaultName, few, findLayout, imagesIn, layoutError, list } from './source.ts';
import type { Importer, PlannedCase, PlannedMask } from './types.ts';

const SPLITS = { Train: 'train', Val: 'validation', Test: 'test' } as const;
const PATHOLOGIES = ['COVID-19', 'Non-COVID', 'Normal'] as const;
const LAYOUT =
  'Lung Segmentation Data/{Train,Val,Test}/{COVID-19,Non-COVID,Normal}/{images,lung masks}/NAME.png; Infection Segmentation Data/ likewise with "infection masks"';

type MaskFolder = { readonly folder: string; readonly classId: number };

/** Which tree is read, and which mask folders become classes. */
const CHOICES = {
  lung: { tree: 'Lung Segmentation Data', folders: [{ folder: 'lung masks', classId: 1 }] },
  infection: { tree: 'Infection Segmentation Data', folders: [{ folder: 'infection masks', classId: 1 }] },
  both: {
    tree: 'Infection Segmentation Data',
    folders: [
      { folder: 'lung masks', classId: 1 },
      { folder: 'infection masks', classId: 2 },
    ],
  },
} as const satisfies Record<string, { tree: string; folders: readonly MaskFolder[] }>;

const LUNG = { name: 'lung', prompts: ['chest x-ray'], maxComponents: 2 };
const INFECTION = { name: 'infection', prompts: ['covid-19 infection in a chest x-ray'] };

export const covidQuEx: Importer = {
  summary: 'COVID-QU-Ex: chest X-rays with lung and infection masks',
  layout: LAYOUT,
  accepts: ['masks'],
  scan: async (source, options) => {
    const wanted = options.masks ?? 'lung';
    const { tree, folders } = CHOICES[wanted];
    const root = await findTree(source, tree);
    if (root === undefined) throw await layoutError('covid-qu-ex', source, LAYOUT);
    const problems: string[] = [];
    const cases: PlannedCase[] = [];
    for (const [splitFolder, split] of Object.entries(SPLITS)) {
      for (const pathology of PATHOLOGIES) {
        const dir = join(root, splitFolder, pathology);
        cases.push(
          ...(await scanFolder(dir, folders, { split, pathology, collection: 'COVID-QU-Ex' }, problems)),
        );
      }
    }
    if (cases.length === 0 && problems.length === 0) throw await layoutError('covid-qu-ex', root, LAYOUT);
    const lung = { id: 1, ...LUNG };
    const classes = {
      lung: [lung],
      infection: [{ id: 1, ...INFECTION }],
      both: [lung, { id: 2, ...INFECTION }],
    };
    return {
      name: options.name ?? (root === source ? defaultName(source) : 'COVID-QU-Ex'),
      modality: options.modality ?? 'x-ray',
      classes: classes[wanted],
      cases,
      notes: [],
      problems,
      groupNearDuplicates: false,
    };
  },
};

/** The folder with Train/ and Test/ inside the wanted tree, which the archive nests twice; or the source itself. */
async function findTree(source: string, tree: string): Promise<string | undefined> {
  const parent = await findLayout(source, [tree]);
  return findLayout(parent === undefined ? source : join(parent, tree), ['Train', 'Test']);
}

async function scanFolder(
  dir: string,
  folders: readonly MaskFolder[],
  tags: { readonly split: string; readonly pathology: string; readonly collection: string },
  problems: string[],
): Promise<PlannedCase[]> {
  const images = await imagesIn(join(dir, 'images'));
  const present = new Set((await list(dir)).map((e) => e.name));
  // Without COVID there is nothing to mark, so that folder may be missing altogether.
  const optional = ({ folder }: MaskFolder) => folder === 'infection masks' && tags.pathology !== 'COVID-19';
  const byFolder = new Map<MaskFolder, Map<string, string>>();
  for (const item of folders.filter((f) => present.has(f.folder) || !optional(f))) {
    const files = await imagesIn(join(dir, item.folder));
    byFolder.set(item, new Map(files.map((path) => [stem(path), path])));
  }
  const names = new Set(images.map(stem));
  for (const files of byFolder.values()) {
    const orphans = [...files].filter(([name]) => !names.has(name)).map(([, path]) => path);
    if (orphans.length > 0)
      problems.push(`${few(orphans)}: no image of that name in ${join(dir, 'images')}.`);
  }
  return images.flatMap((image): PlannedCase[] => {
    const name = stem(image);
    const masks: PlannedMask[] = [];
    for (const [{ folder, classId }, files] of byFolder) {
      const path = files.get(name);
      if (path === undefined) {
        problems.push(`${image}: no mask of that name in ${join(dir, folder)}.`);
        return [];
      }
      masks.push({ kind: 'binary', path, classId });
    }
    return [{ name: `${tags.split}/${name}`, image, masks, tags }];
  });
}
