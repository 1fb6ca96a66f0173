// Live tensors and bytes before and after 1,000 training steps of a small network with every kind of layer.

import { Generator, memory, nn, optim, randn, tidy } from '@maskrank/torch';
import type { Bench } from './types.ts';

const STEPS = 1000;

class Net extends nn.Module {
  readonly stem = new nn.Sequential(
    new nn.Conv2d(1, 4, 3, { padding: 1 }),
    new nn.BatchNorm2d(4),
    new nn.ReLU(),
  );
  readonly pool = new nn.MaxPool2d(2);
  readonly attention = new nn.MultiheadAttention(4, 2);
  readonly head = new nn.Sequential(new nn.LayerNorm(4), new nn.Linear(4, 1));
}

export const leaks: Bench = {
  name: 'leaks',
  describe: 'live tensors before and after 1,000 training steps',
  run: async ({ device }) => {
    const generator = Generator.seeded(1);
    using model = nn.initialise(new Net(), generator).to(device);
    using optimiser = new optim.AdamW(model.namedParameters());
    const step = (): void =>
      tidy(() => {
        const x = randn([2, 1, 8, 8], { generator }).to(device);
        const tokens = model.pool.forward(model.stem.forward(x)).flatten(2).transpose(1, 2); // [B, 16, 4]
        const loss = model.head.forward(model.attention.forward(tokens)).pow(2).mean();
        loss.backward();
        optim.clipGradNorm(model.parameters(), 1);
        optimiser.step();
        optimiser.zeroGrad();
      });
    step();
    const before = memory();
    for (let i = 0; i < STEPS; i++) step();
    const after = memory();
    const aim = { comparison: 'exactly', value: 0 } as const;
    return [
      {
        what: `tensors more after ${STEPS} steps`,
        value: after.tensors - before.tensors,
        unit: 'tensors',
        aim,
      },
      { what: `bytes more after ${STEPS} steps`, value: after.bytes - before.bytes, unit: 'bytes', aim },
    ];
  },
};
