// Stage 1 in sixty lines: a promptable network learns from random weights to outline painted lesions, given a box.
// The command line does the same with augmentation, points, logs and exact resume (packages/maskrank/src/training).
// Run: node scripts/example.mjs finetune-60-lines [steps]

import { fileURLToPath } from 'node:url';
import { Generator, manualSeed, optim, setThreads, tidy } from '@maskrank/torch';
import * as mr from 'maskrank';
import { CONFIG, meanDice, outline, paint, type Sample, targets } from './toy.ts';

/** Trains a new network; returns it. */
export function learn(samples: readonly Sample[], steps: number, seed = 1): mr.Sam {
  manualSeed(seed); // for the dropout
  const sam = mr.createSam(CONFIG, Generator.seeded(seed));
  const random = new mr.Random(seed);
  const rate = optim.schedules.warmUp({ steps: 20, after: optim.schedules.cosine({ total: steps }) });
  const optimizer = new optim.Adam(mr.selectTrainable(sam, 'all'), { learningRate: 5e-3 });
  sam.mask_decoder.dropoutP = 0.15; // stage 2 proposes with channel dropout, so the decoder should know it
  for (let step = 0; step < steps; step++) {
    tidy(() => {
      const batch = Array.from({ length: 8 }, () => random.choice(samples));
      const { logits, iou } = outline(sam, batch);
      // From random weights Dice has to lead; from pretrained ones the usual 20:1 is right.
      const loss = mr.segmentationLoss(logits, targets(batch), iou, { focalWeight: 2, scope: 'mask' });
      loss.total.backward();
      optimizer.scaleLearningRate(rate(step));
      optimizer.step();
      optimizer.zeroGrad();
    });
  }
  sam.mask_decoder.dropoutP = 0;
  optimizer.disposeState();
  return sam;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setThreads(1); // the same numbers again on the same machine
  const [labelled, test] = [paint(0, 24), paint(1000, 1040)];
  const sam = learn(labelled, Number(process.argv[2] ?? 200));
  console.log(`mean Dice on ${test.length} new pictures: ${meanDice(sam, test).toFixed(3)}`);
}
