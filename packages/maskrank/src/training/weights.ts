// Copies of trained weights: averages, the best so far, references.

import { keep, noGrad, type Tensor, tidy } from '@maskrank/torch';

type NamedTensors = ReadonlyMap<string, Tensor>;

/** Detached copies that live until they are disposed of. */
export function copies(source: NamedTensors): Map<string, Tensor> {
  return noGrad(() => new Map([...source].map(([name, tensor]) => [name, keep(tensor.clone())])));
}

/** Overwrites `target` with `source`, name by name. */
export function copyInto(target: NamedTensors, source: NamedTensors): void {
  noGrad(() => {
    for (const [name, tensor] of target) tensor.copy_(source.get(name) as Tensor);
  });
}

/** target = decay * target + (1 - decay) * source. */
export function averageInto(target: NamedTensors, source: NamedTensors, decay: number): void {
  tidy(() =>
    noGrad(() => {
      for (const [name, tensor] of target) tensor.mul_(decay).add_(source.get(name) as Tensor, 1 - decay);
    }),
  );
}
