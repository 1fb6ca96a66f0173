// A realistic report input, made from a seed: test cases with plausible Dice before and after alignment, controls,
// curves, rounds, pictures. Summary and comparisons come from the project's own `summarise`, so the report is tested on what it will get.

import type {
  CasePanels,
  MetricsLine,
  ReportInput,
  RoundFacts,
} from '../../../src/evaluation/report/input.ts';
import type { CaseResult, Control, Evaluation, Stage } from '../../../src/evaluation/schema.ts';
import { summarise } from '../../../src/evaluation/summarise.ts';
import { Random } from '../../../src/util/random.ts';
import { type Ellipse, picture } from './fixture-pictures.ts';

export type FixtureOptions = {
  readonly cases?: number;
  readonly classes?: readonly string[];
  /** `explaining`: stage 1 continued gains more than alignment. `some`: two controls are missing. */
  readonly controls?: 'all' | 'some' | 'none' | 'explaining';
  readonly stage2?: boolean;
  readonly oracle?: boolean;
  readonly panels?: boolean;
  /** Side of the square pictures, pixels. Small, for quick tests. */
  readonly picturePx?: number;
  /** Applied to every text that comes from outside: to prove that none of it becomes markup. */
  readonly text?: (plain: string) => string;
};

type StageShift = Stage & { readonly shift: (random: Random, dice: number) => number };

const STAGE_1: StageShift = { key: 'stage1', title: 'Stage 1', shift: () => 0 };
const STAGE_2: StageShift = {
  key: 'stage2',
  title: 'Stage 2, aligned',
  shift: (random, dice) =>
    random.chance(0.36) ? (1 - dice) * (0.3 + 0.6 * random.next()) : 0.022 * random.normal() + 0.008,
};
const CONTROLS: readonly (StageShift & Omit<Control, 'stage'>)[] = [
  {
    key: 'continued',
    title: 'Stage 1 continued',
    kind: 'rival',
    question: 'Would more training on the same labels have done it?',
    shift: (random) => -0.012 + 0.03 * random.normal(),
  },
  {
    key: 'best-only',
    title: 'Best candidate only',
    kind: 'rival',
    question: 'Is the order of the candidates needed, or only the winner?',
    shift: (random, dice) => (1 - dice) * 0.11 + 0.025 * random.normal(),
  },
  {
    key: 'threshold',
    title: 'Best single threshold',
    kind: 'rival',
    question: 'Is it only a better cut through the same probabilities?',
    shift: (random, dice) => (1 - dice) * 0.035 + 0.012 * random.normal(),
  },
  {
    key: 'ceiling',
    title: 'Ground-truth decoder ceiling',
    kind: 'ceiling',
    question: 'What would full masks of the ranked images have given?',
    shift: (random, dice) => (1 - dice) * 0.36 + 0.022 * random.normal(),
  },
];

