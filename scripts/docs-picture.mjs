// Draws docs/images/ranked-candidates.png: one test case of a run on phantoms, the truth with the outlines of both
// stages, and four candidates in the order of the virtual annotator. Needs a run that was evaluated:
//   maskrank dataset phantom breast --cases 100 --seed 7 --size 320 --out DATA
//   maskrank dataset split DATA --labelled 0.3 --test 0.2 --validation 0.05
//   maskrank finetune DATA --run RUN --weights sam-med2d-tiny --data.image-size 128 --steps 24 \
//     --training.learning-rate 2e-4 --prompts.unlabelled oracle-box --prompts.test oracle-box --prompts.points 0
//   maskrank align --run RUN --steps 60 --alignment.refresh.every-steps 30 --no-controls --alignment.alarms.action warn
//   maskrank evaluate --run RUN
//   node scripts/docs-picture.mjs RUN breast_00086

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as mr from 'maskrank';
import sharp from 'sharp';

const [run, caseId] = process.argv.slice(2);
if (caseId === undefined) {
  console.error('node scripts/docs-picture.mjs RUN CASE');
  process.exit(2);
}
const OUT = fileURLToPath(new URL('../docs/images/ranked-candidates.png', import.meta.url));
const CLASS = 1;
const SIDE = 400;
const GAP = 8;
const COLOURS = {
  truth: [0, 200, 140],
  stage1: [86, 180, 233],
  stage2: [255, 140, 40],
  candidate: [240, 228, 66],
};

const paths = mr.runPaths(run);
const { config } = mr.readRunConfig(run);
const dataset = await mr.openDataset(JSON.parse(readFileSync(paths.record, 'utf8')).dataset.path);
if (!dataset.dataset.name.startsWith('phantoms-')) throw new Error('only phantoms may be shown');
const [item] = dataset.labelled([caseId]);
const [image, truth] = [await dataset.loadImage(item), await dataset.loadMask(item, CLASS)];

// The candidates that the run's generator makes here from the stage-1 model, with the prompt of the evaluation.
const { sam, recipe } = await mr.loadModel(paths.stage1, 'cpu');
const embeddings = await mr.EmbeddingCache.build(
  [item],
  {
    ...{ sam, dataset, canvas: recipe.canvas, device: 'cpu', batchSize: 1 },
    signal: new AbortController().signal,
  },
  null,
);
const geometry = embeddings.geometry(caseId);
const line = mr.readPrompts(paths.prompts).get(`${caseId}\u0000${CLASS}`);
const prompt = mr.promptToCanvas({ ...line, source: line.provenance.source }, geometry);
const [proposal] = mr.propose([{ caseId, classId: CLASS, prompt }], {
  policy: { sam, embeddings, layout: recipe.layout, device: 'cpu' },
  options: config.alignment.proposals,
  round: 0,
  seed: config.seed,
  signal: new AbortController().signal,
});
const candidates = proposal.candidates.bits
  .map((_, k) => mr.maskToOriginal(geometry, mr.candidateMask(proposal.candidates, k)))
  .sort((a, b) => mr.maskIou(b, truth) - mr.maskIou(a, truth));

const outline = (mask, colour, opacity) => ({ kind: 'mask', mask, colour, opacity, contourPx: 2 });
const predicted = (stage) => mr.readMask(join(run, 'predictions', stage, String(CLASS), `${caseId}.png`));
const left = mr.drawOverlay(
  image,
  [
    ...line.boxes.map((box) => ({ kind: 'box', box, colour: mr.COLOURS.white, linePx: 1 })),
    outline(truth, COLOURS.truth, 0.1),
    outline(await predicted('stage1'), COLOURS.stage1, 0),
    outline(await predicted('stage2'), COLOURS.stage2, 0),
  ],
  { longestSidePx: SIDE },
);
/** The square around the prompt's box, so that the candidates fill their tiles. */
const [box] = line.boxes;
const side = Math.min(
  image.width,
  image.height,
  Math.round(1.25 * Math.max(box.x1 - box.x0, box.y1 - box.y0)),
);
const from = (low, high, size) => Math.max(0, Math.min(size - side, Math.round((low + high - side) / 2)));
const [x0, y0] = [from(box.x0, box.x1, image.width), from(box.y0, box.y1, image.height)];
const crop = (raster) => ({
  ...raster,
  width: side,
  height: side,
  data: Uint8Array.from({ length: side * side }, (_, i) => {
    const at = (y0 + Math.floor(i / side)) * raster.width + x0 + (i % side);
    return raster.data[at];
  }),
});
if (image.channels !== 1) throw new Error('phantoms are grey');
const tiles = candidates.map((mask) =>
  mr.drawOverlay(crop(image), [outline(crop(mask), COLOURS.candidate, 0.15)], {
    longestSidePx: (SIDE - GAP) / 2,
  }),
);
const right = mr.panel(tiles, { columns: 2, gapPx: GAP, background: [255, 255, 255] });
const { width, height, data } = mr.panel([left, right], {
  columns: 2,
  gapPx: 2 * GAP,
  background: [255, 255, 255],
});
const file = await sharp(data, { raw: { width, height, channels: 3 } })
  .png({ palette: true, colours: 128, dither: 0.6, effort: 10 })
  .toFile(OUT);
console.log(`${OUT}: ${width} x ${height}, ${Math.ceil(file.size / 1000)} kB`);
console.log(candidates.map((mask) => mr.maskIou(mask, truth).toFixed(3)).join(' '));
