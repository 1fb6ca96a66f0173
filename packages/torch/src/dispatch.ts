// From JavaScript values to an operator's arguments: checks each against the schema's kind and turns it into what
// native/dispatch.cc expects. Not here: what the results are wrapped in (op.ts).

import { DTYPES, type Dtype } from './dtype.ts';
import { EngineError } from './errors.ts';
import { TensorHandle } from './handle.ts';
import { KINDS, type Kind, type NativeOperator, native } from './native.ts';
import type { Generator } from './random.ts';

export type MemoryFormat = 'contiguous' | 'preserve' | 'channelsLast' | 'channelsLast3d';
const MEMORY_FORMATS: Readonly<Record<MemoryFormat, number>> = {
  contiguous: 0,
  preserve: 1,
  channelsLast: 2,
  channelsLast3d: 3,
};
const LAYOUTS: Readonly<Record<string, number>> = { strided: 0, sparse: 1 };

/** What an operator takes: `undefined` means the schema's default, `null` means none. */
export type OpArgument =
  | TensorHandle
  | Generator
  | number
  | bigint
  | boolean
  | string
  | null
  | undefined
  | readonly (TensorHandle | number | boolean | null)[];

type Encoder = (value: NonNullable<OpArgument>) => unknown;

function wrong(expected: string, value: unknown): never {
  const found = value instanceof TensorHandle ? 'a tensor' : Array.isArray(value) ? 'a list' : typeof value;
  throw new EngineError(`expected ${expected}, found ${found}`);
}

const tensor: Encoder = (value) => (value instanceof TensorHandle ? value.handle : wrong('a tensor', value));
const number: Encoder = (value) =>
  typeof value === 'number' || typeof value === 'bigint' ? value : wrong('a number', value);
const scalar: Encoder = (value) => (typeof value === 'boolean' ? value : number(value));
const boolean: Encoder = (value) => (typeof value === 'boolean' ? value : wrong('true or false', value));
const string: Encoder = (value) => (typeof value === 'string' ? value : wrong('a string', value));
const list =
  (element: Encoder, expected: string): Encoder =>
  (value) =>
    Array.isArray(value) ? value.map((v) => (v === null ? null : element(v))) : wrong(expected, value);
const code =
  (table: Readonly<Record<string, number>>, expected: string): Encoder =>
  (value) =>
    table[value as string] ?? wrong(`${expected} (${Object.keys(table).join(', ')})`, value);

const dtypeCodes = Object.fromEntries(
  Object.entries(DTYPES).map(([name, info]) => [name as Dtype, info.code]),
);

const ENCODERS: Readonly<Record<Kind, Encoder>> = {
  Tensor: tensor,
  OptionalTensor: tensor,
  TensorList: list(tensor, 'a list of tensors'),
  OptionalTensorList: list(tensor, 'a list of tensors and nulls'),
  Int: number,
  IntList: list(number, 'a list of whole numbers'),
  Float: number,
  FloatList: list(number, 'a list of numbers'),
  Bool: boolean,
  BoolList: list(boolean, 'a list of booleans'),
  Scalar: scalar,
  ScalarList: list(scalar, 'a list of numbers'),
  String: string,
  Dtype: code(dtypeCodes, 'an element type'),
  Layout: code(LAYOUTS, 'a layout'),
  MemoryFormat: code(MEMORY_FORMATS, 'a memory format'),
  Device: string,
  Generator: (value) =>
    typeof value === 'object' && 'generatorHandle' in value
      ? value.generatorHandle
      : wrong('a generator', value),
  Unsupported: (value) => wrong('nothing: this type cannot be passed from JavaScript', value),
};

/** An operator bound to its schema. */
export type BoundOperator = {
  readonly schema: NativeOperator;
  readonly returns: readonly Kind[];
  /** Calls the engine; the list of arguments is overwritten. Tensors come back as handles. */
  readonly invoke: (args: unknown[]) => unknown;
};

/** Resolves `aten::add.Tensor` and the like. Throws EngineError when this engine has no such operator. */
export function bind(name: string): BoundOperator {
  const engine = native();
  const { call } = engine;
  const schema = engine.lookup(name);
  const { id } = schema;
  const encoders = schema.arguments.map((argument) => ENCODERS[KINDS[argument.kind] as Kind]);
  const refuse = (i: number, error: unknown): never => {
    if (i < encoders.length)
      throw new EngineError(`${name}: argument '${schema.arguments[i]?.name}': ${(error as Error).message}`);
    throw new EngineError(
      `${name}: more than ${encoders.length} arguments given, allowed: ${engine.schema(id)}`,
    );
  };
  const invoke = (args: unknown[]): unknown => {
    let i = 0;
    try {
      for (; i < args.length; i++) {
        const value = args[i] as OpArgument;
        if (value !== undefined && value !== null) args[i] = (encoders[i] as Encoder)(value);
      }
    } catch (error) {
      refuse(i, error);
    }
    if (args.length > encoders.length) refuse(args.length, null);
    return call(id, ...args);
  };
  return { schema, returns: schema.returns.map((kind) => KINDS[kind] as Kind), invoke };
}

/** Whether this engine has an operator, by its full name with overload. */
export function hasOperator(name: string): boolean {
  return native().has(name);
}

/** Whether an operator is written for this kind of device, rather than composed of others or missing there. */
export function hasKernel(name: string, device: 'cpu' | 'cuda'): boolean {
  return native().hasKernel(name, device);
}

/** Every operator of this engine. */
export function listOperators(): string[] {
  return native().operators();
}
