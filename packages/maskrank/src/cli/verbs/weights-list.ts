// `maskrank weights list`: the weights that have a name, and which of them are on this machine.

import { textTable } from '../table.ts';
import { defineVerb } from '../verb.ts';

export const weightsList = defineVerb({
  name: 'weights list',
  summary: 'pretrained weights by name: architecture, size, licence, and which are on this machine',
  details: `Names stand for files in MASKRANK_HOME/weights (default: the user's cache folder). Nothing is downloaded before
you type weights pull. Without weights, a run starts from random ones.`,
  examples: [
    ['maskrank weights list', 'a table'],
    ['maskrank weights list --json', 'with addresses, hashes and what the weights learned from'],
  ],
  run: async ({ out, warn }) => {
    const { WeightStore } = await import('../../models/weights/index.ts');
    const store = new WeightStore();
    const weights = await store.list();
    const here = { present: 'yes', absent: 'no', damaged: 'damaged' } as const;
    out(
      textTable([
        ['name', 'architecture', 'MB', 'licence', 'here'],
        ...weights.map(({ name, architecture, bytes, licence, state, shipped }) => [
          name,
          architecture ?? 'unknown',
          bytes === null ? '–' : Number((bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)),
          licence ?? 'your own',
          shipped && state === 'present' ? 'comes with maskrank' : here[state],
        ]),
      ]),
    );
    out(`in ${store.dir}`);
    for (const { problem } of weights) if (problem !== null) warn(problem);
    return { result: { folder: store.dir, weights } };
  },
});
