// What stage 2 minimises. An objective is told when a round begins, says which units have a signal, and gives the loss of a
// batch of them. Eq. (5) is one (preference.ts); the controls that a gain is measured against are others (target.ts).

import type { Tensor } from '@maskrank/torch';
import type { AlignUnit, DecodedBatch } from '../policy.ts';

/** A unit with a signal in this round. */
export type Active = { readonly unit: AlignUnit };

export type Round = {
  /** From 0. */
  readonly index: number;
  readonly units: readonly AlignUnit[];
  readonly signal: AbortSignal;
};

export type ObjectiveLoss = {
  readonly total: Tensor;
  /** Unweighted parts, for the log. */
  readonly parts: Readonly<Record<string, Tensor>>;
  /** Rewards and the like, for the log and the alarms. */
  readonly facts: Readonly<Record<string, number>>;
};

export type Objective<A extends Active = Active> = {
  /** Runs with the reference's weights at hand through `withReference`; returns the units that take part. */
  readonly begin: (round: Round, withReference: <T>(body: () => T) => T) => Promise<readonly A[]>;
  /** `step` counts the stage's updates from 0: what is drawn at random is drawn from a stream named by it. */
  readonly loss: (active: readonly A[], batch: DecodedBatch, step: number) => ObjectiveLoss;
};
