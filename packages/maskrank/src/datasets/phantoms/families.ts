// The families of phantoms, a line each.

import { abdomen } from './abdomen/family.ts';
import { breastPhantoms } from './breast.ts';
import { chestPhantoms } from './chest.ts';
import { mixed } from './mixed/family.ts';
import type { PhantomFamily } from './types.ts';

export const PHANTOM_FAMILIES: readonly PhantomFamily[] = [breastPhantoms, chestPhantoms, abdomen, mixed];
