// Ranges that the sections of the configuration share.

import { z } from 'zod';

export const fraction = () => z.number().min(0).max(1);
export const weight = () => z.number().min(0);
export const count = () => z.int().min(0);
export const countFrom1 = () => z.int().min(1);
/** Side of a square model canvas in pixels: whole patches of 16. */
export const canvasSide = () => z.int().min(32).max(2048).multipleOf(16);
export const rate = () => z.number().positive().max(1);
