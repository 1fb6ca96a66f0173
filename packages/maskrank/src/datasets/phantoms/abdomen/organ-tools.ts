// What the makers of organs share: what they are given, and how a patient differs from the reference anatomy.

import type { Random } from '../../../util/random.ts';
import { type Field, waves } from './field.ts';
import type { Layer } from './layers.ts';
import type { Patient } from './patient.ts';
import type { Knot, Vec } from './solids.ts';

/** Everything an organ is drawn from. */
export type OrganContext = {
  readonly patient: Patient;
  /** A stream of its own for each organ. */
  readonly random: Random;
  /** Unevenness of tissue, in [-1, 1]. */
  readonly grain: Field;
};

export type Make = (context: OrganContext) => readonly Layer[];

/** A place near `p`, up to `mm` away along each axis. */
export const near = (r: Random, [x, y, z]: Vec, mm: number): Vec => [
  x + r.uniform(-mm, mm),
  y + r.uniform(-mm, mm),
  z + r.uniform(-mm, mm),
];
export const path = (r: Random, knots: readonly Knot[], mm: number, thick = 1): Knot[] =>
  knots.map(([x, y, z, radius]) => [...near(r, [x, y, z], mm), radius * thick * r.uniform(0.92, 1.08)]);
export const bumps = (r: Random, mm: number, wavelengthMm: readonly [number, number] = [35, 90]): Field =>
  waves(r, { count: 4, amplitude: mm * 2, wavelengthMm });

/** Fat around an organ: more in fat patients. */
export const halo = (patient: Patient, lean: number, fat: number): number =>
  lean + (fat - lean) * patient.visceralFat;
