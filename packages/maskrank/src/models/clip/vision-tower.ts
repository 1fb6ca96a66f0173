// What every vision tower of a CLIP gives: features of images, and a look inside on request.

import { nn, type Tensor } from '@maskrank/torch';
import type { Tap } from './layers.ts';

export abstract class VisionTower extends nn.Module {
  /** Normalised images [B, 3, S, S] -> features [B, E], not of unit length. */
  abstract forward(images: Tensor, tap?: Tap): Tensor;
}