export function fixture(options: FixtureOptions = {}): ReportInput {
  const { stage2 = true, panels = true, classes = ['lesion'], picturePx = 32 } = options;
  const { text = (plain: string) => plain } = options;
  const evaluation = evaluationOf(options);
  return {
    title: text('breast-10pct-seed7'),
    generatedAt: '2026-11-23T09:30:00Z',
    evaluation,
    dataset: {
      name: text('Breast ultrasound'),
      modality: text('ultrasound'),
      classes: classes.map((name, i) => ({ id: i + 1, name: text(name) })),
      splits: [
        { name: text('labelled'), cases: 53, groups: 48 },
        { name: text('unlabelled'), cases: 212, groups: 190 },
        { name: text('validation'), cases: 76, groups: 70 },
        { name: 'test', cases: options.cases ?? 153, groups: 141 },
      ],
      findings: [text('2 images are near-duplicates of each other; both lie in the training pool.')],
    },
    metrics: stage2 ? [...stage1Lines(), ...stage2Lines()] : stage1Lines(),
    promptDescription: text('one box a component, side jitter 12 %, mostly enlarged'),
    run: {
      configuration: configuration(text),
      configurationHash: text('9f2c51d04be77a0f6c1d'),
      versions: {
        maskrank: text('0.1.0'),
        [text('engine')]: text('libtorch 1.13.1, OpenBLAS 0.3.21'),
        node: text('v20.20.2'),
      },
      hashes: { [text('ratings')]: text('c1a90b7e55d1'), proposals: text('77e0d4415b9c') },
      seed: text('7'),
      device: text('cpu, 2 threads'),
      commands: [
        {
          command: text('maskrank finetune breast --run run7 --seed 7'),
          at: '2026-11-22T19:02:11Z',
          elapsedMs: 3_912_000,
          exitCode: 0,
        },
        {
          command: text('maskrank propose --run run7'),
          at: '2026-11-22T20:09:40Z',
          elapsedMs: 61_300,
          exitCode: 0,
        },
        {
          command: text('maskrank align --run run7 --preset recommended'),
          at: '2026-11-22T20:12:05Z',
          elapsedMs: 5_020_000,
          exitCode: 130,
        },
        {
          command: text('maskrank align --run run7 --preset recommended'),
          at: '2026-11-23T07:31:48Z',
          elapsedMs: 2_210_000,
          exitCode: 0,
        },
        {
          command: text('maskrank evaluate --run run7'),
          at: '2026-11-23T09:21:30Z',
          elapsedMs: 402_000,
          exitCode: 0,
        },
      ],
    },
    ...(stage2 && {
      proposals: {
        candidates: 4,
        generator: text('current mask and 3 decoder-dropout samples (p 0.35)'),
        annotator: text('virtual annotator, ranking'),
        noise: 0.1,
        rounds: rounds(text),
      },
      warnings: [
        {
          severity: 'note',
          title: text('Saturation'),
          text: text(
            'R passed 5 at step 380, before the refresh at step 400. The run went on; a shorter refresh would lose less.',
          ),
        },
      ],
    }),
    ...(panels && { panels: panelsOf(evaluation, stage2, text, picturePx) }),
  };
}

function evaluationOf({
  cases = 153,
  classes = ['lesion'],
  controls = 'all',
  stage2 = true,
  oracle = true,
  text = (plain: string) => plain,
}: FixtureOptions): Evaluation {
  const explaining: StageShift = {
    ...CONTROLS[0]!,
    shift: (random, dice) => (1 - dice) * 0.55 + 0.02 * random.normal(),
  };
  const chosen = {
    none: [],
    some: CONTROLS.slice(1, 2),
    all: CONTROLS,
    explaining: [{ ...CONTROLS[0]!, ...explaining }, ...CONTROLS.slice(1)],
  }[stage2 ? controls : 'none'];
  const stages = [STAGE_1, ...(stage2 ? [STAGE_2] : []), ...chosen];
  const records = stages.flatMap((stage) => recordsOf(stage, cases, classes.length, oracle, text));
  const tolerances = [1, 2, 3].map((value) => ({ key: `${value}px`, value, unit: 'px' as const }));
  return {
    schemaVersion: 1,
    configHash: text('9f2c51d04be77a0f'),
    madeFrom: {
      dataset: text('5be1c07d9a34'),
      splits: text('0a77c2f1e8b0'),
      [text('checkpoint stage1')]: text('d4c0aa91b22e'),
    },
    dataset: {
      name: text('Breast ultrasound'),
      split: 'test',
      classes: classes.map((name, i) => ({ id: i + 1, name: text(name) })),
    },
    tolerances,
    empties: 'exclude',
    missedDistance: 'image diagonal',
    threshold: 0.5,
    statistics: { seed: 7, bootstrapResamples: 100, permutations: 50 },
    prompts: { oracle, sources: { [text(oracle ? 'oracle-box' : 'self')]: records.length } },
    stages: stages.map(({ key, title }) => ({ key, title: text(title) })),
    controls: chosen.map(({ key, kind, question }) => ({ stage: key, kind, question: text(question) })),
    ...summarise(records, { tolerances, seed: 7, bootstrapResamples: 100, permutations: 50 }),
    cases: records,
  };
}

