// Ranges that the sections of the configuration share.

import { z } from 'zod';

export const fraction = () => z.number().min(0).max(1);
export const weight = () => z.number().min(0);
export const count = () => z.int().min(0);
export const countFrom1 = () => z.int().min(1);
export const rate = () => z.number().positive().max(1);
