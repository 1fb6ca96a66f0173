// Training of a promptable model from random weights; of some steps rounds of corrective clicks follow the first prompts.
// Not here: the loop (pretraining.ts), one step (update.ts), what is asked and how (batch.ts), reading data and judging (pipeline).

import type { Sam } from '../../models/sam/index.ts';
import type { Config } from '../../run/config.ts';
import type { MetricsLine } from '../../run/metrics.ts';
import { toTensors } from '../batch.ts';
import { type PretrainingLoop, runPretraining } from '../pretraining.ts';
import { makePromptableBatch, type PromptableBatchOptions } from './batch.ts';
import type { PromptableCase } from './cases.ts';
import { type Judge, judgeBest, judgeExpected } from './heads.ts';
import { type UpdateOptions, updateOn } from './update.ts';

const JUDGES: Readonly<Record<Config['samPretraining']['learns'], Judge>> = {
  expected: judgeExpected({ scope: 'mask' }),
  best: judgeBest({ scope: 'mask' }),
};

export type PromptableOptions = {
  readonly sam: Sam;
  readonly cases: readonly PromptableCase[];
  readonly batch: PromptableBatchOptions;
  readonly config: Config['samPretraining'];
  readonly seed: number;
  readonly device: string;
  /** Fields of a metrics line from the validation cases, asked of the averaged weights. */
  readonly validate?: () => Promise<Partial<MetricsLine>>;
  readonly loop: PretrainingLoop;
};

/** Trains to the end; returns the steps done. The model then holds the averaged weights. */
export async function trainPromptable(options: PromptableOptions): Promise<number> {
  const { sam, config, validate, device } = options;
  return await runPretraining({
    items: options.cases,
    named: [...sam.namedParameters()],
    settings: config,
    seed: options.seed,
    makeBatch: (chosen, random) => makePromptableBatch(chosen, options.batch, random),
    learn: (batch, learner, random) => {
      sam.train();
      sam.mask_decoder.dropoutP = config.decoderDropout;
      const rounds = random.fork('rounds').chance(config.clickShare) ? config.clickRounds : 0;
      const judge = JUDGES[config.learns];
      const update: UpdateOptions = { sam, ...learner, judge, rounds, precision: 'float32', device };
      const updated = updateOn(toTensors(batch, batch.layout, device), update, random);
      sam.mask_decoder.dropoutP = 0;
      return updated;
    },
    ...(validate && { validation: { everySteps: config.validateEverySteps, judge: validate } }),
    loop: options.loop,
  });
}
