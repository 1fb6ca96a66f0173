// Whether a map depends on its text: networks trained on whole images often point at the same places whatever they are asked.

import { UsageError } from '@maskrank/torch/errors';
import type { FloatMap } from '../../imaging/types.ts';

/** A text that names nothing: what a map is compared with. */
export const NEUTRAL_TEXT = 'an image';

/** Mean, and the root of the summed squares around it. */
function moments(data: Float32Array): { readonly mean: number; readonly spread: number } {
  let sum = 0;
  for (const x of data) sum += x;
  const mean = sum / data.length;
  let squares = 0;
  for (const x of data) squares += (x - mean) ** 2;
  return { mean, spread: Math.sqrt(squares) };
}

/**
 * 1 - Pearson correlation of a text's map with the neutral text's: 0 the same map up to its range, 1 unrelated, 2 the reverse.
 * Two constant maps count as the same; a constant one beside another as unrelated.
 */
export function textSensitivity(map: FloatMap, neutral: FloatMap): number {
  if (map.width !== neutral.width || map.height !== neutral.height) {
    throw new UsageError(
      `textSensitivity: maps of ${map.width} x ${map.height} and ${neutral.width} x ${neutral.height}; allowed: maps of the same image.`,
    );
  }
  const [a, b] = [moments(map.data), moments(neutral.data)];
  if (a.spread === 0 || b.spread === 0) return a.spread === b.spread ? 0 : 1;
  let product = 0;
  for (let i = 0; i < map.data.length; i++) {
    product += ((map.data[i] as number) - a.mean) * ((neutral.data[i] as number) - b.mean);
  }
  return Math.min(2, Math.max(0, 1 - product / (a.spread * b.spread)));
}

/** A sentence when the text hardly matters, else null. */
export function sensitivityWarning(sensitivity: number, minimum: number): string | null {
  if (sensitivity >= minimum) return null;
  return `the map hardly depends on the text: it differs from that of a text that names nothing by ${sensitivity.toFixed(3)} (1 - correlation), less than ${minimum}. Try another layer or method, or more specific words; a network trained on other images may not know the word.`;
}
