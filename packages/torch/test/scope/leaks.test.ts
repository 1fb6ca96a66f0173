import { expect, it } from 'vitest';
import { Generator, memory, nn, optim, randn, tidy } from '../../src/index.ts';
import { expectNoLeak } from '../support/values.ts';

it('1,000 training steps leave as many tensors and bytes as the first', () => {
  expectNoLeak(() => {
    const generator = Generator.seeded(1);
    const model = nn.initialise(
      new nn.Sequential(new nn.Linear(4, 8), new nn.GELU(), new nn.BatchNorm1d(8), new nn.Linear(8, 1)),
      generator,
    );
    const optimiser = new optim.AdamW(model.namedParameters());
    const step = (): void =>
      tidy(() => {
        const x = randn([8, 4], { generator });
        const loss = model.forward(x).sub(x.sum(1, true)).pow(2).mean();
        loss.backward();
        optim.clipGradNorm(model.parameters(), 1);
        optimiser.step();
        optimiser.zeroGrad();
      });
    step();
    const after = memory();
    for (let i = 0; i < 999; i++) step();
    expect(memory().tensors).toBe(after.tensors);
    expect(memory().bytes).toBe(after.bytes);
    optimiser.disposeState();
    model.dispose();
  });
});
