// Where the classes of a training case are, for pretrainings that may look at masks. Not here: the maps (training/class-maps.ts).

import type { OpenDataset } from '../../datasets/cases.ts';
import type { Mask } from '../../imaging/types.ts';
import { type ClassMaps, classMapsOf } from '../../training/class-maps.ts';

/** Maps of `side` cells of the dataset's classes. DataError for a case without ground truth. */
export async function loadClassMaps(opened: OpenDataset, id: string, side: number): Promise<ClassMaps> {
  const { classes } = opened.dataset;
  const masks = new Map<string, Mask>();
  for (const item of opened.labelled([id]))
    for (const cls of classes)
      if (item.maskPaths.has(cls.id)) masks.set(cls.name, await opened.loadMask(item, cls.id));
  return classMapsOf(
    masks,
    classes.map(({ name }) => name),
    side,
  );
}
