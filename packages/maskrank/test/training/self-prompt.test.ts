// The two answers of Self-prompt on a toy: what prompts the second, what learns, and what of it is kept out of the gradient.

import { fromTypedArray, Generator, memory, nn, noGrad, optim, randn, tidy } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import type { Mask } from '../../src/imaging/types.ts';
import { attachLora, selectTrainable } from '../../src/models/lora.ts';
import { collatePrompts } from '../../src/prompting/collate.ts';
import { judgeExpected } from '../../src/training/promptable/heads.ts';
import {
  classFeature,
  promptOfAnswer,
  type SelfPromptLoss,
  type SelfPromptOptions,
  SelfPromptSam,
  updateBoth,
} from '../../src/training/self-prompt.ts';
import { Random } from '../../src/util/random.ts';
import { SIDE, TOY_CONFIG, toyInput, toyTruth } from '../alignment/toy.ts';

const CLASSES = 2;
const make = (options: Partial<SelfPromptOptions> = {}): SelfPromptSam => {
  const generator = Generator.seeded(3);
  const config = { ...TOY_CONFIG, textDim: CLASSES };
  const sam = nn.initialise(
    new SelfPromptSam(config, { use: ['box'], maxRegions: 1, ...options }),
    generator,
  );
  attachLora(sam, { rank: 2, generator });
  return sam;
};
const classes = (...places: number[]) =>
  collatePrompts(
    places.map((place) => ({ boxes: [], points: [], text: classFeature(place, CLASSES) })),
    { points: 0, boxes: 0, text: { tokens: 1, dim: CLASSES } },
  );

describe('the prompt of an answer', () => {
  const mask = (...rows: string[]): Mask => ({
    width: rows[0]!.length,
    height: rows.length,
    data: Uint8Array.from(rows.join(''), Number),
  });
  const two = mask('0000000', '0111001', '0111000', '0111000', '0000000');
  const ask = (use: SelfPromptOptions['use'], maxRegions: number) => promptOfAnswer(two, { use, maxRegions });

  it('is a box around each of the largest regions, and the pixel deepest in it', () => {
    expect(ask(['box', 'mask'], 1)).toEqual({ boxes: [{ x0: 1, y0: 1, x1: 4, y1: 4 }], points: [] });
    expect(ask(['point'], 2)).toEqual({
      boxes: [],
      points: [
        { x: 2, y: 2, label: 1 },
        { x: 6, y: 1, label: 1 },
      ],
    });
    expect(ask(['box'], 2).boxes).toHaveLength(2);
  });

  it('is the whole canvas where nothing was found', () => {
    const none = promptOfAnswer(mask('000', '000'), { use: ['box', 'point'], maxRegions: 2 });
    expect(none).toEqual({ boxes: [{ x0: 0, y0: 0, x1: 3, y1: 2 }], points: [] });
  });
});

describe('a SAM that answers twice', () => {
  const embeddings = () => randn([2, TOY_CONFIG.embedDim, 4, 4], { generator: Generator.seeded(5) });

  it('answers with the second answer, which knows the first', () => {
    using sam = make({ use: ['box', 'point', 'mask'] });
    using other = make({ use: ['box'] });
    tidy(() =>
      noGrad(() => {
        const given = embeddings();
        const { first, second } = sam.answers(given, classes(0, 1), { multimask: true });
        const alone = sam.decode(given, classes(0, 1), { multimask: true });
        expect(alone.masks.toFloat32Array()).toEqual(second.masks.toFloat32Array());
        expect(second.masks.toFloat32Array()).not.toEqual(first.masks.toFloat32Array());
        const less = other.answers(given, classes(0, 1), { multimask: true });
        expect(less.first.masks.toFloat32Array()).toEqual(first.masks.toFloat32Array());
        expect(less.second.masks.toFloat32Array()).not.toEqual(second.masks.toFloat32Array());
      }),
    );
  });

  it('begins without knowing classes, and tells them apart when it has learnt a token', () => {
    using sam = make();
    tidy(() =>
      noGrad(() => {
        const given = embeddings().slice(0, 0, 1);
        const ask = (place: number) =>
          sam.decode(given, classes(place), { multimask: true }).masks.toFloat32Array();
        expect(ask(0)).toEqual(ask(1));
        sam.prompt_encoder.text_proj!.weight.copy_(randn([16, CLASSES], { generator: Generator.seeded(8) }));
        expect(ask(0)).not.toEqual(ask(1));
      }),
    );
  });
});

describe('a step', () => {
  const ids = ['case0', 'case1'];
  const batch = () => ({
    images: fromTypedArray(Float32Array.from(ids.flatMap((id) => [...toyInput(id)])), [2, 3, SIDE, SIDE]),
    targets: fromTypedArray(Float32Array.from(ids.flatMap((id) => [...toyTruth(id).data])), [2, SIDE, SIDE]),
    prompts: classes(0, 1),
  });
  const loss = { firstWeight: 1, distillation: 0 };

  /** Losses of some steps. */
  function train(steps: number, how: SelfPromptLoss = loss) {
    using sam = make({ use: ['box', 'mask'] });
    const trainable = selectTrainable(sam, 'lora');
    const optimizer = new optim.AdamW(trainable, { learningRate: 1e-2, weightDecay: 0 });
    const options = {
      sam,
      optimizer,
      trained: new Map(trainable),
      judge: judgeExpected({}),
      rounds: 0,
      gradClip: 1,
      precision: 'float32' as const,
      device: 'cpu',
    };
    const before = memory().tensors;
    const lines = Array.from({ length: steps }, (_, i) => {
      const { losses } = tidy(() => updateBoth(sam, how)(batch(), options, new Random(i)));
      return losses;
    });
    const grown = memory().tensors - before;
    const token = sam.prompt_encoder.text_proj!.weight.toFloat32Array();
    optimizer.disposeState();
    return { lines, grown, token, state: 4 * trainable.length };
  }

  it('teaches both answers, and the token of each class', () => {
    const { lines, token, grown, state } = train(30);
    const [begin, end] = [lines[0]!, lines.at(-1)!];
    expect(begin.total).toBeCloseTo(20 * begin.focal! + begin.dice! + begin.iou! + begin.first!, 4);
    expect(end.first).toBeLessThan(0.8 * begin.first!);
    expect(end.total).toBeLessThan(0.8 * begin.total!);
    expect([...token].every((value) => value !== 0)).toBe(true);
    expect(grown).toBeLessThanOrEqual(state); // the optimiser's memory
  });

  it('weighs the first answer, and lets the second teach it where asked', () => {
    const [plain] = train(1).lines;
    const [half] = train(1, { ...loss, firstWeight: 0.5 }).lines;
    expect(half!.total).toBeCloseTo(plain!.total! - 0.5 * plain!.first!, 4);
    expect(plain!.distillation).toBeUndefined();
    const [taught] = train(1, { ...loss, distillation: 2 }).lines;
    expect(taught!.total).toBeCloseTo(plain!.total! + 2 * taught!.distillation!, 4);
  });
});
