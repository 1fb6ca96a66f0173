// The baselines that know the box alone, and the click: worked by hand on shapes whose answer is known.

import { Generator, memory } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { NORMALISATIONS } from '../../src/imaging/normalise.ts';
import { innermostPoints } from '../../src/imaging/points.ts';
import type { Mask, Point } from '../../src/imaging/types.ts';
import { createSam } from '../../src/models/sam/index.ts';
import { judgeCase, meanQuality } from '../../src/pipeline/promptable-quality.ts';
import { toCanvas } from '../../src/training/canvas.ts';
import { promptableClass } from '../../src/training/promptable/cases.ts';
import { SMALL } from '../models/sam/small.ts';

const SIDE = 64;
const maskWhere = (inside: (x: number, y: number) => boolean): Mask => ({
  width: SIDE,
  height: SIDE,
  data: Uint8Array.from({ length: SIDE * SIDE }, (_, i) => (inside(i % SIDE, Math.floor(i / SIDE)) ? 1 : 0)),
});
const disc = maskWhere((x, y) => (x - 31.5) ** 2 + (y - 23.5) ** 2 <= 20 ** 2);
const twoRectangles = maskWhere((x, y) => y >= 10 && y < 50 && (x < 20 || (x >= 30 && x < 60)));

describe('judgeCase', () => {
  it("gives a rectangle's box 1 and a disc's ellipse 1, beside whatever the network gives", () => {
    const sam = createSam({ ...SMALL, textDim: 0 }, Generator.seeded(1));
    const before = memory().tensors;
    const image = {
      width: SIDE,
      height: SIDE,
      channels: 1,
      data: disc.data.map((v) => 60 + 100 * v),
    } as const;
    const canvas = toCanvas(image, { imageSize: SIDE, rule: 'sammed2d', normalisation: NORMALISATIONS.sam });
    const classes = [promptableClass(1, disc), promptableClass(2, twoRectangles)].flatMap((c) => c ?? []);
    const [round, square] = judgeCase(sam, { caseId: 'a', source: 0, canvas, classes }, NORMALISATIONS.sam);
    expect(memory().tensors).toBe(before);
    sam.dispose();
    expect(round?.dice.ellipse).toBeGreaterThan(0.98);
    expect(round?.dice.filledBox).toBeCloseTo((2 * Math.PI) / (Math.PI + 4), 1);
    expect(square?.dice.filledBox).toBe(1);
    expect(square?.dice.ellipse).toBeCloseTo((2 * Math.PI) / (Math.PI + 4), 1);
    for (const unit of [round, square])
      for (const value of Object.values(unit?.dice ?? {})) expect(value >= 0 && value <= 1).toBe(true);
  });
});

describe('innermostPoints', () => {
  it('is the middle of a disc, and of the larger half of a pair its own', () => {
    const [{ x, y }] = innermostPoints(disc, 1) as [Point];
    expect([Math.abs(x - 31.5), Math.abs(y - 23.5)].every((d) => d <= 1)).toBe(true);
    expect(
      innermostPoints(
        maskWhere((u) => u === 5),
        1,
      )[0]?.x,
    ).toBe(5);
  });
});

describe('meanQuality', () => {
  it('is the mean of each way', () => {
    const unit = (v: number) => ({
      caseId: 'a',
      source: 0,
      classId: 1,
      dice: { trueBox: v, jitteredBox: v / 2, oneClick: 0, clickGivenBack: v, filledBox: 1, ellipse: v },
    });
    expect(meanQuality([unit(0.5), unit(1)])).toEqual({
      trueBox: 0.75,
      jitteredBox: 0.375,
      oneClick: 0,
      clickGivenBack: 0.75,
      filledBox: 1,
      ellipse: 0.75,
    });
  });
});
