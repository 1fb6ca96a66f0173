// The controls without which a gain of stage 2 cannot be attributed, each for as many steps as stage 2:
// continued (stage 1 goes on), best-only (the winner alone as a target), threshold (no training), ceiling (ground truth of the
// same images). What each tells stands in CONTROLS and goes into the evaluation.

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromTypedArray, tidy } from '@maskrank/torch';
import { writeFileAtomic } from '@maskrank/torch/io';
import { align } from '../alignment/align.ts';
import { type TargetOptions, targetObjective, winnersOf } from '../alignment/objectives/target.ts';
import { logitsOf } from '../alignment/policy.ts';
import { alignSteps } from '../alignment/schedule.ts';
import { countOverlap } from '../evaluation/overlap.ts';
import { selectTrainable } from '../models/lora.ts';
import { logitsToCanvas } from '../models/sam/index.ts';
import { readJson } from '../run/files.ts';
import type { LoopOptions } from '../training/loop.ts';
import { finetune, lossOptionsOf } from '../training/stage1.ts';
import { logit } from '../util/logit.ts';
import { judgedRounds, roundProposals, STAGE2_SECTIONS } from './align.ts';
import { diceOf, STAGE1_SECTIONS, stage1Data, stage1Options, stage1Scope } from './finetune.ts';
import { recipeOf, saveModel } from './model.ts';
import type { GeneratorChoice } from './proposal-generator.ts';
import { hiddenTruth, loadStage2Inputs, type Stage2Inputs, virtualAnnotator } from './stage2-inputs.ts';
import type { JobContext } from './workspace.ts';

export type ControlName = 'continued' | 'best-only' | 'threshold' | 'ceiling';

type ControlSpec = {
  readonly title: string;
  /** `rival`: could explain the gain without rankings. `ceiling`: uses what stage 2 may not see. */
  readonly kind: 'rival' | 'ceiling';
  readonly question: string;
  /** Whether it reads the masks of the unlabelled cases, which a run with people's rankings need not have. */
  readonly needsTruth: boolean;
  readonly run: (context: JobContext, inputs: Stage2Inputs, loop: ControlLoop) => Promise<void>;
};

/** Where a control keeps its state and result. */
export type ControlLoop = Pick<
  LoopOptions,
  'label' | 'statePath' | 'header' | 'rerun' | 'metrics' | 'signal' | 'onProgress'
> & {
  readonly name: ControlName;
  readonly totalSteps: number;
};

/** RUN/checkpoints/control-best-only.safetensors (threshold: .json). */
export function controlPath(checkpoints: string, name: ControlName): string {
  return join(checkpoints, `control-${name}.${name === 'threshold' ? 'json' : 'safetensors'}`);
}

async function towardsTargets(
  context: JobContext,
  inputs: Stage2Inputs,
  loop: ControlLoop,
  targets: TargetOptions['targets'],
): Promise<void> {
  const { config } = context;
  const { sam } = inputs.policy;
  await align({
    policy: inputs.policy,
    trainable: selectTrainable(sam, config.alignment.scope === 'decoder' ? 'decoder' : 'all'),
    units: inputs.units,
    objective: targetObjective({ policy: inputs.policy, loss: lossOptionsOf(config.training), targets }),
    config: config.alignment,
    totalSteps: loop.totalSteps,
    seed: config.seed,
    stream: `control ${loop.name}`,
    loop,
    onAlarm: () => {},
  });
}

/** Thresholds that the control tries. */
const THRESHOLDS = Array.from({ length: 17 }, (_, i) => 0.1 + 0.05 * i);

async function bestThreshold(context: JobContext, inputs: Stage2Inputs, loop: ControlLoop): Promise<void> {
  const { signal, run } = context;
  await hiddenTruth(inputs, signal);
  const { imageSize } = inputs.policy.sam.config;
  inputs.policy.sam.eval();
  const sums = THRESHOLDS.map(() => 0);
  const predictions = logitsOf(inputs.policy, inputs.units, signal);
  for (const [i, { caseId, classId }] of inputs.units.entries()) {
    const truth = inputs.workspace.cache.mask(caseId, classId);
    const low = (predictions[i] as { logits: Float32Array<ArrayBuffer> }).logits;
    const side = Math.sqrt(low.length);
    const logits = tidy(() =>
      logitsToCanvas(fromTypedArray(low, [1, 1, side, side]), imageSize).toFloat32Array(),
    );
    for (const [k, t] of THRESHOLDS.entries()) {
      const level = logit(t);
      sums[k] =
        (sums[k] as number) +
        diceOf(
          countOverlap(
            truth.data,
            Uint8Array.from(logits, (z) => Number(z > level)),
          ),
        );
    }
  }
  const means = sums.map((sum) => sum / inputs.units.length);
  const best = means.indexOf(Math.max(...means));
  const found = {
    threshold: THRESHOLDS[best],
    dice: means[best],
    header: loop.header,
    tried: THRESHOLDS,
    means,
  };
  await writeFileAtomic(
    controlPath(run.paths.checkpoints, 'threshold'),
    `${JSON.stringify(found, null, 2)}\n`,
  );
}

