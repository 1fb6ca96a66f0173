// `maskrank dataset import`: a source folder becomes a dataset. Not here: the layouts (datasets/importers).

import { textTable } from '../table.ts';
import { defineVerb } from '../verb.ts';

export const datasetImport = defineVerb({
  name: 'dataset import',
  summary: 'turn a folder of images and masks into a dataset',
  details: `LAYOUT is one of
  folder       images/ and masks/ matched by name, class-coded or binary, with an optional manifest.csv
  busi         Dataset_BUSI_with_GT: breast ultrasound, benign, malignant, normal
  udiat        UDIAT Dataset B: breast ultrasound, original/ and GT/
  covid-qu-ex  COVID-QU-Ex: chest X-rays with lung and infection masks
  sam-med2d    SAM-Med2D's JSON index files with binary masks per class
  amos         AMOS22: abdominal CT volumes with 15 organs, as axial slices
  volumes      NIfTI volumes with label maps, images/ and labels/ or nnU-Net's imagesTr/ and labelsTr/, as axial slices

The source is only read. Stopped, the same command goes on; finished, it does nothing.`,
  examples: [
    ['maskrank dataset import folder scans --out data/scans', 'scans/images and scans/masks'],
    ['maskrank dataset import busi Dataset_BUSI_with_GT --out data/busi', 'normals become empty cases'],
    [
      "maskrank dataset import folder scans --out data/scans --group-pattern '^(p[0-9]+)_'",
      'p07_2.png belongs to patient p07, who is never split',
    ],
    [
      'maskrank dataset import amos amos22 --out data/amos --slice-step 2',
      'every second slice of the CT volumes',
    ],
  ],
  args: {
    layout: { name: 'LAYOUT', describe: 'folder, busi, udiat, covid-qu-ex, sam-med2d, amos or volumes' },
    source: { name: 'SOURCE', describe: 'folder to read' },
  },
  options: {
    out: { value: 'DATASET', describe: 'folder of the dataset: new or empty', required: true },
    name: { value: 'TEXT', describe: "name of the dataset; default the source's" },
    modality: { value: 'TEXT', describe: 'what the images are: ultrasound, x-ray, ct' },
    classes: {
      value: 'LIST',
      describe: "classes as '1=spleen;2=right kidney' (folder, sam-med2d, amos, volumes)",
    },
    maskThreshold: {
      value: 'NUMBER',
      describe: 'masks with values in between: above this is foreground',
      parse: Number,
    },
    groupPattern: { value: 'REGEXP', describe: 'on the name; the first group in brackets is the patient' },
    groupNearDuplicates: {
      choices: ['true', 'false'],
      describe: 'images that look alike are one group; default as the layout needs it',
      parse: (text: string) => text === 'true',
    },
    slicePattern: {
      value: 'REGEXP',
      describe: 'on the name; the first group in brackets is the slice of a volume, whose name is the group',
    },
    window: {
      value: 'LOW,HIGH',
      describe: 'volumes: grey values from black to white, or percentile; default -160,240',
    },
    slices: {
      choices: ['all', 'labelled'],
      describe: 'volumes: every slice (default), or those with a class in them',
    },
    sliceStep: { value: 'N', describe: 'volumes: one slice of N', parse: Number },
    scans: { choices: ['ct', 'mr', 'both'], describe: 'amos: which scans; default ct' },
    onProblem: {
      choices: ['fail', 'skip'],
      describe: 'fail lists every problem and stops (default); skip leaves those cases out and says so',
    },
    manifest: { value: 'FILE', describe: 'table of a folder; default manifest.csv when it is there' },
    masks: {
      choices: ['lung', 'infection', 'both'],
      describe: 'covid-qu-ex: which masks become classes; default lung',
    },
  },
  run: async ({ args, options, progress, signal, out, warn }) => {
    const { importDataset } = await import('../../datasets/importers/index.ts');
    const { out: folder, ...rest } = options;
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    const task = progress.task('importing', { unit: 'images' });
    const { dir, hash, report, reused } = await importDataset(args.layout, {
      source: args.source,
      out: folder,
      options: given,
      signal,
      onProgress: ({ done, total, name }) => {
        task.setTotal(total);
        task.update(done, name);
      },
    }).finally(() => task.end(''));
    for (const { message } of report.notes) warn(message);
    for (const why of report.skipped) warn(`left out: ${why}`);
    if (reused) out(`${dir} was imported before from the same files; nothing was done`);
    out(
      textTable([
        ['dataset', hash.slice(0, 12)],
        ['cases', report.cases],
        ['with masks', report.withMasks],
        ['empty', report.empty],
        ['without ground truth', report.unlabelled],
        ['groups', report.groups],
        ...Object.entries(report.classes).map(([name, count]) => [`images with ${name}`, count]),
      ]),
    );
    return { result: { dir, hash, reused, report }, next: `maskrank dataset verify ${folder}` };
  },
});
