// One patient's anatomy: the trunk and the layers in painting order, made once and sliced many times.

import type { Random } from '../../../util/random.ts';
import { pelvis } from './bones.ts';
import { colon, heart, smallBowel } from './bowel.ts';
import { valueNoise } from './field.ts';
import { liverInside, portalTrunk } from './inside-liver.ts';
import type { Layer } from './layers.ts';
import { ORGANS } from './organs.ts';
import { drawPatient, EXTENT_MM, type Patient, SLICE_MM } from './patient.ts';
import { makeTrunk, type Trunk } from './trunk.ts';

export type Anatomy = {
  readonly patient: Patient;
  readonly trunk: Trunk;
  /** Painted one over the other. */
  readonly layers: readonly Layer[];
  /** Slices of the whole volume, from the lowest (0) upwards. */
  readonly slices: number;
  /** The stream of the scanner's noise, by slice. */
  readonly noise: (slice: number) => Random;
};

/** @param random the patient's stream; only its forks are used, so its state does not matter */
export function makeAnatomy(random: Random): Anatomy {
  const patient = drawPatient(random);
  const grain = valueNoise(random.fork('grain').uint32(), 6);
  const organs = new Map(
    ORGANS.map(([name, make]) => [name, make({ patient, random: random.fork(name), grain })]),
  );
  const take = (name: string): readonly Layer[] => {
    const layers = organs.get(name) ?? [];
    organs.delete(name);
    return layers;
  };
  const layers: Layer[] = [
    ...heart(patient, random, grain),
    ...smallBowel(patient, random),
    ...colon(patient, random),
    ...take('spleen'),
    ...take('liver'),
    ...liverInside(patient, random),
    ...portalTrunk(patient),
    ...[...organs.values()].flat(),
    ...pelvis(patient, random),
  ];
  return {
    patient,
    trunk: makeTrunk(patient, random),
    layers,
    slices: Math.floor(((EXTENT_MM.top - EXTENT_MM.bottom) * patient.scale) / SLICE_MM) + 1,
    noise: (slice) => random.fork(`noise ${slice}`),
  };
}

/** Height of a slice's middle, mm in the patient, 0 at the disc L1/L2. */
export const heightMm = ({ patient }: Anatomy, slice: number): number =>
  EXTENT_MM.bottom * patient.scale + slice * SLICE_MM;
