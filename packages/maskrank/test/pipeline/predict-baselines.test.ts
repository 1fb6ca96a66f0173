// `maskrank predict --baseline`: for images of the test split every baseline gives the masks that its evaluation measured, so that the
// numbers of an evaluation say what predictions are worth; pictures, volumes, prompts, and the refusals a person meets.

import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory } from '@maskrank/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Evaluation, EvaluationSchema } from '../../src/evaluation/schema.ts';
import { readNifti } from '../../src/formats/nifti-read.ts';
import { readMask } from '../../src/formats/raster.ts';
import { axialView, takeSlice } from '../../src/imaging/axial.ts';
import { boxOfMask } from '../../src/imaging/boxes.ts';
import { centreOfMask, takeCubeMask } from '../../src/imaging/cube.ts';
import type { Mask } from '../../src/imaging/types.ts';
import { nextClick } from '../../src/models/sam3d/input.ts';
import type { Prediction } from '../../src/pipeline/predict.ts';
import { Random } from '../../src/util/random.ts';
import { must, resultOf, runCli } from '../cli/harness.ts';
import { writeBalls } from './volume-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-predict-baselines-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const at = (...parts: string[]): string => join(dir, ...parts);
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const evaluationOf = (run: string): Evaluation => EvaluationSchema.parse(json(join(run, 'evaluation.json')));

const nnunet = { width: 2, longestSide: 40, batchSize: 2, epochs: 1, iterationsPerEpoch: 16 };
const unet = { steps: 12, batchSize: 2, validateEverySteps: 0, imageSize: 32 };
const settings = {
  seed: 7,
  threads: 1,
  data: { imageSize: 64 },
  model: { weights: 'sam-med2d-tiny' },
  clip: { weights: 'biomedclip-tiny' },
  saliency: { method: 'similarity' },
  prompts: { unlabelled: 'oracle-box', test: 'oracle-box' },
  training: { steps: 4, batchSize: 2 },
  baselines: { unet, nnunet, samMed3d: { steps: 10, clicks: 2, spacingMm: 4 } },
  // Networks of a few steps: each with a threshold at which it finds something, but not everything.
  evaluation: { threshold: 0.38, bootstrapSamples: 100, permutations: 100, alsoPrompts: [] },
};

const dice = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [both, all] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    both += Number(a[i] !== 0 && b[i] !== 0);
    all += Number(a[i] !== 0) + Number(b[i] !== 0);
  }
  return (2 * both) / all;
};

/** Of volumes: slices without a class are measured too. */
const SHARES = ['--labelled', '0.5', '--test', '0.4', '--seed', '3', '--empty-cases', 'keep'];

const refused = async (argv: string[], words: RegExp, code = 2) => {
  const result = await runCli(['predict', ...argv]);
  expect(result.stderr).toMatch(words);
  expect(result.code).toBe(code);
};

beforeAll(() => writeFileSync(at('config.json'), JSON.stringify(settings)));

