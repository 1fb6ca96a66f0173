// `maskrank weights add`: a weight file of this machine under a name. Not here: the checks (models/weights/store.ts).

import { bytesProgress } from '../bytes-progress.ts';
import { defineVerb } from '../verb.ts';

export const weightsAdd = defineVerb({
  name: 'weights add',
  summary: 'keep a weight file (.pth, .pt, .safetensors) under a name',
  details: `Under a registered name (see weights list) the file must be the public one: its SHA-256 is compared where it is
known, its network always. Any other name takes a SAM or SAM-Med2D of your own. The file is copied.`,
  examples: [
    ['maskrank weights add sam-med2d_b sam-med2d_b.pth', 'the public file, downloaded with a browser'],
    ['maskrank weights add our-breast runs/busi/checkpoints/stage2.safetensors', 'your own'],
  ],
  args: {
    name: { name: 'NAME', describe: 'a registered name, or a new one in small letters' },
    file: { name: 'FILE', describe: 'the weight file' },
  },
  options: { replace: { describe: 'replace other weights that stand under the name' } },
  run: async ({ args, options, command, progress, signal, out }) => {
    const { WeightStore, sizeText } = await import('../../models/weights/index.ts');
    const bytes = bytesProgress(progress);
    const { record, path, outcome } = await new WeightStore()
      .add(args.name, args.file, {
        replace: options.replace,
        command,
        signal,
        onProgress: bytes.onProgress,
      })
      .finally(bytes.end);
    const words = { added: 'added', replaced: 'replaced', unchanged: 'was here already' } as const;
    out(`${record.name}: ${words[outcome]}; ${sizeText(record.bytes)}, ${record.network}\nin ${path}`);
    return { result: { outcome, path, ...record }, next: useCommand(record) };
  },
});

/** How to start a run from these weights. */
export const useCommand = ({ name, architecture }: { name: string; architecture: string }): string =>
  `maskrank finetune DATASET --run RUN --model ${architecture} --weights ${name}`;
