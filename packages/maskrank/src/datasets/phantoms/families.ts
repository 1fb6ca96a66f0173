// The families of phantoms, a line each.

import { breastPhantoms } from './breast.ts';
import { chestPhantoms } from './chest.ts';
import type { PhantomFamily } from './types.ts';

export const PHANTOM_FAMILIES: readonly PhantomFamily[] = [breastPhantoms, chestPhantoms];
