// Training on questions: what a batch holds, gradients of the loss, counting exact answers.

import {
  cat,
  fromTypedArray,
  Generator,
  grad,
  memory,
  nn,
  noGrad,
  randn,
  type Tensor,
  tidy,
} from '@maskrank/torch';
import { afterAll, describe, expect, it } from 'vitest';
import { DEFAULT_AUGMENTATION } from '../../src/imaging/augment.ts';
import { answer, createMedvint, MEDVINT_CONFIGS } from '../../src/models/medvint/index.ts';
import {
  type AskedImage,
  makeVqaBatch,
  planesOf,
  TextIds,
  textGroups,
} from '../../src/training/vqa/batch.ts';
import { cellsAlong, PlacesHead, placesLoss } from '../../src/training/vqa/places.ts';
import { mirrorAnswer, ofOwnKind, withPrompted } from '../../src/training/vqa/questions.ts';
import { countExact } from '../../src/training/vqa/score.ts';
import { gridPlaces, startAtPlaces } from '../../src/training/vqa/start.ts';
import { batchTensors } from '../../src/training/vqa/tensors.ts';
import { lossesOf } from '../../src/training/vqa/train.ts';
import { Random } from '../../src/util/random.ts';
import { tinyTokenizer } from '../models/medvint/support.ts';

const nano = MEDVINT_CONFIGS['medvint-nano'];
const config = { ...nano, decoder: { ...nano.decoder, positions: 'sine' as const }, stopIds: [2] };
const network = createMedvint(config, Generator.seeded(3));
afterAll(() => network.dispose());
const tokenizer = tinyTokenizer();
const texts = new TextIds(tokenizer, 2);

const QUESTIONS = [
  { kind: 'side', classId: 1, question: 'Which side?', answer: 'left' },
  { kind: 'size', classId: 1, question: 'How large is the liver in this image?', answer: 'large' },
  { kind: 'location', classId: 2, question: 'Where?', answer: 'in the lower left of the image' },
];

/** Cells along a side. */
const SIDE = cellsAlong(config);

function askedImage(seed: number, hasNoSides = true): AskedImage {
  const random = new Random(seed);
  const data = Uint8Array.from({ length: 64 * 64 }, () => random.int(0, 256));
  const bits = Uint32Array.from(
    { length: SIDE * SIDE },
    (_, i) => Number(i % SIDE < 4) | (2 * Number(i < SIDE)),
  );
  const maps = { side: SIDE, bits, classes: ['mass', 'cyst'] };
  return {
    image: { width: 64, height: 64, channels: 1, data },
    questions: QUESTIONS,
    hasNoSides,
    placed: { maps, first: seed === 1 ? 0 : 1 },
  };
}

/** Classes of two datasets, which share none but by number. */
const CLASSES = 3;
const options = {
  questionsPerImage: 2,
  placedClasses: CLASSES,
  changed: 0,
  mirrored: 1,
  augmentation: DEFAULT_AUGMENTATION,
};

describe('a batch', () => {
  const images = [askedImage(1), askedImage(2, false), askedImage(3)];
  const batch = makeVqaBatch(images, texts, options, new Random(5));

  it('has some questions of each image; places follow each other from the last token of the prompt to the end', () => {
    expect(batch.asked).toBe(6);
    const owners = batch.groups.flatMap(({ owner }) => [...owner]).sort();
    expect(owners).toEqual([0n, 0n, 1n, 1n, 2n, 2n]);
    for (const { ids, places, targets } of batch.groups)
      for (const [p, place] of places.entries()) {
        const isLast = targets[p] === 2n;
        if (!isLast) expect(ids[Number(place) + 1]).toBe(targets[p]);
        else expect(places[p + 1]).not.toBe(place + 1n);
      }
  });

  it('mirrors images where no class is named by its side, and exchanges the sides in answers', () => {
    const said = (only: AskedImage) => {
      const { groups, planes } = makeVqaBatch(
        [only],
        texts,
        { ...options, questionsPerImage: 3 },
        new Random(1),
      );
      const ids = groups.flatMap(({ targets }) => [...targets].map(Number));
      return { text: tokenizer.decode(ids), planes };
    };
    const [free, sided] = [said(askedImage(1)), said(askedImage(1, false))];
    expect(free.text).toContain('lower right');
    expect(sided.text).toContain('lower left');
    expect(sided.planes).toEqual(planesOf([askedImage(1).image]));
    expect(free.planes.slice(0, 64)).toEqual(sided.planes.slice(0, 64).reverse());
    expect(mirrorAnswer('oval, on the left; bright')).toBe('oval, on the right; bright');
  });
});

