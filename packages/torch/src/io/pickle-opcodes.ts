// The instructions of pickle protocols 2 to 5, one small function each, by their byte.
// Source: Python's pickletools. Not taken over, because no checkpoint of these protocols needs them: the text
// instructions of protocols 0 and 1, the extension registry, out-of-band buffers.

import type { PickleMachine } from './pickle.ts';
import type { PthValue } from './pth-values.ts';
import { isPthObject } from './pth-values.ts';

type Instruction = (machine: PickleMachine) => void;

/** A Python int of more bytes than this in a checkpoint is an attack, not a number. */
const MAX_INT_BYTES = 1024;

export const OPCODES: ReadonlyMap<number, Instruction> = new Map<number, Instruction>([
  // Frame of the pickle
  [0x80, protocol],
  [0x95, (m) => frame(m, m.uint64())],
  [byte('.'), (m) => m.stop()],

  // Scalars
  [byte('N'), (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [byte('J'), (m) => m.push(m.int32())],
  [byte('K'), (m) => m.push(m.uint8())],
  [byte('M'), (m) => m.push(m.uint16())],
  [0x8a, (m) => m.push(longInteger(m, m.uint8()))],
  [0x8b, (m) => m.push(longInteger(m, m.uint32()))],
  [byte('G'), (m) => m.push(m.float64())],

  // Text and bytes; Python 2's str ('T', 'U') is read as text
  [byte('X'), (m) => m.push(m.text(m.bytes(m.uint32())))],
  [0x8c, (m) => m.push(m.text(m.bytes(m.uint8())))],
  [0x8d, (m) => m.push(m.text(m.bytes(m.uint64())))],
  [byte('T'), (m) => m.push(m.text(m.bytes(m.uint32())))],
  [byte('U'), (m) => m.push(m.text(m.bytes(m.uint8())))],
  [byte('B'), (m) => m.pushNew(new Uint8Array(m.bytes(m.uint32())))],
  [byte('C'), (m) => m.pushNew(new Uint8Array(m.bytes(m.uint8())))],
  [0x8e, (m) => m.pushNew(new Uint8Array(m.bytes(m.uint64())))],
  [0x96, (m) => m.pushNew(new Uint8Array(m.bytes(m.uint64())))],

  // Containers
  [byte(']'), (m) => m.pushNew([])],
  [byte(')'), (m) => m.pushNew([])],
  [byte('}'), (m) => m.pushNew(new Map())],
  [0x8f, (m) => m.pushNew(new Set())],
  [byte('l'), (m) => m.pushNew(m.popMark())],
  [byte('t'), (m) => m.pushNew(m.popMark())],
  [0x85, (m) => m.pushNew([m.pop()])],
  [0x86, (m) => tuple(m, 2)],
  [0x87, (m) => tuple(m, 3)],
  [byte('d'), dictOfItems],
  [0x91, (m) => m.pushNew(new Set(m.popMark()))],
  [byte('a'), (m) => append(m, [m.pop()])],
  [byte('e'), (m) => append(m, m.popMark())],
  [byte('s'), setItem],
  [byte('u'), (m) => setItems(m, m.popMark())],
  [0x90, addItems],

  // Stack and memo
  [byte('('), (m) => m.mark()],
  [byte('0'), discard],
  [byte('1'), discardToMark],
  [byte('2'), (m) => m.push(m.top())],
  [byte('h'), (m) => m.push(m.recall(m.uint8()))],
  [byte('j'), (m) => m.push(m.recall(m.uint32()))],
  [byte('q'), (m) => m.remember(m.uint8())],
  [byte('r'), (m) => m.remember(m.uint32())],
  [0x94, (m) => m.rememberNext()],

  // Classes and objects: the host decides what they stand for
  [byte('c'), globalOfLines],
  [0x93, globalOfStack],
  [byte('R'), call],
  [0x81, call],
  [0x92, callWithKeywords],
  [byte('b'), build],
  [byte('Q'), (m) => m.pushNew(m.host.persistent(m.pop()))],
]);

function byte(character: string): number {
  return character.charCodeAt(0);
}

function protocol(m: PickleMachine): void {
  const version = m.uint8();
  if (version < 2 || version > 5) throw m.error(`protocol ${version}, allowed 2 to 5`);
}

function dictOfItems(m: PickleMachine): void {
  const map = new Map<PthValue, PthValue>();
  setAll(m, map, m.popMark());
  m.pushNew(map);
}

function setItem(m: PickleMachine): void {
  const value = m.pop();
  setItems(m, [m.pop(), value]);
}

function addItems(m: PickleMachine): void {
  const items = m.popMark();
  const set = m.top();
  if (!(set instanceof Set)) throw m.wrongKind('ADDITEMS target', set, 'a set');
  for (const item of items) set.add(item);
}

function discard(m: PickleMachine): void {
  m.pop();
}

function discardToMark(m: PickleMachine): void {
  m.popMark();
}

function globalOfLines(m: PickleMachine): void {
  const module = m.line();
  global(m, module, m.line());
}

function globalOfStack(m: PickleMachine): void {
  const name = m.pop();
  const module = m.pop();
  if (typeof module !== 'string') throw m.wrongKind('module name', module, 'a string');
  if (typeof name !== 'string') throw m.wrongKind('class name', name, 'a string');
  global(m, module, name);
}

function callWithKeywords(m: PickleMachine): void {
  const keywords = m.pop();
  const args = argumentsOf(m, m.pop());
  m.charge(args.length);
  m.pushNew(m.host.call(m.pop(), [...args, keywords], m.charge));
}

function frame(m: PickleMachine, length: number): void {
  if (length > m.bytesLeft) throw m.error(`a frame of ${length} bytes, ${m.bytesLeft} left`);
}

/** Two's complement, little-endian. */
function longInteger(m: PickleMachine, length: number): number | bigint {
  if (length > MAX_INT_BYTES) throw m.error(`an integer of ${length} bytes, allowed ${MAX_INT_BYTES}`);
  if (length === 0) return 0;
  const hex = Buffer.from(m.bytes(length)).reverse().toString('hex');
  const value = BigInt.asIntN(8 * length, BigInt(`0x${hex}`));
  const asNumber = Number(value);
  return Number.isSafeInteger(asNumber) ? asNumber : value;
}

function tuple(m: PickleMachine, length: number): void {
  const items: PthValue[] = [];
  for (let i = 0; i < length; i++) items.unshift(m.pop());
  m.pushNew(items);
}

function append(m: PickleMachine, items: PthValue[]): void {
  const target = m.top();
  const list = Array.isArray(target) ? target : isOpaque(target) ? target.items : undefined;
  if (!list) throw m.wrongKind('APPEND target', target, 'a list');
  for (const item of items) list.push(item);
}

function setItems(m: PickleMachine, items: PthValue[]): void {
  const target = m.top();
  const map = target instanceof Map ? target : isOpaque(target) ? target.entries : undefined;
  if (!map) throw m.wrongKind('SETITEM target', target, 'a dict');
  setAll(m, map, items);
}

/** `items` are keys and values in turn. */
function setAll(m: PickleMachine, map: Map<PthValue, PthValue>, items: PthValue[]): void {
  if (items.length % 2 !== 0) throw m.error('a dict entry without a value');
  for (let i = 0; i < items.length; i += 2) map.set(items[i]!, items[i + 1]!);
}

const MAX_NAME_LENGTH = 500;

function global(m: PickleMachine, module: string, name: string): void {
  const className = `${module}.${name}`;
  if (className.length > MAX_NAME_LENGTH) {
    throw m.error(`a class name of ${className.length} characters, allowed ${MAX_NAME_LENGTH}`);
  }
  m.pushNew(m.host.global(className));
}

function call(m: PickleMachine): void {
  const args = argumentsOf(m, m.pop());
  m.pushNew(m.host.call(m.pop(), args, m.charge));
}

function argumentsOf(m: PickleMachine, args: PthValue): PthValue[] {
  if (!Array.isArray(args)) throw m.wrongKind('argument list', args, 'a tuple');
  return args;
}

/** State of an unknown object is kept; attributes of known containers and tensors are dropped (`_metadata`, hooks). */
function build(m: PickleMachine): void {
  const state = m.pop();
  const target = m.top();
  if (isOpaque(target)) target.state = state;
  else if (typeof target !== 'object' || target === null)
    throw m.wrongKind('BUILD target', target, 'an object');
}

function isOpaque(value: PthValue): value is Extract<PthValue, { kind: 'opaque' }> {
  return isPthObject(value) && value.kind === 'opaque';
}
