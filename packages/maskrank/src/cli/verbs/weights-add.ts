// `maskrank weights add`: weight files of this machine under a name. Not here: the checks (models/weights/store.ts).

import type { FamilyName, WeightRecord } from '../../models/weights/index.ts';
import { bytesProgress } from '../bytes-progress.ts';
import { defineVerb } from '../verb.ts';

export const weightsAdd = defineVerb({
  name: 'weights add',
  summary: 'keep a weight file (.pth, .pt, .bin, .safetensors, .model) under a name, with what belongs to it',
  details: `Under a registered name (see weights list) the file must be the public one: its SHA-256 is compared where it is
known, its network always. Any other name takes a network of your own that is known: SAM, SAM-Med2D, CLIP, MedVInT-TD.
A vocabulary or tokeniser is given behind the weights, or later alone. Files are copied.`,
  examples: [
    ['maskrank weights add sam-med2d_b sam-med2d_b.pth', 'the public file, downloaded with a browser'],
    ['maskrank weights add biomedclip open_clip_pytorch_model.bin vocab.txt', 'weights and their vocabulary'],
    ['maskrank weights add our-breast runs/busi/checkpoints/stage2.safetensors', 'your own'],
  ],
  args: {
    name: { name: 'NAME', describe: 'a registered name, or a new one in small letters' },
    files: { name: 'FILE', describe: 'the weight file, then files that belong to it', variadic: true },
  },
  options: { replace: { describe: 'replace other weights that stand under the name' } },
  run: async ({ args, options, command, progress, signal, out, warn }) => {
    const { WeightStore, sizeText } = await import('../../models/weights/index.ts');
    const bytes = bytesProgress(progress);
    const store = new WeightStore();
    const { record, path, outcome } = await store
      .add(args.name, args.files, {
        replace: options.replace,
        command,
        signal,
        onProgress: bytes.onProgress,
      })
      .finally(bytes.end);
    const words = { added: 'added', replaced: 'replaced', unchanged: 'was here already' } as const;
    out(`${record.name}: ${words[outcome]}; ${sizeText(record.bytes)}, ${record.network}\nin ${path}`);
    for (const { file } of store.missingBeside(args.name, record))
      warn(`${file}, which belongs to ${args.name}, is not here yet. ${store.remedy(args.name, file)}`);
    return { result: { outcome, path, ...record }, next: useCommand(record) };
  },
});

type Used = Pick<WeightRecord, 'name' | 'family' | 'architecture'>;

const PROMPT = 'maskrank prompt DATASET --run RUN';

const USES: Readonly<Record<FamilyName, (used: Used) => string>> = {
  sam3d: ({ name, architecture }) =>
    `maskrank baseline sam-med3d DATASET --run RUN --baselines.sam-med3d.network ${architecture} --weights ${name}`,
  sam: ({ name, architecture }) =>
    `maskrank finetune DATASET --run RUN --model ${architecture} --weights ${name}`,
  clip: ({ name }) => `${PROMPT} --clip.weights ${name}`,
  medvint: ({ name }) => `${PROMPT} --text.answers medvint --text.medvint.weights ${name}`,
  'pmc-clip': () => 'maskrank weights pull medvint-td',
  sentencepiece: () => 'maskrank weights add medvint-td pytorch_model.bin tokenizer.model',
};

/** How to start a run from these weights. */
export const useCommand = (used: Used): string => USES[used.family](used);
