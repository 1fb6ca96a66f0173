// Pickles for tests: small pieces that concatenate. `p` joins instructions; the others are values and torch's idioms.

export type Piece = Uint8Array | string | number;

/** Joins bytes (numbers), latin1 text (strings) and pieces. */
export function p(...pieces: readonly Piece[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) =>
      typeof piece === 'number'
        ? Buffer.from([piece])
        : typeof piece === 'string'
          ? Buffer.from(piece, 'latin1')
          : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength),
    ),
  );
}

export const PROTO2 = p(0x80, 2);

/** A whole pickle of one value. */
export const pickle = (...pieces: readonly Piece[]): Buffer => p(PROTO2, ...pieces, '.');

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return p('X', u32(bytes.length), bytes);
}

export function int(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return p(0x8a, 8, bytes);
}

export const tuple = (...items: readonly Piece[]): Buffer => p('(', ...items, 't');
export const ints = (values: readonly number[]): Buffer => tuple(...values.map(int));
export const global = (module: string, name: string): Buffer => p('c', module, '\n', name, '\n');
export const call = (module: string, name: string, ...args: readonly Piece[]): Buffer =>
  p(global(module, name), tuple(...args), 'R');

export const dict = (entries: Readonly<Record<string, Piece>>): Buffer =>
  p('}(', ...Object.entries(entries).flatMap(([key, value]) => [text(key), value]), 'u');

export const storage = (type: string, key: string, count: number): Buffer =>
  p(tuple(text('storage'), global('torch', type), text(key), text('cpu'), int(count)), 'Q');

export type View = {
  readonly type?: string;
  readonly key?: string;
  readonly count: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
};

/** torch._utils._rebuild_tensor_v2 on a storage. */
export function tensor({
  type = 'FloatStorage',
  key = '0',
  count,
  offset = 0,
  shape,
  strides,
}: View): Buffer {
  const hooks = call('collections', 'OrderedDict');
  const args = [storage(type, key, count), int(offset), ints(shape), ints(strides), p(0x89), hooks];
  return call('torch._utils', '_rebuild_tensor_v2', ...args);
}
