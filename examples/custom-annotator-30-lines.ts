// An annotator of one's own in thirty lines: it prefers round outlines, and its judgements go into the ratings of a run, from
// which `maskrank align --run RUN --annotator recorded` learns. No other command may write into the run meanwhile.
// Run: node scripts/example.mjs custom-annotator-30-lines RUN

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as mr from 'maskrank';

/** 4 pi area / contour length squared: 1 for a disc, less for ragged outlines, 0 for an empty mask. */
export function roundness(mask: mr.Mask): number {
  const grid = mr.gridOf(mask);
  const areaPx = mask.data.reduce((sum, v) => sum + v, 0);
  const lengthPx = mr.surfaceDistances(grid, grid, [1, 1]).truthSizes.reduce((sum, v) => sum + v, 0);
  return lengthPx === 0 ? 0 : (4 * Math.PI * areaPx) / lengthPx ** 2;
}

/** The roundest candidate first. Return undefined for a question it has no answer to. */
export const roundest: mr.Annotator = {
  name: 'roundest outline',
  judge: ({ candidates }) => {
    const scores = candidates.map(roundness);
    return { order: [0, 1, 2, 3].sort((a, b) => (scores[b] as number) - (scores[a] as number)) };
  },
};

/** Judges the newest proposals of a run; answers that are there already stay. */
export async function judgeRun(run: string, annotator: mr.Annotator): Promise<mr.RoundCounts> {
  const { proposals: folder, ratings } = mr.runPaths(run);
  const config = mr.readRunConfig(run)?.config;
  let round = 0;
  while (existsSync(mr.roundPath(folder, round + 1))) round += 1;
  const found = await mr.readRound(mr.roundPath(folder, round), null);
  if (found === undefined || config === undefined)
    throw new mr.UsageError(`${run}: no proposals yet. Make them: maskrank propose --run ${run}`);
  using store = mr.openRatings(ratings);
  const { loss: betas, skip } = config.alignment;
  return mr.judge(found.proposals, { annotator, store, round, betas, skip }).counts;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(await judgeRun(process.argv[2] ?? 'run', roundest));
