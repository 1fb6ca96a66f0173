// Module: a tree of layers whose property names spell the state dict's keys. A property that holds a Parameter, a
// Buffer, a Module, or an array of Modules is part of the tree; `encoder.blocks[3].attn.qkv.weight` is the key
// `encoder.blocks.3.attn.qkv.weight`. Layers hold zeros until they are initialised (init.ts) or loaded (state-dict.ts).

import { noGrad } from '../autograd.ts';
import type { Dtype } from '../dtype.ts';
import { keep } from '../handle.ts';
import type { Generator } from '../random.ts';
import { Tensor } from '../tensor.ts';

/** A tensor that is trained: outside every scope, requiring a gradient. Takes over the tensor it is made from. */
export class Parameter extends Tensor {
  constructor(source: Tensor, requiresGrad = true) {
    super(source.surrender());
    keep(this);
    this.requiresGrad = requiresGrad;
  }
}

/** A tensor that belongs to the state but is not trained. `persistent: false` keeps it out of the state dict. */
export class Buffer extends Tensor {
  readonly persistent: boolean;

  constructor(source: Tensor, options: { persistent?: boolean } = {}) {
    super(source.surrender());
    keep(this);
    this.persistent = options.persistent ?? true;
  }
}

export abstract class Module {
  /** Whether dropout and batch statistics behave as in training. */
  training = true;

  /** What may belong to the tree, by name; containers with numbered children override it. */
  protected members(): Iterable<readonly [string, unknown]> {
    return Object.entries(this);
  }

  /** Draws this layer's own parameters anew (not its children's). Layers without random parameters need not override. */
  resetParameters(_generator: Generator): void {}

  *namedChildren(): Iterable<readonly [string, Module]> {
    for (const [name, member] of this.members()) {
      if (member instanceof Module) yield [name, member];
      else if (Array.isArray(member)) {
        for (const [i, element] of member.entries())
          if (element instanceof Module) yield [`${name}.${i}`, element];
      }
    }
  }

  /** This module and all below it, depth first, each with its path ('' for this one). */
  *namedModules(prefix = ''): Iterable<readonly [string, Module]> {
    yield [prefix, this];
    for (const [name, child] of this.namedChildren()) yield* child.namedModules(join(prefix, name));
  }

  *#namedTensors<T extends Tensor>(
    type: abstract new (...args: never[]) => T,
  ): Iterable<readonly [string, T]> {
    for (const [path, module] of this.namedModules()) {
      for (const [name, member] of module.members())
        if (member instanceof type) yield [join(path, name), member];
    }
  }

  namedParameters(): Iterable<readonly [string, Parameter]> {
    return this.#namedTensors(Parameter);
  }
  parameters(): Parameter[] {
    return [...this.namedParameters()].map(([, parameter]) => parameter);
  }
  namedBuffers(): Iterable<readonly [string, Buffer]> {
    return this.#namedTensors(Buffer);
  }

  /** Parameters and persistent buffers by key, in tree order. The tensors are the module's own. */
  stateDict(): Map<string, Tensor> {
    const persistent = [...this.namedBuffers()].filter(([, buffer]) => buffer.persistent);
    return new Map<string, Tensor>([...this.namedParameters(), ...persistent]);
  }

  train(mode = true): this {
    for (const [, module] of this.namedModules()) module.training = mode;
    return this;
  }
  eval(): this {
    return this.train(false);
  }

  /** Lets gradients reach every parameter below, or none. */
  requiresGrad_(value: boolean): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = value;
    return this;
  }
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad = null;
  }

  /** Moves or converts every parameter and floating-point buffer in place. */
  to(target: Dtype | 'cpu' | `cuda${string}`): this {
    noGrad(() => {
      for (const [, tensor] of [...this.namedParameters(), ...this.namedBuffers()]) {
        const isDtype = !target.startsWith('cpu') && !target.startsWith('cuda');
        if (isDtype && !tensor.dtype.includes('float')) continue;
        const { requiresGrad } = tensor;
        const moved = tensor.to(target);
        if (moved === tensor) continue;
        tensor.takeOver(moved.detach());
        tensor.requiresGrad = requiresGrad;
        moved.dispose();
      }
    });
    return this;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Frees every parameter and buffer. */
  dispose(): void {
    for (const [, tensor] of [...this.namedParameters(), ...this.namedBuffers()]) tensor.dispose();
  }
}

/** A module of one tensor in and one out. */
export abstract class Layer extends Module {
  abstract forward(x: Tensor): Tensor;
}

/** Layers one after the other; keys are their positions. */
export class Sequential extends Layer {
  readonly layers: readonly Layer[];

  constructor(...layers: Layer[]) {
    super();
    this.layers = layers;
  }

  protected override members(): Iterable<readonly [string, unknown]> {
    return this.layers.map((layer, i) => [String(i), layer] as const);
  }

  override forward(x: Tensor): Tensor {
    return this.layers.reduce((y, layer) => layer.forward(y), x);
  }
}

function join(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}.${name}`;
}