describe('places', () => {
  it('are known for the classes of an image alone, mirrored with it', () => {
    const images = [askedImage(1), askedImage(2, false)];
    const { places } = makeVqaBatch(images, texts, options, new Random(5));
    const { masks, known } = places!;
    expect([...known]).toEqual([1, 1, 0, 0, 1, 1]);
    const row = (channel: number, y: number) => {
      const start = (channel * SIDE + y) * SIDE;
      return [...masks.slice(start, start + SIDE)];
    };
    const [first, last] = [1, 0].map((left) =>
      Array.from({ length: SIDE }, (_, x) => ((left ? x < 4 : x >= SIDE - 4) ? 1 : 0)),
    );
    expect(row(0, 3)).toEqual(last); // the first image may be mirrored, and is
    expect(row(CLASSES + 1, 3)).toEqual(first);
    expect([row(1, 0), row(1, 1)]).toEqual([new Array(SIDE).fill(1), new Array(SIDE).fill(0)]);
  });

  it('cost nothing where they are right, and nothing for classes that are unknown', () => {
    const { places } = makeVqaBatch([askedImage(1)], texts, options, new Random(5));
    tidy(() => {
      const masks = fromTypedArray(places!.masks, [1, CLASSES, SIDE, SIDE]);
      const logits = (of: Tensor) => of.mul(40).sub(20);
      // Places that are covered in part cost their entropy: here there are none, and nothing of the class that is unknown.
      const left = places!.masks.map((_, i) => Number(i < 2 * SIDE * SIDE && i % SIDE < SIDE / 2));
      const whole = { ...places!, masks: left };
      const truth = fromTypedArray(whole.masks, masks.shape);
      const right = {
        cells: logits(truth),
        covered: logits(nn.F.adaptiveAvgPool(2, truth, [SIDE / 4, SIDE / 4])),
      };
      const loss = (seen: typeof right) => placesLoss(seen, whole).item();
      expect(loss(right)).toBeLessThan(1e-4);
      const unknown = { cells: right.cells.clone(), covered: right.covered.clone() };
      unknown.cells.select(1, 2).fill_(20);
      unknown.covered.select(1, 2).fill_(20);
      expect(loss(unknown)).toBeLessThan(1e-4);
      for (const wrong of ['cells', 'covered'] as const)
        expect(loss({ ...right, [wrong]: right[wrong].neg() })).toBeGreaterThan(1);
    });
  });

  it('have their cells where the features are', () => {
    const head = new PlacesHead(config, 2);
    tidy(() => {
      const channels = 64;
      const features = fromTypedArray(
        Float32Array.from({ length: channels * 16 }, (_, i) => Number(i === 6)),
        [1, channels, 4, 4],
      );
      noGrad(() => head.cells.weight.fill_(1));
      const soft = fromTypedArray(new Float32Array(4 * 32), [1, 4, 32]);
      const { cells, covered } = head.forward(features, soft);
      expect([cells.shape, covered.shape]).toEqual([
        [1, 2, 16, 16],
        [1, 2, 4, 4],
      ]);
      expect(cells.slice(2, 4, 8).slice(3, 8, 12).sum().item()).toBe(cells.sum().item());
    });
    head.dispose();
  });
});

describe('the start', () => {
  it('spreads queries over the map', () => {
    expect(gridPlaces(4, 4)).toEqual([5, 7, 13, 15]);
    expect(gridPlaces(6, 8)).toEqual([17, 20, 22, 49, 52, 54]);
    expect(new Set(gridPlaces(24, 8)).size).toBe(24);
  });

  it('lets each query see its own part of an image: soft tokens of images differ more than before', () => {
    const fresh = createMedvint(config, Generator.seeded(3));
    const spread = () =>
      tidy(() =>
        noGrad(() => {
          const features = randn([6, 64, 4, 4], { generator: Generator.seeded(1) });
          const soft = fresh.tokensOf(features);
          return (
            soft
              .sub(soft.mean([0], true))
              .pow(2)
              .mean()
              .item() / soft.pow(2).mean().item()
          );
        }),
      );
    const before = spread();
    startAtPlaces(fresh, Generator.seeded(2));
    expect(spread()).toBeGreaterThan(2 * before);
    fresh.dispose();
  });
});

describe('questions', () => {
  it('about shape and location together are a kind of their own, asked in the words of prompting, too', () => {
    const asked = { kind: 'location', classId: 1, answer: 'oval, in the centre of the image' };
    const own = ofOwnKind({
      ...asked,
      question: 'What is the shape and location of the mass in this image?',
    });
    expect(own.kind).toBe('shape and location');
    const other = { ...asked, question: 'Where is the mass?' };
    const classes = [{ id: 1, name: 'lesion' }];
    expect(withPrompted([own, other], { classes, modality: 'ct' })).toEqual([
      own,
      { ...own, question: 'What is the shape and location of the lesion in this CT image?' },
      other,
    ]);
  });
});

