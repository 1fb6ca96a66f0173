// A promptable network on datasets that it was not trained on: true box, loose box and one click, beside the filled box and the
// ellipse inscribed in it, class by class; and whether the aims set for `sam-med2d-tiny` are reached.
//   npm run prove -- sam-zero-shot --weights FILE|NAME --data FOLDER... [--split test] [--cases N] [--out FILE.json]
// FOLDER is an imported dataset; --split all needs no division. Prints a table and writes FILE.json where that is given.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { values } from '../lib/arguments.mjs';

export const proof = {
  about: 'a promptable network on datasets it never saw: boxes and a click beside what the box alone tells',
  minutes: 10,
  run: async ({ root, args, log }) => {
    const [weights] = values(args, '--weights');
    const datasets = values(args, '--data');
    if (weights === undefined || datasets.length === 0)
      throw new Error('usage: npm run prove -- sam-zero-shot --weights FILE --data FOLDER...');
    const [split = 'test'] = values(args, '--split');
    const [most] = values(args, '--cases');
    const [out] = values(args, '--out');
    const { zeroShot } = await import(join(root, 'packages/maskrank/dist/pipeline/zero-shot.js'));
    const { WAY_NAMES, WAYS } = await import(
      join(root, 'packages/maskrank/dist/pipeline/promptable-quality.js')
    );
    const { resolveWeights } = await import(join(root, 'packages/maskrank/dist/models/weights/index.js'));
    const result = await zeroShot({
      weights: await resolveWeights(weights),
      datasets,
      splits: split === 'all' ? 'all' : split.split(','),
      ...(most && { mostCases: Number(most) }),
    });
    log(
      `| dataset | class | images | of the image % | ${WAYS.map((way) => WAY_NAMES[way]).join(' | ')} | over ellipse |`,
    );
    log(`|---|---|---|---|${WAYS.map(() => '---|').join('')}---|`);
    for (const { dataset, class: name, cases, size, dice } of result.rows) {
      const cells = [...WAYS.map((way) => dice[way]), dice.trueBox - dice.ellipse];
      const sizes = `${cases} | ${(100 * size).toFixed(1)}`;
      log(`| ${dataset} | ${name} | ${sizes} | ${cells.map((x) => (100 * x).toFixed(1)).join(' | ')} |`);
    }
    if (out !== undefined) writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`);
    return result.rows.map(({ dataset, class: name, dice }) => ({
      what: `${dataset}, ${name}: a box and the image tell more than the box alone`,
      ok: dice.trueBox > dice.ellipse,
      detail: `${(100 * dice.trueBox).toFixed(1)} and ${(100 * dice.ellipse).toFixed(1)}`,
    }));
  },
};
