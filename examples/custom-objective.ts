// An objective of one's own for stage 2: the rankings become a soft label, the mean of the candidates weighed by their place,
// and the decoder follows it with cross-entropy. (Measured elsewhere, this gains less than the preference loss.)
// Shapes: B units, l low-resolution side, S canvas side in px. Run: node scripts/example.mjs custom-objective

import { fileURLToPath } from 'node:url';
import { fromTypedArray, nn, setThreads } from '@maskrank/torch';
import * as mr from 'maskrank';
import { alignWith } from './align-40-lines.ts';
import { learn } from './finetune-60-lines.ts';
import { meanDice, paint } from './toy.ts';

/** Weight of each place, best first; they sum to one. */
const WEIGHTS = [0.55, 0.3, 0.15, 0];

type Soft = mr.Active & { readonly target: Float32Array<ArrayBuffer>; readonly head: number };

/** `judgedOf` gives the judged proposals of a round; units without a signal are not among them. */
export function softLabelObjective(
  { sam, device }: mr.PolicyOptions,
  judgedOf: (round: mr.Round) => Promise<readonly mr.Judged[]>,
): mr.Objective<Soft> {
  const side = sam.config.imageSize;
  return {
    begin: async (round) => {
      const units = new Map(round.units.map((unit) => [`${unit.caseId}/${unit.classId}`, unit]));
      return (await judgedOf(round)).map(({ proposal, order }) => {
        const target = new Float32Array(side * side);
        for (const [place, candidate] of order.entries()) {
          const mask = mr.candidateMask(proposal.candidates, candidate).data;
          for (let i = 0; i < target.length; i++)
            target[i] = (target[i] as number) + (WEIGHTS[place] as number) * (mask[i] as number);
        }
        const unit = units.get(`${proposal.caseId}/${proposal.classId}`) as mr.AlignUnit;
        return { unit, target, head: proposal.head };
      });
    },
    loss: (active, { decoded }) => {
      const heads = fromTypedArray(
        BigInt64Array.from(active, ({ head }) => BigInt(head)),
        [active.length],
      );
      const low = mr.pickHead(decoded, heads.to(device as 'cpu')).masks; // [B, 1, l, l]
      const logits = mr.logitsToCanvas(low, side); // [B, 1, S, S]
      const targets = new Float32Array(active.length * side * side);
      for (const [i, { target }] of active.entries()) targets.set(target, i * side * side);
      const total = nn.F.bceWithLogits(logits, fromTypedArray(targets, logits.shape, { device }));
      return { total, parts: { soft: total }, facts: {} };
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setThreads(1);
  const [labelled, ranked, test] = [paint(0, 24), paint(200, 360), paint(1000, 1060)];
  const sam = learn(labelled, 200);
  console.log(`before: mean Dice ${meanDice(sam, test).toFixed(3)}`);
  await alignWith(softLabelObjective, { sam, samples: ranked, totalSteps: Number(process.argv[2] ?? 100) });
  console.log(`after:  mean Dice ${meanDice(sam, test).toFixed(3)}`);
}
