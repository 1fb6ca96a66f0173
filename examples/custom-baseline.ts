// A baseline of one's own in one file: the Π-model (Laine and Aila 2017). A U-Net learns the labelled images, and to say the same of any
// image of the run whatever happens to its grey values. Splits, classes, resuming, measuring and the table are the job's. Needs a run
// with unlabelled cases: `maskrank finetune` makes one, or `maskrank baseline unet`. Run: node scripts/example.mjs custom-baseline RUN

import { fileURLToPath } from 'node:url';
import * as mr from 'maskrank';

export const piModel: mr.BaselineMethod<mr.Unet> = {
  name: 'pi-model',
  title: 'Π-model',
  sections: ['baselines.unet'],
  usesUnlabelled: true,
  view: mr.unet.view,
  prepare: mr.unet.prepare,
  predict: mr.unet.predict,
  train: async (network, setting, loop) => {
    const options = await mr.supervisedOptions(setting, setting.config.baselines.unet, loop);
    const { move, ...images } = await mr.unlabelledImages(setting, options.samples, 1); // as many as labelled ones a step
    const tone = mr.toneChanges(setting, 1); // as large as in training
    return mr.trainSupervised({
      ...options,
      network,
      unlabelled: {
        ...images,
        views: { move, seen: tone, target: tone },
        weightAt: (step, total) => 10 * mr.rampUp(step, 0.4 * total),
        loss: (logits, targets) => ({ total: mr.probabilityDistance(logits, targets, setting.relation) }),
      },
    });
  },
};

/** Trains and measures a method in a run, beside what was measured there. */
export const addToRun = (run: string, method: mr.BaselineMethod<mr.Unet>): Promise<mr.BaselineResult> =>
  mr.inRun(run, (job) => mr.baselineJob(job, method, undefined));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { evaluation } = await addToRun(process.argv[2] ?? 'run', piModel);
  for (const { key, title } of evaluation.stages)
    console.log(title, evaluation.summary[key]?.all?.perImage.dice?.mean?.toFixed(3));
}
