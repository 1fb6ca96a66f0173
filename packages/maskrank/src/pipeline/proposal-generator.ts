// Which generator makes a job's proposals: the one that the configuration names, or one's own, given by value. A run that was
// begun with one's own goes on with that alone, by its name. Not here: the generators (alignment/proposals/generators.ts).

import { UsageError } from '@maskrank/torch/errors';
import {
  type CandidateGenerator,
  GENERATORS,
  type GeneratorName,
  generatorName,
} from '../alignment/proposals/generators.ts';
import type { Config } from '../run/config.ts';

/** A proposal generator of one's own, for jobs. */
export type OwnGenerator = {
  /**
   * What it is called in the run's record, in its proposals and in the report. A run is refused to go on with another: change
   * the name when the generator changes.
   */
  readonly name: string;
  readonly generate: CandidateGenerator;
  /** It calls `context.embedView`: then all images are held in memory. Default false. */
  readonly needsViews?: boolean;
};

export type GeneratorChoice = {
  /** A function in place of what `alignment.proposals.generator` names; a bare one goes by its own name. */
  readonly generator?: CandidateGenerator | OwnGenerator;
};

/** A generator as the parts of stage 2 take it. */
export type ResolvedGenerator = {
  readonly name: string;
  readonly make: GeneratorName | CandidateGenerator;
  readonly needsViews: boolean;
  /** One's own: its name is part of what everything of stage 2 was made from. */
  readonly isOwn: boolean;
};

/** @throws UsageError when one's own has no name, or that of one that comes with maskrank */
export function resolveGenerator(config: Config, { generator }: GeneratorChoice): ResolvedGenerator {
  if (generator === undefined) {
    const name = config.alignment.proposals.generator;
    return { name, make: name, needsViews: name === 'views', isOwn: false };
  }
  const own: OwnGenerator =
    typeof generator === 'function' ? { name: generatorName(generator), generate: generator } : generator;
  const isNamed = own.name.trim() !== '' && (typeof generator !== 'function' || generator.name !== '');
  if (!isNamed || own.name in GENERATORS)
    throw new UsageError(
      `proposal generator: it is called '${isNamed ? own.name : ''}'; allowed: a name of its own, which is none of ${Object.keys(GENERATORS).join(', ')}. Give { name, generate }.`,
    );
  return { name: own.name, make: own.generate, needsViews: own.needsViews ?? false, isOwn: true };
}