export const CONTROLS: Readonly<Record<ControlName, ControlSpec>> = {
  continued: {
    title: 'stage 1 continued',
    kind: 'rival',
    question: 'Would as many further steps of stage 1 on the labelled images have done the same?',
    needsTruth: false,
    run: async (context, inputs, loop) => {
      const { config } = context;
      const { workspace, stage1 } = inputs;
      const data = await stage1Data(context, workspace, 'labelled');
      const { batchSize, learningRate } = config.alignment;
      const training = {
        ...config.training,
        steps: loop.totalSteps,
        batchSize,
        learningRate,
        schedule: 'constant' as const,
        warmUpSteps: 0,
        ema: 0,
        earlyStopping: { ...config.training.earlyStopping, patienceEpochs: 0 },
      };
      await finetune({
        ...stage1Options(context, workspace, stage1.sam, data),
        config: training,
        trainable: selectTrainable(stage1.sam, stage1Scope(config)),
        stream: 'control continued',
        loop,
      });
    },
  },
  'best-only': {
    title: 'best-ranked candidate as target',
    kind: 'rival',
    question: 'Is the order needed, or would the winner of each ranking alone have been enough?',
    needsTruth: true,
    run: async (context, inputs, loop) => {
      const annotator = await virtualAnnotator(inputs, context);
      const folder = join(context.run.paths.proposals, 'control-best-only');
      const judgedOf = judgedRounds(
        context,
        {
          annotator,
          store: null,
          proposalsOf: (round) =>
            roundProposals(context, inputs, round.units, round.index, loop.header, folder),
        },
        () => {},
      );
      await towardsTargets(context, inputs, loop, async (round) => winnersOf(await judgedOf(round), round));
    },
  },
  threshold: {
    title: 'best single threshold',
    kind: 'rival',
    question:
      'Is the gain only a better threshold? Found with the masks of the unlabelled images, without training.',
    needsTruth: true,
    run: bestThreshold,
  },
  ceiling: {
    title: 'ground truth of the ranked images',
    kind: 'ceiling',
    question:
      'How much is there to gain at most by training the same weights on the masks of the same images?',
    needsTruth: true,
    run: async (context, inputs, loop) => {
      await hiddenTruth(inputs, context.signal);
      const { cache } = inputs.workspace;
      await towardsTargets(context, inputs, loop, async ({ units }) =>
        units
          .map((unit) => ({ unit, target: cache.mask(unit.caseId, unit.classId) }))
          .filter(({ target }) => target.data.includes(1)),
      );
    },
  },
};

/** Runs one control, or finds it done. What there is to say of prompts and texts, `alignJob` has said. */
export async function controlJob(
  { warn: _, ...rest }: JobContext,
  name: ControlName,
  options: GeneratorChoice & { readonly restart?: boolean } = {},
): Promise<{ path: string; resumed: boolean }> {
  const context = { ...rest, warn: () => {} };
  const { run, config, signal } = context;
  const inputs = await loadStage2Inputs(context, options);
  const sections = [...new Set([...STAGE1_SECTIONS, ...STAGE2_SECTIONS])];
  const restart = options.restart ?? false;
  const stage = await run.enterStage(`control ${name}`, config, {
    sections,
    madeFrom: inputs.madeFrom,
    restart,
  });
  const path = controlPath(run.paths.checkpoints, name);
  const statePath = join(run.paths.checkpoints, `control-${name}.state.safetensors`);
  if (restart) rmSync(statePath, { force: true });
  const { sam } = inputs.stage1;
  if (!(stage.finished && existsSync(path))) {
    await CONTROLS[name].run(context, inputs, {
      name,
      label: name,
      totalSteps: alignSteps(config.alignment, inputs.units.length),
      statePath,
      header: stage.header,
      rerun: `maskrank align --run ${run.dir} --restart`,
      metrics: null,
      signal,
      onProgress: (done, total, note) => context.onProgress(`control ${name}`, done, total, note),
    });
    sam.eval();
    const recipe = recipeOf(inputs.workspace, config, inputs.texts);
    if (name !== 'threshold') await saveModel(path, sam, recipe, stage.header);
    await run.finishStage(`control ${name}`);
  }
  sam.dispose();
  return { path, resumed: stage.resumed };
}

/** The threshold that the control found. */
export function controlThreshold(checkpoints: string): number {
  const found = readJson(controlPath(checkpoints, 'threshold'), 'result of the threshold control') as {
    threshold: number;
  };
  return found.threshold;
}
