import { describe, expect, it } from 'vitest';
import { readMaskValues } from '../../src/datasets/importers/mask-values.ts';
import type { PlannedMask } from '../../src/datasets/importers/types.ts';

const one = [{ id: 1, name: 'lesion' }];
const organs = [
  { id: 1, name: 'spleen' },
  { id: 6, name: 'liver' },
];
const binary: PlannedMask = { kind: 'binary', path: 'm', classId: 6 };
const coded: PlannedMask = { kind: 'class-coded', path: 'm' };
const values = (data: number[], lossy = false, bits = 8) => ({
  width: data.length,
  height: 1,
  data: bits === 8 ? Uint8Array.from(data) : Uint16Array.from(data),
  lossy,
});
const read = (
  planned: PlannedMask,
  data: number[],
  { classes = organs, threshold = undefined as number | undefined, lossy = false, bits = 8 } = {},
) => {
  const reading = readMaskValues(planned, values(data, lossy, bits), { classes, threshold });
  return 'problem' in reading
    ? reading.problem
    : Object.fromEntries([...reading.masks].map(([id, m]) => [id, [...m]]));
};

describe('readMaskValues', () => {
  it('reads a binary mask of ones, of white, of 16-bit white, and an empty one', () => {
    expect(read(binary, [0, 1, 1])).toEqual({ 6: [0, 1, 1] });
    expect(read(binary, [0, 255, 0])).toEqual({ 6: [0, 1, 0] });
    expect(read(binary, [0, 65535, 0], { bits: 16 })).toEqual({ 6: [0, 1, 0] });
    expect(read(binary, [0, 0, 0])).toEqual({});
  });

  it('reads class-coded values, one mask a class that is there', () => {
    expect(read(coded, [0, 1, 6, 6])).toEqual({ 1: [0, 1, 0, 0], 6: [0, 0, 1, 1] });
    expect(read(coded, [0, 6])).toEqual({ 6: [0, 1] });
  });

  it('takes white for the class when there is only one, whatever its id', () => {
    expect(read(coded, [0, 255], { classes: one })).toEqual({ 1: [0, 1] });
    expect(read(coded, [0, 255], { classes: [{ id: 9, name: 'x' }] })).toEqual({ 9: [0, 1] });
    expect(read(coded, [0, 9], { classes: [{ id: 9, name: 'x' }] })).toEqual({ 9: [0, 1] });
    expect(read(coded, [0, 1], { classes: [{ id: 9, name: 'x' }] })).toMatch(
      /values 1; allowed: 0 with 9 or 255/,
    );
  });

  it('cuts smoothed edges only where told, and lossy binary masks always', () => {
    expect(read(binary, [0, 100, 128, 255])).toMatch(/values 100, 128, 255; allowed: 0 with 1 or 255/);
    expect(read(binary, [0, 100, 128, 255], { threshold: 127 })).toEqual({ 6: [0, 0, 1, 1] });
    expect(read(binary, [3, 120, 250], { lossy: true })).toEqual({ 6: [0, 0, 1] });
    expect(read(coded, [0, 1, 6], { lossy: true })).toMatch(/lossy format are not exact/);
  });

  it('lists undeclared values and what is declared', () => {
    expect(read(coded, [0, 1, 2, 3, 6])).toBe(
      'values 2, 3; allowed: 0=background, 1=spleen, 6=liver. Declare these classes or correct the mask.',
    );
    expect(read(coded, [0, 255])).toMatch(/values 255; allowed/);
    const many = Array.from({ length: 30 }, (_, i) => i * 8);
    expect(read(coded, many, { classes: one })).toMatch(
      /values 8, 16, .* and 21 more.*mask threshold of 127/s,
    );
    expect(read(coded, [0, 1, 2], { classes: [{ id: 1, name: 'foreground' }] })).toMatch(
      /declare them \(1=NAME;2=NAME\)/,
    );
  });
});
