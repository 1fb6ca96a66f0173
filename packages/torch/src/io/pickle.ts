// A machine that reads Python pickles of protocols 2 to 5 without executing anything: it builds containers and scalars
// itself and asks its host what a class name or a call stands for. The host answers with data, never with code.
// Source: the opcode descriptions of Python's pickletools (https://docs.python.org/3/library/pickletools.html).
// Every instruction costs at most a constant, or is charged for what it copies, so that no file can make it hang; the
// limits below bound memory. Shared references stay shared, so nested sharing ("billion laughs") costs nothing.
// Not here: which classes are known (torch-globals.ts), archives (pth.ts).

import { DataError } from '../errors.ts';
import { OPCODES } from './pickle-opcodes.ts';
import type { PthValue } from './pth-values.ts';
import { describeValue, walk } from './pth-values.ts';

/** Bounds on what a pickle may cost. The defaults are some twenty times what the largest public checkpoints need. */
export type PickleLimits = {
  /** Size of the pickle. Tensor data are not part of it: the description of a 10,000-tensor model takes 1.5 MB. */
  readonly maxPickleBytes: number;
  /** Instructions, plus the elements that instructions copy. */
  readonly maxOpcodes: number;
  /** Containers and objects: an empty dict costs 1 byte in the file and some 200 in memory. */
  readonly maxObjects: number;
  /** Values remembered for later reference. */
  readonly maxMemo: number;
  /** Values on the stack. */
  readonly maxStack: number;
  /** Containers within containers. Python's own pickler stops near 500. */
  readonly maxNesting: number;
};

export const PICKLE_LIMITS: PickleLimits = {
  maxPickleBytes: 256 * 1024 * 1024,
  maxOpcodes: 5_000_000,
  maxObjects: 1_000_000,
  maxMemo: 2_000_000,
  maxStack: 1_000_000,
  maxNesting: 1000,
};

/** Says what the names in a pickle stand for. May throw a `DataError`. */
export type PickleHost = {
  /** A class or function by its dotted name. */
  readonly global: (className: string) => PthValue;
  /** A call or construction: callee, arguments, and a function to charge for elements it copies. */
  readonly call: (callee: PthValue, args: PthValue[], charge: (elements: number) => void) => PthValue;
  /** An object that lies outside the pickle. */
  readonly persistent: (id: PthValue) => PthValue;
};

/** Runs a pickle and returns its value. Every fault is a `DataError` that `who` opens. */
export function readPickle(
  who: string,
  bytes: Uint8Array,
  host: PickleHost,
  limits: PickleLimits = PICKLE_LIMITS,
): PthValue {
  const machine = new PickleMachine(who, bytes, host, limits);
  const root = machine.run();
  for (const { depth } of walk(root)) {
    if (depth > limits.maxNesting) throw machine.overLimit('nesting', limits.maxNesting);
  }
  return root;
}

/** State of one run; the instructions themselves stand in pickle-opcodes.ts. */
export class PickleMachine {
  readonly host: PickleHost;
  readonly charge: (elements: number) => void;
  readonly #who: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #limits: PickleLimits;
  readonly #memo = new Map<number, PthValue>();
  readonly #outer: PthValue[][] = [];
  #stack: PthValue[] = [];
  #outerItems = 0;
  #at = 0;
  #opcodes = 0;
  #objects = 0;
  #result: { readonly value: PthValue } | undefined;

