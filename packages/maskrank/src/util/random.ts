// Seeded random numbers: sfc32 (Doty-Humphrey, PractRand), with independent streams by name and a state that can be
// saved. Nothing in this project draws from a global source: a `Random` is passed in.
// Not here: the engine's own generators (dropout, weight initialisation), and anything for cryptography.

import { UsageError } from '@maskrank/torch/errors';

/** What a stream was started from: 128 bits that its seed and labels give. */
type Origin = readonly [number, number, number, number];

/** Numbers of a saved state: four of the generator, four of the stream's origin. */
const STATE_LENGTH = 8;

/**
 * A stream of random numbers. `fork(label)` depends on the seed and the labels alone, never on how many numbers were
 * drawn before, so adding a draw in one place does not change another place's stream.
 */
export class Random {
  private a = 0;
  private b = 0;
  private c = 0;
  private counter = 0;
  private origin: Origin = [0, 0, 0, 0];

  /** @param seed any number or string; `7` and `'7'` name the same stream */
  constructor(seed: number | string) {
    if (typeof seed === 'number' && !Number.isFinite(seed)) {
      throw new UsageError(`Random: seed = ${seed}; allowed: a finite number or a string.`);
    }
    this.start(hash128(`${seed}`, [0x9e3779b9, 0x243f6a88, 0xb7e15162, 0xdeadbeef]));
  }

  private start(origin: Origin): void {
    this.origin = origin;
    [this.a, this.b, this.c] = origin;
    this.counter = origin[3] | 1;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** Uniform integer in [0, 2^32). */
  uint32(): number {
    const t = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t;
    this.c |= 0;
    return t >>> 0;
  }

  /** Uniform in [0, 1) with 53 random bits. */
  next(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** Uniform in [lo, hi). */
  uniform(lo: number, hi: number): number {
    return lo + (hi - lo) * this.next();
  }

  /** In [lo, hi), 0 < lo, uniform in its logarithm. */
  logUniform(lo: number, hi: number): number {
    return Math.exp(this.uniform(Math.log(lo), Math.log(hi)));
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.next() < p;
  }

  /** Uniform integer in [lo, hiExclusive), without modulo bias; the range holds at most 2^32 values. */
  int(lo: number, hiExclusive: number): number {
    const n = hiExclusive - lo;
    if (!Number.isInteger(lo) || !Number.isInteger(n) || n < 1 || n > 4294967296) {
      throw new UsageError(
        `Random.int(${lo}, ${hiExclusive}): allowed: integers with lo < hi, at most 2^32 apart.`,
      );
    }
    const limit = 4294967296 - (4294967296 % n);
    let u = this.uint32();
    while (u >= limit) u = this.uint32();
    return lo + (u % n);
  }

  /** Standard normal, by the ziggurat of Marsaglia and Tsang (2000) with 128 layers. */
  normal(): number {
    for (;;) {
      const u = this.uint32() | 0;
      const layer = u & 127;
      // The low bits choose the layer; the sign and the upper bits choose the place inside.
      const x = (u >> 8) * ZIGGURAT.width[layer]!;
      if (Math.abs(u >> 8) < ZIGGURAT.inside[layer]!) return x;
      if (layer === 0) return this.normalTail(u < 0);
      const y = ZIGGURAT.density[layer]!;
      if (y + this.next() * (ZIGGURAT.density[layer - 1]! - y) < Math.exp(-0.5 * x * x)) return x;
    }
  }

  private normalTail(negative: boolean): number {
    for (;;) {
      const x = -Math.log(1 - this.next()) / ZIGGURAT_EDGE;
      const y = -Math.log(1 - this.next());
      if (2 * y > x * x) return negative ? -(ZIGGURAT_EDGE + x) : ZIGGURAT_EDGE + x;
    }
  }

  /** A new array in random order (Fisher-Yates); the argument stays as it is. */
  shuffle<T>(xs: readonly T[]): T[] {
    const out = xs.slice();
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(0, i + 1);
      const t = out[i]!;
      out[i] = out[j]!;
      out[j] = t;
    }
    return out;
  }

  /** One element, uniformly. */
  choice<T>(xs: readonly T[]): T {
    if (xs.length === 0)
      throw new UsageError('Random.choice: the list is empty; allowed: at least one element.');
    return xs[this.int(0, xs.length)]!;
  }

  /** An independent stream named by `label`; the same label gives the same stream, however much was drawn before. */
  fork(label: string): Random {
    const child = new Random(0);
    child.start(hash128(label, this.origin));
    return child;
  }

  /** Eight 32-bit numbers that `fromState` turns back into this very stream at this very place. */
  getState(): number[] {
    return [this.a, this.b, this.c, this.counter, ...this.origin].map((x) => x >>> 0);
  }

  static fromState(state: readonly number[]): Random {
    const whole = state.every((x) => Number.isInteger(x) && x >= 0 && x < 4294967296);
    if (state.length !== STATE_LENGTH || !whole) {
      throw new UsageError(
        `Random.fromState: ${state.length} numbers; allowed: the ${STATE_LENGTH} unsigned 32-bit integers of getState().`,
      );
    }
    const random = new Random(0);
    const words = state.map((x) => x | 0);
    [random.a, random.b, random.c, random.counter] = words as [number, number, number, number];
    random.origin = words.slice(4) as unknown as Origin;
    return random;
  }
}

/** Right edge of the ziggurat's base layer and the area of each layer (Marsaglia and Tsang 2000, 128 layers). */
const ZIGGURAT_EDGE = 3.442619855899;
const ZIGGURAT_AREA = 9.91256303526217e-3;
const ZIGGURAT = makeZiggurat();

function makeZiggurat() {
  const scale = 8388608; // 2^23: the signed 24-bit draw spans a layer's width
  const width = new Float64Array(128);
  const inside = new Float64Array(128);
  const density = new Float64Array(128);
  const pdf = (x: number) => Math.exp(-0.5 * x * x);
  let x = ZIGGURAT_EDGE;
  const base = ZIGGURAT_AREA / pdf(x);
  width[0] = base / scale;
  inside[0] = (x / base) * scale;
  density[0] = 1;
  width[127] = x / scale;
  density[127] = pdf(x);
  for (let i = 126; i >= 1; i--) {
    const outer = x;
    x = Math.sqrt(-2 * Math.log(ZIGGURAT_AREA / outer + pdf(outer)));
    inside[i + 1] = (x / outer) * scale;
    width[i] = x / scale;
    density[i] = pdf(x);
  }
  inside[1] = 0;
  return { width, inside, density };
}

/** Four 32-bit lanes of multiply-and-rotate over the text's code units, finished with murmur3's avalanche. */
function hash128(text: string, start: Origin): Origin {
  let [h0, h1, h2, h3] = start;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    h0 = rotate(h1 ^ Math.imul(h0 ^ unit, 0x9e3779b1), 13);
    h1 = rotate(h2 ^ Math.imul(h1 ^ unit, 0x85ebca77), 17);
    h2 = rotate(h3 ^ Math.imul(h2 ^ unit, 0xc2b2ae3d), 11);
    h3 = rotate(h0 ^ Math.imul(h3 ^ unit, 0x27d4eb2f), 19);
  }
  const sum = (h0 + h1 + h2 + h3 + text.length) | 0;
  return [avalanche(h0 ^ sum), avalanche(h1 + sum), avalanche(h2 ^ (sum >>> 7)), avalanche(h3 + (sum << 9))];
}

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

function avalanche(h: number): number {
  let x = h ^ (h >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) | 0;
}
