// When stage 2 refreshes its proposals, and which units take part when. Pure functions of the configuration.

import type { Config } from '../run/config.ts';
import { Random } from '../util/random.ts';

type Alignment = Config['alignment'];

/** Steps of a stage 2 over `units` cases and classes. */
export function alignSteps(config: Alignment, units: number): number {
  if (config.steps !== null) return config.steps;
  const wanted = Math.max(config.minSteps, config.epochs * Math.ceil(units / config.batchSize));
  return Math.min(wanted, config.maxSteps ?? Number.POSITIVE_INFINITY);
}

/** Steps of one round: between two refreshes, an equal part of the whole for disjoint rounds, everything offline. */
export function roundLength(config: Alignment, totalSteps: number): number {
  const { everySteps, rounds, roundCount } = config.refresh;
  if (rounds === 'disjoint') return Math.ceil(totalSteps / roundCount);
  return everySteps > 0 ? everySteps : totalSteps;
}

/** The units of a round: all of them, or for disjoint rounds its own part of a seeded partition (no more parts than units: no round is empty). */
export function roundUnits<U>(
  units: readonly U[],
  round: number,
  config: Alignment,
  seed: number,
): readonly U[] {
  const { rounds, roundCount } = config.refresh;
  if (rounds !== 'disjoint') return units;
  const parts = Math.min(roundCount, units.length);
  const order = new Random(`${seed}/stage2/partition`).shuffle(units.map((_, i) => i));
  return order
    .filter((_, place) => place % parts === round % parts)
    .sort((a, b) => a - b)
    .map((i) => units[i] as U);
}

/** Factor on the learning rate: halved `halvings` times at equal distances. */
export function alignRate(config: Alignment, totalSteps: number): (step: number) => number {
  return (step) => 0.5 ** Math.floor((step * (config.halvings + 1)) / totalSteps);
}
