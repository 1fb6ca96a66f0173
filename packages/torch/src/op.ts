// `op`: any ATen operator as a JavaScript function. Wraps handles in Tensors; tensor.ts says how, since it needs this file.

import { type BoundOperator, bind, type OpArgument } from './dispatch.ts';
import type { TensorHandle } from './handle.ts';
import type { Kind } from './native.ts';
import type { Tensor } from './tensor.ts';

let makeTensor: (handle: number) => Tensor;

/** Sets what a handle becomes. */
export function wrapHandlesWith(make: (handle: number) => Tensor): void {
  makeTensor = make;
}

type Wrapper = (raw: unknown) => unknown;

const asIs: Wrapper = (raw) => raw;
const WRAPPERS: Readonly<Partial<Record<Kind, Wrapper>>> = {
  Tensor: (raw) => (raw === null ? null : makeTensor(raw as number)),
  TensorList: (raw) => (raw as number[]).map(makeTensor),
};

type Caller = (args: OpArgument[]) => unknown;

function caller({ schema, returns, invoke }: BoundOperator): Caller {
  const { returnAlias, reshapes } = schema;
  const wrappers = returns.map((kind) => WRAPPERS[kind] ?? asIs);
  const [alias = -1] = returnAlias;
  if (returnAlias.every((position) => position < 0)) {
    const [wrap = asIs] = wrappers;
    if (returns.length === 1) return (args) => wrap(invoke(args));
    if (returns.length === 0) return (args) => void invoke(args);
  } else if (returns.length === 1 && !reshapes) {
    return (args) => {
      const written = args[alias];
      invoke(args);
      return written;
    };
  }
  return (args) => {
    const written = returnAlias.map((position) => (position < 0 ? undefined : args[position]));
    const raw = invoke(args);
    for (const tensor of written) if (tensor) (tensor as TensorHandle).forgetDescription();
    const list = returns.length === 1 ? [raw] : (raw as unknown[]);
    const results = list.map((value, i) => written[i] ?? (wrappers[i] as Wrapper)(value));
    return returns.length === 1 ? results[0] : results;
  };
}

/**
 * Any ATen operator by its full name, e.g. `op('aten::upsample_bilinear2d.vec')`. The returned function takes the
 * schema's arguments in order (`undefined`: the default, `null`: none) and returns its result, an array of several, or
 * undefined. The operator is resolved at the first call. Throws EngineError with libtorch's message.
 */
export function op<R = Tensor>(name: string): (...args: OpArgument[]) => R {
  let call: Caller | undefined;
  return (...args) => {
    call ??= caller(bind(name));
    return call(args) as R;
  };
}
