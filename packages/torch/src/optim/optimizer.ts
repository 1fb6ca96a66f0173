// What every optimiser has: groups of named parameters with their own settings, per-parameter state, and a state that can
// be saved and restored exactly. Parameters without a gradient are passed over and keep their state.
// Not here: the update rules (adam.ts, sgd.ts), learning-rate schedules (schedules.ts).

import { noGrad } from '../autograd.ts';
import { EngineError, UsageError } from '../errors.ts';
import { keep, tidy } from '../handle.ts';
import type { Parameter } from '../nn/module.ts';
import type { Tensor } from '../tensor.ts';

export type NamedParameters = Iterable<readonly [string, Parameter]>;

/** Parameters with settings of their own; what is not given comes from the optimiser's options. */
export type ParameterGroup<Settings> = Partial<Settings> & { readonly parameters: NamedParameters };

type Group<Settings> = { readonly parameters: readonly (readonly [string, Parameter])[]; settings: Settings };

/** Per-parameter memory: the number of updates so far and tensors by name. */
type ParameterState = { step: number; readonly tensors: Map<string, Tensor> };

/** Parameters of a group that are updated together: same number of earlier updates, element type and device. */
export type UpdateBatch = {
  readonly parameters: readonly Tensor[];
  readonly gradients: readonly Tensor[];
  /** Number of this update, from 1. */
  readonly step: number;
  /** State tensors by name, one a parameter, zeros at first. */
  readonly state: (name: string) => readonly Tensor[];
};

export abstract class Optimizer<Settings extends { learningRate: number }> {
  readonly groups: readonly Group<Settings>[];
  readonly #states = new Map<string, ParameterState>();

  constructor(parameters: NamedParameters | readonly ParameterGroup<Settings>[], defaults: Settings) {
    const isGroups = Array.isArray(parameters) && parameters.length > 0 && !Array.isArray(parameters[0]);
    const groups = (isGroups ? parameters : [{ parameters }]) as readonly ParameterGroup<Settings>[];
    this.groups = groups.map(({ parameters: named, ...settings }) => ({
      parameters: [...named],
      settings: { ...defaults, ...settings },
    }));
    const names = this.groups.flatMap((group) => group.parameters.map(([name]) => name));
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw new UsageError(`optimiser: parameter '${twice}' is given twice`);
    if (names.length === 0) throw new UsageError('optimiser: there are no parameters to train');
  }

  /** Updates `batch.parameters` in place. */
  protected abstract update(batch: UpdateBatch, settings: Settings): void;

  /** One update of every parameter that has a gradient. */
  step(): void {
    noGrad(() =>
      tidy(() => {
        for (const group of this.groups) {
          for (const batch of this.#batches(group)) this.update(batch, group.settings);
        }
      }),
    );
  }

  #batches(group: Group<Settings>): UpdateBatch[] {
    type Batch = { step: number; names: string[]; parameters: Tensor[]; gradients: Tensor[] };
    const batches = new Map<string, Batch>();
    for (const [name, parameter] of group.parameters) {
      const gradient = parameter.grad;
      if (gradient === null) continue;
      const state = this.#stateOf(name);
      state.step += 1;
      const key = `${state.step} ${parameter.dtype} ${parameter.device}`;
      let batch = batches.get(key);
      if (batch === undefined) {
        batch = { step: state.step, names: [], parameters: [], gradients: [] };
        batches.set(key, batch);
      }
      batch.names.push(name);
      batch.parameters.push(parameter);
      batch.gradients.push(gradient);
    }
    return [...batches.values()].map(({ names, ...batch }) => ({
      ...batch,
      state: (key) => names.map((name, i) => this.#tensorOf(name, key, batch.parameters[i] as Tensor)),
    }));
  }

  #stateOf(name: string): ParameterState {
    let state = this.#states.get(name);
    if (state === undefined) {
      state = { step: 0, tensors: new Map() };
      this.#states.set(name, state);
    }
    return state;
  }

  #tensorOf(name: string, key: string, like: Tensor): Tensor {
    const { tensors } = this.#stateOf(name);
    let value = tensors.get(key);
    if (value === undefined) {
      value = keep(like.detach().clone().zero_());
      tensors.set(key, value);
    }
    return value;
  }

  zeroGrad(): void {
    for (const group of this.groups) for (const [, parameter] of group.parameters) parameter.grad = null;
  }

  /** Sets every group's learning rate to its own base times `factor`; the bases are those at the first call. */
  readonly #bases: number[] = [];
  scaleLearningRate(factor: number): void {
    for (const [i, group] of this.groups.entries()) {
      this.#bases[i] ??= group.settings.learningRate;
      group.settings.learningRate = (this.#bases[i] as number) * factor;
    }
  }

  /** State tensors by `parameter/name`, and the update counts. The tensors are the optimiser's own. */
  stateDict(): { tensors: Map<string, Tensor>; steps: Record<string, number> } {
    const tensors = new Map<string, Tensor>();
    const steps: Record<string, number> = {};
    for (const [name, state] of this.#states) {
      steps[name] = state.step;
      for (const [key, value] of state.tensors) tensors.set(`${name}/${key}`, value);
    }
    return { tensors, steps };
  }

  /**
   * Restores what `stateDict` gave; copies the tensors. Throws EngineError that lists everything that does not belong to
   * these parameters; then nothing was changed.
   */
  loadStateDict(saved: {
    tensors: ReadonlyMap<string, Tensor>;
    steps: Readonly<Record<string, number>>;
  }): void {
    const parameters = new Map(this.groups.flatMap((group) => group.parameters));
    const entries = [...saved.tensors].map(([path, value]) => {
      const cut = path.lastIndexOf('/');
      return { path, name: path.slice(0, cut), key: path.slice(cut + 1), value };
    });
    const problems = [
      ...Object.keys(saved.steps).flatMap((name) =>
        parameters.has(name) ? [] : [`no parameter '${name}' here`],
      ),
      ...entries.flatMap(({ path, name, value }) => {
        const like = parameters.get(name);
        if (like === undefined || saved.steps[name] === undefined)
          return [`'${path}' belongs to no parameter`];
        if (`${like.shape}` === `${value.shape}`) return [];
        return [`'${path}' has shape [${value.shape}], the parameter [${like.shape}]`];
      }),
    ];
    if (problems.length > 0) {
      throw new EngineError(
        `optimiser: the saved state does not fit; nothing was loaded.\n  ${problems.join('\n  ')}`,
      );
    }
    this.disposeState();
    for (const [name, step] of Object.entries(saved.steps)) this.#stateOf(name).step = step;
    noGrad(() =>
      tidy(() => {
        for (const { name, key, value } of entries)
          this.#tensorOf(name, key, parameters.get(name) as Parameter).copy_(value);
      }),
    );
  }

  [Symbol.dispose](): void {
    this.disposeState();
  }

  /** Frees the state tensors. */
  disposeState(): void {
    for (const state of this.#states.values()) for (const value of state.tensors.values()) value.dispose();
    this.#states.clear();
  }
}

/** Settings with their defaults filled in, for constructors. */
export function withDefaults<S>(defaults: S, given: Partial<S>): S {
  return {
    ...defaults,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  } as S;
}