describe('logitsAt', () => {
  it('gives what one text after the other gives', () => {
    tidy(() =>
      noGrad(() => {
        network.eval();
        const images = [askedImage(1), askedImage(2)];
        const planes = planesOf(images.map(({ image }) => image));
        const asked = QUESTIONS.map((question, i) => ({ ...question, owner: i % 2 }));
        const groups = textGroups(asked, texts);
        const { seen, owned } = batchTensors({ planes, groups }, network);
        const together = network.logitsAt(network.softTokens(seen), owned);
        const alone = groups.flatMap(({ owner, ids, length, places }) =>
          [...places].map((place) => {
            const [text, token] = [Math.floor(Number(place) / length), Number(place) % length];
            const own = fromTypedArray(ids.slice(text * length, text * length + token + 1), [1, token + 1]);
            const image = Number(owner[text]);
            return network
              .forward(seen.slice(0, image, image + 1), own)
              .slice(1, -1)
              .squeeze(1);
          }),
        );
        expect(together.sub(cat(alone, 0)).abs().amax().item()).toBeLessThan(1e-5);
      }),
    );
  });
});

/** Of a central difference in double precision. */
const STEP = 1e-7;

describe('the loss', () => {
  it('has the gradients of finite differences in every part, batch norms in training', () => {
    const double = createMedvint(config, Generator.seeded(4)).to('float64');
    const head = nn.initialise(new PlacesHead(config, CLASSES), Generator.seeded(6)).to('float64');
    const leaves = [...double.namedParameters(), ...head.namedParameters()].map(
      ([name, leaf]): [string, Tensor] => [name, leaf],
    );
    // Norms that start as zeros would leave nothing behind them to learn.
    noGrad(() => {
      for (const [name, leaf] of leaves) if (name.endsWith('bn3.weight')) leaf.fill_(0.5);
    });
    double.train();
    const batch = makeVqaBatch([askedImage(1), askedImage(2)], texts, options, new Random(2));
    const parts = [
      /^vision_model\.0\.weight/,
      /^vision_model\.1\.bias/,
      /^vision_model\.12\.0\.conv2\.weight/,
      /^query_embed/,
      /^decoder\.layers\.0\.multihead_attn\.in_proj_weight/,
      /^decoder\.layers\.1\.linear1\.weight/,
      /^fc_l2\.weight/,
      /embed_tokens/,
      /layers\.0\.self_attn\.k_proj/,
      /layers\.1\.mlp\.up_proj/,
      /lm_head/,
      /^cells\.weight/,
      /^covered\.weight/,
    ];
    const some = leaves.filter(([name]) => parts.some((part) => part.test(name)));
    expect(some.length).toBe(parts.length);
    tidy(() => {
      const loss = () => lossesOf(double, head, batch, 1).total as Tensor;
      const gradients = grad(
        [loss()],
        some.map(([, leaf]) => leaf),
      );
      const generator = Generator.seeded(5);
      for (const [i, [name, leaf]] of some.entries()) {
        const direction = randn(leaf.shape, { generator, dtype: 'float64' });
        const slope = direction
          .mul(gradients[i] as Tensor)
          .sum()
          .item();
        const at = (step: number) =>
          noGrad(() =>
            tidy(() => {
              leaf.add_(direction, step);
              const value = loss().item();
              leaf.add_(direction, -step);
              return value;
            }),
          );
        // Small, as a longer step passes the corners of many rectifiers.
        const difference = (at(STEP) - at(-STEP)) / (2 * STEP);
        expect(Math.abs(difference / slope - 1), `${name}: ${slope}, ${difference}`).toBeLessThan(1e-3);
      }
    });
    double.dispose();
    head.dispose();
  });

  it('leaves no tensors behind', () => {
    const batch = makeVqaBatch([askedImage(1), askedImage(2)], texts, options, new Random(2));
    const step = () => tidy(() => lossesOf(network.train(), null, batch, 1).total?.backward());
    step();
    const before = memory().tensors;
    step();
    expect(memory().tensors).toBe(before);
    for (const [, parameter] of network.namedParameters()) parameter.grad?.zero_();
  });
});

describe('counting exact answers', () => {
  it('counts what the network would have said', async () => {
    network.eval();
    const images = [askedImage(1), askedImage(2)].map((one) => ({
      ...one,
      questions: QUESTIONS.slice(0, 2),
    }));
    expect((await countExact(network, images, texts)).get('all')).toEqual({ right: 0, asked: 4 });
    const said = await answer({ network, tokenizer }, images[0]!.image, QUESTIONS[0]!.question, {
      maxNewTokens: 3,
    });
    // As long as it goes on, the likeliest tokens are what greedy decoding gives.
    const [first, ...rest] = said.ids;
    const ids = new TextIds(tokenizer, rest[0] as number);
    const own = { ...images[0]!, questions: [{ ...QUESTIONS[0]!, answer: 'x' }] };
    ids.answer = () => [first as number, rest[0] as number];
    expect((await countExact(network, [own], ids)).get('side')).toEqual({ right: 1, asked: 1 });
  });
});
