// A batch of images and texts as the network's tensors.

import { fromTypedArray, type Tensor } from '@maskrank/torch';
import type { Medvint, OwnedTexts } from '../../models/medvint/index.ts';
import type { VqaBatch } from './batch.ts';

export function batchTensors(
  { planes, groups }: Pick<VqaBatch, 'planes' | 'groups'>,
  { config, place: { device, dtype } }: Pick<Medvint, 'config' | 'place'>,
): { readonly seen: Tensor; readonly owned: readonly OwnedTexts[] } {
  const side = config.vision.imageSize;
  const count = planes.length / (3 * side * side);
  return {
    seen: fromTypedArray(planes, [count, 3, side, side], { device }).to(dtype),
    owned: groups.map(({ owner, ids, length, places }) => ({
      owner: fromTypedArray(owner, [owner.length], { device }),
      ids: fromTypedArray(ids, [owner.length, length], { device }),
      places: fromTypedArray(places, [places.length], { device }),
    })),
  };
}
