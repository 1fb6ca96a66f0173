// The job of `maskrank align`: stage 2 in rounds of proposals and judgements, to RUN/checkpoints/stage2.safetensors; and of
// `maskrank propose` and `maskrank rate`, which do the first round's proposals and judgements alone.

import { existsSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { type Alarm, roundAlarms } from '../alignment/alarms.ts';
import { align } from '../alignment/align.ts';
import { type Judged, judge, type RoundCounts } from '../alignment/objectives/judging.ts';
import { type LabelAnchor, labelAnchor } from '../alignment/objectives/labels.ts';
import type { Active, Objective, Round } from '../alignment/objectives/objective.ts';
import { preferenceObjective } from '../alignment/objectives/preference.ts';
import { targetObjective, winnersOf } from '../alignment/objectives/target.ts';
import { makeRound } from '../alignment/proposals/resumable.ts';
import { type Proposal, readRound, roundPath } from '../alignment/proposals/round.ts';
import { openRatings, type RatingLine } from '../alignment/ratings.ts';
import { alignSteps, roundUnits } from '../alignment/schedule.ts';
import { fileHash } from '../datasets/hash.ts';
import { selectTrainable } from '../models/lora.ts';
import type { ConfigSection } from '../run/config.ts';
import type { ArtefactHeader } from '../run/header.ts';
import type { JsonlStore } from '../run/jsonl.ts';
import { MetricsLog } from '../run/metrics.ts';
import { lossOptionsOf } from '../training/stage1.ts';
import { embedCases } from './embed.ts';
import { recipeOf, saveModel } from './model.ts';
import { ensurePrompts, makePrompts } from './prompts.ts';
import type { GeneratorChoice } from './proposal-generator.ts';
import {
  type AnnotatorKind,
  embeddingSource,
  loadStage2Inputs,
  makeAnnotator,
  type Stage2Inputs,
  viewEmbedder,
} from './stage2-inputs.ts';
import { loadTexts } from './text.ts';
import { byId, promptedUnits } from './units.ts';
import { type JobContext, loadLabelled, presentUnits, promptSource, splitIds } from './workspace.ts';

/** Sections of the configuration that shape stage 2. */
export const STAGE2_SECTIONS: readonly ConfigSection[] = ['data', 'prompts', 'alignment', 'scoring'];

export type RoundSummary = RoundCounts & {
  readonly round: number;
  readonly units: number;
  readonly medianRegionPx: number;
};

export type AlignJobOptions = GeneratorChoice & {
  readonly restart?: boolean;
  /** Who judges; default virtual. */
  readonly annotator?: AnnotatorKind;
};

export type AlignResult = {
  readonly checkpoint: string;
  readonly hash: string;
  readonly steps: number;
  readonly units: number;
  readonly rounds: readonly RoundSummary[];
  readonly alarms: readonly string[];
  readonly resumed: boolean;
};

/** A person has not judged enough yet; nothing is lost, and the same command goes on when they have. */
export class RatingsNeeded extends DataError {}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Proposals of a round: from the run's folder where they are, else made with the policy as it stands and written there. */
export async function roundProposals(
  context: JobContext,
  inputs: Stage2Inputs,
  units: Round['units'],
  index: number,
  header: ArtefactHeader,
  folder: string = context.run.paths.proposals,
): Promise<Proposal[]> {
  const { run, config, signal, onProgress } = context;
  await mkdir(folder, { recursive: true });
  const path = roundPath(folder, index);
  const rerun = `maskrank align --run ${run.dir} --restart`;
  const there = await readRound(path, { header, rerun });
  if (there !== undefined) return there.proposals;
  const embedViews = await viewEmbedder(inputs);
  const { name, make } = inputs.generator;
  return makeRound(
    path,
    units,
    {
      policy: inputs.policy,
      options: { ...config.alignment.proposals, generator: make },
      round: index,
      seed: config.seed,
      signal,
      onProgress: (done, total) => onProgress(`propose round ${index}`, done, total),
      ...(embedViews === undefined ? {} : { embedViews }),
    },
    header,
    { round: index, generator: name },
  );
}

function summarise(index: number, proposals: readonly Proposal[], counts: RoundCounts): RoundSummary {
  return {
    round: index,
    units: proposals.length,
    medianRegionPx: median(proposals.map((p) => p.regionPx)),
    ...counts,
  };
}

const betasOf = ({ config }: JobContext) => config.alignment.loss;

type StageStart = {
  readonly inputs: Stage2Inputs;
  readonly header: ArtefactHeader;
  readonly resumed: boolean;
  readonly finished: boolean;
};

async function enterStage2(
  context: JobContext,
  restart: boolean,
  choice: GeneratorChoice,
): Promise<StageStart> {
  const inputs = await loadStage2Inputs(context, choice);
  const stage = await context.run.enterStage('stage2', context.config, {
    sections: STAGE2_SECTIONS,
    madeFrom: inputs.madeFrom,
    restart,
  });
  if (restart) {
    rmSync(context.run.paths.proposals, { recursive: true, force: true });
    rmSync(statePath(context), { force: true });
  }
  return { inputs, header: stage.header, resumed: stage.resumed, finished: stage.finished };
}

/** One's own generator that the run was begun with, for work that makes no proposals and needs its name alone. */
function generatorOfRun({ run }: JobContext): GeneratorChoice {
  const name = run.record.stages.stage2?.madeFrom.generator;
  if (name === undefined) return {};
  const generate = (): never => {
    throw new UsageError(`${run.dir}: proposals come from '${name}', a function that only its program has.`);
  };
  return { generator: { name, generate } };
}

const statePath = ({ run }: JobContext): string => join(run.paths.checkpoints, 'stage2.state.safetensors');

/** `maskrank propose`: the first round's candidates. */
export async function proposeJob(
  context: JobContext,
  options: GeneratorChoice & { readonly restart?: boolean } = {},
): Promise<{ path: string; units: number; medianRegionPx: number }> {
  const { inputs, header } = await enterStage2(context, options.restart ?? false, options);
  const units = roundUnits(inputs.units, 0, context.config.alignment, context.config.seed);
  const proposals = await roundProposals(context, inputs, units, 0, header);
  inputs.stage1.sam.dispose();
  return {
    path: roundPath(context.run.paths.proposals, 0),
    units: proposals.length,
    medianRegionPx: median(proposals.map((p) => p.regionPx)),
  };
}

/** `maskrank rate`: the virtual annotator's judgements of the newest round of proposals, whichever generator made them. */
export async function rateJob(context: JobContext): Promise<RoundSummary> {
  const { inputs, header } = await enterStage2(context, false, generatorOfRun(context));
  const { run, config } = context;
  let index = 0;
  while (existsSync(roundPath(run.paths.proposals, index + 1))) index += 1;
  const round = await readRound(roundPath(run.paths.proposals, index), {
    header,
    rerun: `maskrank propose --run ${run.dir} --restart`,
  });
  if (round === undefined)
    throw new UsageError(
      `${run.dir}: there are no proposals to judge. Make them: maskrank propose --run ${run.dir}`,
    );
  using store = openRatings(run.paths.ratings, 'close');
  const annotator = await makeAnnotator('virtual', inputs, context, store);
  const { counts } = judge(round.proposals, {
    annotator,
    store,
    round: index,
    betas: betasOf(context),
    skip: config.alignment.skip,
  });
  inputs.stage1.sam.dispose();
  return summarise(index, round.proposals, counts);
}

/** Judged proposals of a round, with its counts reported and its alarms raised. */
export function judgedRounds(
  context: JobContext,
  options: {
    readonly annotator: Awaited<ReturnType<typeof makeAnnotator>>;
    readonly store: JsonlStore<RatingLine> | null;
    readonly proposalsOf: (round: Round) => Promise<Proposal[]>;
  },
  report: (summary: RoundSummary, alarms: readonly Alarm[]) => void,
): (round: Round) => Promise<readonly Judged[]> {
  const { config, run } = context;
  return async (round) => {
    const proposals = await options.proposalsOf(round);
    const { judged, counts } = judge(proposals, {
      annotator: options.annotator,
      store: options.store,
      round: round.index,
      betas: betasOf(context),
      skip: config.alignment.skip,
    });
    const alarms = roundAlarms(counts, config.alignment.alarms);
    report(summarise(round.index, proposals, counts), alarms);
    const fatal = alarms.find((alarm) => alarm.fatal);
    if (fatal !== undefined) throw new UsageError(`stage 2, round ${round.index}: ${fatal.text}`);
    if (counts.unanswered > 0) {
      throw new RatingsNeeded(
        `round ${round.index}: ${counts.unanswered} of ${proposals.length} proposals are not judged yet. Judge them (ratings.jsonl), then give the same command again: maskrank align --run ${run.dir}`,
      );
    }
    return judged;
  };
}

export async function alignJob(context: JobContext, options: AlignJobOptions = {}): Promise<AlignResult> {
  const { run, config, signal } = context;
  const { inputs, header, resumed, finished } = await enterStage2(context, options.restart ?? false, options);
  const checkpoint = run.paths.stage2;
  const totalSteps = alignSteps(config.alignment, inputs.units.length);
  const rounds: RoundSummary[] = [];
  const alarms = new Set<string>();
  if (finished && existsSync(checkpoint)) {
    inputs.stage1.sam.dispose();
    return {
      checkpoint,
      hash: (await fileHash(checkpoint)).sha256,
      steps: totalSteps,
      units: inputs.units.length,
      rounds,
      alarms: [],
      resumed: true,
    };
  }
  using metrics = MetricsLog.open(run.paths.metrics);
  using store = openRatings(run.paths.ratings, options.annotator === 'recorded' ? 'each' : 'close');
  const annotator = await makeAnnotator(options.annotator ?? 'virtual', inputs, context, store);
  const raise = (alarm: Alarm, step: number | null): void => {
    if (alarms.has(alarm.text)) return;
    alarms.add(alarm.text);
    context.warn(`stage 2${step === null ? '' : `, step ${step}`}: ${alarm.text}`);
  };
  const proposalsOf = (round: Round): Promise<Proposal[]> =>
    roundProposals(context, inputs, round.units, round.index, header);
  const judgedOf = judgedRounds(context, { annotator, store, proposalsOf }, (summary, raised) => {
    rounds.push(summary);
    context.note(
      { round: summary },
      `round ${summary.round}: ${summary.active} of ${summary.units} units active, median region ${summary.medianRegionPx} px`,
    );
    for (const alarm of raised) raise(alarm, null);
  });
  const { sam } = inputs.policy;
  const alignTo = <A extends Active>(objective: Objective<A>) =>
    align({
      policy: inputs.policy,
      trainable: selectTrainable(sam, config.alignment.scope === 'decoder' ? 'decoder' : 'all'),
      units: inputs.units,
      objective,
      config: config.alignment,
      totalSteps,
      seed: config.seed,
      stream: 'stage2',
      loop: {
        label: 'stage 2',
        statePath: statePath(context),
        header,
        rerun: `maskrank align --run ${run.dir} --restart`,
        metrics,
        signal,
        onProgress: (done, total, note) => context.onProgress('stage 2', done, total, note),
      },
      onAlarm: raise,
    });
  // The best alone is no preference among four: as in the paper's variant, the decoder learns it as a mask.
  const { steps } =
    config.scoring.kind === 'best'
      ? await alignTo(
          targetObjective({
            policy: inputs.policy,
            loss: lossOptionsOf(config.training),
            targets: async (round) => winnersOf(await judgedOf(round), round),
          }),
        )
      : await alignTo(
          preferenceObjective({
            ...(await labelsAnchor(context, inputs)),
            policy: inputs.policy,
            loss: config.alignment.loss,
            anchor: config.alignment.anchor.reference,
            judgedOf,
          }),
        );
  sam.eval();
  const hash = await saveModel(checkpoint, sam, recipeOf(inputs.workspace, config, inputs.texts), header);
  await run.finishStage('stage2');
  sam.dispose();
  return { checkpoint, hash, steps, units: inputs.units.length, rounds, alarms: [...alarms], resumed };
}

/** The anchor to the labelled cases, where the configuration asks for it. */
async function labelsAnchor(
  context: JobContext,
  { workspace, policy }: Stage2Inputs,
): Promise<{ labels?: LabelAnchor }> {
  const { config, signal } = context;
  const weight = config.alignment.anchor.labels;
  if (weight === 0) return {};
  const cases = await loadLabelled(workspace, splitIds(workspace, config, 'labelled'), signal);
  const cached = await embedCases(cases, 'labelled', policy.sam, workspace, context);
  const units = presentUnits(workspace, cases);
  const source = promptSource(config, 'labelled');
  const inputs = { workspace, config, labelled: byId(cases) };
  const prompts =
    source === 'mask' || source === 'none'
      ? await makePrompts(units, source, inputs, signal)
      : await ensurePrompts(context.run.paths.prompts, units, source, inputs, signal);
  const texts = await loadTexts(context, workspace, units);
  const embeddings = await embeddingSource(config, policy.sam, workspace, cases, cached);
  return {
    labels: labelAnchor({
      policy: { ...policy, embeddings },
      units: promptedUnits(units, prompts, cached, texts),
      target: ({ caseId, classId }) => workspace.cache.mask(caseId, classId),
      loss: lossOptionsOf(config.training),
      batchSize: config.alignment.batchSize,
      weight,
      seed: config.seed,
    }),
  };
}
