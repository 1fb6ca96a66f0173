// Numbers for lattice vertices: an open-addressing hash table from a vertex's code (a whole number up to 2^53) to 1, 2, 3, ...
// in order of first sight. 0 stands for no vertex. Nothing is ever removed.

/** 2^32 divided by the golden ratio: spreads codes that follow each other (Knuth, vol. 3, 6.4). */
const SPREAD = 0x9e3779b1;

export class VertexTable {
  /** How many vertices there are; their numbers are 1..count. */
  count = 0;
  /** Code of vertex `i` at index `i`. */
  codes: Float64Array;
  /** Number of the vertex that sits in a slot, 0 where the slot is free; at most half are taken. */
  private slots: Int32Array;
  private shift: number;

  constructor(expected: number) {
    const bits = Math.max(4, Math.ceil(Math.log2(2 * expected + 2)));
    this.slots = new Int32Array(2 ** bits);
    this.codes = new Float64Array(2 ** (bits - 1) + 1);
    this.shift = 32 - bits;
  }

  /** The vertex's number, 0 if it is not there. */
  find(code: number): number {
    return this.slots[this.slotOf(code)]!;
  }

  /** The numbers of vertices, new ones for those that are not there: `into[at + i]` for `wanted[i]`, i below `count`. */
  addAll(wanted: Float64Array, count: number, into: Int32Array, at: number): void {
    let { slots, codes, shift } = this;
    let mask = slots.length - 1;
    for (let i = 0; i < count; i++) {
      const code = wanted[i]!;
      let slot = Math.imul(code | 0, SPREAD) >>> shift;
      let number = slots[slot]!;
      while (number !== 0 && codes[number] !== code) {
        slot = (slot + 1) & mask;
        number = slots[slot]!;
      }
      if (number === 0) {
        number = this.insert(slot, code);
        ({ slots, codes, shift } = this);
        mask = slots.length - 1;
      }
      into[at + i] = number;
    }
  }

  private insert(slot: number, code: number): number {
    const number = ++this.count;
    this.codes[number] = code;
    this.slots[slot] = number;
    if (2 * number >= this.slots.length) this.grow();
    return number;
  }

  /** Where the code sits, or the free slot where it would. */
  private slotOf(code: number): number {
    const { slots, codes } = this;
    const mask = slots.length - 1;
    let slot = Math.imul(code | 0, SPREAD) >>> this.shift;
    for (;;) {
      const number = slots[slot]!;
      if (number === 0 || codes[number] === code) return slot;
      slot = (slot + 1) & mask;
    }
  }

  private grow(): void {
    const codes = new Float64Array(this.slots.length + 1);
    codes.set(this.codes);
    this.codes = codes;
    this.slots = new Int32Array(2 * this.slots.length);
    this.shift--;
    for (let number = 1; number <= this.count; number++) this.slots[this.slotOf(codes[number]!)] = number;
  }
}
