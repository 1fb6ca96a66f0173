// Importer `sam-med2d`: the layout SAM-Med2D trains on (OpenGVLab/SAM-Med2D, DataLoader.py): image2label_train.json
// {image: [mask, …]} and label2image_test.json {mask: image}; binary masks named IMAGE_CLASS_000.png, several of one
// class are united. Which file a case stands in becomes the tag `split`. Slices IMAGE = VOLUME_NUMBER share the group
// VOLUME. A class without a mask counts as absent from the image.

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import * as z from 'zod';
import { parseArtefact } from '../artefact.ts';
import { compareNames, stem } from '../names.ts';
import type { DatasetClass } from '../schema.ts';
import { defaultName, layoutError, list, normaliseSplit, parseClasses } from './source.ts';
import type { Importer, PlannedCase, PlannedMask } from './types.ts';

const LAYOUT =
  'image2label_train.json ({image: [masks]}) and/or label2image_test.json ({mask: image}), with images/ and masks/';
const INDEX = /^(image2label|label2image)_(.+)\.json$/;

const ImageToLabels = z.record(z.string(), z.array(z.string()));
const LabelToImage = z.record(z.string(), z.string());

export const samMed2d: Importer = {
  summary: "SAM-Med2D's JSON index files with binary masks per class",
  layout: LAYOUT,
  accepts: ['classes'],
  scan: async (source, options) => {
    const entries = await readIndexes(source);
    if (entries.length === 0) throw await layoutError('sam-med2d', source, LAYOUT);
    const problems: string[] = [];
    const named = entries.flatMap(({ image, mask, split }) => {
      const className = classOf(image, mask);
      if (className !== undefined) return [{ image, mask, split, className }];
      problems.push(
        `${mask}: the name is not like "${stem(image)}_CLASS_000.png", the image being ${image}.`,
      );
      return [];
    });
    const classes = nameClasses(named, options.classes);
    const idOf = new Map(classes.map((c) => [c.name, c.id]));
    const byImage = new Map<string, { split: string; masks: PlannedMask[] }>();
    for (const { image, mask, split, className } of named) {
      const file = await resolveInside(source, mask);
      const classId = idOf.get(className);
      if (file === undefined) problems.push(`${mask}: no such file in ${source}.`);
      else if (classId === undefined)
        problems.push(`${mask}: class "${className}" is not among the declared classes.`);
      else {
        const entry = byImage.get(image) ?? { split, masks: [] };
        if (entry.split !== split)
          problems.push(`${image}: stands in the indexes of both ${entry.split} and ${split}.`);
        entry.masks.push({ kind: 'binary', path: file, classId });
        byImage.set(image, entry);
      }
    }
    const cases: PlannedCase[] = [];
    for (const [image, { split, masks }] of byImage) {
      const file = await resolveInside(source, image);
      if (file === undefined) problems.push(`${image}: no such file in ${source}.`);
      else
        cases.push({ name: stem(image), image: file, masks, group: volumeOf(stem(image)), tags: { split } });
    }
    return {
      name: options.name ?? defaultName(source),
      modality: options.modality ?? 'unknown',
      classes,
      cases: cases.sort((a, b) => compareNames(a.name, b.name)),
      notes: [],
      problems,
      groupNearDuplicates: false,
    };
  },
};

type Pair = { readonly image: string; readonly mask: string; readonly split: string };

async function readIndexes(source: string): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (const { name } of await list(source)) {
    const match = INDEX.exec(name);
    if (!match) continue;
    const path = join(source, name);
    const split = normaliseSplit(match[2]!);
    const value = await readJson(path);
    if (match[1] === 'image2label') {
      for (const [image, masks] of Object.entries(parseArtefact(value, ImageToLabels, path)))
        for (const mask of masks) pairs.push({ image, mask, split });
    } else {
      for (const [mask, image] of Object.entries(parseArtefact(value, LabelToImage, path)))
        pairs.push({ image, mask, split });
    }
  }
  return pairs;
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new DataError(`${path}: not readable JSON (${(cause as Error).message}). Restore the file.`, {
      cause,
    });
  }
}

/** `amos_0004_75_inferior_vena_cava_000.png` of `amos_0004_75.png` -> `inferior_vena_cava`. */
function classOf(image: string, mask: string): string | undefined {
  const [imageName, maskName] = [stem(image), stem(mask)];
  if (!maskName.startsWith(imageName)) return undefined;
  return /^[_-]+(.+?)_\d+$/.exec(maskName.slice(imageName.length))?.[1];
}

/** `amos_0004_75` -> `amos_0004`; `ct_00--AbdomenCT1K--Case_00011--x_0041` -> `ct_00--AbdomenCT1K--Case_00011`. */
function volumeOf(image: string): string {
  return image.replace(/(--[xyz])?_\d+$/, '');
}

function nameClasses(
  named: readonly { readonly className: string }[],
  declared: string | undefined,
): DatasetClass[] {
  if (declared !== undefined) return parseClasses(declared);
  const names = [...new Set(named.map((n) => n.className))].sort(compareNames);
  if (names.length > 255)
    throw new DataError(
      `sam-med2d: ${names.length} classes; allowed: 255. Declare the classes you need, e.g. 1=liver;2=spleen.`,
    );
  return names.map((name, i) => ({ id: i + 1, name, prompts: [name.replaceAll('_', ' ')] }));
}

/** The file a path of the index means. The indexes hold paths from elsewhere, so leading folders are dropped until it fits. */
async function resolveInside(source: string, path: string): Promise<string | undefined> {
  const parts = path
    .replaceAll('\\', '/')
    .split('/')
    .filter((p) => p !== '' && p !== '.');
  if (parts.includes('..')) return undefined;
  for (let skip = 0; skip < parts.length; skip++) {
    const file = join(source, ...parts.slice(skip));
    if ((await stat(file).catch(() => undefined))?.isFile()) return file;
  }
  return undefined;
}
