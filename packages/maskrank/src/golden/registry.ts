// All golden checks, one line a family.

import { optimisers } from './optimisers.ts';
import type { GoldenCheck } from './types.ts';

export const CHECKS: readonly GoldenCheck[] = [optimisers];