describe('pictures', () => {
  const [data, run] = [at('breast'), at('run')];
  let files: string[] = [];
  beforeAll(async () => {
    await must('dataset', 'phantom', 'breast', '--cases', '16', '--size', '64', '--seed', '3', '--out', data);
    const shares = ['--labelled', '0.4', '--test', '0.25', '--validation', '0.2', '--seed', '3'];
    await must('dataset', 'split', data, ...shares);
    const { cases } = json(join(data, 'dataset.json'));
    const { test } = json(join(data, 'splits.json'));
    files = test.map((id: string) => join(data, cases.find((one: { id: string }) => one.id === id).image));
  }, 120_000);

  const train = (name: string, ...flags: string[]) =>
    must('baseline', name, data, '--run', run, '--config', at('config.json'), ...flags);
  const predicted = async (name: string, ...flags: string[]): Promise<Prediction[]> => {
    const argv = ['predict', '--run', run, '--baseline', name, ...files, '--out', at(`masks ${name}`)];
    return (await resultOf(...argv, ...flags)).predictions;
  };
  /** Predicted masks are those that were measured, and have the Dice that the evaluation says. */
  async function expectAsMeasured(name: string, predictions: readonly Prediction[]): Promise<void> {
    const key = `baseline-${name}`;
    const records = evaluationOf(run).cases.filter(({ stage }) => stage === key);
    expect(predictions).toHaveLength(records.length);
    for (const record of records) {
      const { mask } = predictions.find(({ mask: path }) => path.endsWith(`${record.case}_lesion.png`))!;
      const found = await readMask(mask);
      expect(found).toEqual(await readMask(join(run, 'predictions', key, '1', `${record.case}.png`)));
      const truth = await readMask(join(data, 'masks', 'lesion', `${record.case}.png`));
      expect(dice(found.data, truth.data)).toBeCloseTo(record.dice!, 12);
    }
    const pixels = predictions.map(({ foregroundPx }) => foregroundPx);
    expect(Math.max(...pixels)).toBeGreaterThan(0);
    expect(Math.min(...pixels)).toBeLessThan(64 * 64);
  }

  it.each(['unet', 'nnunet', 'self-training', 'mean-teacher', 'fixmatch', 'self-prompt', 'medclip-sam'])(
    '%s',
    async (name) => {
      await train(name);
      const before = [memory().tensors, statSync(join(run, 'run.json')).mtimeMs];
      const predictions = await predicted(name);
      expect([memory().tensors, statSync(join(run, 'run.json')).mtimeMs]).toEqual(before);
      await expectAsMeasured(name, predictions);
      if (name === 'unet')
        expect(predictions[0]).toMatchObject({ class: 1, predictedIou: null, text: false });
    },
    120_000,
  );

  it('sam-med2d, with the prompts of the evaluation in a file, else prompting itself', async () => {
    await train('sam-med2d');
    const byFile = await predicted('sam-med2d', '--prompts-file', join(run, 'prompts.jsonl'));
    await expectAsMeasured('sam-med2d', byFile);
    expect(byFile[0]).toMatchObject({ predictedIou: expect.any(Number), prompt: 'oracle-box' });
    await train('sam-med2d', '--prompts.test', 'self', '--evaluation.threshold', '0.02');
    await expectAsMeasured('sam-med2d', await predicted('sam-med2d'));
    const [boxed] = await predicted('sam-med2d', '--box', '10,10,40,40', '--overlay');
    expect(boxed!.prompt).toBe('file');
    expect(statSync(boxed!.mask.replace('_lesion.png', '.overlay.png')).size).toBeGreaterThan(100);
  }, 120_000);

  it('are refused where it cannot be', async () => {
    const given = ['--run', run, ...files, '--out', at('none')];
    await refused(given, /has no stage 1, but baselines: unet, .* Name one: --baseline unet/);
    await refused(
      [...given, '--baseline', 'sam-med3d'],
      /has no baseline sam-med3d, it has: unet, .*Train it/,
    );
    await refused([...given, '--baseline', 'u-net'], /'u-net' is no baseline; .* has: unet/);
    await refused([...given, '--baseline', 'unet', '--box', '1,1,9,9'], /unet looks at images alone/);
    await refused([...given, '--baseline', 'unet', '--stage', 'stage1'], /takes neither --stage/);
    const checkpoint = join(run, 'checkpoints', 'baseline-unet.safetensors');
    await refused(
      ['--checkpoint', checkpoint, ...files, '--out', at('none')],
      /is the baseline unet of a run, .* --run .*run --baseline unet/,
    );
  });
});

