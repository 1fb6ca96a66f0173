// Fields that are used again from picture to picture: a quarter of a megabyte asked from the system for each step would
// cost as much as the step. What is lent belongs to the borrower until the next `startPicture`.
// Not here: anything a picture hands out (its bytes and masks are always new).

/** Buffers that hold `capacity` floats each; the first `lent` of them are in use. */
let buffers: ArrayBuffer[] = [];
let capacity = 0;
let lent = 0;

/** Takes back every field lent before. To be called before a picture of up to `pixels` pixels is drawn. */
export function startPicture(pixels: number): void {
  lent = 0;
  // One large picture should not hold memory for all the small ones that follow.
  if (pixels > capacity || pixels * 8 < capacity) {
    buffers = [];
    capacity = pixels;
  }
}

/** A field of `length` floats with whatever it held before. */
export function lend(length: number): Float32Array<ArrayBuffer> {
  if (length > capacity) return new Float32Array(length);
  let buffer = buffers[lent];
  if (buffer === undefined) {
    buffer = new ArrayBuffer(4 * capacity);
    buffers.push(buffer);
  }
  lent++;
  return new Float32Array(buffer, 0, length);
}

/** The same, of zeros. */
export const lendZeros = (length: number): Float32Array<ArrayBuffer> => lend(length).fill(0);

/** Runs `work` and takes back what it was lent, all but the field that it returns. */
export function withScratch(work: () => Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const before = lent;
  const kept = work();
  const place = buffers.indexOf(kept.buffer);
  if (place >= before) {
    buffers[place] = buffers[before]!;
    buffers[before] = kept.buffer;
    lent = before + 1;
  } else lent = before;
  return kept;
}
