// `maskrank weights pull`: downloads registered weights; the one verb that uses the internet.
// Not here: how (models/weights/pull.ts).

import { bytesProgress } from '../bytes-progress.ts';
import { defineVerb } from '../verb.ts';
import { useCommand } from './weights-add.ts';

export const weightsPull = defineVerb({
  name: 'weights pull',
  summary: 'download registered weights from their authors; a download that was cut goes on',
  details: `https only; size and SHA-256, where they are published, and names and shapes are checked before the weights are used. A machine without internet takes the file
from another one: weights add. The licence is the authors' own, see weights list.`,
  examples: [
    ['maskrank weights pull sam_vit_b', '375 MB'],
    ['maskrank weights pull biomedclip', '784 MB and its vocabulary'],
  ],
  args: { name: { name: 'NAME', describe: 'a registered name, see weights list' } },
  run: async ({ args, command, progress, signal, out, warn }) => {
    const { WeightStore, pullWeights, sizeText } = await import('../../models/weights/index.ts');
    const bytes = bytesProgress(progress);
    const store = new WeightStore();
    const { record, path, outcome } = await pullWeights(store, args.name, {
      command,
      signal,
      onProgress: bytes.onProgress,
    }).finally(bytes.end);
    const { licence, trainedOn } = store.registration(args.name) ?? {};
    out(
      [
        `${record.name}: ${outcome === 'pulled' ? 'downloaded and checked' : 'was here already, checked'}; ${sizeText(record.bytes)}`,
        `licence ${licence}; trained on ${trainedOn}`,
        `in ${path}`,
      ].join('\n'),
    );
    for (const { file } of store.missingBeside(args.name, record))
      warn(`${file}, which belongs to ${args.name}, has no public address. ${store.remedy(args.name, file)}`);
    return { result: { outcome, path, ...record }, next: useCommand(record) };
  },
});