function recordsOf(
  stage: StageShift,
  cases: number,
  classes: number,
  oracle: boolean,
  text: (plain: string) => string,
): CaseResult[] {
  return Array.from({ length: cases * classes }, (_, k) => {
    const [i, id] = [Math.floor(k / classes), (k % classes) + 1];
    const random = new Random(`case ${i} class ${id}`);
    const first = random.chance(0.1)
      ? 0.1 + 0.45 * random.next()
      : 0.91 - 0.11 * Math.abs(random.normal()) - 0.03 * id;
    const before = Math.min(0.975, Math.max(0, first));
    const wanted = Math.min(0.98, Math.max(0, before + stage.shift(random.fork(stage.key), before)));
    return record(
      text(`busi_${i % 3 === 0 ? 'malignant' : 'benign'}_${String(i + 1).padStart(4, '0')}`),
      id,
      stage.key,
      wanted,
      random,
      oracle,
    );
  });
}

// Counts with about the wanted Dice; the metrics follow from the counts, as measured ones do.
function record(
  name: string,
  id: number,
  stage: string,
  wanted: number,
  random: Random,
  oracle: boolean,
): CaseResult {
  const truth = 900 + random.int(0, 9000);
  const predicted = Math.round(truth * (0.9 + 0.25 * random.next()));
  const truePositive = Math.min(truth, predicted, Math.round((wanted * (truth + predicted)) / 2));
  const counts = {
    truePositive,
    falsePositive: predicted - truePositive,
    falseNegative: truth - truePositive,
  };
  const dice = (2 * truePositive) / (truth + predicted);
  const perimeter = 2 * Math.sqrt(Math.PI * truth) * 2;
  const within = Object.fromEntries([1, 2, 3].map((t) => [`${t}px`, dice ** (4 / t) * perimeter]));
  return {
    case: name,
    class: id,
    stage,
    shape: [360, 300],
    prompt: { source: oracle ? 'oracle-box' : 'self', oracle },
    empty: 'neither',
    counts,
    dice,
    iou: truePositive / (truth + predicted - truePositive),
    precision: truePositive / predicted,
    recall: truePositive / truth,
    surfaceDice: Object.fromEntries(Object.entries(within).map(([key, value]) => [key, value / perimeter])),
    surfaceWithin: within,
    surfaceTotal: { px: perimeter },
    hd95Px: 2 + (1 - dice) * 70 * (0.6 + random.next()),
    averageDistancePx: 0.6 + (1 - dice) * 22,
  };
}

function stage1Lines(): MetricsLine[] {
  const random = new Random('stage 1');
  return Array.from({ length: 240 }, (_, i) => {
    const step = (i + 1) * 5;
    const fall = Math.exp(-step / 230);
    const focal = 0.0021 + 0.032 * fall * (0.85 + 0.3 * random.next());
    const dice = 0.14 + 0.62 * fall * (0.9 + 0.2 * random.next()) + 0.012 * random.normal();
    return {
      stage: 'stage1',
      step,
      epoch: step / 7,
      losses: { total: 20 * focal + dice, focal: 20 * focal, dice },
      learningRate: 1e-4 * 0.5 ** Math.floor((step - 1) / 400),
      ...(step % 50 === 0 && { validationDice: 0.79 - 0.5 * fall + 0.008 * random.normal() }),
    };
  });
}

function stage2Lines(): MetricsLine[] {
  const random = new Random('stage 2');
  return Array.from({ length: 120 }, (_, i) => {
    const step = (i + 1) * 5;
    const inRound = ((step - 5) % 100) / 100;
    const reward = 4.6 * (1 - Math.exp(-3 * inRound)) * (0.8 + 0.4 * random.next());
    const preference = Math.log(1 + Math.exp(-reward));
    return {
      stage: 'stage2',
      step,
      epoch: step / 26,
      losses: { total: preference + 0.02, preference, anchor: 0.018 + 0.004 * random.next() },
      learningRate: 1e-4 * 0.5 ** Math.floor(step / 201),
      rewardMean: reward,
      rewardMargin: reward * 1.35,
      activeShare: 0.93 - 0.0003 * step - 0.12 * random.next(),
      ...(step % 50 === 0 && {
        validationDice: 0.79 + 0.06 * (1 - Math.exp(-step / 180)) + 0.005 * random.normal(),
      }),
      ...(inRound === 0 && step > 5 && { refreshed: true }),
      ...(step === 380 && { alarm: true }),
    };
  });
}

