// Readers for the values of a verb's own flags. Configuration keys are read by run/leaves.ts.

import { UsageError } from '@maskrank/torch/errors';

/** A number from 0 to 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new UsageError(`'${text}' is no share, allowed: a number from 0 to 1, as 0.1.`);
}

/** A whole number from `least` on. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new UsageError(`'${text}' is not allowed here: a whole number from ${least} on.`);
  };
}

/** Words between commas. */
export const words = (text: string): string[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean);
