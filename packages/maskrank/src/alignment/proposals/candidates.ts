// Four masks of one case and class, a bit a pixel: small enough to keep every round's in memory and on disk.
// Not here: where they come from (generators.ts), how a round is stored (round.ts).

import { createHash } from 'node:crypto';
import type { Mask } from '../../imaging/types.ts';

/** Masks of one size, packed: bit i of a mask is pixel i, lowest bit first. */
export type Candidates = {
  readonly width: number;
  readonly height: number;
  /** One a candidate, ceil(width * height / 8) bytes. */
  readonly bits: readonly Uint8Array[];
};

/** Packs 0/1 bytes (`count` masks one after the other). */
export function packCandidates(data: Uint8Array, count: number, width: number, height: number): Candidates {
  const pixels = width * height;
  const bits = Array.from({ length: count }, (_, k) => {
    const packed = new Uint8Array(Math.ceil(pixels / 8));
    const offset = k * pixels;
    for (let i = 0; i < pixels; i++) packed[i >> 3]! |= (data[offset + i] as number) << (i & 7);
    return packed;
  });
  return { width, height, bits };
}

/** One candidate as a mask. */
export function candidateMask({ width, height, bits }: Candidates, index: number): Mask {
  const data = new Uint8Array(width * height);
  const packed = bits[index] as Uint8Array;
  for (let i = 0; i < data.length; i++) data[i] = ((packed[i >> 3] as number) >> (i & 7)) & 1;
  return { width, height, data };
}

/** Writes the candidates, restricted to the pixels where they are not all equal, as 0/1 floats [K, P] into `target`. */
export function writeRegion({ width, height, bits }: Candidates, target: Float32Array): void {
  const pixels = width * height;
  for (let byte = 0; byte < bits[0]!.length; byte++) {
    let any = 0;
    let all = 0xff;
    for (const packed of bits) {
      any |= packed[byte] as number;
      all &= packed[byte] as number;
    }
    const differ = any & ~all;
    if (differ === 0) continue;
    for (const [k, packed] of bits.entries()) {
      const value = (packed[byte] as number) & differ;
      for (let bit = 0; bit < 8; bit++) if ((value >> bit) & 1) target[k * pixels + byte * 8 + bit] = 1;
    }
  }
}

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

/** |D|: pixels in which the candidates are not all equal. */
export function regionSize({ bits }: Candidates): number {
  let count = 0;
  for (let byte = 0; byte < bits[0]!.length; byte++) {
    let any = 0;
    let all = 0xff;
    for (const packed of bits) {
      any |= packed[byte] as number;
      all &= packed[byte] as number;
    }
    count += ONES[any & ~all] as number;
  }
  return count;
}

/** Content hash: an answer belongs to exactly these candidates. */
export function candidatesHash({ width, height, bits }: Candidates): string {
  const hash = createHash('sha256').update(`${width}x${height}x${bits.length}`);
  for (const packed of bits) hash.update(packed);
  return hash.digest('hex').slice(0, 32);
}
