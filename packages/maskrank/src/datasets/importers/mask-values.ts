// From the values of a mask file to one binary mask a class, or a sentence that says which values are wrong and what
// is allowed. Pure: no files. Not here: reading the values (pixels.ts), uniting several files (case.ts).
// H, W height and width of the mask.

import type { DatasetClass } from '../schema.ts';
import type { PlannedMask } from './types.ts';

/** A mask file's pixels as they are stored. */
export type MaskValues = {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint16Array; // [H * W]
  /** The format changes values (JPEG), so values near 0 and 255 are not exact. */
  readonly lossy: boolean;
};

export type MaskRules = {
  readonly classes: readonly DatasetClass[];
  /** Above this value is foreground, for masks of one class; `undefined`: only exact values are taken. */
  readonly threshold: number | undefined;
};

/** Masks by class id (1 where set, classes without a pixel left out), or what is wrong with the values. */
export type MaskReading = { readonly masks: Map<number, Uint8Array> } | { readonly problem: string };

/** Halfway between black and white: what a lossy binary mask is cut at. */
const LOSSY_THRESHOLD = 127;
/** Full white in 8 and 16 bits. */
const WHITES = [255, 65535];

export function readMaskValues(planned: PlannedMask, values: MaskValues, rules: MaskRules): MaskReading {
  const ids = planned.kind === 'binary' ? [planned.classId] : rules.classes.map((c) => c.id);
  const single = ids.length === 1 ? ids[0]! : undefined;
  const threshold = rules.threshold ?? (values.lossy ? LOSSY_THRESHOLD : undefined);
  if (single !== undefined && threshold !== undefined) return { masks: cut(values.data, single, threshold) };
  if (values.lossy) {
    return {
      problem:
        'class-coded values in a lossy format are not exact; allowed: PNG or TIFF for masks of several classes.',
    };
  }
  const found = [...distinctValues(values.data)].sort((a, b) => a - b).filter((v) => v !== 0);
  // A single class may be written as 1, as white, or (class-coded) as its id; one of them in a file, not a mixture.
  if (single !== undefined) {
    const marks = planned.kind === 'binary' ? [1, ...WHITES] : [single, ...WHITES];
    if (found.length === 0) return { masks: new Map() };
    if (found.length === 1 && marks.includes(found[0]!)) return { masks: cut(values.data, single, 0) };
    const allowed = `0 with ${[...new Set(marks)].filter((v) => v < 256).join(' or ')}`;
    return { problem: describe(found, allowed, hint(found, rules)) };
  }
  const undeclared = found.filter((v) => !ids.includes(v));
  if (undeclared.length > 0) {
    const allowed = ['0=background', ...rules.classes.map((c) => `${c.id}=${c.name}`)].join(', ');
    return { problem: describe(undeclared, allowed, 'Declare these classes or correct the mask.') };
  }
  return { masks: separate(values.data, found) };
}

// The loops below are plain because they run over every pixel of every mask: `from` with a function is 20 times slower.

function cut(data: Uint8Array | Uint16Array, classId: number, threshold: number): Map<number, Uint8Array> {
  const mask = new Uint8Array(data.length);
  let any = 0;
  for (let i = 0; i < data.length; i++) {
    const inside = data[i]! > threshold ? 1 : 0;
    mask[i] = inside;
    any |= inside;
  }
  return any === 0 ? new Map() : new Map([[classId, mask]]);
}

function separate(data: Uint8Array | Uint16Array, ids: readonly number[]): Map<number, Uint8Array> {
  const masks = new Map(ids.map((id) => [id, new Uint8Array(data.length)]));
  for (let i = 0; i < data.length; i++) {
    if (data[i] !== 0) masks.get(data[i]!)![i] = 1;
  }
  return masks;
}

function distinctValues(data: Uint8Array | Uint16Array): Set<number> {
  const values = new Set<number>();
  let last = -1;
  for (let i = 0; i < data.length; i++) {
    if (data[i] !== last) values.add(data[i]!);
    last = data[i]!;
  }
  return values;
}

function describe(found: readonly number[], allowed: string, advice: string): string {
  const shown = found.slice(0, 8).join(', ');
  const more = found.length > 8 ? ` and ${found.length - 8} more` : '';
  return `values ${shown}${more}; allowed: ${allowed}. ${advice}`;
}

/** Many values mean smoothed edges, a few mean undeclared classes. */
function hint(found: readonly number[], rules: MaskRules): string {
  if (found.length > 12 && Math.max(...found) <= 255)
    return 'If the edges are smoothed, give a mask threshold of 127; if these are classes, declare them (ID=NAME;…).';
  if (found.length === 1) return 'Declare the class with this id (ID=NAME), or give a mask threshold.';
  return rules.classes.length === 1 && rules.classes[0]!.name === 'foreground'
    ? 'If these are classes, declare them (1=NAME;2=NAME); if the edges are smoothed, give a mask threshold of 127.'
    : 'Declare these classes, correct the mask, or give a mask threshold if it is binary with smoothed edges.';
}