describe('volumes', () => {
  const [source, data] = [at('scans'), at('volumes')];
  const runOf = (name: string) => at(`run ${name}`);
  beforeAll(async () => {
    await writeBalls(source, 5);
    const kind = ['--classes', '1=ball', '--window', '-160,240'];
    await must('dataset', 'import', 'volumes', source, '--out', data, ...kind);
    await must('dataset', 'split', data, ...SHARES);
  }, 120_000);

  const train = (name: string, run: string, ...flags: string[]) =>
    must('baseline', name, data, '--run', run, '--config', at('config.json'), ...flags);
  const testVolumes = (run: string) => evaluationOf(run).volumes!.cases;
  /** Labels of the slices, from the feet. */
  async function labelsIn(path: string): Promise<Mask[]> {
    const { size, data: voxels, affine } = await readNifti(path);
    const view = axialView(size, affine);
    const [slices, height, width] = view.shape;
    return Array.from({ length: slices }, (_, k) => ({
      width,
      height,
      data: Uint8Array.from(takeSlice(view, voxels, k)),
    }));
  }
  const scan = (volume: string) => join(source, 'images', `${volume}.nii.gz`);
  async function expectAsMeasured(name: string, run: string, ...flags: string[]): Promise<void> {
    const values: number[] = [];
    for (const { case: volume, dice: measured } of testVolumes(run)) {
      const out = at(`labels ${name}`);
      await must('predict', '--run', run, '--baseline', name, scan(volume), '--out', out, ...flags);
      const labels = await labelsIn(join(out, `${volume}.nii.gz`));
      for (const [k, label] of labels.entries()) {
        const slice = `${volume}_s${String(k).padStart(3, '0')}.png`;
        expect(label).toEqual(await readMask(join(run, 'predictions', `baseline-${name}`, '1', slice)));
      }
      const truth = await labelsIn(join(source, 'labels', `${volume}.nii.gz`));
      const all = (masks: Mask[]) => masks.flatMap((mask) => [...mask.data]);
      expect(dice(all(labels), all(truth))).toBeCloseTo(measured!, 12);
      values.push(...all(labels));
    }
    expect([...new Set(values)].sort()).toEqual([0, 1]);
  }

  it.each([
    ['unet', '2d'],
    ['nnunet', '2d'],
    ['nnunet', '3d'],
  ])(
    '%s, %s',
    async (name, dimension) => {
      const run = runOf(`${name} ${dimension}`);
      const flags =
        name === 'nnunet' ? ['--baselines.nnunet.dimension', dimension] : ['--evaluation.threshold', '0.5'];
      await train(name, run, ...flags);
      await expectAsMeasured(name, run);
      if (name === 'unet') return;
      const [picture] = json(join(data, 'dataset.json')).cases;
      const given = ['--run', run, '--baseline', name, join(data, picture.image), '--out', at('none')];
      const words = dimension === '3d' ? /no slices of volumes/ : /planned on voxels of 0.800 x 0.800 mm/;
      await refused(given, words, 3);
    },
    120_000,
  );

  it('nnunet, slices whose spacing nobody knows: a scan of another spacing is seen as they were', async () => {
    const bare = at('bare');
    cpSync(data, bare, { recursive: true });
    const dataset = json(join(bare, 'dataset.json'));
    for (const { volume } of dataset.cases) delete volume.spacingMm;
    writeFileSync(join(bare, 'dataset.json'), JSON.stringify(dataset));
    await must('dataset', 'split', bare, ...SHARES, '--replace');
    const run = runOf('bare');
    await must('baseline', 'nnunet', bare, '--run', run, '--config', at('config.json'));
    await expectAsMeasured('nnunet', run);
  }, 120_000);

  it('sam-med3d, with the cubes and clicks of the evaluation in a file', async () => {
    const run = runOf('sam-med3d');
    await train('sam-med3d', run, '--evaluation.threshold', '0.42');
    const lines: object[] = [];
    for (const { case: volume, shape, spacingMm } of testVolumes(run)) {
      const truth = await labelsIn(join(source, 'labels', `${volume}.nii.gz`));
      const stack = { shape, spacingMm } as {
        shape: [number, number, number];
        spacingMm: [number, number, number];
      };
      const whole = Uint8Array.from(truth.flatMap(({ data: values }) => [...values]));
      const centre = centreOfMask(whole, stack.shape)!;
      const cube = { side: 64, spacingMm: 4, centre };
      const random = new Random(`${settings.seed}/baseline/sam-med3d clicks ${volume}/1`);
      const { place } = nextClick(takeCubeMask(whole, stack, cube), new Uint8Array(64 ** 3), 64, random)!;
      // To the right, front, head: against columns and rows, with the slices.
      const [x, y, slice] = [2, 1, 0].map(
        (axis, i) =>
          centre[axis as 0] + ((axis === 0 ? 1 : -1) * (place[i]! - 31.5) * 4) / stack.spacingMm[axis]!,
      ) as [number, number, number];
      for (const [k, mask] of truth.entries()) {
        const box = boxOfMask(mask);
        const points = k === Math.round(slice) ? [{ x, y, label: 1 }] : [];
        if (box !== undefined)
          lines.push({
            case: `${volume}_s${String(k).padStart(3, '0')}`,
            class: 1,
            boxes: [box],
            points,
            provenance: { source: 'file' },
          });
      }
    }
    writeFileSync(at('clicks.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    await expectAsMeasured('sam-med3d', run, '--prompts-file', at('clicks.jsonl'));
    const volume = testVolumes(run)[0]!.case;
    const given = ['--run', run, '--baseline', 'sam-med3d', '--out', at('none')];
    await refused([...given, scan(volume)], /is asked with clicks in a volume; give --prompts-file/);
    writeFileSync(at('strange.jsonl'), `${JSON.stringify({ ...lines[0], case: 'strange' })}\n`);
    const strange = ['--prompts-file', at('strange.jsonl')];
    await refused(
      [...given, scan(volume), ...strange],
      /no point of any class in volume "p\d"; its slices are p\d_s000/,
      3,
    );
    const [picture] = json(join(data, 'dataset.json')).cases;
    await refused([...given, join(data, picture.image), ...strange], /no slices of volumes/, 3);
  }, 120_000);
});
