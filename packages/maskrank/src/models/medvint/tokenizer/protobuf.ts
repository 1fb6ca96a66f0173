// The wire format of protocol buffers, as much as reading a message takes: fields in file order, nothing interpreted.
// Source: https://protobuf.dev/programming-guides/encoding. Not here: groups (deprecated, refused), writing, any message.

import { DataError } from '@maskrank/torch/errors';

/** A field as it lies in the message; which of the values is meant follows from the message's definition. */
export type WireField =
  | { readonly number: number; readonly kind: 'varint'; readonly value: number }
  | { readonly number: number; readonly kind: 'bytes'; readonly value: Uint8Array }
  /** Four or eight bytes, little-endian. */
  | { readonly number: number; readonly kind: 'fixed'; readonly value: DataView };

const FIXED_BYTES: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

/** The fields of a message. `who` opens the message of the DataError that a damaged one ends in. */
export function* readFields(who: string, bytes: Uint8Array): Iterable<WireField> {
  let position = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = bytes[position++];
      if (byte === undefined) throw damaged(who, position, 'ends inside a number');
      value += (byte & 0x7f) * 2 ** (7 * i); // beyond 2^53 inexact: negative enumerations only, which are no value here
      if (byte < 0x80) return value;
    }
    throw damaged(who, position, 'holds a number of more than 10 bytes');
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - position)
      throw damaged(who, position, `announces ${length} bytes where ${bytes.length - position} are left`);
    position += length;
    return bytes.subarray(position - length, position);
  };
  while (position < bytes.length) {
    const tag = varint();
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    const fixed = FIXED_BYTES[wire];
    if (number === 0) throw damaged(who, position, 'has a field number 0');
    if (wire === 0) yield { number, kind: 'varint', value: varint() };
    else if (wire === 2) yield { number, kind: 'bytes', value: take(varint()) };
    else if (fixed !== undefined) {
      const data = take(fixed);
      yield { number, kind: 'fixed', value: new DataView(data.buffer, data.byteOffset, fixed) };
    } else throw damaged(who, position, `has a field of wire type ${wire}, allowed 0, 1, 2, 5`);
  }
}

function damaged(who: string, position: number, found: string): DataError {
  return new DataError(
    `${who}: the message ${found} at byte ${position}: not this kind of file, or damaged.`,
  );
}