  constructor(who: string, bytes: Uint8Array, host: PickleHost, limits: PickleLimits) {
    this.#who = who;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limits = limits;
    this.host = host;
    this.charge = (elements) => {
      this.#opcodes += elements;
      if (this.#opcodes > limits.maxOpcodes) throw this.overLimit('instructions', limits.maxOpcodes);
    };
  }

  run(): PthValue {
    if (this.#bytes.length > this.#limits.maxPickleBytes) {
      throw this.overLimit('bytes', this.#limits.maxPickleBytes);
    }
    if (this.#bytes[0] !== 0x80) throw this.error('does not begin with a protocol, allowed protocols 2 to 5');
    while (!this.#result) {
      const code = this.uint8();
      const opcode = OPCODES.get(code);
      if (!opcode) {
        throw this.error(`unknown instruction 0x${code.toString(16)}, allowed those of protocols 2 to 5`);
      }
      this.charge(1);
      opcode(this);
    }
    if (this.bytesLeft > 0) throw this.error(`${this.bytesLeft} bytes after the end, allowed none`);
    return this.#result.value;
  }

  error(problem: string): DataError {
    return new DataError(`${this.#who}: pickle byte ${this.#at}: ${problem}: not a checkpoint, or damaged.`);
  }

  overLimit(what: string, limit: number): DataError {
    return new DataError(
      `${this.#who}: pickle byte ${this.#at}: more than ${limit} ${what}, allowed ${limit}: refused as too costly. ` +
        'If the file is sound, save only its state dict, or raise the limit in the options.',
    );
  }

  // Input

  get bytesLeft(): number {
    return this.#bytes.length - this.#at;
  }

  bytes(length: number): Uint8Array {
    const begin = this.#at;
    if (length > this.bytesLeft) {
      throw this.error(`${length} bytes announced, ${this.bytesLeft} left`);
    }
    this.#at += length;
    return this.#bytes.subarray(begin, begin + length);
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  /** A 64-bit length; beyond 2^53 it is rounded, which `bytes` refuses all the same. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  float64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** Text up to the next newline, which is consumed. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw this.error('a line without end');
    const text = this.text(this.bytes(end - this.#at));
    this.#at++;
    return text;
  }

  text(bytes: Uint8Array): string {
    try {
      return UTF8.decode(bytes);
    } catch {
      throw this.error('text that is not UTF-8');
    }
  }

  #advance(length: number): number {
    const begin = this.#at;
    this.bytes(length);
    return begin;
  }

  // Stack, marks and memo

  push(value: PthValue): void {
    if (this.#stack.length + this.#outerItems >= this.#limits.maxStack) {
      throw this.overLimit('values on the stack', this.#limits.maxStack);
    }
    this.#stack.push(value);
  }

  /** Pushes a container or object, counting it. */
  pushNew(value: PthValue): void {
    this.#objects++;
    if (this.#objects > this.#limits.maxObjects) throw this.overLimit('objects', this.#limits.maxObjects);
    this.push(value);
  }

  pop(): PthValue {
    const value = this.#stack.pop();
    if (value === undefined) throw this.error('the stack is empty');
    return value;
  }

  top(): PthValue {
    const value = this.#stack.at(-1);
    if (value === undefined) throw this.error('the stack is empty');
    return value;
  }

  mark(): void {
    if (this.#outer.length >= this.#limits.maxNesting)
      throw this.overLimit('open marks', this.#limits.maxNesting);
    this.#outer.push(this.#stack);
    this.#outerItems += this.#stack.length;
    this.#stack = [];
  }

  /** Removes everything above the last mark, and the mark. */
  popMark(): PthValue[] {
    const items = this.#stack;
    const outer = this.#outer.pop();
    if (!outer) throw this.error('no mark on the stack');
    this.#stack = outer;
    this.#outerItems -= outer.length;
    return items;
  }

  remember(index: number): void {
    if (this.#memo.size >= this.#limits.maxMemo)
      throw this.overLimit('remembered values', this.#limits.maxMemo);
    this.#memo.set(index, this.top());
  }

  /** MEMOIZE numbers the values itself. */
  rememberNext(): void {
    this.remember(this.#memo.size);
  }

  recall(index: number): PthValue {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.error(`refers to value ${index}, which was not remembered`);
    return value;
  }

  stop(): void {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#outer.length > 0)
      throw this.error('ends with values left on the stack');
    this.#result = { value };
  }

  wrongKind(what: string, found: PthValue, allowed: string): DataError {
    return this.error(`${what} is ${describeValue(found)}, allowed ${allowed}`);
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
