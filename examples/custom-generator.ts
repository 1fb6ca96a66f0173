// Proposals of one's own: the current mask, the same grown, shrunk and smoothed. Any four masks a case will do; stage 2 only
// asks where they differ. Written with engine operators, so it runs on the GPU as well.
// Shapes: B units, K = 4 candidates, S canvas side in px. Run: node scripts/example.mjs custom-generator

import { fileURLToPath } from 'node:url';
import { cat, op, setThreads, type Tensor } from '@maskrank/torch';
import * as mr from 'maskrank';
import { learn } from './finetune-60-lines.ts';
import { embedOnce, LAYOUT, paint } from './toy.ts';

const maxPool = op('aten::max_pool2d');
const grow = (mask: Tensor, radius: number): Tensor =>
  maxPool(mask, [2 * radius + 1, 2 * radius + 1], [1, 1], [radius, radius]);
const shrink = (mask: Tensor, radius: number): Tensor => grow(mask.rsub(1), radius).rsub(1);

/** [B, K, S, S]. The first is the current mask, as in the generators that come with maskrank. */
export const variants: mr.CandidateGenerator = (context) => {
  const current = mr.currentMask(context).to('float32'); // [B, 1, S, S], 0 and 1
  const opened = grow(shrink(current, 2), 2);
  return cat([current, grow(current, 1), shrink(current, 1), opened], 1).gt(0.5);
};

/** Proposals of `units` from the policy as it stands: the function stands where a name would. */
export const proposeVariants = (units: readonly mr.AlignUnit[], policy: mr.PolicyOptions): mr.Proposal[] =>
  mr.propose(units, {
    policy,
    options: { ...mr.defaultConfig().alignment.proposals, generator: variants },
    round: 0,
    seed: 1,
    signal: new AbortController().signal,
  });

/** As jobs take it. A run that was begun with it goes on with no other: change the name when the function changes. */
const generator: mr.OwnGenerator = { name: 'variants', generate: variants };

/** What `maskrank align --run RUN` does, but with these proposals. `mr.proposeJob` takes a generator in the same way. */
export const alignRun = (run: string): Promise<mr.AlignResult> =>
  mr.inRun(run, (job) => mr.alignJob(job, { generator }));

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] !== undefined) {
  const { steps, units, checkpoint } = await alignRun(process.argv[2]);
  console.log(`${steps} steps over ${units} units\nwrote ${checkpoint}`);
} else if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setThreads(1);
  const pictures = paint(0, 48);
  const sam = learn(pictures, 100);
  const units = pictures.map(({ prompt }, i) => ({ caseId: String(i), classId: 1, prompt }));
  const policy = { sam, embeddings: embedOnce(sam, pictures), layout: LAYOUT, device: 'cpu' };
  for (const { caseId, regionPx } of proposeVariants(units, policy))
    console.log(`picture ${caseId}: the candidates differ in ${regionPx} px`);
}
