// What distinguishes one patient from the next: habitus, sex, phase, contents, lesions, scanner settings. Drawn once from
// the patient's stream; everything else follows from it. Not here: shapes (organs.ts, trunk.ts, bowel.ts).

import type { Random } from '../../../util/random.ts';
import { type Field, waves } from './field.ts';
import { PHASE_HU, type Phase, type PhaseHu } from './phases.ts';

/** Where the sex makes a difference: prostate or uterus, distribution of fat. */
export type Sex = 'male' | 'female';

export type Patient = {
  readonly sex: Sex;
  readonly phase: Phase;
  /** Means of this patient's organs in this phase. */
  readonly hu: PhaseHu;
  /** Patient millimetres a millimetre of the reference anatomy. */
  readonly scale: number;
  /** Subcutaneous fat at the flank, mm. */
  readonly subcutaneousMm: number;
  /** Fat of the belly, 0 (lean) to 1: room between the organs. */
  readonly visceralFat: number;
  /** Factors of the cavity's half width and half depth. */
  readonly girth: readonly [number, number];
  /** Displacement of anatomy in x, y and z, mm. */
  readonly warp: readonly [Field, Field, Field];
  /** Field of view, mm, and where in it the spine stands (0..1 across, 0..1 down). */
  readonly fieldOfViewMm: number;
  readonly centre: readonly [number, number];
  readonly oralContrast: boolean;
  /** Standard deviation of the noise, HU, in a slice of 5 mm. */
  readonly noiseHu: number;
  /** Streaks between dense bones, HU. */
  readonly streakHu: number;
  /** Blur of the reconstruction kernel, mm (standard deviation). */
  readonly blurMm: number;
  readonly liverCysts: number;
  readonly liverLesions: number;
  readonly renalCysts: readonly ('left' | 'right')[];
  readonly gallstones: boolean;
  readonly steatosis: boolean;
};

/** Slices are this far apart and this thick, mm, as in most of AMOS. */
export const SLICE_MM = 5;
/** Extent of every volume in reference anatomy, mm: from below the prostate to the dome of the diaphragm. */
export const EXTENT_MM = { bottom: -288, top: 132 } as const;

const PHASES: readonly Phase[] = ['portal', 'portal', 'portal', 'arterial', 'unenhanced', 'delayed'];

/** @param random the patient's stream, in its initial state */
export function drawPatient(random: Random): Patient {
  const r = random.fork('patient');
  const sex: Sex = r.chance(0.5) ? 'male' : 'female';
  const phase = r.choice(PHASES);
  const scale = (sex === 'male' ? 1.03 : 0.95) * r.uniform(0.93, 1.07);
  const visceralFat = r.next();
  const subcutaneousMm = 4 + (sex === 'female' ? 8 : 3) * r.next() + 26 * r.next() ** 2.5;
  const warp = (name: string, amplitude: number) =>
    waves(random.fork(`warp ${name}`), { count: 4, amplitude, wavelengthMm: [130, 330] });
  const steatosis = r.chance(0.2);
  const girth = [
    r.uniform(0.95, 1.06) + 0.06 * visceralFat,
    r.uniform(0.92, 1.04) + 0.14 * visceralFat,
  ] as const;
  const outlineMm = 2 * scale * (128 * girth[0] + subcutaneousMm + 18);
  return {
    sex,
    phase,
    hu: personal(PHASE_HU[phase], random.fork('hu'), steatosis),
    scale,
    subcutaneousMm,
    visceralFat,
    girth,
    warp: [warp('x', 12), warp('y', 10), warp('z', 16)],
    fieldOfViewMm: Math.min(512, Math.max(359, outlineMm * r.uniform(1.03, 1.28))),
    centre: [0.5 + r.uniform(-0.02, 0.02), 0.6 + r.uniform(-0.04, 0.03)],
    oralContrast: r.chance(0.45),
    noiseHu: r.uniform(3.5, 12),
    streakHu: r.chance(0.35) ? r.uniform(4, 18) : r.uniform(0, 4),
    blurMm: r.uniform(0.55, 0.95),
    liverCysts: r.chance(0.25) ? r.int(1, 4) : 0,
    liverLesions: r.chance(0.2) ? r.int(1, 5) : 0,
    renalCysts: [
      ...(r.chance(0.25) ? (['left'] as const) : []),
      ...(r.chance(0.25) ? (['right'] as const) : []),
    ],
    gallstones: r.chance(0.22),
    steatosis,
  };
}

/** Vessels vary together (one injection), organs each by a few HU; a fatty liver is darker. */
function personal(mean: PhaseHu, r: Random, steatosis: boolean): PhaseHu {
  const injection = r.uniform(0.85, 1.15);
  const by = (hu: number, spread: number) => hu * injection + r.uniform(-spread, spread);
  const still = (hu: number, spread: number) => hu + r.uniform(-spread, spread);
  return {
    aorta: by(mean.aorta, 8),
    postcava: by(mean.postcava, 8),
    portalVein: by(mean.portalVein, 6),
    liver: still(mean.liver, 9) - (steatosis ? r.uniform(20, 40) : 0),
    spleen: still(mean.spleen, 8),
    cortex: by(mean.cortex, 6),
    medulla: by(mean.medulla, 5),
    pelvis: mean.pelvis,
    pancreas: still(mean.pancreas, 8),
    adrenal: still(mean.adrenal, 6),
    bowelWall: still(mean.bowelWall, 8),
    muscle: still(mean.muscle, 5),
    prostateUterus: still(mean.prostateUterus, 7),
    heart: by(mean.heart, 8),
  };
}
