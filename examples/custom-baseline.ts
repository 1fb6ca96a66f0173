// A baseline of one's own in one file: self-training. A U-Net learns the labelled images and paints the unlabelled ones; a second
// one learns both. Splits, classes, resuming, measuring and the table are the job's. Needs a run: `maskrank finetune` makes one,
// or `maskrank baseline unet`. Run: node scripts/example.mjs custom-baseline RUN

import { fileURLToPath } from 'node:url';
import { nn } from '@maskrank/torch';
import * as mr from 'maskrank';

export const selfTraining: mr.BaselineMethod<mr.Unet> = {
  name: 'self-training',
  title: 'Self-training',
  sections: ['baselines.unet'],
  prepare: mr.unet.prepare,
  predict: mr.unet.predict,
  train: async (network, setting, loop) => {
    const options = await mr.supervisedOptions(setting, setting.config.baselines.unet, loop);
    await mr.trainSupervised({ ...options, network, loop: mr.loopOf(loop, 'teacher') });
    const unlabelled = await setting.unlabelled();
    const painted = unlabelled.map((sample) => ({
      ...sample,
      masks: mr.paintedMasks(selfTraining, network, sample, setting),
    }));
    using fresh = await mr.unet.prepare(setting);
    nn.loadStateDict(network, fresh.stateDict()); // the second one starts where the first did
    return mr.trainSupervised({ ...options, network, samples: [...options.samples, ...painted] });
  },
};

/** Trains and measures a method in a run, beside what was measured there. */
export const addToRun = (run: string, method: mr.BaselineMethod<mr.Unet>): Promise<mr.BaselineResult> =>
  mr.inRun(run, (job) => mr.baselineJob(job, method, undefined));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { evaluation } = await addToRun(process.argv[2] ?? 'run', selfTraining);
  for (const { key, title } of evaluation.stages)
    console.log(title, evaluation.summary[key]?.all?.perImage.dice?.mean?.toFixed(3));
}