function rounds(text: (plain: string) => string): RoundFacts[] {
  return Array.from({ length: 6 }, (_, i) => ({
    round: i + 1,
    step: i * 100,
    cases: 212,
    skipped: {
      [text('candidates identical')]: 4 + 2 * i,
      [text('disagreement under 16 px')]: 7 + i,
      [text('disagreement over 30 % of the image')]: i === 0 ? 3 : 0,
    },
    oracleHeadroom: 0.018 - 0.0012 * i,
    meanHeadroom: -0.003 + 0.0002 * i,
    disagreementPx: 895 - 61 * i,
    rewardAtEnd: i === 3 ? 5.31 : 4.1 + 0.1 * i,
    ...(i === 3 && { saturated: true }),
  }));
}

function configuration(text: (plain: string) => string) {
  const rows: readonly (readonly [string, unknown, string])[] = [
    ['seed', 7, 'flag --seed'],
    ['training.batchSize', 8, 'default'],
    ['training.learningRate', 1e-4, 'default'],
    ['training.loss', { focal: 20, dice: 1 }, 'default'],
    ['training.epochs', 30, 'file breast.json'],
    ['model.name', text('sam-med2d-small'), 'flag --model'],
    ['alignment.preset', 'recommended', 'flag --preset'],
    ['alignment.reduction', 'region', 'preset recommended'],
    ['alignment.kappa', 10, 'preset recommended'],
    ['alignment.refreshEverySteps', 100, 'preset recommended'],
    ['alignment.anchorWeight', 0.1, 'preset recommended'],
    ['alignment.betas', [1, 0.5], 'default'],
    ['alignment.clip', null, 'default'],
    ['evaluation.tolerancesPx', [1, 2, 3], 'default'],
    ['evaluation.empties', 'exclude', 'default'],
  ];
  return rows.map(([key, value, origin]) => ({
    key: text(key),
    value,
    origin: origin === 'default' ? origin : text(origin),
  }));
}

function panelsOf(
  evaluation: Evaluation,
  stage2: boolean,
  text: (plain: string) => string,
  size: number,
): CasePanels[] {
  const last = evaluation.cases
    .filter((one) => one.stage === (stage2 ? 'stage2' : 'stage1') && one.class === 1)
    .toSorted((a, b) => b.dice! - a.dice!);
  const middle = Math.floor(last.length / 2);
  const chosen = [
    ...last.slice(0, 2).map((one) => ({ one, role: 'best' as const })),
    ...last.slice(middle, middle + 2).map((one) => ({ one, role: 'median' as const })),
    ...last.slice(-2).map((one) => ({ one, role: 'worst' as const })),
  ];
  return chosen.map(({ one, role }, k) => {
    const random = new Random(`panel ${k}`);
    const truth: Ellipse = {
      x: 84 + random.int(0, 30),
      y: 80 + random.int(0, 24),
      rx: 26 + random.int(0, 22),
      ry: 18 + random.int(0, 16),
    };
    const off = role === 'best' ? 0.03 : role === 'median' ? 0.14 : 0.5;
    const near = (by: number): Ellipse => ({
      x: truth.x + by * 30 * random.normal(),
      y: truth.y + by * 20 * random.normal(),
      rx: truth.rx * (1 + by * (random.next() - 0.3)),
      ry: truth.ry * (1 + by * (random.next() - 0.3)),
    });
    const draw = (...outlines: Parameters<typeof picture>[2]) =>
      picture(`speckle ${k}`, truth, outlines, size);
    const gt = { shape: truth, colour: 'groundTruth' } as const;
    return {
      role,
      case: one.case,
      class: 1,
      image: draw(),
      groundTruth: draw(gt),
      stage1: draw(gt, { shape: near(off * 1.8), colour: 'stage1' }),
      ...(stage2 && {
        stage2: draw(gt, { shape: near(off), colour: 'stage2' }),
        candidates: [0.6, 1, 1.5, 2.2].map((by, i) => ({
          ...draw({ shape: near(off * by), colour: 'candidate' }),
          rank: i + 1,
          grade: [4, 4, 3, 2][i]!,
          iou: Math.max(0, one.iou! - 0.04 * i),
          made: text(i === 1 ? 'current mask' : `dropout ${i === 0 ? 1 : i}`),
        })),
      }),
    };
  });
}
