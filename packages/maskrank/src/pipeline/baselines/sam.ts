// Baselines: SAM and SAM-Med2D, tuned on the labelled cases as SAMed tunes SAM (Zhang & Liu 2023): low-rank updates of queries and
// values in the image encoder, prompt encoder and mask decoder whole, the rest as it was. They are stage 1 with that scope and
// without text; SAM has no adapters. Prompts, batches and loop are stage 1's.

import { isTrained, selectTrainable, type TrainableScope } from '../../models/lora.ts';
import type { Sam } from '../../models/sam/index.ts';
import type { Config } from '../../run/config.ts';
import { finetune } from '../../training/stage1.ts';
import { stage1Data, stage1Options, stage1Validation } from '../finetune.ts';
import { startingModel } from '../model.ts';
import type { BaselineMethod } from './method.ts';
import * as shared from './promptable.ts';

type Family = {
  readonly name: string;
  readonly title: string;
  readonly section: 'sam' | 'samMed2d';
  /** None, whatever the weights have; left out: as the network has it. */
  readonly adapters?: false;
  readonly scope: (config: Config) => TrainableScope;
};

function tuned({ name, title, section, scope, ...changes }: Family): BaselineMethod<Sam, shared.Asked> {
  const keys = (config: Config) => config.baselines[section];
  return {
    name,
    title,
    sections: [...shared.TUNED_WITH, `baselines.${section}`],
    view: (config) => shared.viewOf(config, keys(config), changes),
    asksWith: ['prompts'],
    relation: 'overlapping',
    check: (config) => shared.checkWeights(config, section),
    storedPrompts: (config) => shared.storedPrompts(shared.configOf(config, keys(config))),
    steps: (config, cases) => shared.tuningSteps(shared.configOf(config, keys(config)), cases),
    madeFrom: shared.madeFrom,
    prepare: async (setting) => {
      const { context, workspace, config } = setting;
      const sam = await startingModel(workspace, config, context.warn);
      return shared.withLora(sam, setting, keys(config));
    },
    learns: (parameter, config) => isTrained(scope(config), parameter),
    train: async (sam, setting, loop) => {
      const { context, workspace } = setting;
      const data = await stage1Data(context, workspace, 'labelled');
      return finetune({
        ...stage1Options(context, workspace, sam, data),
        ...(await stage1Validation(context, workspace, sam)),
        trainable: selectTrainable(sam, scope(setting.config)),
        loop,
      });
    },
    predict: shared.noScores(name),
    masks: shared.promptedMasks,
    prompting: { measured: shared.testPrompts, given: shared.givenPrompts },
  };
}

export const sam = tuned({
  name: 'sam',
  title: 'SAM with LoRA',
  section: 'sam',
  adapters: false,
  scope: () => 'lora',
});

export const samMed2d = tuned({
  name: 'sam-med2d',
  title: 'SAM-Med2D with LoRA',
  section: 'samMed2d',
  scope: ({ baselines }) => (baselines.samMed2d.trainAdapters ? 'lora-and-adapters' : 'lora'),
});
