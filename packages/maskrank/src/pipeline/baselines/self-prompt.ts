// Baseline: Self-prompt (SAM-SP, Zhou 2024), a SAM with low-rank updates that prompts itself. At test it sees the image alone. Every class
// has a learned token, so one network answers for all; classes that are not in a labelled image are asked for as well, up to as often
// as those that are, or it would find every class everywhere. Not here: the two answers (training/self-prompt.ts).

import { nn } from '@maskrank/torch';
import { isTrained, selectTrainable } from '../../models/lora.ts';
import { NO_PROMPT, type Prompt } from '../../prompting/prompt.ts';
import type { Config } from '../../run/config.ts';
import type { TrainingCase } from '../../training/batch.ts';
import { classFeature, SelfPromptSam, updateBoth } from '../../training/self-prompt.ts';
import { finetune } from '../../training/stage1.ts';
import { unitKey } from '../../training/units.ts';
import { type Stage1Data, stage1Data, stage1Options, stage1Validation } from '../finetune.ts';
import { startingModel } from '../model.ts';
import type { UnitTexts } from '../text.ts';
import { maxBoxes, splitIds, type Workspace } from '../workspace.ts';
import type { BaselineMethod, BaselineSetting, OpenRun } from './method.ts';
import * as shared from './promptable.ts';

const keys = ({ baselines: { selfPrompt } }: Config): shared.OwnKeys => ({
  ...selfPrompt,
  prompts: { labelled: 'none', test: 'none', use: [] },
});

/** The run's data for a network that is told a class where others are told a text. */
function told({ workspace, classIds: { length: dim } }: BaselineSetting): Workspace {
  const architecture = { ...workspace.architecture, textDim: dim };
  return { ...workspace, architecture, layout: { points: 0, boxes: 0, text: { tokens: 1, dim } } };
}

/** Each class's name to the network. */
function classTexts({ classes }: Workspace): UnitTexts {
  const places = new Map(classes.map(({ id }, place) => [id, classFeature(place, classes.length)]));
  return { model: 'classes', of: (_, classId) => places.get(classId) as ReturnType<UnitTexts['of']> };
}

/** All classes of a case, those that are in it repeated where the others are more: a class is drawn from this list. */
function balanced(caseId: string, present: readonly number[], all: readonly number[]): TrainingCase {
  const absent = all.filter((id) => !present.includes(id));
  const times = Math.max(1, Math.ceil(absent.length / Math.max(1, present.length)));
  return { caseId, classIds: [...absent, ...Array.from({ length: times }, () => present).flat()] };
}

/** Labelled cases, asked for by class alone. */
async function dataOf(
  { context, workspace }: OpenRun,
  split: 'labelled' | 'validation',
): Promise<Stage1Data> {
  const data = await stage1Data(context, workspace, split);
  return { ...data, given: () => ({ boxes: [], points: [] }), texts: classTexts(workspace) };
}

export const selfPrompt: BaselineMethod<SelfPromptSam> = {
  name: 'self-prompt',
  title: 'Self-prompt (SAM-SP)',
  sections: ['model', 'training', 'prompts.maxBoxes', 'baselines.selfPrompt'],
  view: (config) => shared.viewOf(config, keys(config)),
  relation: 'overlapping',
  check: (config) => shared.checkWeights(config, 'selfPrompt'),
  steps: (config, cases) => shared.tuningSteps(shared.configOf(config, keys(config)), cases),
  madeFrom: shared.madeFrom,
  prepare: async (setting) => {
    const { config, context } = setting;
    const workspace = told(setting);
    const own = config.baselines.selfPrompt;
    const maxRegions = Math.max(...workspace.classes.map((cls) => maxBoxes(config, cls)));
    using start = await startingModel(workspace, config, context.warn, { text: 'fresh' });
    const sam = new SelfPromptSam(start.config, { use: own.use, maxRegions });
    nn.loadStateDict(sam, start.stateDict());
    sam.image_encoder.mode.adapterScale = start.image_encoder.mode.adapterScale;
    return shared.withLora(sam, setting, own);
  },
  learns: (name) => isTrained('lora', name),
  train: async (sam, setting, loop) => {
    const { context } = setting;
    const workspace = told(setting);
    const data = await dataOf(setting, 'labelled');
    const present = new Map(data.cases.map(({ caseId, classIds }) => [caseId, classIds]));
    const options = stage1Options(context, workspace, sam, data);
    return finetune({
      ...options,
      ...(await stage1Validation(context, workspace, sam, () => dataOf(setting, 'validation'))),
      cases: splitIds(workspace, context.config, 'labelled').map((id) =>
        balanced(id, present.get(id) ?? [], setting.classIds),
      ),
      batch: { ...options.batch, noPromptProbability: 0 },
      trainable: selectTrainable(sam, 'lora'),
      update: updateBoth(sam, setting.config.baselines.selfPrompt),
      loop,
    });
  },
  predict: shared.noScores('self-prompt'),
  masks: async function* (sam, cases, setting) {
    const { context } = setting;
    const workspace = told(setting);
    const own: Prompt = { ...NO_PROMPT, source: 'self' };
    const units = shared.unitsOf(workspace, cases);
    const prompts = new Map(units.map(({ caseId, classId }) => [unitKey(caseId, classId), own]));
    const embeddings = await shared.embed(sam, cases, { ...setting, workspace });
    const asked = { prompts, embeddings, texts: classTexts(workspace) };
    yield* shared.promptedMasks(sam, cases, { context, workspace }, asked);
  },
};
