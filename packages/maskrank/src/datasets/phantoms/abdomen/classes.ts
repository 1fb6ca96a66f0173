// The fifteen organs of AMOS (Ji et al. 2022, "AMOS: A Large-Scale Abdominal Multi-Organ Benchmark") with AMOS's ids.

import type { DatasetClass } from '../../schema.ts';

export const ORGAN = {
  spleen: 1,
  rightKidney: 2,
  leftKidney: 3,
  gallbladder: 4,
  esophagus: 5,
  liver: 6,
  stomach: 7,
  aorta: 8,
  postcava: 9,
  pancreas: 10,
  rightAdrenal: 11,
  leftAdrenal: 12,
  duodenum: 13,
  bladder: 14,
  prostateUterus: 15,
} as const;

const organ = (id: number, name: string, maxComponents: number, ...prompts: string[]): DatasetClass => ({
  id,
  name,
  prompts: [`${name} in abdominal CT`, name, ...prompts],
  maxComponents,
});

/** `maxComponents`: how many regions one axial slice can cut an organ into. */
export const ABDOMEN_CLASSES: readonly DatasetClass[] = [
  organ(ORGAN.spleen, 'spleen', 2),
  organ(ORGAN.rightKidney, 'right kidney', 2),
  organ(ORGAN.leftKidney, 'left kidney', 2),
  organ(ORGAN.gallbladder, 'gallbladder', 1),
  organ(ORGAN.esophagus, 'esophagus', 1),
  organ(ORGAN.liver, 'liver', 3),
  organ(ORGAN.stomach, 'stomach', 2),
  organ(ORGAN.aorta, 'aorta', 1),
  organ(ORGAN.postcava, 'postcava', 1, 'inferior vena cava'),
  organ(ORGAN.pancreas, 'pancreas', 3),
  organ(ORGAN.rightAdrenal, 'right adrenal gland', 2),
  organ(ORGAN.leftAdrenal, 'left adrenal gland', 2),
  organ(ORGAN.duodenum, 'duodenum', 3),
  organ(ORGAN.bladder, 'bladder', 1, 'urinary bladder'),
  organ(ORGAN.prostateUterus, 'prostate/uterus', 1, 'prostate', 'uterus'),
];
