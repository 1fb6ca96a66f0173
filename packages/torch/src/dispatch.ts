// From JavaScript values to an operator's arguments: checks each against the schema's kind and turns it into what
// native/dispatch.cc expects. Results come back raw (handles); tensor.ts wraps them.

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
const plain =
  (expected: string, ...types: string[]): Encoder =>
  (value) =>
    types.includes(typeof value) ? value : wrong(expected, value);
const list =
  (element: Encoder, expected: string): Encoder =>
  (value) =>
    Array.isArray(value) ? value.map((v) => (v === null ? null : element(v))) : wrong(expected, value);
const code =
  (table: Readonly<Record<string, number>>, expected: string): Encoder =>
  (value) =>
    table[value as string] ?? wrong(`${expected} (${Object.keys(table).join(', ')})`, value);

const number = plain('a number', 'number', 'bigint');
const scalar = plain('a number', 'number', 'bigint', 'boolean');
const boolean = plain('true or false', 'boolean');
const string = plain('a string', 'string');
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
  readonly invoke: (args: readonly OpArgument[]) => unknown;
};

/** Resolves `aten::add.Tensor` and the like. Throws EngineError when this engine has no such operator. */
export function bind(name: string): BoundOperator {
  const engine = native();
  const schema = engineCall(name, () => engine.lookup(name));
  const encoders = schema.arguments.map((argument) => ENCODERS[KINDS[argument.kind] as Kind]);
  const invoke = (args: readonly OpArgument[]): unknown => {
    if (args.length > encoders.length) {
      throw new EngineError(
        `${name}: ${args.length} arguments given, at most ${encoders.length} allowed: ${engine.schema(schema.id)}`,
      );
    }
    const raw: unknown[] = new Array(args.length);
    for (let i = 0; i < args.length; i++) {
      const value = args[i];
      if (value === undefined || value === null) {
        raw[i] = value;
        continue;
      }
      try {
        raw[i] = (encoders[i] as Encoder)(value);
      } catch (error) {
        throw new EngineError(
          `${name}: argument '${schema.arguments[i]?.name}': ${(error as Error).message}`,
        );
      }
    }
    return engineCall(name, () => engine.call(schema.id, ...raw));
  };
  return { schema, returns: schema.returns.map((kind) => KINDS[kind] as Kind), invoke };
}

/** Runs a native call and rethrows its error as an EngineError that names the operation. */
export function engineCall<T>(what: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

/** Whether this engine has an operator, by its full name with overload. */
export function hasOperator(name: string): boolean {
  return native().has(name);
}

/** Every operator of this engine. */
export function listOperators(): string[] {
  return native().operators();
}
