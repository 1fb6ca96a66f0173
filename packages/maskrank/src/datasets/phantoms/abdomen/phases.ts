// Attenuation by contrast phase, HU: textbook means (portal venous liver about 110, arterial aorta about 300, …). What a
// patient adds to them is drawn in patient.ts. Organs that contrast does not reach stand at the end.

export type Phase = 'unenhanced' | 'arterial' | 'portal' | 'delayed';

export type PhaseHu = {
  readonly aorta: number;
  readonly postcava: number;
  readonly portalVein: number;
  readonly liver: number;
  readonly spleen: number;
  readonly cortex: number;
  readonly medulla: number;
  readonly pelvis: number;
  readonly pancreas: number;
  readonly adrenal: number;
  readonly bowelWall: number;
  readonly muscle: number;
  readonly prostateUterus: number;
  readonly heart: number;
};

export const PHASE_HU: Readonly<Record<Phase, PhaseHu>> = {
  unenhanced: {
    aorta: 42,
    postcava: 40,
    portalVein: 40,
    liver: 57,
    spleen: 49,
    cortex: 34,
    medulla: 32,
    pelvis: 6,
    pancreas: 38,
    adrenal: 30,
    bowelWall: 38,
    muscle: 52,
    prostateUterus: 42,
    heart: 42,
  },
  arterial: {
    aorta: 310,
    postcava: 95,
    portalVein: 115,
    liver: 70,
    spleen: 132,
    cortex: 195,
    medulla: 75,
    pelvis: 8,
    pancreas: 104,
    adrenal: 72,
    bowelWall: 85,
    muscle: 58,
    prostateUterus: 70,
    heart: 270,
  },
  portal: {
    aorta: 162,
    postcava: 148,
    portalVein: 175,
    liver: 110,
    spleen: 120,
    cortex: 182,
    medulla: 150,
    pelvis: 10,
    pancreas: 92,
    adrenal: 66,
    bowelWall: 78,
    muscle: 61,
    prostateUterus: 82,
    heart: 150,
  },
  delayed: {
    aorta: 112,
    postcava: 110,
    portalVein: 113,
    liver: 90,
    spleen: 96,
    cortex: 140,
    medulla: 146,
    pelvis: 380,
    pancreas: 74,
    adrenal: 52,
    bowelWall: 66,
    muscle: 62,
    prostateUterus: 80,
    heart: 110,
  },
};

/** HU of what contrast does not reach. */
export const PLAIN_HU = {
  air: -1000,
  fat: -104,
  gas: -940,
  skin: 28,
  bile: 10,
  urine: 6,
  water: 8,
  lung: -860,
  disc: 75,
  cord: 28,
  trabecular: 185,
  cortical: 560,
} as const;
