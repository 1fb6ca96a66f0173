// What is painted over the trunk, in order: a layer is a solid with its attenuation, its class, and the fat around it.

import type { Field } from './field.ts';
import type { Solid } from './solids.ts';

export type Layer = {
  readonly name: string;
  /** AMOS id; 0 for what is not one of AMOS's organs. It then hides what was painted before. */
  readonly classId: number;
  readonly solid: Solid;
  /** HU at a point, `d` mm from the surface (negative inside). */
  readonly hu: (x: number, y: number, z: number, d: number) => number;
  /** Where it may be: `abdomen` below the diaphragm and inside the wall, `cavity` inside the wall, `trunk` inside the skin. */
  readonly room: 'abdomen' | 'cavity' | 'trunk';
  /** Smallest distance to the wall of its room, mm. Default 1. */
  readonly insetMm?: number;
  /** Fat that parts it from what was painted before, mm. Default 0. */
  readonly haloMm?: number;
  /** Painted only where this class already is (vessels and lesions of an organ), keeping that class. */
  readonly within?: number;
  /** Moves the surface, mm, outwards. */
  readonly bumps?: Field;
};
