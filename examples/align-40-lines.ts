// Stage 2 in forty lines: the decoder follows rankings of its own proposals for pictures without masks. Only the annotator
// sees masks; here it is the virtual one. Run: node scripts/example.mjs align-40-lines [steps]

import { fileURLToPath } from 'node:url';
import { setThreads } from '@maskrank/torch';
import * as mr from 'maskrank';
import { learn } from './finetune-60-lines.ts';
import { embedOnce, LAYOUT, meanDice, paint, quietLoop, type Sample, virtualAnnotator } from './toy.ts';

const flags = { 'alignment.refresh.everySteps': '20', 'alignment.learningRate': '1e-3' };
const config = mr.resolveConfig({ flags }).config.alignment;

type JudgedOf = (round: mr.Round) => Promise<readonly mr.Judged[]>;

/** Aligns `sam` in place to an annotator's judgements of `samples`; returns the counts of each round. */
export async function alignWith<A extends mr.Active>(
  makeObjective: (policy: mr.PolicyOptions, judgedOf: JudgedOf) => mr.Objective<A>,
  { sam, samples, totalSteps }: { sam: mr.Sam; samples: readonly Sample[]; totalSteps: number },
): Promise<mr.RoundCounts[]> {
  const annotator = virtualAnnotator(samples);
  const policy = { sam, embeddings: embedOnce(sam, samples), layout: LAYOUT, device: 'cpu' };
  const skip = { minRegionPx: 1, maxRegionFraction: 0.3 }; // a region of 16 px is large on 64 x 64
  const rounds: mr.RoundCounts[] = [];
  const objective = makeObjective(policy, async ({ index: round, units, signal }) => {
    const proposals = mr.propose(units, { policy, options: config.proposals, round, seed: 1, signal });
    const { judged, counts } = mr.judge(proposals, {
      annotator,
      store: null,
      round,
      betas: config.loss,
      skip,
    });
    rounds.push(counts);
    return judged;
  });
  await mr.align({
    ...{ policy, objective, config, totalSteps, seed: 1, stream: 'example', loop: quietLoop() },
    trainable: mr.selectTrainable(sam, 'decoder'),
    units: samples.map(({ prompt }, i) => ({ caseId: String(i), classId: 1, prompt })),
    onAlarm: ({ text }) => console.warn(text),
  });
  return rounds;
}

/** Eq. (5) of the paper in the form of the recommended preset. */
export const preference = (policy: mr.PolicyOptions, judgedOf: JudgedOf) =>
  mr.preferenceObjective({ policy, judgedOf, loss: config.loss, anchor: config.anchor.reference });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setThreads(1); // the same numbers again on the same machine
  const [labelled, ranked, test] = [paint(0, 24), paint(200, 360), paint(1000, 1060)];
  const sam = learn(labelled, 200);
  const tell = (stage: string) =>
    console.log(
      `${stage}: mean Dice ${meanDice(sam, ranked).toFixed(3)} on the ranked pictures, ${meanDice(sam, test).toFixed(3)} on new ones`,
    );
  tell('stage 1');
  await alignWith(preference, { sam, samples: ranked, totalSteps: Number(process.argv[2] ?? 160) });
  tell('stage 2');
}
