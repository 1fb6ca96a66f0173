// `maskrank weights verify`: are the weights on this machine what they were, and what their authors published?

import { DataError } from '@maskrank/torch/errors';
import { bytesProgress } from '../bytes-progress.ts';
import { defineVerb } from '../verb.ts';

export const weightsVerify = defineVerb({
  name: 'weights verify',
  summary:
    'compare the weights on this machine with their SHA-256, and their names and shapes with the network',
  details: `Every difference is told at once: missing, unexpected and misshapen tensors with both shapes. Ends with code 3 when a
file is damaged, does not fit, or is missing although it was named. Nothing is changed.`,
  examples: [
    ['maskrank weights verify', 'all that are here'],
    ['maskrank weights verify sam_vit_b', 'one'],
  ],
  args: { name: { name: 'NAME', describe: 'default: all that are here', optional: true } },
  run: async ({ args, progress, signal, out }) => {
    const { WeightStore } = await import('../../models/weights/index.ts');
    const store = new WeightStore();
    if (args.name !== undefined) store.requireName(args.name);
    const here = (await store.list()).filter(({ state }) => state !== 'absent').map(({ name }) => name);
    const names = args.name === undefined ? here : [args.name];
    const bytes = bytesProgress(progress);
    const weights = [];
    try {
      for (const name of names)
        weights.push(await store.verify(name, { signal, onProgress: bytes.onProgress }));
    } finally {
      bytes.end();
    }
    for (const { name, problem } of weights)
      out(`${name}: ${problem === null ? 'as it was' : 'NOT as it was'}`);
    if (weights.length === 0) out(`no weights in ${store.dir}`);
    const problems = weights.flatMap(({ problem }) => problem ?? []);
    return {
      result: { folder: store.dir, weights },
      ...(problems.length > 0 && { failure: new DataError(problems.join('\n')) }),
    };
  },
});
