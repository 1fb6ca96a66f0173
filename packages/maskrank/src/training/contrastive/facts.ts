// What image-level labels say of a case: its modality, which classes are in it, that none is, and chosen tags. No place, no
// size, no shape: masks are not opened. A class counts as present when the dataset lists a mask of it for the case, which
// import writes only for classes that are in the image; the tag `classes` (names, with semicolons) says it without masks.
// Not here: texts made from facts (texts.ts).

import { DataError } from '@maskrank/torch/errors';
import type { CaseRecord, Dataset, DatasetClass } from '../../datasets/schema.ts';

/** The tag that lists classes where there are no masks: `liver;spleen`; empty: none of them. */
export const CLASSES_TAG = 'classes';

export type ImageFacts = {
  readonly modality: string;
  /** Classes of the dataset that are in the image. */
  readonly present: readonly DatasetClass[];
  /** Classes that the image was searched for in vain; only told where none was found. */
  readonly missing: readonly DatasetClass[];
  /** Chosen tags that the case has, by name. */
  readonly tags: Readonly<Record<string, string>>;
  /** Claims of answers to questions about the case (captions.ts). */
  readonly told?: readonly string[];
  /** Captions of the whole, unmirrored image, with what they claim. */
  readonly captions?: readonly { readonly text: string; readonly claims: readonly string[] }[];
};

function listed(record: CaseRecord, dataset: Dataset): readonly DatasetClass[] | undefined {
  const text = record.tags?.[CLASSES_TAG];
  if (text === undefined) return undefined;
  const names = text
    .split(';')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return names.map((name) => {
    const found = dataset.classes.find((cls) => cls.name === name || `${cls.id}` === name);
    if (found !== undefined) return found;
    throw new DataError(
      `dataset "${dataset.name}", case "${record.id}": the tag ${CLASSES_TAG} names '${name}'; allowed: ${dataset.classes.map(({ name: n }) => n).join(', ')}.`,
    );
  });
}

/** Facts of a case; undefined where nobody said which classes are in it. `tags`: names of the tags that may be told. */
export function factsOf(
  record: CaseRecord,
  dataset: Dataset,
  tags: readonly string[],
): ImageFacts | undefined {
  const withMasks = dataset.classes.filter(({ id }) => record.masks[`${id}`] !== undefined);
  const present = listed(record, dataset) ?? withMasks;
  const isKnown = present.length > 0 || record.empty === true || record.tags?.[CLASSES_TAG] !== undefined;
  if (!isKnown) return undefined;
  const told = tags.flatMap((name) => {
    const value = record.tags?.[name]?.trim() ?? '';
    return value === '' ? [] : [[name, value] as const];
  });
  return {
    modality: dataset.modality,
    present,
    missing: present.length === 0 ? dataset.classes : [],
    tags: Object.fromEntries(told),
  };
}
