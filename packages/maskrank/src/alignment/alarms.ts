// Signs of the known failures of preference optimisation on masks, with what to do about each. Pure: numbers in, texts out.

import type { Config } from '../run/config.ts';
import type { RoundCounts } from './objectives/judging.ts';

export type Alarm = {
  readonly kind: 'saturation' | 'runaway' | 'oversized' | 'no-signal';
  readonly text: string;
  /** Going on cannot gain anything, or does harm. */
  readonly fatal: boolean;
};

type AlarmOptions = Config['alignment']['alarms'];

/** Looks at the rewards of recent steps. `refreshed`: new proposals will come, which mends saturation by itself. */
export function stepAlarms(
  facts: { readonly rewardAbs?: number; readonly regionShift?: number },
  options: AlarmOptions,
  refreshed: boolean,
): Alarm[] {
  const alarms: Alarm[] = [];
  const { rewardAbs, regionShift } = facts;
  if (rewardAbs !== undefined && rewardAbs > options.saturationReward && !refreshed) {
    alarms.push({
      kind: 'saturation',
      fatal: options.action === 'stop',
      text: `the mean |R| is ${rewardAbs.toFixed(1)}, above ${options.saturationReward}: the sigmoid gives no gradient any more. Refresh the proposals (alignment.refresh.everySteps), or lower alignment.loss.kappa.`,
    });
  }
  if (regionShift !== undefined && regionShift > options.runawayLogit) {
    alarms.push({
      kind: 'runaway',
      fatal: options.action === 'stop',
      text: `the policy has moved ${regionShift.toFixed(1)} logits from its reference inside the region, above ${options.runawayLogit}: it runs away. Use alignment.loss.reduction = region, an anchor (alignment.anchor.reference), or a lower learning rate.`,
    });
  }
  return alarms;
}

/** Looks at how many units of a round carry a signal. */
export function roundAlarms(counts: RoundCounts, options: AlarmOptions): Alarm[] {
  const total = counts.active + counts.identical + counts.oversized + counts.undecided + counts.unanswered;
  const alarms: Alarm[] = [];
  if (total > 0 && counts.oversized / total > options.oversizedFraction) {
    alarms.push({
      kind: 'oversized',
      fatal: options.action === 'stop',
      text: `${counts.oversized} of ${total} units were left out because their candidates differ in too large a part of the image: the model is too uncertain for this generator. Use alignment.proposals.generator = dropout, or train stage 1 longer.`,
    });
  }
  if (total > 0 && counts.active === 0 && counts.unanswered === 0) {
    alarms.push({
      kind: 'no-signal',
      fatal: true,
      text: `no unit carries a signal (${counts.identical} with identical candidates, ${counts.oversized} oversized, ${counts.undecided} undecided). Use a more diverse generator (wide, diverse), or stop here: there is nothing left to rank.`,
    });
  }
  return alarms;
}
