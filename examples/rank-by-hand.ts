// Ranking by hand without a page in the browser: pictures of the candidates into a folder, letters back from a table.
//   node scripts/example.mjs rank-by-hand show RUN DIR         writes DIR/0001.png, … and DIR/answers.csv
//   node scripts/example.mjs rank-by-hand read RUN DIR NAME    reads the letters into RUN/ratings.jsonl
// A picture shows four candidates of one case, A B over C D, in random order. Write the letters best to worst into the last
// column (`BADC`); an empty cell is asked again. No other command may write into the run meanwhile.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors } from '@maskrank/torch/io';
import * as mr from 'maskrank';

const LETTERS = ['A', 'B', 'C', 'D'];
const HEAD = 'picture,case,class,round,proposals,shown,best_to_worst';

/** Proposals of the newest round that need a person's answer, and the round's number. */
async function open(run: string): Promise<{ round: number; asked: mr.Proposal[] }> {
  const paths = mr.runPaths(run);
  const config = mr.readRunConfig(run)?.config;
  let round = 0;
  while (existsSync(mr.roundPath(paths.proposals, round + 1))) round += 1;
  const found = await mr.readRound(mr.roundPath(paths.proposals, round), null);
  if (found === undefined || config === undefined)
    throw new mr.UsageError(`${run}: no proposals yet. Make them: maskrank propose --run ${run}`);
  using ratings = mr.openRatings(paths.ratings);
  // An annotator without answers leaves exactly what nobody has judged.
  const asked: mr.Proposal[] = [];
  const { loss: betas, skip } = config.alignment;
  const byHash = new Map(found.proposals.map((p) => [`${p.caseId} ${p.classId} ${p.hash}`, p]));
  const annotator: mr.Annotator = {
    name: 'nobody',
    judge: ({ caseId, classId, proposalsHash }) => {
      asked.push(byHash.get(`${caseId} ${classId} ${proposalsHash}`) as mr.Proposal);
      return undefined;
    },
  };
  mr.judge(found.proposals, { annotator, store: ratings, round, betas, skip });
  return { round, asked };
}

/** Draws what is to be judged, a candidate `sidePx` large; returns how many pictures. */
export async function show(run: string, dir: string, sidePx = 480): Promise<number> {
  const paths = mr.runPaths(run);
  const { round, asked } = await open(run);
  const dataset = await mr.openDataset(JSON.parse(readFileSync(paths.record, 'utf8')).dataset.path);
  const checkpoint = await openSafetensors(paths.stage1);
  const { canvas } = JSON.parse(checkpoint.metadata.recipe as string) as mr.InputRecipe;
  await checkpoint.close();
  mkdirSync(dir, { recursive: true });
  const rows = [HEAD];
  for (const [i, { caseId, classId, candidates, hash }] of asked.entries()) {
    const image = await dataset.loadImage(dataset.unlabelled([caseId])[0] as mr.UnlabelledCase);
    const geometry = mr.createGeometry(canvas.rule, image, canvas.imageSize);
    const shown = new mr.Random(`show ${hash}`).shuffle([0, 1, 2, 3]);
    const tiles = shown.map((k) => {
      const mask = mr.maskToOriginal(geometry, mr.candidateMask(candidates, k));
      return mr.drawOverlay(image, [{ kind: 'mask', mask, colour: mr.COLOURS.yellow, opacity: 0.15 }], {
        longestSidePx: sidePx,
      });
    });
    const name = `${String(i + 1).padStart(4, '0')}.png`;
    await mr.writeImagePng(join(dir, name), mr.panel(tiles, { columns: 2, gapPx: 10 }));
    rows.push([name, caseId, classId, round, hash, shown.join(''), ''].join(','));
  }
  writeFileSync(join(dir, 'answers.csv'), `${rows.join('\n')}\n`);
  return asked.length;
}

/** Takes the letters over; returns how many answers. */
export function read(run: string, dir: string, annotator: string): number {
  const [head, ...rows] = readFileSync(join(dir, 'answers.csv'), 'utf8').trim().split(/\r?\n/);
  if (head !== HEAD) throw new mr.DataError(`${dir}/answers.csv: the first line is not ${HEAD}`);
  using ratings = mr.openRatings(mr.runPaths(run).ratings);
  let answers = 0;
  for (const row of rows) {
    const [picture, caseId = '', cls, round, proposals = '', shown = '', letters = ''] = row.split(',');
    const places = [...letters.trim().toUpperCase()].map((letter) => LETTERS.indexOf(letter));
    if (places.length === 0) continue;
    if (places.length !== 4 || new Set(places).size !== 4 || places.includes(-1))
      throw new mr.DataError(`${picture}: "${letters}" does not name each of A, B, C, D once`);
    const order = places.map((place) => Number(shown[place]));
    ratings.append({
      ...{ case: caseId, class: Number(cls), round: Number(round), proposals, order },
      ...{ annotator, elapsedMs: 0, at: new Date().toISOString() },
    });
    answers += 1;
  }
  return answers;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [what, run = '', dir = '', name = 'a person'] = process.argv.slice(2);
  if (what === 'show') console.log(`${await show(run, dir)} pictures and answers.csv in ${dir}`);
  else if (what === 'read') console.log(`${read(run, dir, name)} answers taken over`);
  else console.error('rank-by-hand show|read RUN DIR [NAME]');
}
