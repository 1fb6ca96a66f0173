// The demonstration as the commands that a person would type, and its settings: small numbers of everything, for minutes on two
// cores. They are no recommendation. Not here: running them (verbs/demo.ts).

/** One command with a few words on what it does. */
export type DemoStep = { readonly words: string; readonly argv: readonly string[] };

/** Classes and numbers of the phantoms of one family; a family whose pictures hold many classes gets fewer pictures. */
const FAMILIES = {
  breast: { cases: 160, classes: [] },
  chest: { cases: 120, classes: ['lung'] },
  abdomen: { cases: 120, classes: ['liver', 'spleen', 'right kidney', 'left kidney'] },
  mixed: { cases: 160, classes: [] },
} as const satisfies Record<string, { cases: number; classes: readonly string[] }>;

export type DemoFamily = keyof typeof FAMILIES;

export const DEMO_FAMILIES = Object.keys(FAMILIES) as readonly DemoFamily[];

/** The configuration of every command, by the networks that come with maskrank. */
export const DEMO_CONFIG = {
  model: { name: 'sam-med2d-tiny', weights: 'sam-med2d-tiny' },
  clip: { weights: 'biomedclip-tiny' },
  saliency: { method: 'similarity' }, // what a small CLIP that learned places is good at
  text: { answers: 'medvint', knowledge: 'cards', medvint: { weights: 'medvint-tiny' } },
  prompts: {
    use: ['box', 'point', 'vqa', 'knowledge'],
    labelled: 'saliency',
    unlabelled: 'saliency',
    test: 'saliency',
  },
  training: {
    steps: 120,
    batchSize: 8,
    learningRate: 3e-4,
    schedule: 'cosine',
    warmUpSteps: 20,
    checkpointEverySteps: 40,
  },
  alignment: {
    steps: 72,
    refresh: { everySteps: 24 },
    learningRate: 2e-4,
    checkpointEverySteps: 30,
    alarms: { action: 'warn' },
  },
} as const;

export type DemoSource =
  | { readonly kind: 'phantoms'; readonly family: DemoFamily; readonly cases: number | undefined }
  | { readonly kind: 'folder'; readonly path: string };

/** Where the pictures come from: drawn, or a person's own. */
function sourceStep(source: DemoSource, dataset: string, seed: string): DemoStep {
  if (source.kind === 'folder')
    return {
      words: 'import your images',
      argv: ['dataset', 'import', 'folder', source.path, '--out', dataset],
    };
  const { cases, classes } = FAMILIES[source.family];
  return {
    words: 'draw phantoms',
    argv: [
      ...['dataset', 'phantom', source.family, '--cases', String(source.cases ?? cases)],
      ...(classes.length > 0 ? ['--classes', classes.join(',')] : []),
      ...['--seed', seed, '--out', dataset],
    ],
  };
}

const SHARES = ['--labelled', '0.1', '--test', '0.25', '--validation', '0.05'];

export type DemoPaths = { readonly dataset: string; readonly run: string; readonly config: string };

/** The whole job. `hasData`: the dataset stands already, from the same command stopped before. */
export function demoChain(
  source: DemoSource,
  { dataset, run, config }: DemoPaths,
  { seed, hasData }: { readonly seed: number; readonly hasData: boolean },
): DemoStep[] {
  const seeds = ['--seed', String(seed)];
  const inRun = ['--run', run];
  return [
    ...(hasData ? [] : [sourceStep(source, dataset, String(seed))]),
    { words: 'divide them: a tenth labelled', argv: ['dataset', 'split', dataset, ...SHARES, ...seeds] },
    {
      words: 'prompts with nobody in the loop',
      argv: ['prompt', dataset, ...inRun, '--config', config, ...seeds, '--preview', '--quality'],
    },
    { words: 'stage 1 on the labelled tenth', argv: ['finetune', ...inRun] },
    { words: 'stage 2 on rankings of the rest, and its controls', argv: ['align', ...inRun] },
    { words: 'measure on untouched images', argv: ['evaluate', ...inRun] },
    { words: 'write the report', argv: ['report', ...inRun] },
  ];
}
