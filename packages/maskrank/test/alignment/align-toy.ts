// Runs of stage 2 on a toy: eight units, truth that the virtual annotator holds, proposals in rounds that are kept on disk.

import { join } from 'node:path';
import type { Alarm } from '../../src/alignment/alarms.ts';
import { align } from '../../src/alignment/align.ts';
import { OracleAnnotator } from '../../src/alignment/annotators/oracle.ts';
import { LiveEmbeddings } from '../../src/alignment/embedding-source.ts';
import { type Judged, judge } from '../../src/alignment/objectives/judging.ts';
import { labelAnchor } from '../../src/alignment/objectives/labels.ts';
import type { Active, Objective, Round } from '../../src/alignment/objectives/objective.ts';
import { preferenceObjective } from '../../src/alignment/objectives/preference.ts';
import type { PolicyOptions } from '../../src/alignment/policy.ts';
import { propose, readRound, roundPath, writeRound } from '../../src/alignment/proposals/round.ts';
import { selectTrainable } from '../../src/models/lora.ts';
import type { Sam } from '../../src/models/sam/index.ts';
import type { Config } from '../../src/run/config.ts';
import { MetricsLog } from '../../src/run/metrics.ts';
import { type Ends, newFolders, toyLoop } from '../training/toy-loop.ts';
import { snapshot, toyAlignment, toyInput, toyPolicy, toySam, toyTruth, toyUnits } from './toy.ts';

export const fresh = newFolders('align');

export const units = toyUnits(8);
export const header = { schemaVersion: 1, configHash: 'c0', madeFrom: { 'checkpoint stage1': 's0' } };
export const STEPS = 9;
const base = {
  batchSize: 3,
  learningRate: 3e-3,
  checkpointEverySteps: 1000,
  logEverySteps: 1,
  refresh: { everySteps: 4 },
  skip: { minRegionPx: 1, maxRegionFraction: 1 },
};
export type Changes = Parameters<typeof toyAlignment>[0];
export const configOf = (change: Changes = {}) => toyAlignment({ ...base, ...change });

/** Judged proposals of a round as the pipeline has them: from the folder, else made and written there. */
export function judgedIn(folder: string, policy: PolicyOptions, config: Config['alignment']) {
  const annotator = new OracleAnnotator({
    kind: 'ranking',
    noise: 0,
    randomOrders: 0,
    ratingBins: [0.4, 0.55, 0.7],
    seed: 1,
    truth: toyTruth,
  });
  return async (round: Round): Promise<readonly Judged[]> => {
    const path = roundPath(folder, round.index);
    const there = await readRound(path, { header, rerun: 'align' });
    const proposals =
      there?.proposals ??
      propose(round.units, {
        policy,
        options: config.proposals,
        round: round.index,
        seed: 1,
        signal: round.signal,
      });
    if (there === undefined) await writeRound(path, proposals, header, {});
    const { judged } = judge(proposals, {
      annotator,
      store: null,
      round: round.index,
      betas: config.loss,
      skip: config.skip,
    });
    return judged;
  };
}

export type RunOptions = Ends & {
  readonly folder?: string;
  readonly change?: Changes;
  readonly totalSteps?: number;
  readonly live?: boolean;
  /** Weight of the loss on labelled cases. */
  readonly labels?: number;
  readonly wrap?: <A extends Active>(objective: Objective<A>, sam: Sam) => Objective<A>;
};

export const trainables = (sam: Sam, config: Config['alignment']): ReturnType<typeof selectTrainable> =>
  selectTrainable(sam, config.scope === 'decoder' ? 'decoder' : 'all');

const labelled = toyUnits(12).slice(8);
const anchorTo = (of: typeof labelled, policy: PolicyOptions, weight: number) =>
  labelAnchor({
    policy,
    units: of,
    target: (unit) => toyTruth(unit.caseId),
    loss: { scope: 'mask' },
    batchSize: 3,
    weight,
    seed: 1,
  });

export async function run(o: RunOptions = {}) {
  const { folder = fresh(), totalSteps = STEPS } = o;
  const config = configOf(o.change);
  const sam = toySam();
  const live = new LiveEmbeddings(sam, new Map(units.map(({ caseId }) => [caseId, toyInput(caseId)])));
  const policy = o.live === true ? toyPolicy(sam, live) : toyPolicy(sam);
  const objective = preferenceObjective({
    policy,
    loss: config.loss,
    anchor: config.anchor.reference,
    judgedOf: judgedIn(folder, policy, config),
    ...(o.labels === undefined ? {} : { labels: anchorTo(labelled, policy, o.labels) }),
  });
  const alarms: [Alarm['kind'], number][] = [];
  const metrics = MetricsLog.open(join(fresh(), 'metrics.jsonl'));
  let failure: unknown;
  let steps = -1;
  try {
    const done = await align({
      policy,
      trainable: trainables(sam, config),
      units,
      objective: o.wrap?.(objective, sam) ?? objective,
      config,
      totalSteps,
      seed: 1,
      stream: 'stage2',
      loop: { ...toyLoop(folder, metrics, o), header, rerun: 'align --restart' },
      onAlarm: ({ kind }, step) => alarms.push([kind, step]),
    });
    steps = done.steps;
  } catch (error) {
    failure = error;
  }
  const lines = metrics.entries();
  metrics.close();
  const weights = snapshot(sam);
  sam.dispose();
  return { folder, steps, weights, lines, alarms, failure };
}

export const losses = ({ lines }: { lines: Awaited<ReturnType<typeof run>>['lines'] }) =>
  lines.map((line) => line.losses?.preference as number);
