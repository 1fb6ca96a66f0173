// Colours for contours drawn into case pictures, the same in pictures, legends and charts. Bright on grey images and
// distinct for colour-blind readers (Okabe & Ito 2008). Drawing is the caller's.

export type Rgb = readonly [red: number, green: number, blue: number];

export const CONTOUR_COLOURS: Readonly<Record<'groundTruth' | 'stage1' | 'stage2' | 'candidate', Rgb>> = {
  groundTruth: [0, 200, 140],
  stage1: [86, 180, 233],
  stage2: [255, 140, 40],
  candidate: [240, 228, 66],
};
