// The engine alone: a small network learns x^2 + y^2. Shapes: N samples. Run: node scripts/example.mjs torch-alone

import { fileURLToPath } from 'node:url';
import { Generator, memory, nn, optim, randn, type Tensor, tidy } from '@maskrank/torch';

/** The property names are the state dict's keys: first.weight, first.bias, … */
export class Net extends nn.Module {
  readonly first = new nn.Linear(2, 32);
  readonly second = new nn.Linear(32, 1);

  forward(x: Tensor): Tensor {
    return this.second.forward(this.first.forward(x).relu()); // [N, 1]
  }
}

/** Trains; returns the loss of every step. */
export function train(net: Net, steps: number, seed = 1): number[] {
  const generator = Generator.seeded(seed);
  const optimizer = new optim.Adam(net.namedParameters(), { learningRate: 1e-2 });
  const losses = Array.from({ length: steps }, () =>
    tidy(() => {
      const x = randn([64, 2], { generator });
      const loss = net
        .forward(x)
        .sub(x.pow(2).sum([1], true))
        .pow(2)
        .mean();
      loss.backward();
      optimizer.step();
      optimizer.zeroGrad();
      return loss.item();
    }),
  );
  optimizer.disposeState();
  return losses;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const net = nn.initialise(new Net(), Generator.seeded(0));
  const losses = train(net, 300);
  console.log(`loss ${losses[0]?.toFixed(3)} -> ${losses.at(-1)?.toFixed(3)}`);
  console.log(`${memory().tensors} tensors alive: ${[...net.stateDict().keys()].join(', ')}`);
}
