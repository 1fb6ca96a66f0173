// Stage 2: the decoder (or the whole model) follows an objective in rounds. At each round the reference becomes the policy of
// the moment and the objective is asked anew: that is what makes refreshing pay (the sigmoid saturates on a fixed reference).
// Exactly resumable. Knows nothing of ground truth: objectives and annotators do. Not here: reading files, controls' targets.

import { type nn, noGrad, optim, type Tensor, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { Config } from '../run/config.ts';
import { descend, lossNumbers } from '../training/descend.ts';
import { type LoopOptions, runLoop, type StepReport } from '../training/loop.ts';
import { batchOf, seedEngine } from '../training/streams.ts';
import { copies, copyInto } from '../training/weights.ts';
import { type Alarm, stepAlarms } from './alarms.ts';
import type { Active, Objective } from './objectives/objective.ts';
import { type AlignUnit, decodeUnits, type PolicyOptions } from './policy.ts';
import { alignRate, roundLength, roundUnits } from './schedule.ts';

export type AlignOptions<A extends Active> = {
  readonly policy: PolicyOptions;
  /** What learns. */
  readonly trainable: readonly (readonly [string, nn.Parameter])[];
  readonly units: readonly AlignUnit[];
  readonly objective: Objective<A>;
  readonly config: Config['alignment'];
  readonly totalSteps: number;
  readonly seed: number;
  /** Name of the random streams: `stage2`, or a control's. */
  readonly stream: string;
  readonly loop: Pick<
    LoopOptions,
    'label' | 'statePath' | 'header' | 'rerun' | 'metrics' | 'signal' | 'onProgress'
  >;
  readonly onAlarm: (alarm: Alarm, step: number) => void;
};

/** Steps over which the alarms average. */
const ALARM_WINDOW = 20;

/** Runs stage 2 to its end; returns the steps done. The model then holds the policy. */
export async function align<A extends Active>(options: AlignOptions<A>): Promise<{ steps: number }> {
  const { policy, config, totalSteps, seed, stream, objective, units } = options;
  const { sam } = policy;
  const trained = new Map<string, Tensor>(options.trainable);
  const optimizer = new optim.Adam(options.trainable, { learningRate: config.learningRate });
  const reference = copies(trained);
  const rate = alignRate(config, totalSteps);
  const length = roundLength(config, totalSteps);
  const refreshed = length < totalSteps;
  let recent: Readonly<Record<string, number>>[] = [];
  let round = -1;
  let active: readonly A[] = [];

  const withReference = <T>(body: () => T): T => {
    const current = copies(trained);
    copyInto(trained, reference);
    try {
      return body();
    } finally {
      copyInto(trained, current);
      for (const tensor of current.values()) tensor.dispose();
    }
  };

  /** False where a resumed run enters a round in its middle. */
  const startsRound = (step: number): boolean => step % length === 0;

  const beginRound = async (step: number, keep: () => Promise<void>): Promise<void> => {
    round = Math.floor(step / length);
    if (startsRound(step)) {
      // Proposals take long, and a person's judgements longer: the steps before them stay done, whatever happens.
      if (step > 0) await keep();
      recent = [];
      if (step > 0) moveReference(reference, trained, config.refresh.resync);
    }
    sam.eval();
    active = await objective.begin(
      { index: round, units: roundUnits(units, round, config, seed), signal: options.loop.signal },
      withReference,
    );
    if (active.length === 0)
      throw new UsageError(
        `stage 2, round ${round}: no unit has a signal to learn from; see the round's counts above.`,
      );
  };

  const watch = (facts: Readonly<Record<string, number>>, step: number): boolean => {
    recent.push(facts);
    if (recent.length > ALARM_WINDOW) recent.shift();
    if (recent.length < ALARM_WINDOW) return false;
    const mean = (name: string): number =>
      recent.reduce((sum, f) => sum + (f[name] ?? Number.NaN), 0) / recent.length;
    const alarms = stepAlarms(
      { rewardAbs: mean('rewardAbs'), regionShift: mean('regionShift') },
      config.alarms,
      refreshed,
    );
    for (const alarm of alarms) options.onAlarm(alarm, step);
    return alarms.some((alarm) => alarm.fatal);
  };

  const takeStep = async (step: number, keep: () => Promise<void>): Promise<StepReport> => {
    const start = performance.now();
    if (Math.floor(step / length) !== round) await beginRound(step, keep);
    const chosen = batchOf(
      seed,
      `${stream}/round ${round}`,
      step - round * length,
      Math.min(config.batchSize, active.length),
      active.length,
    ).map((i) => active[i] as A);
    seedEngine(seed, stream, step);
    optimizer.scaleLearningRate(rate(step));
    const data = performance.now() - start;
    const { losses, facts, ms } = tidy(() => update(options, chosen, step, optimizer, trained));
    return {
      losses,
      ms: { data, ...ms },
      images: chosen.length,
      learningRate: config.learningRate * rate(step),
      epoch: ((step + 1) * config.batchSize) / units.length,
      extra: {
        ...facts,
        activeShare: active.length / Math.max(1, roundUnits(units, round, config, seed).length),
        round,
        ...(startsRound(step) ? { refreshed: true } : {}),
      },
      stop: watch(facts, step),
    };
  };

  try {
    const steps = await runLoop(
      {
        ...options.loop,
        stage: 'stage2',
        totalSteps,
        state: { parameters: trained, optimizer, extra: { reference } },
        checkpointEverySteps: config.checkpointEverySteps,
        logEverySteps: config.logEverySteps,
        facts: () => ({ recent }),
        onRestore: (facts) => {
          recent = (facts.recent as typeof recent | undefined) ?? [];
        },
      },
      takeStep,
    );
    return { steps };
  } finally {
    optimizer.disposeState();
    for (const tensor of reference.values()) tensor.dispose();
  }
}

/** reference = share * policy + (1 - share) * reference. */
function moveReference(
  reference: ReadonlyMap<string, Tensor>,
  policy: ReadonlyMap<string, Tensor>,
  share: number,
): void {
  if (share === 1) {
    copyInto(reference, policy);
    return;
  }
  tidy(() =>
    noGrad(() => {
      for (const [name, tensor] of reference) tensor.mul_(1 - share).add_(policy.get(name) as Tensor, share);
    }),
  );
}

function update<A extends Active>(
  { policy, objective, config }: AlignOptions<A>,
  chosen: readonly A[],
  step: number,
  optimizer: optim.Adam,
  trained: ReadonlyMap<string, Tensor>,
): { losses: Record<string, number>; facts: Readonly<Record<string, number>>; ms: Record<string, number> } {
  const start = performance.now();
  const batch = decodeUnits(
    policy,
    chosen.map((a) => a.unit),
  );
  const { total, parts, facts } = objective.loss(chosen, batch, step);
  const ms = descend(total, { optimizer, trained, gradClip: config.gradClip }, start);
  return { losses: lossNumbers({ ...parts, total }), facts, ms };
}
